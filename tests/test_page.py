"""The page as a person meets it: in headless Chromium, from a file, with the network cut."""

import csv
import io
import shutil
from dataclasses import replace
from importlib.resources import files as files_of
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import optlab as ol
from optlab.report.answer.ranking import ranked_settings
from optlab.report.page.render import write_page
from optlab.report.table_files import PAPER
from optlab.report.ticks import log_ticks
from optlab.text import format_seconds
from tests.planted_results import EVIL, HOSTILE, plant

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update",
         "--renderer-process-limit=1"]  # fmt: skip
DRAWN = ["convergence", "digits", "seconds", "target", "ratio", "parameters", "fit", "phases",
         "profile"]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pages already written, by what they were written from."""
    folder, written = tmp_path_factory.mktemp("pages"), {}

    def file_of(results):
        if id(results) not in written:
            path = write_page(results, folder / f"{len(written)}.html")
            written[id(results)] = path, results  # kept alive: ids are not to be used again
        return written[id(results)][0]

    return file_of


@pytest.fixture(scope="module")
def opened(browser, files):
    """Open results' page, the network cut; at the end nothing may have gone wrong on any.

    All pages are of one context and process, which keeps plotly compiled; the one in front draws.
    """
    context, pages, wrong = browser.new_context(offline=True), [], []
    context.set_default_timeout(100_000)  # ms: only what will never come is waited for so long

    def open_it(results, *, width=1400, scheme="light"):
        path = results if isinstance(results, Path) else files(results)
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: None if request.url.startswith(
            ("file:", "data:", "blob:")) else wrong.append(request.url))  # fmt: skip
        page.goto(path.as_uri())
        return page

    yield open_it, pages, wrong
    context.close()
    assert not wrong


@pytest.fixture
def open_page(opened):
    """Open a page for one test, and close it after."""
    open_it, pages, wrong = opened
    before = len(pages)
    yield open_it
    for page in pages[before:]:
        page.close()
    assert not wrong


ASKED = {"started": "2026-11-24T12:00:00+00:00", "command": "optlab run x.py --epochs 3",
         "commit": "c0ffee-dirty", "dtypes": [None], "seeds": [1, 2],
         "optimizers": {"A": {"class": "SGD", "learning_rate": 0.1}}}  # fmt: skip


@pytest.fixture(scope="module")
def results():
    return replace(plant(seed=1), definition=ASKED)


@pytest.fixture(scope="module")
def light_page(opened, results):
    return opened[0](results)


@pytest.fixture(scope="module")
def dark_page(opened, results):
    return opened[0](results, scheme="dark")


@pytest.fixture
def dark(dark_page, opened):
    """One dark page for the tests that leave it as it was."""
    dark_page.bring_to_front()
    narrow(dark_page, 1400)
    yield dark_page
    assert not opened[2]


@pytest.fixture
def small(dark_page, opened):
    """The dark page on a small screen, for the tests that leave it as it was."""
    dark_page.bring_to_front()
    narrow(dark_page, 400)
    yield dark_page
    assert not opened[2]


@pytest.fixture
def light(light_page, opened):
    """One page for the tests that leave nothing behind but filters, which are set back."""
    light_page.bring_to_front()
    yield light_page
    light_page.locator("#filter-problem").select_option(label="line")
    light_page.get_by_role("button", name="Show all").click()
    assert not opened[2]


def show(page, key):
    """Scroll a view into sight and wait until its chart is drawn."""
    page.locator(f"#{key} h3").scroll_into_view_if_needed()
    page.locator(f"#{key} .chart[data-drawn]").wait_for(state="attached")
    return page.locator(f"#{key}")


def lines(section):
    """Return how many lines and markers a person sees in a chart."""
    return section.locator(".scatterlayer path.js-line").count()


def marks(section):
    return section.locator(".scatterlayer .points path").count()


def axis_text(section):
    return section.locator(".xtick text, .ytick text, .infolayer text").all_text_contents()


def act(page, section, change):
    """Do something that redraws a view, and wait for that."""
    before = section.locator(".chart").get_attribute("data-drawn")
    change()
    page.wait_for_function(
        "([e, n]) => e.dataset.drawn && e.dataset.drawn !== n",
        arg=[section.locator(".chart").element_handle(), before],
    )


def check_every_view(page, ground):
    for key in DRAWN:
        section = show(page, key)
        assert lines(section) + marks(section) > 3, key
        assert len(axis_text(section)) > 5, key
    assert show(page, "crossover").locator("tbody tr").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


def test_every_view_is_drawn(light):
    check_every_view(light, "rgb(255, 255, 255)")


def test_the_keyboard_and_a_screen_reader_get_everywhere(dark):
    page = dark
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for key in DRAWN:
        show(page, key)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a, [role=img]")]
        .filter((e) => e.checkVisibility())
        .filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length))
        .map((e) => e.outerHTML)"""
    )
    assert not unnamed
    saves = page.locator(".view .last button:visible, .tools .last button:visible")
    names = saves.evaluate_all("all => all.map((e) => e.ariaLabel)")
    assert len(set(names)) == len(names) > 10
    box = page.locator("#filter-optimizer input").first
    box.focus()
    page.keyboard.press("Space")
    assert not box.is_checked()
    assert page.locator("#digits .behind summary").count() == 1
    page.locator("#digits .behind summary").focus()
    page.keyboard.press("Enter")
    page.locator("#digits .behind tbody tr").nth(3).wait_for()
    page.keyboard.press("Enter")
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map((e) => +e.tagName[1])")
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    box.check()


