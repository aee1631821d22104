"""Draw the steps, epochs, samples and seconds to a target against the batch size."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from optlab.analysis.result_tables import ResultTables
from optlab.report import views
from optlab.report.figures.draw import rows_of, view_legend
from optlab.report.figures.legend import legend_height, put_legend
from optlab.report.figures.panels import draw, escape_math, places_of, set_log_scale, wrap_title
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.style import Styles
from optlab.report.views.time_to_target import target_view
from optlab.report.words import share
from optlab.text import DIRECT


def batch_size_figure(results: ResultTables, problem: str, *, paper: FigureStyle = PAGE) -> Figure:
    """Draw the four costs of a target, a panel each, of the first device and dtype.

    The target is the experiment's own, or the smallest that half of the settings reach.

    Raises
    ------
    ValueError
        Where no setting with batches reached any target.
    """
    view, target, styles = (
        target_view(results),
        views.headline(results),
        Styles.of_results(results),
    )
    rows = rows_of(view.table, problem)
    rows = rows[(rows["target"] == target) & (rows["batch"] != DIRECT) & rows["epochs"].notna()]
    if rows.empty:
        raise ValueError(f"no trial of {problem} with batches reached a target")
    first = rows.iloc[0]
    rows = rows[(rows[["device", "dtype"]] == first[["device", "dtype"]]).all(axis=1)]
    where = f"{problem} ({first['device']}, {first['dtype']})"
    title = f"Cost of reaching {share(target)} by batch size on {where}"
    costs = {axis.column: axis for axis in view.y}
    with mpl.rc_context(paper.settings):
        handles = view_legend(view, rows, styles)
        down, across = (4, 1) if paper.narrow else (2, 2)
        height = 0.6 + 1.9 * down + legend_height(handles, paper)
        figure = PaperFigure(figsize=(paper.width, height), layout="constrained", style=paper)
        panels = figure.subplots(down, across, squeeze=False)
        x, places = view.x[0], places_of(rows["batch"], view.x[0])
        for axes, cost in zip(panels.flat, ("steps", "epochs", "samples", "seconds"), strict=True):
            drawn = rows[rows[cost].notna()]
            if drawn.empty:  # seconds of trials that ran beside others
                axes.set_axis_off()
                continue
            set_log_scale(axes, view, drawn, costs[cost])
            draw(axes, view, drawn, x, costs[cost], styles, places)
            axes.set_xlabel(escape_math(x.title))
            axes.set_ylabel(escape_math(costs[cost].title))
        if paper.title:
            figure.suptitle(wrap_title(title), x=0.01, ha="left", fontsize="medium")
        put_legend(figure, handles, paper)
    return figure
