"""Draw every setting against a hyperparameter, a line a method."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator

from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.report.figures.hyperparameter_table import (
    PANELS,
    drawn_measure,
    hyperparameter_table,
    is_to_target,
)
from optlab.report.figures.legend import legend_height, legend_of, put_legend
from optlab.report.figures.panels import INK, MARKERS, escape_math, finish, line_style, wrap_title
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.figures.tuning_curves import draw_ring, is_wide
from optlab.report.style import Styles
from optlab.report.views.time_to_target import own_target
from optlab.report.views.view import Axis, batches_in
from optlab.report.words import share
from optlab.text import capitalized, method_name

LOST, MISSED = "x", "2"
"""The marks of settings that diverged or failed, and that did not reach the target each time."""


def hyperparameter_figure(
    results: ResultTables,
    problem: str,
    hyperparameter: str = "learning_rate",
    measure: str | None = None,
    *,
    paper: FigureStyle = PAGE,
) -> Figure:
    """Draw `hyperparameter_table`, a panel for each device and dtype.

    In a band at the top crosses diverged or failed, and triangles did not reach the target in every
    trial; the best of each line has a ring; bars reach from the least to the most over seeds and
    repeats.
    """
    table = hyperparameter_table(results, problem, hyperparameter, measure)
    trials = results.measured.trials
    methods = dict.fromkeys(method_name(str(name)) for name in trials["optimizer"])
    known = optimizer_settings(results.definition)
    styles = Styles.of(methods, batches_in(trials["batch"]), known)
    words = hyperparameter.replace("_", " ")
    x = Axis("value", words, scale="log" if is_wide(table["value"]) else "linear")
    high = table["height"].dropna()
    log = len(high) and (high > 0).all() and is_wide(high, 10)
    y = Axis("height", _title(results, problem, measure), scale="log" if log else "linear")
    panels = list(table.groupby(PANELS, sort=False))
    with mpl.rc_context(paper.settings):
        handles = _legend(table, styles)
        across = min(len(panels), 1 if paper.narrow else 3)
        down = -(-len(panels) // across)
        height = 0.45 + 2.0 * down + legend_height(handles, paper) + 0.25 * paper.title
        figure = PaperFigure(figsize=(paper.width, height), layout="constrained", style=paper)
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        band = _set_limits(grid[0][0], table, y)
        for place, axes in enumerate(grid.flat):
            if place >= len(panels):
                axes.remove()
                continue
            named, part = panels[place]
            _draw(axes, part, x, y, styles)
            _draw_lost(axes, part, styles, band, first=place % across == 0)
            axes.set_xlabel(escape_math(x.title))
            if place % across == 0:
                axes.set_ylabel(escape_math(y.title))
            title = [wrap_title(capitalized(f"{y.title} by {words} on {problem}"))]
            heading = title * (paper.title and place == 0)
            heading += [", ".join(map(str, named))] * (paper.title or len(panels) > 1)
            axes.set_title("\n".join(heading), loc="left")
        put_legend(figure, handles, paper)
    return figure


def _title(results: ResultTables, problem: str, measure: str | None) -> str:
    """Return the title of what is drawn."""
    name = drawn_measure(results.measured, problem, measure)
    if is_to_target(results, name):
        return f"epochs to {share(own_target(results))}"
    return f"final {name.replace('_', ' ')}"


def _draw(axes: Axes, rows: pd.DataFrame, x: Axis, y: Axis, styles: Styles) -> None:
    axes.set_xscale(x.scale)
    for (method, batch), line in rows.groupby(["method", "batch"], sort=False, observed=True):
        look = line_style(styles, str(method), str(batch))
        look["marker"] = MARKERS[styles[str(method)].marker]
        got = line[line["height"].notna()]
        reach = np.array([got["height"] - got["low"], got["high"] - got["height"]])
        axes.errorbar(got["value"], got["height"], yerr=np.maximum(0, reach), markersize=4,
                      capsize=1.5, elinewidth=0.7, **look)  # fmt: skip
        draw_ring(axes, got.loc[got["best"], "value"], got.loc[got["best"], "height"])
    axes.dataLim.update_from_data_x(rows["value"].to_numpy(), ignore=False)  # those without height
    axes.autoscale_view(scaley=False)
    finish(axes, x, y)


def _lines_lost(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the methods and batch sizes that diverged or failed at some value."""
    lost = table[table["height"].isna()]
    return list(dict.fromkeys(zip(lost["method"], lost["batch"].astype(str), strict=True)))


def _set_limits(axes: Axes, table: pd.DataFrame, y: Axis) -> float:
    """Make the axis hold all heights, and return the share at its top for what has none."""
    axes.set_yscale(y.scale)
    ends = table[["height", "low", "high"]].to_numpy(float)
    ends = ends[np.isfinite(ends) & ((ends > 0) | (y.scale == "linear"))]
    band = 0.04 + 0.05 * len(lost) if (lost := _lines_lost(table)) else 0.0
    if ends.size:
        scale = axes.yaxis.get_transform()
        low, high = scale.transform([ends.min(), ends.max()])
        room = 0.06 * (high - low) or 1.0
        reach = (high + room - (low - room)) / (1 - band)
        bottom, top = scale.inverted().transform([low - room, low - room + reach])
        axes.set_ylim(float(bottom), float(top))
    return band


def _draw_lost(axes: Axes, rows: pd.DataFrame, styles: Styles, band: float, *, first: bool) -> None:
    """Draw crosses, in a band at the top, at the values where a method diverged or failed."""
    if not band:
        return
    lost, across = rows[rows["height"].isna()], axes.get_xaxis_transform()
    lines = _lines_lost(rows)
    for nth, (method, batch) in enumerate(lines):
        own = lost[(lost["method"] == method) & (lost["batch"].astype(str) == batch)]
        height = 1 - band * (nth + 0.5) / len(lines)
        for marker, part in ((LOST, own[own["lost"]]), (MISSED, own[~own["lost"]])):
            axes.plot(part["value"], [height] * len(part), marker, markersize=4.5,
                      color=styles.colour(method, batch), transform=across)  # fmt: skip
    axes.add_patch(Rectangle((0, 1 - band), 1, band, transform=axes.transAxes, color="#f3f4f6",
                             zorder=0))  # fmt: skip
    axes.yaxis.set_major_locator(FixedLocator(
        [tick for tick in axes.get_yticks() if axes.transAxes.inverted().transform(
            axes.transData.transform((1, tick)))[1] < 1 - band]
    ))  # fmt: skip
    if first:
        words = "diverged" if lost["lost"].all() else "not reached"
        axes.annotate(words, (0, 1 - band / 2), xytext=(-4, 0), textcoords="offset points",
                      xycoords="axes fraction", ha="right", va="center")  # fmt: skip


def _legend(table: pd.DataFrame, styles: Styles) -> list[Line2D]:
    handles = legend_of(styles, set(table["method"]), set(table["batch"].astype(str)))
    for handle in handles[: table["method"].nunique()]:
        name = next(n for n in styles.by_optimizer if escape_math(n) == handle.get_label())
        handle.set_marker(MARKERS[styles[name].marker])
    plain: dict[str, Any] = {"color": INK, "linestyle": "none"}
    lost = table.loc[table["height"].isna(), "lost"]
    if len(set(lost)) > 1:
        for marker, words in ((LOST, "diverged"), (MISSED, "not in every trial")):
            handles.append(Line2D([], [], marker=marker, markersize=4.5, label=words, **plain))
    handles.append(Line2D([], [], marker="o", markerfacecolor="none", markersize=8, label="best",
                          **plain))  # fmt: skip
    return handles
