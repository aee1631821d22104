"""Draw who beats whom: a square for each pair of optimizers, coloured by the share of wins."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from optlab.report.figures.legend import label_of
from optlab.report.figures.panels import wrap_title
from optlab.report.figures.paper import PAGE, PaperFigure
from optlab.text import pluralize

MOST_TEXTS = 12
"""Squares of more optimizers than this are too small to be written into."""


def win_rate_matrix(table: pd.DataFrame, title: str) -> Figure:
    """Draw the table of `optlab.analysis.win_rates`: a row wins against a column.

    In each square stand the share of comparisons won, ties half, their number, and that of ties.
    """
    names = list(dict.fromkeys(table["optimizer"]))
    places = {name: place for place, name in enumerate(names)}
    texts = [label_of(name, 34) for name in names]
    few = len(names) <= MOST_TEXTS
    side, font = (0.42, 8.0) if few else (0.16, 6.5)  # inches and points: names do not overlap
    beside = 0.0085 * font * max(map(len, texts))
    with mpl.rc_context(PAGE.settings):
        size = (beside + side * len(names) + 0.3, 0.6 + beside + side * len(names))
        figure = PaperFigure(figsize=(max(size[0], PAGE.width), size[1]), layout="constrained")
        axes = figure.subplots()
        colours = mpl.colormaps["PuOr"]
        for row in table.to_dict("records"):
            x, y = places[row["other"]], places[row["optimizer"]]
            colour = colours(0.12 + 0.76 * row["share"])
            axes.add_patch(mpl.patches.Rectangle((x - 0.5, y - 0.5), 1, 1, color=colour, lw=0))
            if few:
                dark = mpl.colors.rgb_to_hsv(colour[:3])[2] < 0.75
                text = f"{100 * row['share']:.0f} %\nof {row['comparisons']}"
                text += f"\n{pluralize(row['ties'], 'tie')}" if row["ties"] else ""
                axes.text(x, y, text, ha="center", va="center", fontsize=6,
                          color="white" if dark else "black")  # fmt: skip
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
        axes.set_yticks(range(len(names)), texts, fontsize=font)
        axes.set_xticks(range(len(names)), texts, fontsize=font, rotation=90)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        figure.suptitle(wrap_title(title), x=0.01, ha="left", fontsize="medium")
    return figure
