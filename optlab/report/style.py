"""Styles of charts: a colour, dash and marker an optimizer, a shade a batch size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pandas as pd

from optlab.report.views.view import batches_in

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind eyes; the order keeps neighbours apart."""

DASHES = ((), (5.0, 2.0), (1.0, 1.2), (6.0, 2.0, 1.0, 2.0))
"""Dashes and gaps in line widths; the empty one is a solid line."""

MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross", "star")
"""Names as plotly has them."""

WIDTHS = (3.2, 2.3, 1.7, 1.2)
"""In points, from the first optimizer on: lines that coincide all show."""

_LIGHT, _DARK = "#FFFFFF", "#12161B"
"""The background of a light page, as of paper, and of a dark one."""

_CONTRAST = 3.0
"""Least contrast of a line to the background: WCAG's for graphics."""

_REACH = (-0.45, 0.5)
"""Shades go from darker than the colour up to lighter, as far as the contrast allows."""

_ON_DARK = {
    "#000000": "#D9D9D9",
    "#0072B2": "#3FA0DB",
}  # else too dark there


@dataclass(frozen=True)
class Style:
    """The style of one optimizer; see `DASHES`, `MARKERS` and `WIDTHS`.

    There is a shade for each batch size, from the smallest on; the last is for methods without
    batches. ``dark`` are the shades on a dark background.
    """

    shades: tuple[str, ...]
    dark: tuple[str, ...]
    dash: tuple[float, ...]
    marker: str
    width: float


@dataclass(frozen=True)
class Styles:
    """The styles of an experiment's optimizers.

    Examples
    --------
    >>> styles = Styles.of(["a", "b"], ["1", "8", "full"])
    >>> styles.colour("a", "8") == styles.colour("a"), styles["b"].marker
    (False, 'square')
    """

    by_optimizer: dict[str, Style]
    batches: tuple[str, ...]

    @classmethod
    def of(cls, optimizers: Iterable[object], batches: Iterable[str]) -> Styles:
        """Give each optimizer its style, in order of appearance; batch sizes from the smallest."""
        ordered = tuple(batches)
        names = dict.fromkeys(str(name) for name in optimizers)
        return cls({name: _style(i, len(ordered)) for i, name in enumerate(names)}, ordered)

    @classmethod
    def of_trials(cls, trials: pd.DataFrame) -> Styles:
        """Give each optimizer of a trials table its style."""
        return cls.of(trials["optimizer"], batches_in(trials["batch"]))

    def __getitem__(self, optimizer: str) -> Style:
        return self.by_optimizer[optimizer]

    def colour(self, optimizer: str, batch: str = "") -> str:
        """Return an optimizer's colour at a batch size as ``#rrggbb``, on a light background."""
        place = self.batches.index(batch) if batch in self.batches else -1
        return self.by_optimizer[optimizer].shades[place]


def _style(place: int, sizes: int) -> Style:
    base = PALETTE[place % len(PALETTE)]
    return Style(
        shades=_shades(base, sizes, _LIGHT),
        dark=_shades(_ON_DARK.get(base, base), sizes, _DARK),
        dash=DASHES[place % len(DASHES)],
        marker=MARKERS[place % len(MARKERS)],
        width=WIDTHS[min(place, len(WIDTHS) - 1)],
    )


@cache
def _shades(colour: str, sizes: int, ground: str) -> tuple[str, ...]:
    """Return a colour for each size, and last the one nearest the colour itself."""
    shares = [_REACH[0] + (_REACH[1] - _REACH[0]) * i / 200 for i in range(201)]
    clear = [s for s in shares if contrast(shade(colour, s), ground) >= _CONTRAST]
    first, last = (0.0 if colour == "#000000" else clear[0]), clear[-1]
    own = shade(colour, min(clear, key=abs))
    if sizes < 2:
        return (*[own] * sizes, own)
    each = [shade(colour, first + (last - first) * i / (sizes - 1)) for i in range(sizes)]
    return (*each, own)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2).

    Examples
    --------
    >>> contrast("#000000", "#FFFFFF"), round(contrast("#0072B2", "#FFFFFF"), 1)
    (21.0, 5.2)
    """
    dark, light = sorted(_luminance(colour) + 0.05 for colour in (one, other))
    return light / dark


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def shade(colour: str, share: float) -> str:
    """Return a colour nearer to white (share above 0) or to black (below).

    Examples
    --------
    >>> shade("#0072B2", 0.0), shade("#000000", 1.0), shade("#0072B2", -1.0)
    ('#0072b2', '#ffffff', '#000000')
    """
    end = 255 if share > 0 else 0
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (end - part) * abs(share)):02x}" for part in parts)