def test_paper_shows_every_chart_in_light_and_nothing_to_press(dark):
    page = dark
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    for key in DRAWN:
        assert page.locator(f"#{key} .chart[data-drawn]").count() == 1
    assert page.locator("#target .printed:visible").inner_text().startswith("target 1e-4")
    assert page.locator("#ratio .printed:visible").inner_text() == "baseline ManualSGD"
    assert page.locator("#convergence .printed:visible").inner_text() == "over epochs"
    assert page.locator("[data-table=summary] tbody tr").count() == 20
    assert page.locator("#tracebacks pre:visible").count() > 0
    assert page.locator("button:visible:not(th button)").count() == 0
    assert page.locator("#convergence .legend li:visible").count() > 3
    heads = page.locator("[data-table=summary] th:visible").all_inner_texts()
    assert {"optimizer", "batch size", "device", "seconds"} <= set(heads)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.set_viewport_size({"width": 690, "height": 1000})  # A4 or letter with these margins
    for box in page.locator("table:visible").all():  # none runs over the edge
        edge = box.evaluate("e => e.getBoundingClientRect().right")
        assert edge <= 690, box.inner_text()[:60]
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator("#tracebacks pre:visible").count() == 0


def test_every_view_is_drawn_on_a_small_dark_screen_and_themes_turn(small):
    page = small
    check_every_view(page, "rgb(18, 22, 27)")
    show(page, "convergence")
    ink = "getComputedStyle(document.querySelector('#convergence .ytick text')).fill"
    assert page.evaluate(ink) == "rgb(231, 234, 238)"
    page.get_by_role("button", name="Light / dark").click()
    show(page, "convergence")
    assert page.evaluate(ink) == "rgb(26, 31, 38)"
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Light / dark").click()


OF_EXPERIMENTS = {
    "tutorial": {"convergence", "theory", "digits", "seconds", "target", "ratio", "parameters",
                 "fit", "phases"},
    "diabetes": {"convergence", "theory", "digits", "seconds", "target", "ratio", "parameters",
                 "phases", "profile"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("tutorial", 1400, "light"), ("diabetes", 400, "dark")]
)
def test_the_experiments_pages_draw_every_view_and_filter(open_page, request, name, width, scheme):
    done, folder = request.getfixturevalue(f"{name}_run")
    assert done.returncode == 0, done.stderr
    page = open_page(folder / f"{name}.html", width=width, scheme=scheme)
    before = {}
    for key in OF_EXPERIMENTS[name]:
        section = show(page, key)
        before[key] = lines(section) + marks(section)
        assert before[key] > 3, key
        assert len(axis_text(section)) > 5, key
    missing = {key for key in [*DRAWN, "path", "theory"] if key not in OF_EXPERIMENTS[name]}
    titles = [text.partition(":")[0] for text in page.locator("#not-drawn li").all_inner_texts()]
    assert len(titles) == len(missing) + 1
    assert "Batch size by device" in titles  # one of the devices was skipped
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width < 1100:
        page.get_by_text("Filters and legend", exact=True).click()
    page.locator("#filter-optimizer").get_by_label("ManualSGD", exact=True).uncheck()
    for key in ("convergence", "theory"):  # the others: test_filters_act_on_every_view_and_table
        section = show(page, key)
        assert lines(section) + marks(section) < before[key], key
    assert "ManualSGD" not in page.locator("[data-table=summary] tbody").inner_text()
    command = page.locator("#experiment pre").inner_text()
    assert command.startswith(f"optlab run experiments/{name}.py")


