"""Draw a measure along the trials: curves of iterative methods, points of direct ones.

Direct methods are right to the last digit after one pass. Where that is far below all curves, they
stand in a strip under a break of the axis, so that the curves keep its height.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from optlab.analysis.result_tables import ResultTables
from optlab.checks import did_you_mean
from optlab.report import views
from optlab.report.figures.break_strip import Strip, strip_under
from optlab.report.figures.empty_figure import empty_figure
from optlab.report.figures.end_labels import fit_labels, put_end_labels
from optlab.report.figures.legend import (
    batch_label,
    label_of,
    legend_height,
    legend_of,
    put_legend,
)
from optlab.report.figures.panels import (
    MARKERS,
    draw_lines,
    escape_math,
    finish,
    line_style,
    set_log_scale,
    wrap_title,
)
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.style import Styles
from optlab.report.views.view import Axis, View

OVER = {
    "epochs": "epoch",
    "samples": "samples",
    "seconds": "seconds",
    "gradient evaluations": "gradient_evaluations",
}
"""The columns of the horizontal axes, by their names."""


def convergence_figure(
    results: ResultTables,
    problem: str,
    measure: str = "suboptimality",
    x: str | Sequence[str] | None = None,
    *,
    paper: FigureStyle = PAGE,
    styles: Styles | None = None,
) -> Figure:
    """Draw a measure of one problem over the axes chosen, a column each.

    Parameters
    ----------
    results, problem
        What to draw of which problem.
    measure
        The suboptimality, or a further measure.
    x
        Of `OVER`; epochs, samples and seconds where left out, in one column epochs.
    paper
        The figure's width and text.
    styles
        The styles of the optimizers; those of the results where left out.

    Raises
    ------
    ValueError
        For a measure or axis that there is not, with the nearest.
    """
    results = results.measured
    styles = styles or Styles.of_results(results)
    view = views.convergence_view(results)
    rows = view.table[view.table["problem"] == problem]
    y = _measure(view, rows, measure)
    rows = rows[rows[y.column].notna()]
    over = _axes(view, rows, x, paper)
    title = f"{view.title} on {problem}"
    with mpl.rc_context(paper.settings):
        if rows.empty:
            return empty_figure(title, view, paper)
        return _figure(title, view, rows, over, y, styles, paper)


def _measure(view: View, rows: pd.DataFrame, measure: str) -> Axis:
    axes = {axis.column: axis for axis in view.y if axis is view.y[0] or rows[axis.column].count()}
    if measure not in axes:
        hint = did_you_mean(measure, axes)
        raise ValueError(f"no measure is called {measure!r}: {hint}there are {', '.join(axes)}")
    return axes[measure]


def _axes(
    view: View, rows: pd.DataFrame, x: str | Sequence[str] | None, paper: FigureStyle
) -> list[Axis]:
    """Return the horizontal axes that are asked for, by their names."""
    known = {axis.column: axis for axis in view.x}
    if x is None:
        every = ["epochs"] if paper.narrow else ["epochs", "samples", "seconds"]
        x = ["seconds"] if len(rows) and _are_points(rows).all() else every
    chosen = []
    for name in [x] if isinstance(x, str) else x:
        column = OVER.get(str(name).replace("_", " "))
        if column not in known:
            there = [text for text, own in OVER.items() if own in known]
            hint = did_you_mean(str(name), there)
            raise ValueError(f"x must be of {', '.join(there)}, not {name!r}; {hint}".rstrip("; "))
        chosen.append(known[column])
    return chosen


def _are_points(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows are of direct methods that answer once."""
    last = rows.groupby(["optimizer", "batch", "device", "dtype"], observed=True)["epoch"]
    return rows["direct"] & (last.transform("max") <= 1)


