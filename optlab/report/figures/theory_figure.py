"""Draw theory beside measurement: panels of one method each, a shade for each of its settings."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from optlab.analysis.result_tables import ResultTables
from optlab.lab.tables import given_rates
from optlab.lab.trial.record import LEARNING_RATE
from optlab.report import views
from optlab.report.figures.end_labels import fit_labels, put_end_labels
from optlab.report.figures.legend import (
    batch_label,
    label_of,
    legend_height,
    legend_of,
    put_legend,
    setting_of,
)
from optlab.report.figures.panels import (
    DASHED,
    DOTTED,
    INK,
    draw,
    escape_math,
    line_style,
    set_log_scale,
    wrap_title,
)
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.style import Styles
from optlab.report.views.view import View
from optlab.text import method_name

_WHERE = ["device", "dtype"]
"""The columns that are in the title of a panel where they differ, else in the figure's."""

_PALE: dict[str, Any] = {"linestyle": "-", "alpha": 0.45}


def theory_figure(results: ResultTables, problem: str, *, paper: FigureStyle = PAGE) -> Figure:
    """Draw what theory predicts, dashed, beside the measured suboptimality.

    A panel for each batch size, device and dtype, where methods have several settings in a row for
    each method: the shades of its lines go from dark to light with the learning rate. Where a
    panel's lines are few and it has the width, their names stand at their ends.

    Raises
    ------
    ValueError
        For a problem on which no trial has a prediction.
    """
    results = results.measured
    view = views.theory_view(results)
    rows = view.table[view.table["problem"] == problem]
    if rows.empty:
        raise ValueError(
            f"theory predicts no trial on {problem}: it does for gradient descent at a constant "
            "rate, with or without momentum, on quadratics of at most 500 parameters"
        )
    names = rows["optimizer"].map(str)
    methods = names.map(method_name)
    rows = rows.assign(method=methods if names.nunique() > methods.nunique() else "")
    styles = Styles.of_results(results).by_setting(_by_rate(results))
    with mpl.rc_context(paper.settings):
        same = [str(rows[name].iloc[0]) for name in _WHERE if len(set(rows[name])) == 1]
        title = ", ".join([f"{view.title} on {problem}", *same])
        return _figure(view, rows, title, styles, paper)


def _by_rate(results: ResultTables) -> list[str]:
    """Return the optimizers in the order of their learning rates, those of unknown ones last."""
    trials = results.trials
    rates = pd.to_numeric(given_rates(trials), errors="coerce").astype(float)
    if LEARNING_RATE in trials:  # of several files, one may not have it
        rates = trials[LEARNING_RATE].astype(float).fillna(rates)
    first = rates.groupby(trials["optimizer"].astype(str), sort=False).first()
    return [str(name) for name in first.sort_values(kind="stable").index]


def _figure(
    view: View, rows: pd.DataFrame, title: str, styles: Styles, paper: FigureStyle
) -> Figure:
    """Draw the panels, those of each method in rows of their own."""
    parts = [part for _, part in rows.groupby(["method", *view.panels], sort=False, observed=True)]
    methods = rows["method"].nunique()
    across = min(-(-len(parts) // methods), 1 if paper.narrow else 3)
    places = _places([str(part["method"].iloc[0]) for part in parts], across)
    x, y, down = view.x[0], view.y[0], places[-1][0] + 1
    labelled = across == 1 and all(fit_labels(_ends(part, styles), paper) for part in parts)
    handles = _handles(rows, styles, labelled=labelled)
    title = wrap_title(title) if paper.title else ""
    height = 0.75 + 2.0 * down + legend_height(handles, paper) + 0.15 * len(title.splitlines())
    figure = PaperFigure(figsize=(paper.width, height), layout="constrained", style=paper)
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    set_log_scale(grid[0][0], view, rows, y)  # and with it all, which share it
    for part, place in zip(parts, places, strict=True):
        axes = grid[place]
        draw(axes, view, part, x, y, styles, {})
        axes.set_xlabel(escape_math(x.title))
        if place[1] == 0:
            axes.set_ylabel(escape_math(y.title))
        axes.set_title(escape_math(_named(rows, part, method=methods > 1)), loc="left")
        if labelled:
            put_end_labels(axes, _ends(part, styles), paper)
    for place in set(np.ndindex(grid.shape)) - set(places):
        grid[place].remove()
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=paper.font_size + 1)
    put_legend(figure, handles, paper)
    return figure


def _places(methods: list[str], across: int) -> list[tuple[int, int]]:
    """Return the row and column of each panel, by their methods: each method begins a row.

    Examples
    --------
    >>> _places(["SGD", "SGD", "SGD", "Adam"], 2)
    [(0, 0), (0, 1), (1, 0), (2, 0)]
    """
    places: list[tuple[int, int]] = []
    for nth, method in enumerate(methods):
        row, column = places[-1] if places else (0, -1)
        new = column + 1 == across or (nth > 0 and method != methods[nth - 1])
        places.append((row + 1, 0) if new else (row, column + 1))
    return places


def _named(rows: pd.DataFrame, part: pd.DataFrame, *, method: bool) -> str:
    """Return the name of a panel: its method, its batch size, and where its trials ran."""
    shown = [name for name in _WHERE if len(set(rows[name])) > 1]
    first = part.iloc[0]
    parts = [first["method"]] if method else []
    return ", ".join([*parts, batch_label(str(first["batch"])), *map(str, first[shown])])


def _ends(part: pd.DataFrame, styles: Styles) -> list[tuple[float, float, str, str]]:
    """Return the end of each measured line, its setting and its colour."""
    found = []
    for name, line in part.groupby("optimizer", sort=False):
        last = line.iloc[-1]
        label = setting_of(str(name)) or label_of(str(name), 40)
        end = float(last["epoch"]), float(last["suboptimality"])
        found.append((*end, escape_math(label), styles.colour(str(name))))
    return found


def _handles(rows: pd.DataFrame, styles: Styles, *, labelled: bool) -> list[Line2D]:
    """Return the legend: the lines where they have no names at their ends, and what marks mean."""
    drawn = [name for name in styles.by_optimizer if name in set(rows["optimizer"])]
    if labelled:
        handles = [Line2D([], [], color=INK, linewidth=1.5, label="pale: measured", **_PALE)]
    elif len(set(rows["method"])) == 1 and rows["method"].iloc[0]:
        handles = [
            Line2D([], [], label=label_of(name), **line_style(styles, name) | _PALE | {"alpha": 1})
            for name in drawn
        ]
    else:
        handles = legend_of(styles, drawn, **_PALE)
    handles.append(Line2D([], [], color=INK, linewidth=1.1, label="dashed: theory", **DASHED))
    if rows["floor"].notna().any():
        floor = "dotted: noise floor"
        handles.append(Line2D([], [], color=INK, linewidth=0.8, label=floor, **DOTTED))
    return handles