def test_the_way_in_the_plane_is_drawn_over_contours_in_the_functions_box(open_page):
    results = ol.compare(
        [ol.Himmelblau(start=(-1.0, 2.0)), ol.Rosenbrock(start=(-1.2, 1.0)), ol.Rastrigin(3)],
        [ol.ManualSGD(1e-3), ol.ScipyMinimize()], epochs=20,
    )  # fmt: skip
    page = open_page(results)
    for problem, low in (("Himmelblau", "\u22124"), ("Rosenbrock", "\u22122")):
        page.locator("#filter-problem").select_option(label=problem)
        section = show(page, "path")
        assert section.locator(".contourlayer path").count() > 10
        assert lines(section) >= 2
        assert low in axis_text(section)
    page.locator("#filter-problem").select_option(label="Rastrigin")
    assert show(page, "path").locator(".contourlayer path").count() == 0


def test_a_mark_for_each_setting(light, results):
    page = light
    table = results.trials[(results.trials["problem"] == "line")]
    well = table[table["status"].isin(["finished", "converged"])]
    cells = well[["optimizer", "batch", "device"]].astype(str).drop_duplicates()
    assert marks(show(page, "digits")) == len(cells)
    ran = table[~table["status"].isin(["skipped"])]
    cells = ran[["optimizer", "batch", "device"]].astype(str).drop_duplicates()
    section = show(page, "convergence")
    assert "TorchSGD at batch size 1 (cpu, float64, from epoch 2 on)" in section.inner_text()
    bands = section.locator(".scatterlayer path.js-fill").count()
    assert lines(section) + marks(section) - bands == len(cells)


def test_filters_act_on_every_view_and_table(light, results):
    page = light
    before = {key: lines(show(page, key)) + marks(show(page, key)) for key in DRAWN}
    page.get_by_role("checkbox", name="TorchSGD").uncheck()
    page.get_by_role("checkbox", name="cuda").uncheck()
    for key in DRAWN:
        section = show(page, key)
        assert lines(section) + marks(section) < before[key], key
        assert not any("cuda" in text for text in axis_text(section)), key
    assert "TorchSGD" not in show(page, "crossover").locator("table").inner_text()
    summary = page.locator("[data-table=summary]")
    assert "TorchSGD" not in summary.inner_text()
    assert "rows 1 to 7 of 7" in summary.inner_text()
    page.get_by_role("button", name="only Lstsq").click()
    assert "rows 1 to 1 of 1" in summary.inner_text()
    assert marks(show(page, "digits")) == 1
    page.get_by_role("button", name="none: optimizer").click()
    assert "Nothing is left by these filters" in show(page, "digits").inner_text()
    page.get_by_role("button", name="Show all").click()
    assert page.evaluate("document.activeElement.id") == "reset"  # the keyboard is still there
    assert "TorchSGD" in summary.inner_text()
    page.locator("#filter-batch").get_by_label("8", exact=True).uncheck()
    texts = axis_text(show(page, "digits"))
    assert "8" not in [t for t in texts if t in {"1", "8", "full", "direct"}] or "full" in texts
    section = show(page, "seconds")
    ticks = section.locator(".xaxislayer-above text").all_text_contents()
    assert ticks[:3] == ["1", "full", "direct"]
    page.locator("#filter-problem").select_option(label="plane")
    show(page, "fit")
    assert (
        "A line needs linear regression on one feature" in page.locator("#fit .note").inner_text()
    )
    assert page.locator(".ranking:visible").get_attribute("data-problem") == "plane"


