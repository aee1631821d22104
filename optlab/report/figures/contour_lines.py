"""Draw the contours of a function of two variables, and its minimum."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

_LINES = 15
_INK = "#1a1f26"


def draw_contours(axes: Axes, grid: pd.DataFrame, minimum: pd.DataFrame) -> None:
    """Draw contours a constant factor apart, from the lowest hundredth of the grid's points on.

    The axes show the grid's box, also where a path leaves it.

    Parameters
    ----------
    axes
        The panel.
    grid
        Columns ``x1, x2, suboptimality``: the points of a square grid, row by row.
    minimum
        Columns ``x1, x2``: where a cross stands.
    """
    side = round(len(grid) ** 0.5)
    x1, x2, gap = (
        grid[name].to_numpy(float).reshape(side, side) for name in ("x1", "x2", "suboptimality")
    )
    log = np.log10(np.maximum(gap, 1e-300))
    most = log.max()
    levels = np.linspace(min(np.quantile(log, 0.01), most - 1), most, _LINES)
    axes.contour(x1, x2, log, levels[:-1], colors=_INK, alpha=0.35, linewidths=0.6, zorder=1,
                 negative_linestyles="solid")  # fmt: skip
    axes.plot(minimum["x1"], minimum["x2"], "x", color=_INK, markersize=7, markeredgewidth=1.5)
    axes.set_xlim(x1.min(), x1.max())
    axes.set_ylim(x2.min(), x2.max())
