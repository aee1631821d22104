"""Tables to paste into a paper."""

from __future__ import annotations

import math

import pandas as pd

_COLUMNS = {
    "problem": "problem",
    "optimizer": "optimizer",
    "batch_size": "batch size",
    "device": "device",
    "status": "status",
    "epochs": "epochs",
    "seconds": "seconds (median)",
    "loss": "loss",
    "suboptimality": "suboptimality",
    "parameter_error": "parameter error",
}
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}


def latex_table(summary: pd.DataFrame) -> str:
    r"""Return a summary as a LaTeX tabular with booktabs' rules; nothing in it is taken for TeX.

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
    columns = [column for column in _COLUMNS if column in summary]
    sides = "".join("r" if summary[c].dtype.kind in "fi" else "l" for c in columns)
    rows = [[_COLUMNS[column] for column in columns]]
    rows += [[_cell(row[column]) for column in columns] for _, row in summary.iterrows()]
    lines = [" & ".join(row) + r" \\" for row in rows]
    start = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*start, *lines[1:], r"\bottomrule", r"\end{tabular}", ""])


def _cell(value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]  # a cell of any kind
        return "--"
    if isinstance(value, float):
        return _number(value)
    return "".join(_SPECIAL.get(character, character) for character in str(value))


def _number(value: float) -> str:
    if not math.isfinite(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    text = f"{value:.3g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
