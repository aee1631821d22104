"""Draw the views as matplotlib figures that fit a paper's column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from optlab.analysis.result_tables import ResultTables
from optlab.checks import did_you_mean
from optlab.report import views
from optlab.report.figures.contour_lines import draw_contours
from optlab.report.figures.device_table import device_table
from optlab.report.figures.file_names import check_figures, figure_file
from optlab.report.figures.panels import (
    DASHED,
    DOTTED,
    INK,
    MARKERS,
    draw,
    escape_math,
    line_style,
    places_of,
    set_log_scale,
    wrap_title,
)
from optlab.report.figures.paper import DRAWN, WIDTH, PaperFigure
from optlab.report.figures.tuning_curves import tuning_curves
from optlab.report.output_file import SOFTWARE, output_file
from optlab.report.style import Styles, shade
from optlab.report.ticks import shorten
from optlab.report.views import View
from optlab.report.views.cache import measured_trials
from optlab.report.words import share


def convergence(results: ResultTables, problem: str, measure: str = "suboptimality") -> Figure:
    """Draw a measure over epochs, samples and seconds; direct methods as horizontal lines.

    Raises
    ------
    ValueError
        For a measure that no trial of the problem has, with the nearest.
    """
    results = measured_trials(results)
    view = views.convergence_view(results)
    rows = view.table[view.table["problem"] == problem]
    axes = {axis.column: axis for axis in view.y if axis is view.y[0] or rows[axis.column].count()}
    if measure not in axes:
        hint = did_you_mean(measure, axes)
        raise ValueError(f"no measure is called {measure!r}: {hint}there are {', '.join(axes)}")
    view = replace(view, y=(axes[measure],))
    return figure_of(view, problem, Styles.of_trials(results.trials))


def theory(results: ResultTables, problem: str) -> Figure:
    """Draw what theory predicts, dashed, beside the measured suboptimality.

    Raises
    ------
    ValueError
        For a problem on which no trial has a prediction.
    """
    view = views.theory_view(results)
    if not (view.table["problem"] == problem).any():
        raise ValueError(
            f"theory predicts no trial on {problem}: it does for gradient descent at a constant "
            "rate, with or without momentum, on quadratics of at most 500 parameters"
        )
    return figure_of(view, problem, Styles.of_trials(results.trials))


def seconds(results: ResultTables, problem: str) -> Figure:
    """Draw median seconds by batch size with their intervals, a panel for each device."""
    results = measured_trials(results)
    return figure_of(views.seconds_view(results), problem, Styles.of_trials(results.trials))


def fit(results: ResultTables, problem: str) -> Figure:
    """Draw the points of a one-feature problem, and the line of each setting's median trial.

    Raises
    ------
    ValueError
        For a problem of several features.
    """
    if (features := results.problems[problem].d) != 1:
        raise ValueError(f"a fitted line needs one feature; {problem} has {features}")
    results = measured_trials(results)
    return figure_of(views.fit_view(results), problem, Styles.of_trials(results.trials))


def figure_of(view: View, problem: str, styles: Styles, chosen: str | None = None) -> Figure:
    """Draw a view for one problem.

    Convergence has a column for each x axis and a row for each device and dtype; other views have
    a panel for each device and dtype. ``chosen`` is the target or baseline, the first that has
    values where it is left out.
    """
    rows = view.table
    if "problem" in rows:
        rows = rows[rows["problem"] == problem]
    title = f"{view.title} on {problem}" if "problem" in view.table else view.title
    if view.choose and len(rows):
        column = view.choose[0]
        drawn = rows[rows[view.y[0].column].notna()]
        if chosen is None:
            chosen = (drawn if len(drawn) else rows)[column].iloc[0]
        rows = rows[rows[column] == chosen]
        if rows[view.y[0].column].isna().all():
            rows = rows[:0]
        title += f", {view.choose[1]} {share(chosen) if column == 'target' else chosen}"
    with mpl.rc_context(DRAWN):
        if rows.empty:
            return _empty(title, view)
        if view.kind == "matrix":
            return device_table(title, rows)
        return _panels(title, view, rows, problem, styles)


def all_figures(results: ResultTables, problem: str) -> dict[str, Figure]:
    """Return the figure of every view that has something to draw for a problem, by key."""
    everything, results = results, measured_trials(results)
    styles, figures = Styles.of_trials(results.trials), {}
    for key, view in views.views_of(results).items():
        table = view.table
        if table.empty or ("problem" in table and not (table["problem"] == problem).any()):
            continue
        target = views.headline(results) if key == "target" else None
        figures[key] = figure_of(view, problem, styles, target or None)
    if curves := tuning_curves(everything, problem):
        figures["tuning"] = curves
    return figures


def save_all(
    results: ResultTables,
    folder: str | Path,
    formats: Sequence[str] = ("png", "svg"),
    *,
    force: bool = False,
) -> list[Path]:
    """Save every figure of every problem into a folder, made where it is missing.

    Raises
    ------
    ValueError
        Where a file that optlab did not write has a figure's name, unless ``force`` is set.
    """
    folder, problems, saved = Path(folder), list(results.problems), []
    check_figures(folder, problems, formats, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    for number, problem in enumerate(problems):
        for key, figure in all_figures(results, problem).items():
            if key == "profile" and number:
                continue  # it is of all problems
            for kind in formats:
                path = figure_file(folder, problems, number, key, kind)
                save_figure(figure, path, kind, force=force)
                saved.append(path)
    return saved


def save_figure(figure: Figure, path: Path, kind: str, *, force: bool = False) -> None:
    """Save a figure in a format; see `optlab.report.output_file.output_file` for what is raised."""
    with output_file(path, kind, force=force) as file:
        figure.savefig(file, format=kind, metadata=_METADATA.get(kind))


_METADATA = {
    "png": {"Software": SOFTWARE},
    "svg": {"Creator": SOFTWARE},
    "pdf": {"Creator": SOFTWARE},
    "eps": {"Creator": SOFTWARE},
}
"""Of each format, the entry that says what made the file; others have none."""


def _panels(title: str, view: View, rows: pd.DataFrame, problem: str, styles: Styles) -> Figure:
    drawn = rows[rows[view.y[0].column].notna()]
    panels = list(drawn.groupby([*view.panels], sort=False, observed=True))
    over = view.x[:3] if view.key == "convergence" else view.x[:1]
    across = len(over) if len(over) > 1 else min(len(panels), 3)
    down = len(panels) if len(over) > 1 else -(-len(panels) // across)
    shades = view.kind != "points" or view.x[0].column in {"phase", "parameter"}
    handles = legend_of(view, drawn, styles, shades=shades)
    title = wrap_title(title)
    height = 0.75 + 2.0 * down + 0.16 * -(-len(handles) // _columns(handles))
    height += 0.15 * title.count("\n")
    if view.x[0].column == "parameter":  # names that are turned
        height += down * 0.05 * min(26, max(map(len, drawn["parameter"])))
    figure = PaperFigure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    y = view.y[0]
    if y.scale == "log":
        set_log_scale(grid[0][0], view, rows, y)  # and with it all, which share it
    places = places_of(rows[over[0].column], over[0]) if over[0].scale == "category" else {}
    for place, axes in enumerate(grid.flat):
        number, x = (place // across, over[place % across]) if len(over) > 1 else (place, over[0])
        if number >= len(panels):
            axes.remove()
            continue
        named, part = panels[number]
        draw(axes, view, part, x, y, styles, places)
        _draw_extra(axes, view, problem, places)
        axes.set_xlabel(escape_math(x.title))
        if place % across == 0:
            axes.set_ylabel(escape_math(y.title))
        if len(over) == 1 or place % across == 0:
            panel = _panel(dict(zip(view.panels, named, strict=True)))
            axes.set_title(
                escape_math(panel) if place else f"{title}\n{escape_math(panel)}", loc="left"
            )
    put_legend(figure, handles)
    return figure


def _panel(named: Mapping[str, object]) -> str:
    """Return a panel's name: its batch size where panels have one, its device and dtype."""
    return ", ".join(f"batch size {v}" if k == "batch" else str(v) for k, v in named.items())


