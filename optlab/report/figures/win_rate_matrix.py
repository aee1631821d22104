"""Draw who beats whom: a square for each pair of optimizers, coloured by the share of wins."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from optlab.report.figures.panels import escape_math, wrap_title
from optlab.report.figures.paper import DRAWN, WIDTH, PaperFigure
from optlab.report.ticks import shorten

MOST_TEXTS = 12
"""Squares of more optimizers than this are too small to be written into."""


def win_rate_matrix(table: pd.DataFrame, title: str) -> Figure:
    """Draw the table of `optlab.analysis.win_rates`: a row wins against a column.

    In each square stand the share of comparisons won, ties half, and their number.
    """
    names = list(dict.fromkeys(table["optimizer"]))
    places = {name: place for place, name in enumerate(names)}
    side = min(0.42, (WIDTH - 2.2) / len(names))
    with mpl.rc_context(DRAWN):
        size = (WIDTH, 1.5 + side * len(names))
        figure = PaperFigure(figsize=size, layout="constrained")
        axes = figure.subplots()
        colours = mpl.colormaps["PuOr"]
        for row in table.to_dict("records"):
            x, y = places[row["other"]], places[row["optimizer"]]
            colour = colours(0.12 + 0.76 * row["share"])
            axes.add_patch(mpl.patches.Rectangle((x - 0.5, y - 0.5), 1, 1, color=colour, lw=0))
            if len(names) <= MOST_TEXTS:
                dark = mpl.colors.rgb_to_hsv(colour[:3])[2] < 0.75
                text = f"{100 * row['share']:.0f} %\nof {row['comparisons']}"
                axes.text(x, y, text, ha="center", va="center", fontsize=6,
                          color="white" if dark else "black")  # fmt: skip
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
        texts = [escape_math(shorten(name, 34)) for name in names]
        axes.set_yticks(range(len(names)), texts)
        axes.set_xticks(range(len(names)), texts, rotation=45, ha="left")
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        figure.suptitle(wrap_title(title), x=0.01, ha="left", fontsize="medium")
    return figure
