"""Tables to paste into a paper."""

from __future__ import annotations

import math

import pandas as pd

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}


def latex_table(table: pd.DataFrame) -> str:
    r"""Return a table as a LaTeX tabular with booktabs' rules; nothing in it is taken for TeX.

    Examples
    --------
    >>> import pandas as pd
    >>> print(latex_table(pd.DataFrame({"optimizer": ["a_b"], "loss": [0.5]})))
    \begin{tabular}{lr}
    \toprule
    optimizer & loss \\
    \midrule
    a\_b & 0.5 \\
    \bottomrule
    \end{tabular}
    <BLANKLINE>
    """
    sides = "".join("r" if table[c].dtype.kind in "fi" else "l" for c in table)
    rows = [[_text(str(column).replace("_", " ")) for column in table]]
    rows += [[_cell(value) for value in row] for row in table.itertuples(index=False, name=None)]
    lines = [" & ".join(row) + r" \\" for row in rows]
    start = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*start, *lines[1:], r"\bottomrule", r"\end{tabular}", ""])


def _cell(value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]  # a cell of any kind
        return "--"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value)
    return _text(value)


def _text(value: object) -> str:
    return "".join(_SPECIAL.get(character, character) for character in str(value))


def _number(value: float) -> str:
    if not math.isfinite(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    text = str(int(value)) if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