def test_nothing_ticked_is_said(light):
    page = light
    for name in ("ManualSGD", "TorchSGD", "Adam", "Lstsq"):
        page.locator("#filter-optimizer").get_by_role("checkbox", name=name).uncheck()
    section = show(page, "digits")
    assert "Nothing is left by these filters" in section.inner_text()


def test_axes_and_scales_change(light):
    page = light
    section = show(page, "convergence")
    assert "epochs" in axis_text(section)
    act(page, section, lambda: section.get_by_label("over").select_option(label="seconds of work"))
    assert "seconds of work" in axis_text(section)
    assert any("ms" in text for text in axis_text(section))
    act(page, section, lambda: section.get_by_label("log y").uncheck())
    ticks = section.locator(".yaxislayer-above text").all_text_contents()
    assert "0.5" in ticks
    act(page, section, lambda: section.get_by_label("log y").check())
    act(page, section, lambda: section.get_by_label("over").select_option(label="epochs"))
    section = show(page, "ratio")
    seen = section.locator(".chart").inner_html()
    act(page, section, lambda: section.locator("select").first.select_option(label="Lstsq"))
    assert section.locator(".chart").inner_html() != seen
    act(page, section, lambda: section.locator("select").first.select_option(label="ManualSGD"))


def test_tables_sort_turn_pages_and_are_saved(light, results):
    page = light
    page.get_by_text("All trials", exact=True).click()
    box = page.locator("[data-table=trials]")
    box.locator("tbody tr").first.wait_for()
    count = int((results.trials["problem"] == "line").sum())
    assert f"rows 1 to 20 of {count}" in box.inner_text()
    box.get_by_role("button", name="seconds", exact=True).click()
    heads = box.locator("thead th").all_text_contents()
    column = next(i for i, text in enumerate(heads) if text.startswith("seconds"))
    assert box.locator("thead th").nth(column).get_attribute("aria-sort") == "ascending"

    def shown():
        cells = box.locator(f"tbody tr td:nth-child({column + 1})")
        return [float(cell.get_attribute("title")) for cell in cells.all()]

    up = shown()
    assert up == sorted(up)
    box.locator("thead th").nth(column).get_by_role("button").click()
    assert shown() == sorted(shown(), reverse=True)
    assert shown()[0] > up[0]
    turn = box.get_by_role("button", name="next")
    turn.click()
    assert f"rows 21 to 40 of {count}" in box.inner_text()
    while turn.is_enabled():
        turn.press("Enter")
    assert page.evaluate("document.activeElement.textContent").endswith("before")
    with page.expect_download() as download:
        box.get_by_role("button", name="CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == count
    found = {int(row["trial"]): row["message"] for row in rows}
    for _, trial in results.trials[results.trials["problem"] == "line"].iterrows():
        assert found[trial["trial"]] == trial["message"]
    with page.expect_download() as download:
        page.locator("[data-table=summary]").get_by_role("button", name="LaTeX").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.count(r"\\") == 1 + 20
    assert r"\toprule" in text
    head = next(line for line in text.splitlines() if "optimizer" in line)
    assert head.count("&") == len(PAPER["summary"]) - 1
    assert "batch size" in head


def test_charts_are_saved(light):
    page = light
    section = show(page, "seconds")
    with page.expect_download() as download:
        section.get_by_role("button", name="SVG").click()
    svg = Path(download.value.path()).read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    for name in ("ManualSGD", "TorchSGD", "Seconds: line"):
        assert name in svg
    with page.expect_download() as download:
        section.get_by_role("button", name="PNG").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


LONG = tuple(f"ALongMethod(learning_rate=0.01, momentum=0.9, restart_every_n_epochs={n}, "
             "warm_up=True)" for n in range(9))  # fmt: skip


@pytest.fixture(scope="module")
def long_page(opened):
    """Long names; whole batch sizes alone; one repeat, so that no spread is known."""
    results = plant(problems=("line",), optimizers=LONG, direct=(), sizes=(5, 7), devices=("cpu",),
                    seeds=2, repeats=1, epochs=(1, 4, 400), mishaps=False)  # fmt: skip
    return opened[0](results)


@pytest.fixture
def long(long_page):
    long_page.bring_to_front()
    return long_page


def test_whole_batch_sizes_and_what_is_not_known(long):
    page = long
    for key in ("parameters", "fit"):
        assert lines(show(page, key)) + marks(show(page, key)) > 2 * len(LONG), key
    summary = page.locator("[data-table=summary]")
    heads = [head.strip() for head in summary.locator("thead th").all_inner_texts()]
    cells = summary.locator("tbody tr").first.locator("td").all_inner_texts()
    told = dict(zip(heads, cells, strict=True))
    assert told["unstable"] == "\u2013"
    assert told["batch size"] in {"5", "7"}
    assert "unstable" not in summary.locator("th:visible").all_inner_texts()  # not known
    summary.get_by_role("button", name="All").click()
    assert summary.locator("tbody td:visible").count() == len(heads) * len(LONG) * 2
    assert summary.locator("thead th", has_text="spread").get_attribute("class") == "number"
    section = show(page, "seconds")
    section.locator(".behind summary").click()
    section.locator(".behind tbody tr").first.wait_for()
    heads = section.locator(".behind th").all_inner_texts()
    cells = section.locator(".behind tbody tr").first.locator("td").all_inner_texts()
    told = dict(zip(heads, cells, strict=True))
    assert all(told[name].endswith("s") for name in ("seconds", "from", "to")), told
    section = show(page, "target")
    options = section.locator("select").first.locator("option").all_inner_texts()
    assert options[0] == "0.1"
    titles = {"seconds": "Seconds: line", "target": "Seconds to a target: line, target "}
    for key, title in titles.items():
        section = show(page, key)
        with page.expect_download() as download:
            section.get_by_role("button", name="SVG").click()
        root = ET.fromstring(Path(download.value.path()).read_text(encoding="utf-8"))
        texts = ["".join(e.itertext()) for e in root.findall(".//{*}text")]
        assert set(LONG) <= set(texts) or key == "target"  # not all get there
        assert any(text.startswith(title) for text in texts)


def test_long_names_find_room_on_a_small_screen(long, opened):
    page = long
    narrow(page, 400)
    section = show(page, "ratio")
    assert section.locator(".tools label").first.bounding_box()["height"] < 60
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    first = page.locator("[data-table=summary] tbody td").first
    assert first.bounding_box()["width"] < 260
    assert not opened[2]


def test_what_users_wrote_is_text(open_page):
    names = (HOSTILE, EVIL, "Lstsq", "=1+1<a href='javascript:alert(3)'>link</a>")
    hostile = plant(name=EVIL, problems=(HOSTILE, EVIL), optimizers=names, devices=("cpu",),
                    mishaps=False)  # fmt: skip
    hostile.trials.loc[hostile.trials["repeat"] == 1, ["status", "message"]] = ["failed", EVIL]
    hostile.machine["processor"] = EVIL
    hostile.definition.update(
        {"command": f"optlab run {EVIL}", HOSTILE: [EVIL], EVIL: {HOSTILE: EVIL}}
    )
    page = open_page(hostile)
    for key in DRAWN[:-1]:
        show(page, key)
    assert page.locator("h1").inner_text().split() == EVIL.split()
    label = page.locator("#filter-optimizer label").first.inner_text()
    assert label.strip() == HOSTILE
    assert " ".join(EVIL.split()) in " ".join(page.locator("#caveats").inner_text().split())
    assert HOSTILE in page.locator("#findings").inner_text()
    assert HOSTILE in page.locator("[data-table=summary]").inner_text()
    assert page.locator("main script, main img:not(.figure), main .chart a, svg a").count() == 0
    section = show(page, "seconds")
    section.locator(".chart").scroll_into_view_if_needed()
    point = section.locator(".scatterlayer .points path").first.bounding_box()
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    hover = section.locator(".hoverlayer text").first
    hover.wait_for()
    assert HOSTILE in hover.text_content()
    with page.expect_download() as download:
        section.get_by_role("button", name="SVG").click()
    svg = Path(download.value.path()).read_text(encoding="utf-8")
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}
    assert not tags & {"script", "a", "img", "image", "b"}
    texts = {"".join(e.itertext()) for e in ET.fromstring(svg).findall(".//{*}text")}
    assert {HOSTILE, EVIL} <= texts


