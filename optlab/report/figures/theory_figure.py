"""Draw theory beside measurement: panels of one method each, a shade for each of its settings."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from optlab.analysis.result_tables import ResultTables
from optlab.optimizers.rate_text import RATE_FIELDS
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
    rates = pd.Series(np.nan, index=trials.index)
    for column in ("learning_rate", *(f"hp_{name}" for name in RATE_FIELDS)):
        if column in trials:
            rates = rates.fillna(pd.to_numeric(trials[column], errors="coerce").astype(float))
    first = rates.groupby(trials["optimizer"].astype(str), sort=False).first()
    return [str(name) for name in first.sort_values(kind="stable").index]


def _figure(
    view: View, rows: pd.DataFrame, title: str, styles: Styles, paper: FigureStyle
) -> Figure:
    panels = list(rows.groupby(["method", *view.panels], sort=False, observed=True))
    methods = rows["method"].nunique()
    across = min(-(-len(panels) // methods), 1 if paper.narrow else 3)
    down = sum(-(-count // across) for count in _counts(panels).values())
    x, y = view.x[0], view.y[0]
    labelled = across == 1 and all(fit_labels(_ends(part, styles), paper) for _, part in panels)
    handles = _handles(rows, styles, labelled=labelled)
    title = wrap_title(title)
    height = 0.75 + 2.0 * down + legend_height(handles, paper)
    height += 0.15 * (1 + title.count("\n")) * paper.title
    figure = PaperFigure(figsize=(paper.width, height), layout="constrained", style=paper)
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    set_log_scale(grid[0][0], view, rows, y)  # and with it all, which share it
    free = iter(grid.flat)
    done: dict[str, int] = {}
    for (method, *_), part in panels:
        axes, place = next(free), done.get(method, 0)
        if place == 0:  # each method begins a row
            while axes.get_subplotspec().colspan.start:
                axes.remove()
                axes = next(free)
        done[method] = place + 1
        draw(axes, view, part, x, y, styles, {})
        axes.set_xlabel(escape_math(x.title))
        if place % across == 0:
            axes.set_ylabel(escape_math(y.title))
        axes.set_title(escape_math(_named(rows, part, method=methods > 1)), loc="left")
        if labelled:
            put_end_labels(axes, _ends(part, styles), paper)
    for axes in free:
        axes.remove()
    if paper.title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=paper.font_size + 1)
    put_legend(figure, handles, paper)
    return figure


def _counts(panels: list[Any]) -> dict[str, int]:
    """Return how many panels each method has."""
    counts: dict[str, int] = {}
    for (method, *_), _ in panels:
        counts[method] = counts.get(method, 0) + 1
    return counts


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
