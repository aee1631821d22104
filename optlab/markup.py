"""Small HTML for notebooks; it knows nothing but text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """Return a title and a table of names and values, escaped.

    Examples
    --------
    >>> facts_html("a & b", {"n": 3})
    '<table><caption><b>a &amp; b</b></caption><tr><th>n</th><td>3</td></tr></table>'
    """
    rows = "".join(
        f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table><caption><b>{html.escape(title)}</b></caption>{rows}</table>"


def table_html(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, most: int = 20
) -> str:
    """Return a table with a row of headings, escaped; rows after ``most`` are counted only.

    Examples
    --------
    >>> table_html("t", ["x"], [["<1"], ["2"]], most=1).partition("<tbody>")[2]
    '<tr><td>&lt;1</td></tr></tbody></table><p>and 1 more rows</p>'
    """
    all_rows = list(rows)
    head = "".join(f"<th>{html.escape(str(column))}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row) + "</tr>"
        for row in all_rows[:most]
    )
    left = len(all_rows) - most
    more = f"<p>and {left} more rows</p>" if left > 0 else ""
    caption = f"<caption><b>{html.escape(title)}</b></caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
