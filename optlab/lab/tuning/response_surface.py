"""The slope, at an end of a range, of a quadratic surface through the best settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS_A_TERM = 2.5
"""The surface goes through so many of the best settings for each of its terms: it is local."""

CONFIDENCE = 0.975
"""Of the one-sided t test of the slope."""


def slope_sign(places: Array, values: Array, column: int, end: float) -> int:
    """Return the sign of the slope of the profile at a place of one hyperparameter; 0: not sure.

    The profile is the least value over the others, as a function of this one. Surfaces of three
    kinds are fitted to the best settings by least squares: a full quadratic, one without products,
    and a parabola in this one alone, where what the others change counts as noise. The first of
    them whose slope is not 0 by a t test decides.

    Parameters
    ----------
    places
        Of each setting, shape (settings, hyperparameters), the best first.
    values
        Of each setting, finite; less is better.
    column, end
        The hyperparameter, and its place.
    """
    terms = places.shape[1]
    pairs = list(combinations_with_replacement(range(terms), 2))
    squares = [(k, k) for k in range(terms)]
    every = list(range(terms))
    for linear, products in ((every, pairs), (every, squares), ([column], [(column, column)])):
        if sign := _sign(places, values, column, end, linear, products):
            return sign
    return 0


def _sign(
    places: Array,
    values: Array,
    column: int,
    end: float,
    linear: Sequence[int],
    products: Sequence[tuple[int, int]],
) -> int:
    """Return the sign of the slope of a surface of some terms, 0 where it is not sure."""
    from scipy.stats import t as student  # noqa: PLC0415 - it takes long to load

    terms = 1 + len(linear) + len(products)
    near = min(len(places), max(terms + 3, math.ceil(POINTS_A_TERM * terms)))
    freedom = near - terms
    if freedom < 2:
        return 0

    def rows(points: Array) -> Array:
        z = points - places[0]
        parts = [np.ones(len(z)), z[:, list(linear)], *(z[:, i] * z[:, j] for i, j in products)]
        return np.column_stack(parts)

    design = rows(places[:near])
    found, _, rank, _ = np.linalg.lstsq(design, values[:near], rcond=1e-8)
    if rank < terms:
        return 0
    variance = ((values[:near] - design @ found) ** 2).sum() / freedom
    at_end = places.copy()
    at_end[:, column] = end
    lowest = at_end[np.argmin(rows(at_end) @ found)]
    step: Any = np.zeros(places.shape[1])
    step[column] = 0.5  # of a quadratic the difference is the slope itself
    direction = (rows(lowest[None] + step) - rows(lowest[None] - step))[0]
    slope = float(direction @ found)
    error = math.sqrt(variance * float(direction @ np.linalg.solve(design.T @ design, direction)))
    sure = abs(slope) > student.ppf(CONFIDENCE, freedom) * error
    return int(math.copysign(1, slope)) if sure else 0