CONTRASTS = """() => {
    const light = (c) => { const p = c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]; };
    const ground = (e) => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor; if (!c.startsWith("rgba(")) return c; }
        return "rgb(255, 255, 255)"; };
    return ["h1", "header p", ".findings li", ".caveats li", "nav a", ".question", ".how", "legend",
            "summary", "td", "dt", "footer", "button", ".only", ".verdict a",
            ".fastest"].map((s) => {
      const e = document.querySelector(s);
      const a = light(getComputedStyle(e).color), b = light(ground(e));
      return [s, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; }); }"""


def test_text_has_contrast(light):
    page = light
    for _ in ("light", "dark"):
        show(page, "crossover")
        ratios = page.evaluate(CONTRASTS)
        assert all(ratio >= 4.5 for _, ratio in ratios), ratios
        page.get_by_role("button", name="Light / dark").click()


def drawn_unseen(page):
    """Wait until every chart is drawn, without scrolling to any."""
    page.wait_for_function("() => !document.querySelector('.chart:not([data-drawn])')")
    assert page.evaluate("scrollY") == 0


def narrow(page, width):
    """Give a page another width, and let it draw again what that changes, 120 ms later."""
    if page.viewport_size["width"] == width:
        return
    page.evaluate("""() => {
        window.rested = false;
        const rest = () => setTimeout(() => { window.rested = true; }, 130);
        addEventListener("resize", rest, { once: true });
    }""")
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("() => window.rested")


