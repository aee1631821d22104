"""HTML from Jinja2 templates, which escape every text that is put into them (page, notebook)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from jinja2 import Environment, StrictUndefined

ENVIRONMENT = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
"""The settings of every template: escaped values, and an error for a name that is not given."""

_TABLE = ENVIRONMENT.from_string(
    "<table><caption><b>{{ title }}</b></caption>"
    "{% if columns %}<thead><tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}"
    "</tr></thead>{% endif %}"
    "<tbody>{% for row in rows %}<tr>{% for value in row %}"
    "{% if loop.first and not columns %}<th>{{ value }}</th>{% else %}<td>{{ value }}</td>"
    "{% endif %}{% endfor %}</tr>{% endfor %}</tbody></table>"
    "{% if left > 0 %}<p>and {{ left }} more row{{ 's' if left > 1 }}</p>{% endif %}"
)


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """Return a title and a table of names and values.

    Examples
    --------
    >>> facts_html("a & b", {"n": 3}).partition("</caption>")[2]
    '<tbody><tr><th>n</th><td>3</td></tr></tbody></table>'
    """
    return table_html(title, (), facts.items())


def table_html(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, most: int = 20
) -> str:
    """Return a table; rows after ``most`` are counted only.

    Without ``columns`` the first value of each row is its heading.

    Examples
    --------
    >>> table_html("t", ["x"], [["<1"], ["2"]], most=1).partition("<tbody>")[2]
    '<tr><td>&lt;1</td></tr></tbody></table><p>and 1 more row</p>'
    """
    every = list(rows)
    return _TABLE.render(title=title, columns=columns, rows=every[:most], left=len(every) - most)
