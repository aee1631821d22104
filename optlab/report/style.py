"""Styles of charts: a colour, dash and marker a method, a shade a batch size or a setting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.select_trials import select_trials
from optlab.checks import did_you_mean
from optlab.report.oklab import lightness, with_lightness
from optlab.report.views.view import batches_in
from optlab.text import DIRECT, method_name

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

_ALONE = (0.25, 0.69)
"""The lightness of a method's shades on a light page where no other method is beside it."""

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
    colours: dict[str, str]  # of a method, whatever its setting and batch size

    @classmethod
    def of(
        cls,
        optimizers: Iterable[object],
        batches: Iterable[str],
        known: Iterable[object] = (),
    ) -> Styles:
        """Give each optimizer its style, in order of appearance; batch sizes from the smallest.

        Where optimizers are some of those ``known``, their methods have the colours that they have
        among all of them, unless two would be the same.
        """
        sizes = tuple(batches)
        methods: dict[str, list[str]] = {}
        for name in dict.fromkeys(map(str, optimizers)):
            methods.setdefault(method_name(name), []).append(name)
        places = _places(list(methods), dict.fromkeys(method_name(str(name)) for name in known))
        styles = {
            name: _style(places[method], nth, len(settings), len(sizes))
            for method, settings in methods.items()
            for nth, name in enumerate(settings)
        }
        colours = {m: shades(PALETTE[place % len(PALETTE)], 1)[0] for m, place in places.items()}
        return cls(styles, sizes, {m: tuple(own) for m, own in methods.items()}, colours)

    @classmethod
    def of_results(cls, results: ResultTables) -> Styles:
        """Give each optimizer of some results its style; that of its experiment, where it can."""
        trials = results.trials
        known = optimizer_settings(results.definition)
        return cls.of(trials["optimizer"], batches_in(trials["batch"]), known)

    def by_setting(self, order: Iterable[str]) -> Styles:
        """Return the styles of panels of one method each, in which shades mean its settings.

        ``order`` is that of the optimizers, from dark to light.

        Examples
        --------
        >>> styles = Styles.of(["SGD(lr=2)", "SGD(lr=1)"], ["1", "8", "full"])
        >>> panels = styles.by_setting(["SGD(lr=1)", "SGD(lr=2)"])
        >>> panels.methods, panels.colour("SGD(lr=1)", "8"), panels.colour("SGD(lr=2)")
        ({'SGD': ('SGD(lr=1)', 'SGD(lr=2)')}, '#00243d', '#49a3e6')
        """
        places = {name: place for place, name in enumerate(order)}
        methods = {m: tuple(sorted(own, key=places.__getitem__)) for m, own in self.methods.items()}
        styles = dict(self.by_optimizer)
        for method, own in methods.items():
            for nth, name in enumerate(own if len(own) > 1 else ()):
                light = _ALONE[0] + (_ALONE[1] - _ALONE[0]) * nth / (len(own) - 1)
                shade = with_lightness(self.colours[method], light)
                styles[name] = replace(styles[name], shades=(shade,), dash=())
        return Styles({name: styles[name] for name in places}, (), methods, self.colours)

    def __getitem__(self, optimizer: str) -> Style:
        return self.by_optimizer[optimizer]

    def colour(self, optimizer: str, batch: str = "") -> str:
        """Return an optimizer's colour at a batch size as ``#rrggbb``, on a light background."""
        place = self.batches.index(batch) if batch in self.batches else -1
        return self.by_optimizer[optimizer].shades[place]


def _places(methods: list[str], known: dict[str, None]) -> dict[str, int]:
    """Return the place of each method among the known ones, or among themselves."""
    every = {method: place for place, method in enumerate(known)}
    places = {method: every[method] for method in methods if method in every}
    if len({place % len(PALETTE) for place in places.values()}) == len(methods):
        return places
    return {method: place for place, method in enumerate(methods)}


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


def drawn_trials(trials: pd.DataFrame, methods: Any, batch_sizes: Any) -> pd.Series[bool]:
    """Return which trials are of some methods or optimizers, and of some batch sizes.

    Direct methods, which have no batch size, are of every one. None stands for all.

    Raises
    ------
    ValueError
        For a method or batch size that no trial has.

    Examples
    --------
    >>> sizes = ["1", "8", DIRECT]
    >>> table = pd.DataFrame({"optimizer": ["SGD(lr=1)", "Adam", "QR"], "batch": sizes})
    >>> drawn_trials(table, ["SGD", "QR"], None).tolist(), drawn_trials(table, None, 8).tolist()
    ([True, False, True], [False, True, True])
    """
    chosen = pd.Series(True, index=trials.index)
    if methods is not None:
        labels = trials["optimizer"].astype(str)
        names = labels.map(method_name)
        wanted = [methods] if isinstance(methods, str) else list(methods)
        for name in wanted:
            if not (names.eq(name) | labels.eq(name)).any():
                hint = did_you_mean(str(name), names.unique())
                there = ", ".join(names.unique())
                raise ValueError(f"no method is called {name!r}: {hint}there are {there}")
        chosen &= names.isin(wanted) | labels.isin(wanted)
    if batch_sizes is not None:
        direct = trials["batch"] == DIRECT
        chosen &= direct | select_trials(trials, {"batch": batch_sizes})
    return chosen
