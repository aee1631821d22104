"""LaTeX of a paper's table: booktabs, caption, label; a long table where it does not fit a page."""

from __future__ import annotations

import re

from optlab.report.latex import escape
from optlab.report.output_file import SOFTWARE
from optlab.report.paper_table import PaperTable, TableColumn
from optlab.text import capitalized

MOST_ROWS = 40
"""More rows find no room on a page: the table is a ``longtable``."""

_GAP = r"\setlength{\tabcolsep}{4.5pt}"
"""The blank beside columns: less than LaTeX's 6 points, as numbers with intervals are wide."""


def table_document(
    table: PaperTable, title: str, caption: str | None, label: str | None, *, long: bool | None
) -> str:
    r"""Return a table as LaTeX, to be put into a paper by ``\input``.

    Parameters
    ----------
    table
        The table.
    title
        The caption's first sentence where none is given.
    caption
        Plain text, with mathematics between dollar signs; the table's notes come after it.
    label
        For ``\ref``; made of the title where left out.
    long
        Whether it is a ``longtable``, which may break over pages; where left out, above `MOST_ROWS`
        rows.

    Raises
    ------
    ValueError
        For a label that LaTeX cannot take.
    """
    name = label if label is not None else "tab:" + re.sub(r"[^a-z0-9]+", "-", title.lower())
    if not name or re.search(r"[{}\\%#~^$&\s]", name):
        raise ValueError(f"label must be letters, digits and :-_. without spaces, not {label!r}")
    sentences = [capitalized(note) for note in (caption or title, *table.notes)]
    sentences[0] = escape_caption(caption or title)
    bold = any("bfseries" in cell.left for column in table.columns for cell in column.cells)
    of = " on each problem" if len(set(table.problems)) > 1 else ""
    sentences += [f"Bold: the best of a column{of}, where one is compared"] * bold
    told = " ".join(f"{sentence.rstrip('.')}." for sentence in sentences)
    long = len(table.problems) > MOST_ROWS if long is None else long
    spec = "".join(r"r@{\;}l" if _is_wide(c) else "r" if c.numeric else "l" for c in table.columns)
    lines = _long(table, spec, told, name) if long else _short(table, spec, told, name)
    packages = "booktabs and longtable" if long else "booktabs"
    return "\n".join([f"% {SOFTWARE}; needs the package {packages}", *lines, ""])


def escape_caption(text: str) -> str:
    r"""Return a text for a caption: mathematics between dollar signs stays as it is.

    Examples
    --------
    >>> print(escape_caption("5 % of $x_1$ & more"), escape_caption("5 $ more"))
    5 \% of $x_1$ \& more 5 \$ more
    """
    parts = re.split(r"(\$[^$]+\$)", text)
    return "".join(part if nth % 2 else escape(part, strip=False) for nth, part in enumerate(parts))


def _short(table: PaperTable, spec: str, caption: str, label: str) -> list[str]:
    return [
        r"\begin{table}", r"\centering\small", rf"\caption{{{caption}}}", rf"\label{{{label}}}",
        r"\smallskip", _GAP,
        rf"\begin{{tabular}}{{{spec}}}", r"\toprule", _head(table), r"\midrule", *_rows(table),
        r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip


def _long(table: PaperTable, spec: str, caption: str, label: str) -> list[str]:
    head = [r"\toprule", _head(table), r"\midrule"]
    return [
        r"\begingroup\small", _GAP, r"\setlength{\LTcapwidth}{\linewidth}",
        rf"\begin{{longtable}}{{{spec}}}", rf"\caption{{{caption}}}", rf"\label{{{label}}} \\",
        *head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot", *_rows(table),
        r"\end{longtable}", r"\endgroup",
    ]  # fmt: skip


def _is_wide(column: TableColumn) -> bool:
    """Return whether a column has something on both sides of its line."""
    return any(cell.right for cell in column.cells)


def _head(table: PaperTable) -> str:
    texts = [
        rf"\multicolumn{{2}}{{c}}{{{c.heading}}}" if _is_wide(c) else c.heading
        for c in table.columns
    ]
    return " & ".join(texts) + r" \\"


def _rows(table: PaperTable) -> list[str]:
    """Return a line for each row; of several problems each has its name above its rows, once."""
    several = len(set(table.problems)) > 1
    width = sum(1 + _is_wide(column) for column in table.columns)
    lines = []
    for nth, problem in enumerate(table.problems):
        if several and (nth == 0 or problem != table.problems[nth - 1]):
            name = rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escape(problem)}}}}} \\*"
            lines += [r"\midrule", name] if nth else [name]
        texts = []
        for column in table.columns:
            cell = column.cells[nth]
            texts += [cell.left, cell.right] if _is_wide(column) else [cell.left]
        lines.append(" & ".join(texts) + r" \\")
    return lines
