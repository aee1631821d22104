"""Figures at the sizes of a paper's columns, whose text stays text in SVG and PDF."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names

from optlab.checks import did_you_mean
from optlab.report.figures.file_names import FORMATS

_SANS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")

_SCREEN, _SHARP = 100, 2
"""Dots an inch at which a notebook shows a figure, and how many pixels wide each dot is."""

_SAVED: Any = {
    "svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "optlab",
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "xtick.major.size": 2.5, "ytick.major.size": 2.5,
}  # fmt: skip


@dataclass(frozen=True)
class FigureStyle:
    """The width, text and title of figures.

    Parameters
    ----------
    width
        In inches.
    font_size
        Of labels, in points; legends are half a point smaller. Journals ask for 7 to 9.
    title
        Whether a figure has a title; in a paper the caption says it.
    fonts
        Families in order of preference; those that are not installed are left out. matplotlib's own
        where empty.

    Raises
    ------
    ValueError
        For a width or font size that is not positive.

    See Also
    --------
    Results.plot_convergence : ``style=`` takes it, or the name of one.

    Examples
    --------
    >>> FigureStyle(width=3.25, font_size=7).settings["legend.fontsize"]
    6.5
    """

    width: float = 6.3
    font_size: float = 8
    title: bool = True
    fonts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("width", "font_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}")

    @cached_property
    def settings(self) -> Any:
        """Matplotlib's settings while a figure is drawn and saved."""
        size = self.font_size
        settings = _SAVED | {
            "font.size": size, "axes.titlesize": size + self.title, "axes.labelsize": size,
            "legend.fontsize": size - 0.5, "xtick.labelsize": size, "ytick.labelsize": size,
        }  # fmt: skip
        known = set(get_font_names())
        if found := [name for name in self.fonts if name in known]:
            settings |= {"font.family": found, "mathtext.fontset": "custom"}
            faces = ("rm", "it", "bf", "cal", "tt", "sf", "bfit")
            settings |= {f"mathtext.{face}": found[0] for face in faces}
        return settings

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that figures are saved in where none are named."""
        return FORMATS[:2] if self == PAGE else FORMATS

    @property
    def narrow(self) -> bool:
        """Whether it is one column of two: panels stand under each other."""
        return self.width < 4.5


PAGE = FigureStyle()
"""The text of an A4 or letter page in one column, with a title."""

STYLES = {
    "page": PAGE,
    "one-column": FigureStyle(width=3.5, title=False, fonts=_SANS),
    "two-column": FigureStyle(width=7.16, title=False, fonts=_SANS),
}
"""The styles by name: a page, and one or both columns of a journal.

Columns are 88 to 90 mm wide at IEEE, Nature and Elsevier (3.5 inches), both 181 to 190 mm (7.16).
NeurIPS has a text of 5.5 inches, ICML columns of 3.25: ``FigureStyle(width=5.5, title=False)``.
"""


def figure_style(style: str | FigureStyle) -> FigureStyle:
    """Return the style of a name (``"one-column"`` or ``"one column"``), or the style itself.

    Raises
    ------
    ValueError
        For a name that is none of `STYLES`.

    Examples
    --------
    >>> figure_style("two column").width
    7.16
    """
    if isinstance(style, FigureStyle):
        return style
    name = str(style).strip().lower().replace(" ", "-").replace("_", "-").removesuffix("s")
    if name not in STYLES:
        hint = did_you_mean(name, STYLES)
        raise ValueError(
            f"no style is called {style!r}: {hint}there are {', '.join(STYLES)}; or give "
            "optlab.FigureStyle(width=, font_size=)"
        )
    return STYLES[name]


class PaperFigure(Figure):
    """A figure that is drawn in its own style, and whose text stays text in SVG and PDF.

    A notebook shows it as the value of a cell. It is none of pyplot's figures, so that nothing else
    draws it again.
    """

    def __init__(self, *arguments: Any, style: FigureStyle = PAGE, **keywords: Any) -> None:
        self.style = style
        super().__init__(*arguments, **keywords)

    def draw(self, renderer: Any) -> None:
        """Draw as `matplotlib.figure.Figure.draw` does, in the figure's style."""
        with mpl.rc_context(self.style.settings):
            super().draw(renderer)

    def savefig(self, *arguments: Any, **keywords: Any) -> None:
        """Save as `matplotlib.figure.Figure.savefig` does; at 300 dots an inch by default."""
        with mpl.rc_context(self.style.settings):
            super().savefig(*arguments, **({"dpi": 300} | keywords))

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        file = BytesIO()
        self.savefig(file, format="png", dpi=_SHARP * _SCREEN, facecolor="white")
        width, height = (round(inches * _SCREEN) for inches in self.get_size_inches())
        return file.getvalue(), {"width": width, "height": height}