def put_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Put a legend under a figure."""
    figure.legend(handles=handles, loc="outside lower left", ncols=_columns(handles), frameon=False)


def _columns(handles: Sequence[Line2D]) -> int:
    """Return the number of columns of the longest label that fit side by side."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    return max(1, int((WIDTH - 0.2) / (0.6 + 0.06 * longest)))


def _draw_extra(axes: Any, view: View, problem: str, places: Mapping[str, int]) -> None:
    """Draw points of a fit, the reference's parameters, or contours, behind the marks."""
    if "contours" in view.extra:
        draw_contours(
            axes, *(rows_of(view.extra[name], problem) for name in ("contours", "minimum"))
        )
    if "points" in view.extra:
        points = rows_of(view.extra["points"], problem)
        axes.plot(points["x"], points["y"], "o", color="#767676", markersize=3.5, zorder=1)
    if "reference" in view.extra:
        known = rows_of(view.extra["reference"], problem)
        values = dict(zip(known["parameter"], known["value"], strict=True))
        for name, place in places.items():
            ends = [place - 0.42, place + 0.42]
            axes.plot(ends, [values[name]] * 2, color=INK, linewidth=1, zorder=1)


def rows_of(table: pd.DataFrame, problem: str) -> pd.DataFrame:
    """Return the rows of one problem."""
    return table[table["problem"] == problem]


def legend_of(view: View, rows: pd.DataFrame, styles: Styles, *, shades: bool) -> Sequence[Line2D]:
    """Return the legend of the optimizers in some rows, with shades of batch sizes if asked."""
    drawn = [name for name in styles.by_optimizer if name in set(rows["optimizer"])]
    solid: dict[str, Any] = {"linestyle": "-", "alpha": 0.45} if view.key == "theory" else {}
    handles = [
        Line2D([], [], label=escape_math(shorten(name, 90)), markersize=4.5,
               marker="" if shades else MARKERS[styles[name].marker],
               **line_style(styles, name) | solid)
        for name in drawn
    ]  # fmt: skip
    if shades and len(styles.batches) > 1 and "batch" not in view.panels:
        for index, size in enumerate(styles.batches):
            grey = shade("#333333", 0.5 * index / (len(styles.batches) - 1))
            handles.append(Line2D([], [], color=grey, linewidth=4, label=f"batch size {size}"))
    if view.key == "theory":
        handles.append(Line2D([], [], color=INK, linewidth=1.1, label="dashed: theory", **DASHED))
        if rows["floor"].notna().any():
            floor = "dotted: noise floor"
            handles.append(Line2D([], [], color=INK, linewidth=0.8, label=floor, **DOTTED))
    if "unstable" in rows and rows["unstable"].any():
        handles.append(Line2D([], [], color=INK, linestyle="none", marker="o", markersize=4.5,
                              markerfacecolor="white", label="hollow: unstable"))  # fmt: skip
    return handles


def _empty(title: str, view: View) -> Figure:
    figure = PaperFigure(figsize=(WIDTH, 1.2), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    axes.set_title(wrap_title(title), loc="left")
    axes.text(0, 0.5, escape_math(view.missing), transform=axes.transAxes)
    return figure
