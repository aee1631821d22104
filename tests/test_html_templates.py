"""Text of users in HTML and in the page's data: it comes back unchanged, and makes no element."""

import json
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from unittest.mock import patch

import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optlab.html_templates import table_html
from optlab.report.page.render import render_page
from tests.planted_results import EVIL, HOSTILE, plant

TEXTS = st.one_of(st.sampled_from([EVIL, HOSTILE, "</title>", "</script>"]), st.text())


class Parsed(HTMLParser):
    """The elements of a document, and the texts in each."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.texts.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag):
        self.texts.append(("", {}, ""))

    def handle_data(self, data):
        if self.texts:
            tag, attrs, text = self.texts[-1]
            self.texts[-1] = tag, attrs, text + data

    def of(self, tag, **attrs):
        return [text for t, own, text in self.texts if t == tag and attrs.items() <= own.items()]


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
def test_tables_give_every_text_back(title, row):
    parsed = Parsed(table_html(title, row, [row]))
    assert (parsed.of("b"), parsed.of("th"), parsed.of("td")) == ([title], row, row)
    assert set(parsed.tags) == {"table", "caption", "b", "thead", "tr", "th", "tbody", "td"}


SMALL = plant(problems=("line",), optimizers=("A",), direct=(), devices=("cpu",), sizes=(1,),
              seeds=1, repeats=1, epochs=(1,), mishaps=False)  # fmt: skip


def parsed_page(results):
    """The page without plotly's 5 MB, which hold nothing of a user."""
    with patch("plotly.offline.get_plotlyjs", return_value=""):
        return Parsed(render_page(results))


@cache
def tags():
    return set(parsed_page(SMALL).tags)


@settings(max_examples=1)
@example(["</script><!--<script>\u2028", EVIL, "", HOSTILE])
@given(st.lists(TEXTS, min_size=4, max_size=4, unique=True))
def test_the_page_gives_every_text_back(texts):
    trials = pd.concat(
        [SMALL.trials.assign(trial=number, optimizer=text, status="failed", message=text)
         for number, text in enumerate(texts)], ignore_index=True,
    )  # fmt: skip
    same, text = {text: text for text in texts}, texts[0]
    definition = {"command": text, "problems": same, **same}
    errors = {number: f"Error: {text}" for number, text in enumerate(texts)}
    results = replace(SMALL, name=text, trials=trials, machine=same, definition=definition,
                      tracebacks=errors)  # fmt: skip
    parsed = parsed_page(results)
    assert parsed.of("title") == parsed.of("h1") == [text or "experiment"]
    assert set(texts) <= set(parsed.of("dt"))
    assert set(texts) <= set(parsed.of("dd"))
    further = {"details", "summary", "pre", "ul", "li", "b", "code", "wbr"}
    assert set(parsed.tags) <= {*tags(), *further}
    data = json.loads(parsed.of("script", id="data")[0])
    assert data["name"] == (text or "experiment")
    assert data["tables"]["trials"]["columns"]["message"]["levels"] == texts
