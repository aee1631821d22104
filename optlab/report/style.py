"""Styles of charts: a colour, dash and marker a method, a shade a batch size or a setting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from optlab.report.answer.method import method_name
from optlab.report.oklab import lightness, with_lightness
from optlab.report.views.view import batches_in

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind eyes; the order keeps neighbours apart."""

DASHES = ((), (4.0, 1.6), (1.2, 1.2), (5.0, 1.6, 1.2, 1.6))
"""Dashes and gaps in line widths; the empty one is a solid line."""

MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross", "star")
"""Names as plotly has them."""

WIDTHS = (2.7, 2.2, 1.9, 1.6)
"""In points, from the first method on: lines that coincide all show."""

_BANDS = {
    "#0072B2": (0.36, 0.54),
    "#D55E00": (0.50, 0.66),
    "#009E73": (0.48, 0.64),
    "#CC79A7": (0.50, 0.66),
    "#E69F00": (0.56, 0.66),
    "#56B4E9": (0.60, 0.655),
    "#000000": (0.0, 0.30),
}
"""The OKLab lightness of a colour's shades on a light page, from the darkest to the lightest.

So narrow that no shades of two methods meet, and as dark as a contrast of 3 to white asks (WCAG's
for graphics).
"""

_DARK_BANDS = {
    "#0072B2": (0.54, 0.68),
    "#D55E00": (0.56, 0.72),
    "#009E73": (0.58, 0.73),
    "#CC79A7": (0.62, 0.80),
    "#E69F00": (0.72, 0.86),
    "#56B4E9": (0.76, 0.88),
    "#000000": (0.87, 0.98),
}
"""Likewise on a dark page."""


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

    Optimizers that are settings of one method (``SGD(learning_rate=0.1)``) share its colour. Shades
    mean batch sizes; where there is one only, they mean the settings. Else settings differ in dash
    and marker.

    Examples
    --------
    >>> styles = Styles.of(["a", "b"], ["1", "8", "full"])
    >>> styles.colour("a", "8") == styles.colour("a"), styles["b"].marker
    (False, 'square')
    >>> rates = Styles.of(["SGD(learning_rate=0.1)", "SGD(learning_rate=1)", "Adam"], ["full"])
    >>> rates.methods
    {'SGD': ('SGD(learning_rate=0.1)', 'SGD(learning_rate=1)'), 'Adam': ('Adam',)}
    """

    by_optimizer: dict[str, Style]
    batches: tuple[str, ...]
    methods: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, optimizers: Iterable[object], batches: Iterable[str]) -> Styles:
        """Give each optimizer its style, in order of appearance; batch sizes from the smallest."""
        sizes = tuple(batches)
        methods: dict[str, list[str]] = {}
        for name in dict.fromkeys(map(str, optimizers)):
            methods.setdefault(method_name(name), []).append(name)
        styles = {
            name: _style(place, nth, len(settings), len(sizes))
            for place, settings in enumerate(methods.values())
            for nth, name in enumerate(settings)
        }
        return cls(styles, sizes, {method: tuple(own) for method, own in methods.items()})

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


def _style(place: int, setting: int, settings: int, sizes: int) -> Style:
    base = PALETTE[place % len(PALETTE)]
    if sizes < 2:  # shades are settings
        light, dark = (
            (shades(base, settings, bands)[setting],) * (sizes + 1)
            for bands in (_BANDS, _DARK_BANDS)
        )
        look = place
    else:
        light, dark = (
            (*shades(base, sizes, bands), *shades(base, 1, bands))
            for bands in (_BANDS, _DARK_BANDS)
        )
        look = place if settings < 2 else setting
    return Style(
        shades=light,
        dark=dark,
        dash=DASHES[look % len(DASHES)],
        marker=MARKERS[look % len(MARKERS)],
        width=WIDTHS[min(look, len(WIDTHS) - 1)],
    )


def shades(
    colour: str, count: int, bands: dict[str, tuple[float, float]] = _BANDS
) -> tuple[str, ...]:
    """Return so many shades of a colour of the palette, from dark to light.

    One is the shade nearest to the colour itself.

    Examples
    --------
    >>> shades("#0072B2", 3), shades("#0072B2", 1)
    (('#014167', '#025a8d', '#0774b5'), ('#0072b2',))
    """
    low, high = bands[colour]
    own = min(max(low, lightness(colour)), high)
    if count == 1:
        return (with_lightness(colour, own),)
    return tuple(
        with_lightness(colour, low + (high - low) * nth / (count - 1)) for nth in range(count)
    )


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