@pytest.mark.parametrize(("scheme", "widths"), [("light", (1400, 800)), ("small", (400,))])
def test_nothing_bars_people_from_the_page_at_any_width(request, scheme, widths):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = request.getfixturevalue(scheme)
    page.evaluate("scrollTo(0, 0)")
    drawn_unseen(page)
    found = axe.Axe().run(page).response["violations"]
    assert not [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]
    for width in widths:
        narrow(page, width)
        drawn_unseen(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        over = page.evaluate("""() => [...document.querySelectorAll("main .scroll:has(> table)")]
            .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth)
            .map((e) => e.ariaLabel)""")
        assert not over  # every table in sight fits, by the columns it leaves out
    narrow(page, widths[0])


def test_a_click_draws_what_is_in_sight_and_the_other_charts_after_a_rest(light):
    page = light
    page.evaluate("scrollTo(0, 0)")
    drawn_unseen(page)
    waiting = page.evaluate("""() => {
        document.querySelector("#filters .only").click();
        const box = (chart) => chart.getBoundingClientRect();
        return [...document.querySelectorAll(".chart:not(.text):not([data-drawn])")]
            .map((chart) => box(chart).top < innerHeight && box(chart).bottom > 0);
    }""")
    assert waiting
    assert not any(waiting)
    drawn_unseen(page)


def test_terms_are_explained_where_they_stand_by_keyboard(light):
    meaning = light.locator("#meaning")
    link = light.locator("#answer th a.term", has_text="digits").first
    link.press("Enter")
    assert meaning.inner_text().startswith("digits How many decimal digits")
    assert light.locator("#term-digits + dd").inner_text() in meaning.inner_text()
    light.keyboard.press("Escape")
    assert not meaning.is_visible()
    words = light.locator("#glossary dfn").all_inner_texts()
    assert {"suboptimality", "digits", "certificate", "contended", "censored"} <= set(words)
    assert words == sorted(words)


def test_contents_and_filters_are_a_menu_on_a_small_screen(small):
    page = small
    assert not page.locator("#filters").is_visible()
    page.get_by_text("Filters and legend", exact=True).click()
    panel = page.locator("#filters")
    assert panel.evaluate("e => e.scrollHeight <= e.clientHeight")  # all of them without scrolling
    page.keyboard.press("Escape")
    assert not panel.is_visible()
    page.get_by_text("Contents", exact=True).click()
    page.locator("#contents").get_by_text("Glossary").click()
    assert page.url.endswith("#glossary")
    assert not page.locator("#contents ol").first.is_visible()
    missing = page.evaluate("""() => [...document.querySelectorAll("#contents a, a.term")]
        .filter((e) => !document.querySelector(e.hash)).map((e) => e.hash)""")
    assert not missing


def test_of_too_many_lines_the_best_by_rank_are_drawn_the_winner_among_them(open_page):
    names = tuple(f"SGD(learning_rate=0.{n:02})" for n in range(1, 31))
    many = plant(problems=("line",), optimizers=(*names, "Adam"), direct=(), devices=("cpu",),
                 seeds=1, repeats=1, mishaps=False, epochs=(1, 8, 400))  # fmt: skip
    ranked = ranked_settings(many)
    page = open_page(many)
    assert "16 of 93 lines are drawn" in show(page, "convergence").inner_text()
    legend = page.locator("#convergence .legend li").all_text_contents()
    best = [f"{row['optimizer']} at batch size {row['batch']}" for _, row in ranked.iterrows()]
    adam = next(name for name in best if name.startswith("Adam"))
    others = [name for name in best if name not in {best[0], adam}]
    assert set(legend) == {best[0], adam, *others[: 16 - len({best[0], adam})]}
    side = page.locator("#filters")
    assert side.get_by_role("checkbox", name=names[0]).count() == 0  # folded, there are so many
    side.get_by_role("button", name="settings of SGD").click()
    box = side.get_by_role("checkbox", name=names[0])
    assert box.locator("xpath=..").inner_text().strip() == "0.01"
    box.uncheck()
    whole = side.get_by_role("checkbox", name="SGD, learning rate")
    assert whole.evaluate("e => e.indeterminate")


def test_the_page_tells_what_repeats_it_and_what_proves_the_optimum(light):
    page = light
    told = page.locator("#experiment").inner_text()
    for words in ("optlab run x.py --epochs 3", "c0ffee-dirty", "the data's own", "1, 2",
                  "A: SGD(learning_rate=0.1)"):  # fmt: skip
        assert words in told
    assert "2026-11-24 12:00 UTC" in page.locator("header").inner_text()
    assert "found by hand for plane" in page.locator("#reference").text_content()
    assert "abacus" in page.locator("#machine").inner_text()


def test_a_large_page_stays_small_and_draws_a_choice_of_its_lines(open_page, files):
    """2 000 trials, 20 000 trace rows; measured of 10 000 and 100 000: 11.2 MB."""
    large = plant(
        problems=("problem 0",),
        optimizers=tuple(f"optimizer {i}" for i in range(10)), direct=("optimizer 9",),
        sizes=(1, 2, 4, 8, 16, 32, 64, 128, 256, "full"), dtypes=("float32", "float64"),
        seeds=3, repeats=2, mishaps=False, epochs=(1, 2, 4, 8, 16, 32, 64, 128, 400),
    )  # fmt: skip
    assert len(large.trials) >= 2_000
    assert len(large.traces) >= 20_000
    assert files(large).stat().st_size < 7e6  # 4.9 MB of it are plotly's
    page = open_page(large)
    assert page.locator("*:not(.chart *)").count() < 5000  # tables are made when they are opened
    section = show(page, "convergence")
    act(page, section, lambda: page.get_by_role("checkbox", name="optimizer 3").uncheck())
    assert lines(section) <= 2 * 32
    assert "lines are drawn" in section.locator(".note").inner_text()


def test_scripts_write_seconds_and_place_ticks_as_python_does(browser):
    """Filters and sorting change the numbers shown, so that the page's scripts write them too."""
    source = (files_of("optlab.report.page") / "numbers.js").read_text(encoding="utf-8")
    rng = np.random.default_rng(0)
    seconds = [0.0, 1.0, 0.9996, 1e-3, 999.6, *10 ** rng.uniform(-9, 5, 500)]
    ends = [sorted(10 ** rng.uniform(-8, 6, 2)) for _ in range(200)]
    ends += [[low, low * (1 + 10 ** rng.uniform(-2, 1))] for low, _ in ends]
    page = browser.new_page()
    run = f"(given) => {{ {source}; return [given[0].map((value) => duration(value)), "
    run += "given[1].map(([a, b]) => [3, 4, 8].map((most) => roundValues(a, b, most)))]; }"
    texts, ticks = page.evaluate(run, [seconds, ends])
    page.close()
    assert texts == [format_seconds(value) for value in seconds]
    expected = [[log_ticks(low, high, most) for most in (3, 4, 8)] for low, high in ends]
    for mine, its in zip(expected, ticks, strict=True):
        for one, other in zip(mine, its, strict=True):
            assert one == pytest.approx(other, rel=1e-12)
