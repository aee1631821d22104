"""Draw the parts of a step as bars, and its seconds beside the bounds."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from optlab.lab.step_anatomy import (
    BACKWARD,
    COMPILED,
    FORWARD,
    GRADIENT,
    ORDER,
    PARTS,
    PYTHON,
    UPDATE,
)
from optlab.report.figures.panels import INK, escape_math, wrap_title
from optlab.report.figures.paper import PAGE, PaperFigure
from optlab.report.ticks import log_ticks, shorten
from optlab.report.views.view import View
from optlab.text import format_seconds

_COLOURS = {
    ORDER: "#56B4E9",
    FORWARD: "#009E73",
    BACKWARD: "#D55E00",
    GRADIENT: "#CC79A7",
    UPDATE: "#E69F00",
    COMPILED: "#0072B2",
    PYTHON: "#C8C8C8",
}
_BOUNDS = {"memory_seconds": ("memory", "|"), "arithmetic_seconds": ("arithmetic", "x")}


def anatomy_figure(view: View, problem: str) -> Figure:
    """Draw the bars of one problem: shares on the left, seconds with their bounds on the right."""
    rows = view.table[view.table["problem"] == problem]
    bars = rows.drop_duplicates(["optimizer", "batch", "device", "dtype"]).reset_index(drop=True)
    title = wrap_title(f"{view.title} on {problem}")
    with mpl.rc_context(PAGE.settings):
        height = 1.25 + 0.27 * len(bars) + 0.15 * title.count("\n")
        figure = PaperFigure(figsize=(PAGE.width, height), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        _draw_shares(left, rows, bars)
        _draw_seconds(right, bars)
        left.set_yticks(range(len(bars)), _labels(bars))
        left.set_ylim(len(bars) - 0.5, -0.5)
        left.set_title(title, loc="left", x=0)
        left.set_xlabel(view.x[0].title)
        right.set_xlabel(view.x[1].title)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        _put_legend(figure, rows)
    return figure


def _labels(bars: pd.DataFrame) -> list[str]:
    """Return a bar's optimizer, with the batch size and dtype where these differ."""
    told = [column for column in ("batch", "device", "dtype") if len(set(bars[column])) > 1]
    texts = []
    for _, bar in bars.iterrows():
        extra = [f"batch size {bar[c]}" if c == "batch" else str(bar[c]) for c in told]
        texts.append(escape_math(", ".join([shorten(str(bar["optimizer"]), 40), *extra])))
    return texts


def _draw_shares(axes: Axes, rows: pd.DataFrame, bars: pd.DataFrame) -> None:
    cell = ["optimizer", "batch", "device", "dtype"]
    places = {tuple(bar): place for place, bar in enumerate(bars[cell].itertuples(index=False))}
    ends = dict.fromkeys(places.values(), 0.0)
    for part in PARTS:
        for _, row in rows[rows["part"] == part].iterrows():
            place, share = places[tuple(row[cell])], float(row["share"])
            axes.barh(place, share, left=ends[place], height=0.62, color=_COLOURS[part])
            if share >= 0.09:
                white = part in {COMPILED, FORWARD, BACKWARD}
                axes.text(ends[place] + share / 2, place, f"{share:.0%}", ha="center", va="center",
                          fontsize=6.5, color="white" if white else INK)  # fmt: skip
            ends[place] += share
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def _draw_seconds(axes: Axes, bars: pd.DataFrame) -> None:
    values = bars[["step_seconds", *_BOUNDS]].astype(float)
    low, high = float(values.min().min()), float(values.max().max())
    axes.set_xscale("log")
    axes.set_xlim(low / 2.5, high * 12)
    for column, (_, marker) in _BOUNDS.items():
        axes.plot(values[column], bars.index, marker, color="#767676", markersize=6)
    axes.plot(values["step_seconds"], bars.index, "o", color=INK, markersize=4.5)
    for place, seconds in enumerate(values["step_seconds"]):
        axes.annotate(format_seconds(seconds), (seconds, place), xytext=(5, 0),
                      textcoords="offset points", va="center", fontsize=6.5)  # fmt: skip
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low / 2.5, high * 2, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_seconds(value)))
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.tick_params(axis="y", length=0)


def _put_legend(figure: Figure, rows: pd.DataFrame) -> None:
    drawn = [part for part in PARTS if (rows["part"] == part).any()]
    handles: list[Any] = [Patch(color=_COLOURS[part], label=part) for part in drawn]
    kind: dict[str, Any] = {"linestyle": "none", "color": "#767676"}
    handles.append(Line2D([], [], marker="o", linestyle="none", color=INK, markersize=4.5,
                          label="a step"))  # fmt: skip
    for column, (name, marker) in _BOUNDS.items():
        if rows[column].notna().any():
            label = f"bound of {name}"
            handles.append(Line2D([], [], marker=marker, markersize=6, label=label, **kind))
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False)
