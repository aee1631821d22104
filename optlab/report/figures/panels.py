"""Draw one panel of a view with matplotlib."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from optlab.report.style import Styles
from optlab.report.ticks import log_ticks, short_number, shorten
from optlab.report.views.view import Axis, View, batches_in
from optlab.text import DIRECT, format_seconds

MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "x": "X",
           "triangle-down": "v", "cross": "P", "star": "*"}  # fmt: skip
"""matplotlib's names for the markers of `optlab.report.style`."""

INK = "#1a1f26"

FALLING = ("convergence", "theory")
"""The views of suboptimality over a trial."""

DASHED: dict[str, Any] = {"linestyle": (0, (3.5, 1.6)), "zorder": 3}
DOTTED: dict[str, Any] = {"linestyle": (0, (1.0, 2.2)), "zorder": 2.5}
"""The lines of theory: its prediction, and the floor of the long run."""


def escape_math(text: object) -> str:
    r"""Return text that matplotlib shows unchanged: no mathematics, no hidden labels.

    Examples
    --------
    >>> escape_math("$x_1$"), escape_math("_private")
    ('\\$x_1\\$', ' _private')
    """
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return (" " if words.startswith("_") else "") + words.replace("$", r"\$")


def wrap_title(title: str) -> str:
    """Return a title in lines that fit a figure; words that are too long are cut in the middle."""
    words = " ".join(shorten(word, 70) for word in title.split())
    return "\n".join(escape_math(line) for line in textwrap.wrap(words, 74))


def line_style(styles: Styles, optimizer: str, batch: str = "") -> dict[str, Any]:
    """Return matplotlib's keywords for an optimizer's line at a batch size."""
    style = styles[optimizer]
    return {
        "color": styles.colour(optimizer, batch),
        "linestyle": (0, style.dash) if style.dash else "-",
        "linewidth": 0.6 * style.width,
    }


Places = dict[str, int]
"""The position of each category on an axis."""


def draw(
    axes: Axes, view: View, rows: pd.DataFrame, x: Axis, y: Axis, styles: Styles, places: Places
) -> None:
    """Draw some rows of a view's table: one problem, one device and dtype."""
    if x.scale == "log":
        axes.set_xscale("log", nonpositive="mask")
    if x.scale == "category":
        _points(axes, rows, x, y, styles, places)
    else:
        draw_lines(axes, view, rows, x, y, styles)
    finish(axes, x, y)


def finish(axes: Axes, x: Axis, y: Axis) -> None:
    """Put round numbers at the axes of a panel that is drawn, and a grid behind it."""
    if x.scale == "log":
        axes.set_xscale("log", nonpositive="mask")
    if y.scale == "log":
        _log_ticks(axes.yaxis, axes.get_ylim(), y)
    if x.scale == "log":
        _log_ticks(axes.xaxis, axes.get_xlim(), x)
    if y.reference is not None:
        axes.axhline(y.reference, color=INK, linewidth=0.8)
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def set_log_scale(axes: Axes, view: View, rows: pd.DataFrame, y: Axis) -> None:
    """Make y logarithmic, with room for every row's value and interval.

    It is set before anything is drawn: matplotlib warns, or fails, where there is one value only.
    """
    columns = [name for name in (y.column, y.low, y.high, y.predicted, y.floor) if name]
    values = rows[columns].to_numpy(float).ravel()
    values = np.append(values, [] if y.reference is None else y.reference)
    values = values[np.isfinite(values) & (values > 0)]
    axes.set_yscale("log", nonpositive="mask")
    if values.size:
        low, high = values.min(), values.max()
        least = 1000 if view.key in FALLING else 3  # from bottom to top
        if view.key in FALLING and high > 30:  # diverged lines would leave no room
            high = 10.0
        room = max(1.25 * (high / low) ** 0.05, (least * low / high) ** 0.5)
        axes.set_ylim(low / room, high * room)


def _log_ticks(side: XAxis | YAxis, limits: tuple[float, float], axis: Axis) -> None:
    """Label some round values; seconds with their unit."""
    low, high = limits
    side.set_minor_formatter(NullFormatter())
    side.set_minor_locator(NullLocator())
    narrow = axis.unit == "s" or high < 5 * low
    ticks = log_ticks(low, high, (3 if narrow else 4) if isinstance(side, XAxis) else 8)
    side.set_major_locator(FixedLocator(ticks))
    short = max(ticks) < 1e4 * min(ticks) and min(ticks) >= 1e-3
    if short or axis.unit == "s" or isinstance(side, XAxis):
        write = format_seconds if axis.unit == "s" else short_number
        side.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def draw_lines(
    axes: Axes, view: View, rows: pd.DataFrame, x: Axis, y: Axis, styles: Styles
) -> None:
    """Draw a line for each optimizer and batch size, with its band."""
    for (optimizer, batch), line in rows.groupby(["optimizer", "batch"], sort=False, observed=True):
        style = line_style(styles, str(optimizer), str(batch))
        # The start has no place on a logarithmic axis.
        drawn = line[line[x.column] > 0] if x.scale == "log" else line
        if view.key == "profile":
            style["drawstyle"] = "steps-post"
        style |= {"alpha": 0.45, "linestyle": "-"} if y.predicted else {}
        axes.plot(drawn[x.column], drawn[y.column], **style)
        if y.predicted:
            _predicted(axes, drawn, x, y, style["color"])
        if y.low and (drawn[y.high] > drawn[y.low] * 1.001).any():
            axes.fill_between(drawn[x.column], drawn[y.low], drawn[y.high], alpha=0.15,
                              color=style["color"], linewidth=0)  # fmt: skip


