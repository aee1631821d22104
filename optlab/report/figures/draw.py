"""Draw the views as matplotlib figures that fit a paper's column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from optlab.analysis.result_tables import ResultTables
from optlab.report import views
from optlab.report.figures.contour_lines import draw_contours
from optlab.report.figures.convergence_figure import convergence_figure
from optlab.report.figures.device_table import device_table
from optlab.report.figures.empty_figure import empty_figure
from optlab.report.figures.file_names import check_figures, figure_file
from optlab.report.figures.hyperparameter_figure import hyperparameter_figure
from optlab.report.figures.hyperparameter_table import has_values
from optlab.report.figures.legend import legend_height, legend_of, put_legend, unstable_handle
from optlab.report.figures.panels import (
    INK,
    draw,
    escape_math,
    places_of,
    set_log_scale,
    wrap_title,
)
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.figures.theory_figure import theory_figure
from optlab.report.figures.tuning_curves import tuning_curves
from optlab.report.output_file import SOFTWARE, output_file
from optlab.report.style import Styles
from optlab.report.views import View
from optlab.report.views.cache import measured_trials, unchanged_tables
from optlab.report.words import share


def seconds(results: ResultTables, problem: str, *, paper: FigureStyle = PAGE) -> Figure:
    """Draw median seconds by batch size with their intervals, a panel for each device."""
    results = measured_trials(results)
    styles = Styles.of_results(results)
    return figure_of(views.seconds_view(results), problem, styles, paper=paper)


def fit(results: ResultTables, problem: str, *, paper: FigureStyle = PAGE) -> Figure:
    """Draw the points of a one-feature problem, and the line of each setting's median trial.

    Raises
    ------
    ValueError
        For a problem of several features.
    """
    if (features := results.problems[problem].d) != 1:
        raise ValueError(f"a fitted line needs one feature; {problem} has {features}")
    results = measured_trials(results)
    styles = Styles.of_results(results)
    return figure_of(views.fit_view(results), problem, styles, paper=paper)


def figure_of(
    view: View,
    problem: str,
    styles: Styles,
    chosen: str | None = None,
    *,
    paper: FigureStyle = PAGE,
) -> Figure:
    """Draw a view for one problem, a panel for each device and dtype.

    ``chosen`` is the target or baseline, the first that has values where it is left out.
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
    with mpl.rc_context(paper.settings):
        if rows.empty:
            return empty_figure(title, view, paper)
        if view.kind == "matrix":
            return device_table(title, rows, paper)
        return _panels(title, view, rows, problem, styles, paper)


@unchanged_tables()
def all_figures(
    results: ResultTables, problem: str, *, paper: FigureStyle = PAGE
) -> dict[str, Figure]:
    """Return the figure of every view that has something to draw for a problem, by key."""
    everything, results = results, measured_trials(results)
    styles, figures = Styles.of_results(results), {}
    for key, view in views.views_of(results).items():
        table = view.table
        if table.empty or ("problem" in table and not (table["problem"] == problem).any()):
            continue
        if key in _OWN:
            figures[key] = _OWN[key](results, problem, paper=paper)
            continue
        target = views.headline(results) if key == "target" else None
        figures[key] = figure_of(view, problem, styles, target or None, paper=paper)
    if has_values(results, problem):
        figures["hyperparameter"] = hyperparameter_figure(results, problem, paper=paper)
    if curves := tuning_curves(everything, problem, paper=paper):
        figures["tuning"] = curves
    return figures


_OWN = {"convergence": convergence_figure, "theory": theory_figure}
"""Figures that are more than the panels of their view."""


def save_all(
    results: ResultTables,
    folder: str | Path,
    formats: Sequence[str] | None = None,
    *,
    paper: FigureStyle = PAGE,
    force: bool = False,
) -> list[Path]:
    """Save every figure of every problem into a folder, made where it is missing.

    Raises
    ------
    ValueError
        Where a file that optlab did not write has a figure's name, unless ``force`` is set.
    """
    folder, problems, saved = Path(folder), list(results.problems), []
    formats = paper.formats if formats is None else formats
    check_figures(folder, problems, formats, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    for number, problem in enumerate(problems):
        for key, figure in all_figures(results, problem, paper=paper).items():
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


def _panels(
    title: str, view: View, rows: pd.DataFrame, problem: str, styles: Styles, paper: FigureStyle
) -> Figure:
    drawn = rows[rows[view.y[0].column].notna()]
    panels = list(drawn.groupby([*view.panels], sort=False, observed=True))
    across = min(len(panels), 1 if paper.narrow else 3)
    down = -(-len(panels) // across)
    handles = view_legend(view, drawn, styles)
    title = wrap_title(title)
    height = 0.75 + 2.0 * down + legend_height(handles, paper) + 0.15 * title.count("\n")
    x, y = view.x[0], view.y[0]
    if x.column == "parameter":  # names that are turned
        height += down * 0.05 * min(26, max(map(len, drawn["parameter"])))
    figure = PaperFigure(figsize=(paper.width, height), layout="constrained", style=paper)
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    if y.scale == "log":
        set_log_scale(grid[0][0], view, rows, y)  # and with it all, which share it
    places = places_of(rows[x.column], x) if x.scale == "category" else {}
    for place, axes in enumerate(grid.flat):
        if place >= len(panels):
            axes.remove()
            continue
        named, part = panels[place]
        draw(axes, view, part, x, y, styles, places)
        _draw_extra(axes, view, problem, places)
        axes.set_xlabel(escape_math(x.title))
        if place % across == 0:
            axes.set_ylabel(escape_math(y.title))
        heading = [title] if paper.title and not place else []
        if paper.title or len(panels) > 1:
            heading.append(escape_math(_panel(dict(zip(view.panels, named, strict=True)))))
        axes.set_title("\n".join(heading), loc="left")
    put_legend(figure, handles, paper)
    return figure


def _panel(named: Mapping[str, object]) -> str:
    """Return a panel's name: its batch size where panels have one, its device and dtype."""
    return ", ".join(f"batch size {v}" if k == "batch" else str(v) for k, v in named.items())


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


def view_legend(view: View, rows: pd.DataFrame, styles: Styles) -> list[Line2D]:
    """Return the legend of a view: the optimizers in some rows, shades, and what marks mean."""
    markers = view.kind == "points"
    one = markers and view.x[0].column not in {"phase", "parameter"}
    shades = () if one or "batch" in view.panels else set(rows["batch"].astype(str))
    solid: dict[str, Any] = {"linestyle": "none"} if markers and not one else {}
    handles = legend_of(styles, set(rows["optimizer"]), shades, markers=markers, **solid)
    if "unstable" in rows and rows["unstable"].any():
        handles.append(unstable_handle())
    return handles
