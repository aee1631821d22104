"""Figures for a paper's column, whose text stays text in SVG and PDF."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

WIDTH = 6.3
"""Inches: the text of an A4 or letter page in one column. Text in it is 8 points high."""

DRAWN: Any = {"font.size": 8, "axes.titlesize": 9, "axes.labelsize": 8, "legend.fontsize": 7.5}
"""matplotlib's settings while a figure is drawn."""

_SCREEN, _SHARP = 100, 2
"""Dots an inch at which a notebook shows a figure, and how many pixels wide each dot is."""

_SAVED: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "optlab"}


class PaperFigure(Figure):
    """A figure whose text stays text in SVG and PDF, however it is saved.

    A notebook shows it as the value of a cell. It is none of pyplot's figures, so that nothing else
    draws it again.
    """

    def savefig(self, *arguments: Any, **keywords: Any) -> None:
        """Save as `matplotlib.figure.Figure.savefig` does; at 200 dots an inch by default."""
        with mpl.rc_context(_SAVED):
            super().savefig(*arguments, **({"dpi": 200} | keywords))

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        file = BytesIO()
        self.savefig(file, format="png", dpi=_SHARP * _SCREEN, facecolor="white")
        width, height = (round(inches * _SCREEN) for inches in self.get_size_inches())
        return file.getvalue(), {"width": width, "height": height}