def _predicted(axes: Axes, line: pd.DataFrame, x: Axis, y: Axis, colour: str) -> None:
    """Draw what theory predicts dashed, and the floor of the long run dotted."""
    axes.plot(line[x.column], line[y.predicted], color=colour, linewidth=1.1, **DASHED)
    floor = float(line[y.floor].iloc[0]) if y.floor and len(line) else np.nan
    if np.isfinite(floor):
        axes.axhline(floor, color=colour, linewidth=0.8, **DOTTED)


def _points(
    axes: Axes, rows: pd.DataFrame, x: Axis, y: Axis, styles: Styles, places: Places
) -> None:
    apart = x.column in {"parameter", "phase"}
    keys = ["optimizer", "batch"] if apart else ["optimizer"]
    groups = list(rows[rows[y.column].notna()].groupby(keys, sort=False, observed=True))
    wide = min(0.6, 0.09 * len(groups))
    for nth, (key, line) in enumerate(groups):
        style = line_style(styles, str(key[0]), str(key[1]) if apart else "")
        values, error = line[y.column].to_numpy(float), _error(line, y)
        names = [str(value) for value in line[x.column]]
        if names == [DIRECT] and DIRECT not in places:
            _draw_direct(axes, values[0], error, style)
            if "unstable" in line and line["unstable"].iloc[0]:
                end = {"marker": MARKERS[styles[str(key[0])].marker], "markersize": 4.5}
                axes.plot([0.985], values[:1], **style | end, markerfacecolor="white",
                          transform=axes.get_yaxis_transform())  # fmt: skip
            continue
        dodge = wide * (nth / (len(groups) - 1) - 0.5) if len(groups) > 1 else 0.0
        at = np.array([places[name] for name in names]) + dodge
        style |= {"marker": MARKERS[styles[str(key[0])].marker], "markersize": 4.5}
        style |= {"linestyle": "none"} if apart else {"linewidth": min(style["linewidth"], 1.3)}
        axes.errorbar(at, values, yerr=error, capsize=2, elinewidth=0.8, **style)
        if "unstable" in line:
            unsure = line["unstable"].to_numpy(bool)
            hollow = style | {"linestyle": "none", "markerfacecolor": "white", "zorder": 3}
            axes.plot(at[unsure], values[unsure], **hollow)
    names = [escape_math(shorten(str(name), 26)) for name in places]
    axes.set_xticks(list(places.values()), names)
    axes.set_xlim(-0.5, len(places) - 0.5)
    if apart and (len(places) > 5 or sum(map(len, names)) > 50):
        axes.tick_params(axis="x", rotation=60 if len(places) < 20 else 90)


def _error(line: pd.DataFrame, y: Axis) -> np.ndarray[Any, Any] | None:
    """Return the lengths of the interval below and above, (2, n); 0 where it is not known."""
    if not y.low:
        return None
    values = line[y.column].astype(float)
    low, high = (line[column].astype(float).fillna(values) for column in (y.low, y.high))
    reach: np.ndarray[Any, Any] = np.maximum(0, np.array([values - low, high - values]))
    return reach


def _draw_direct(
    axes: Axes, value: float, error: np.ndarray[Any, Any] | None, style: dict[str, Any]
) -> None:
    """Draw a method without batches: a horizontal line, and its interval as a band."""
    axes.axhline(value, **style)
    if error is not None and error.any():
        low, high = value - error[0, 0], value + error[1, 0]
        axes.axhspan(low, high, color=style["color"], alpha=0.08, linewidth=0)


def places_of(values: pd.Series[Any], x: Axis) -> Places:
    """Return the categories of an axis with their positions: batch sizes in order.

    Methods without batches are horizontal lines; where nothing else is drawn, they are at "direct".
    """
    if x.column in {"batch", "at"}:
        names = batches_in(values) or [DIRECT]
    else:
        names = list(dict.fromkeys(values.dropna()))
    return {name: place for place, name in enumerate(names)}