def _figure(
    title: str,
    view: View,
    rows: pd.DataFrame,
    over: list[Axis],
    y: Axis,
    styles: Styles,
    paper: FigureStyle,
) -> Figure:
    at_once = _are_points(rows)
    points = rows[at_once & (rows["epoch"] == rows["epoch"].where(at_once).max())]
    curves = rows[~at_once]
    panels = list(rows.groupby([*view.panels], sort=False, observed=True))
    across = 1 if paper.narrow else len(over)
    down = len(panels) * len(over) // across
    labelled = len(over) == 1 and fit_labels(_ends(curves, over[0], y, styles), paper)
    timed = any(axis.column == "seconds" for axis in over)
    strip = strip_under(curves, points, y) if timed else Strip()
    far = set() if timed else set(strip_under(curves, points, y).rows)
    handles = [] if labelled else legend_of(styles, set(curves["optimizer"]), set(curves["batch"]))
    handles += _point_handles(points, styles, far, timed=timed)
    height = (2.15 if down == 1 else 1.75) * down + 0.35 + legend_height(handles, paper)
    if paper.title:
        height += 0.2 + 0.15 * wrap_title(title).count("\n")
    figure = PaperFigure(figsize=(paper.width, height), layout="constrained", style=paper)
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    if y.scale == "log":
        set_log_scale(grid[0][0], view, curves if len(curves) else points, y)
        strip.extend(grid[0][0])
    for nth, axes in enumerate(grid.flat):
        named, part = panels[nth // len(over)]
        axis = over[nth % len(over)]
        own = curves.loc[curves.index.intersection(part.index)]
        draw_lines(axes, view, own, axis, y, styles)
        _draw_points(axes, points.loc[points.index.intersection(part.index)], axis, y, styles,
                     strip, far)  # fmt: skip
        finish(axes, axis, y)
        strip.mark(axes, left=nth % across == 0)
        axes.set_xlabel(escape_math(axis.title))
        if nth % across == 0:
            axes.set_ylabel(escape_math(y.title))
            heading = [wrap_title(title)] if paper.title and nth == 0 else []
            heading += [escape_math(", ".join(map(str, named)))] * (len(panels) > 1 or paper.title)
            axes.set_title("\n".join(heading), loc="left")
        if labelled:
            put_end_labels(axes, _ends(own, axis, y, styles), paper, floor=strip.share)
    put_legend(figure, handles, paper)
    return figure


def _point_handles(
    points: pd.DataFrame, styles: Styles, far: set[str], *, timed: bool
) -> list[Line2D]:
    """Return the legend of direct methods: points, levels, or the names of those far below."""
    names = [name for name in styles.by_optimizer if name in set(points["optimizer"])]
    kind: dict[str, Any] = {"linestyle": "none"} if timed else {"marker": ""}
    found = []
    for name in names:
        look = line_style(styles, name) | {"marker": MARKERS[styles[name].marker]} | kind
        if name in far:
            look = {"color": "none"}
        label = f"{label_of(name)}{' (below the axis)' if name in far else ''}"
        found.append(Line2D([], [], label=label, markersize=5, **look))
    return found


def _draw_points(
    axes: Axes,
    points: pd.DataFrame,
    x: Axis,
    y: Axis,
    styles: Styles,
    strip: Strip,
    far: set[str],
) -> None:
    """Draw direct methods as points at their seconds; over other axes as levels that are near."""
    for _, row in points.iterrows():
        name = str(row["optimizer"])
        look = line_style(styles, name)
        if x.column == "seconds" and row["seconds"] > 0:
            height, transform = strip.place(axes, name, float(row[y.column]))
            axes.plot([row["seconds"]], [height], marker=MARKERS[styles[name].marker],
                      color=look["color"], markersize=5, linestyle="none", transform=transform,
                      zorder=4)  # fmt: skip
        elif name not in (*strip.rows, *far):
            axes.axhline(row[y.column], **look)


def _ends(
    curves: pd.DataFrame, x: Axis, y: Axis, styles: Styles
) -> list[tuple[float, float, str, str]]:
    """Return the end of each curve, its label and colour."""
    found = []
    several = curves.groupby("optimizer")["batch"].nunique().max() > 1 if len(curves) else False
    for (name, batch), line in curves.groupby(["optimizer", "batch"], sort=False, observed=True):
        label = label_of(str(name), 40)
        if several:
            label = f"{label}, {batch_label(str(batch))}"
        last = line.iloc[-1]
        colour = line_style(styles, str(name), str(batch))["color"]
        found.append((float(last[x.column]), float(last[y.column]), label, colour))
    return found
