"""A figure that says why nothing is drawn."""

from __future__ import annotations

from matplotlib.figure import Figure

from optlab.report.figures.panels import escape_math, wrap_title
from optlab.report.figures.paper import PAGE, FigureStyle, PaperFigure
from optlab.report.views.view import View


def empty_figure(title: str, view: View, paper: FigureStyle = PAGE) -> Figure:
    """Return a figure with a view's title and the reason why nothing is drawn."""
    figure = PaperFigure(figsize=(paper.width, 1.2), layout="constrained", style=paper)
    axes = figure.subplots()
    axes.axis("off")
    axes.set_title(wrap_title(title), loc="left")
    axes.text(0, 0.5, escape_math(view.missing), transform=axes.transAxes)
    return figure
