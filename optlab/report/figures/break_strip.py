"""Break an axis: a strip under it for points that lie far below all curves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogFormatterMathtext

from optlab.report.figures.panels import INK
from optlab.report.views.view import Axis

FAR = 100.0
"""Points that are lower than the lowest curve by more than this factor get a strip."""


@dataclass(frozen=True)
class Strip:
    """A strip under an axis, with a row for each method; without any there is none.

    Parameters
    ----------
    rows
        The names of the methods, from the top.
    most
        The largest of their values.
    """

    rows: tuple[str, ...] = ()
    most: float = math.nan

    @property
    def share(self) -> float:
        """Of the height of the axes."""
        return 0.07 + 0.055 * len(self.rows) if self.rows else 0.0

    def extend(self, axes: Axes) -> None:
        """Make room under what the axes show."""
        if self.rows:
            low, high = axes.get_ylim()
            axes.set_ylim(low / (high / low) ** (self.share / (1 - self.share)), high)

    def place(self, axes: Axes, name: str, value: float) -> tuple[float, Any]:
        """Return the height of a method's point, and the transform that it is given in."""
        if name not in self.rows:
            return value, axes.transData
        height = self.share * (1 - (self.rows.index(name) + 0.5) / len(self.rows))
        return height, axes.get_xaxis_transform()

    def mark(self, axes: Axes, *, left: bool) -> None:
        """Draw the break, and put a number at the strip instead of the ticks there."""
        if not self.rows:
            return
        low, high = axes.get_ylim()
        edge = low * (high / low) ** self.share
        middle = low * (high / low) ** (self.share / 2)
        ticks = [tick for tick in axes.get_yticks() if edge * 1.2 <= tick <= high]
        axes.yaxis.set_major_locator(FixedLocator([middle, *ticks]))
        power, plain = math.ceil(math.log10(self.most)), LogFormatterMathtext()
        plain.create_dummy_axis()
        below = rf"$\leq\mathdefault{{10^{{{power}}}}}$"
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda v, _: below if v == middle else plain(v))
        )
        axes.axhspan(low, edge, color="#f3f4f6", zorder=1.6, linewidth=0)
        if left:
            cut = [(-1, -0.45), (1, 0.45)]
            at: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False, "zorder": 5}
            axes.plot([0, 0], [self.share - 0.011, self.share + 0.011], color="white",
                      linewidth=2.5, solid_capstyle="butt", **at)  # fmt: skip
            axes.plot([0, 0], [self.share - 0.011, self.share + 0.011], marker=cut, markersize=7,
                      linestyle="none", color=INK, markeredgewidth=0.7, **at)  # fmt: skip


def strip_under(curves: pd.DataFrame, points: pd.DataFrame, y: Axis) -> Strip:
    """Return the strip for the points of direct methods that are far below all curves.

    It holds all points where any is so low; there is none on a linear axis, and where there are no
    curves.
    """
    values = points[y.column].to_numpy(float)
    lines = curves[y.column].to_numpy(float)
    lines = lines[np.isfinite(lines) & (lines > 0)]
    if y.scale != "log" or not len(values) or not lines.size or values.max() * FAR > lines.min():
        return Strip()
    return Strip(tuple(dict.fromkeys(map(str, points["optimizer"]))), float(values.max()))
