"""Tables to paste into a paper, by pandas' Styler."""

from __future__ import annotations

import math

import pandas as pd


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
    sides = "".join("r" if kind.kind in "fi" else "l" for kind in table.dtypes)
    style = table.reset_index(drop=True).style.hide(axis="index")
    style = style.format(_cell, na_rep="--")
    style = style.format_index(lambda name: escape(str(name).replace("_", " ")), axis=1)
    return style.to_latex(hrules=True, column_format=sides)


_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%",
    "#": r"\#", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "\N{MICRO SIGN}": r"$\mu$",
}  # fmt: skip


def escape(text: object, *, strip: bool = True) -> str:
    r"""Return a text as LaTeX that prints it; line ends and runs of blanks are one blank.

    Examples
    --------
    >>> print(escape("a_b & 5 %"), escape("x^2 <  y"))
    a\_b \& 5 \% x\textasciicircum{}2 \textless{} y
    """
    plain = "".join(c if c.isprintable() else " " for c in str(text))
    plain = " ".join(plain.split()) if strip else plain
    return "".join(_SPECIAL.get(c, c) for c in plain)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _number(value) if isinstance(value, float) else escape(value)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    text = str(int(value)) if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
