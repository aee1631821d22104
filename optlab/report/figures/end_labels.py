"""Put the names of lines at their ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from optlab.report.figures.paper import FigureStyle

MOST_LABELS = 6
"""Of more lines the names are in a legend."""

End = tuple[float, float, str, str]
"""The x and y of a line's end, its label and its colour."""


def fit_labels(ends: Sequence[End], paper: FigureStyle) -> bool:
    """Return whether lines are few and their names short enough to stand at their ends."""
    longest = max((len(label) for _, _, label, _ in ends), default=0)
    return 0 < len(ends) <= MOST_LABELS and longest * paper.font_size / 130 < 0.27 * paper.width


def put_end_labels(
    axes: Axes, ends: Sequence[End], paper: FigureStyle, *, floor: float = 0.0
) -> None:
    """Write labels to the right of the axes, at the height of the lines' ends, without overlap.

    Parameters
    ----------
    axes
        The axes, with their limits set.
    ends
        The ends of the lines.
    paper
        The figure's style.
    floor
        The share of the axes' height below which no label stands.
    """
    if not ends:
        return
    places = [axes.transLimits.transform(axes.transScale.transform(end[:2])) for end in ends]
    places = [np.clip(place, (0, floor), 1) for place in places]  # a diverged line ends far outside
    figure = axes.get_figure(root=True)
    tall = max(0.8, figure.get_figheight() - 0.7) if figure else 1.0  # inches, about
    apart = 1.3 * paper.font_size / 72 / tall
    heights = spread([float(y) for _, y in places], apart, floor)
    for (across, up), (_, _, label, colour), height in zip(places, ends, heights, strict=True):
        axes.annotate(
            label, (float(across), float(up)), xycoords="axes fraction", xytext=(1.04, height),
            textcoords="axes fraction", va="center", color=colour, annotation_clip=False,
            fontsize=paper.font_size - 0.5,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6,
                        "shrinkA": 1, "shrinkB": 1},
        )  # fmt: skip


def spread(heights: Sequence[float], apart: float, floor: float = 0.0) -> list[float]:
    """Return heights moved so that they are apart, in their order, between floor and 1.

    Each stays as near as it can to where it was: groups that touch are centred on their means.

    Examples
    --------
    >>> spread([0.5, 0.5, 0.9], 0.2)
    [0.4, 0.6, 0.9]
    >>> spread([0.0, -3.0], 0.2, floor=0.1)
    [0.3, 0.1]
    """
    order = np.argsort(heights, kind="stable")
    groups: list[tuple[float, int]] = []  # the lowest height of each, and its size
    for nth in order:
        low, count = float(np.clip(heights[nth], floor, 1.0)), 1
        while groups and groups[-1][0] + apart * groups[-1][1] > low:
            before, several = groups.pop()
            middle = (before * several + (low - apart * several) * count) / (several + count)
            count += several
            low = max(floor, min(middle, 1.0 - apart * (count - 1)))
        groups.append((low, count))
    placed = [low + apart * k for low, count in groups for k in range(count)]
    found = np.empty(len(placed))
    found[order] = placed
    return [round(float(height), 6) for height in found]
