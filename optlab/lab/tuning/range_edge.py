"""Whether a range holds the optimum, or ends before it: an optimum at the edge is censored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from optlab.lab.tuning.response_surface import slope_sign
from optlab.lab.tuning.scores import Score, best

UNSURE: Final = "cannot tell"

Edge = Literal["low", "high", "", "cannot tell"]

FINE = 0.2
"""Settings are dense near an end whose third is nearer than this: failures there tell enough."""

WIDE = 0.25
"""A slope says "inside" only where the settings that did not fail span this share of the range."""


def edge_of(places: NDArray[np.float64], scores: Sequence[Score], column: int) -> Edge:
    """Return the end of a range beyond which the optimum lies: it is censored there.

    An empty text where it lies inside, ``"cannot tell"`` where the settings do not say.

    Where at least three settings differ from the best in this hyperparameter only (of a search of
    one, or on a grid), the optimum is inside when some of them lie apart from the best on either
    side, and where the best is the last of them, the minimum of the parabola through the last three
    that lie apart (of logarithms, where they are positive) says on which side of the end it is. In
    all other searches, where one of the three failed, and where that minimum is just inside, the
    slope of a quadratic surface through the best settings at the nearer end decides: see
    `optlab.lab.tuning.response_surface`. Where that is not sure, or says "inside" of settings of
    which only a narrow part did not fail, a best setting in the middle half of the range is inside,
    and of another nothing is said.

    Of 200 planted optima inside the range, and 200 outside, at most 5 of each were called wrongly,
    with 10 settings or more of one hyperparameter, 20 of two and 64 of three, and with every
    sampler that is known beforehand (`benchmarks/censoring.py`). It takes more for fewer "cannot
    tell": with 20 of one at most 1 in 6 of those outside; with 36 of two 2 in 5, most of them where
    nearly all settings failed; on a grid of four levels (20 of two, 64 of three) most.

    Parameters
    ----------
    places
        Of each setting, its places in the ranges, shape (settings, hyperparameters). What lies
        outside of [0, 1] has widened the range.
    scores
        Of each setting; of a search in which all failed there is no best, and no edge.
    column
        The hyperparameter.
    """
    chosen = best(scores)
    if scores[chosen].failures:
        return ""
    if len(scores) < 3:
        return UNSURE
    own, others = places[:, column], np.delete(places, column, axis=1)
    line = np.flatnonzero(np.isclose(others, others[chosen], atol=1e-9).all(axis=1)).tolist()
    if len(np.unique(own[line])) >= 3:
        found = _on_line(own[line], [scores[k] for k in line], own)
        if found != UNSURE:
            return found
    return _on_surface(places, scores, column)


def _on_surface(places: NDArray[np.float64], scores: Sequence[Score], column: int) -> Edge:
    """Return the end beyond which the profile still falls."""
    order = sorted(range(len(scores)), key=lambda k: (scores[k], k))
    least = scores[order[0]]
    alike = [k for k in order if scores[k][:2] == least[:2] and math.isfinite(scores[k].value)]
    values = np.array([scores[k].value for k in alike])
    if not alike:
        return UNSURE
    low, high = _whole(places[:, column])
    where = (places[order[0], column] - low) / (high - low)
    end, side, inwards = (low, "low", 1) if where < 0.5 else (high, "high", -1)
    logs = np.log(values) if (values > 0).all() else values
    sign = inwards * slope_sign(places[alike], logs, column, end)
    if sign > 0:
        return cast("Edge", side)
    # What grows faster than a parabola moves its minimum inwards: a narrow part tells little.
    wide = np.ptp(places[alike, column]) > WIDE * (high - low)
    return "" if (sign and wide) or 0.25 < where < 0.75 else UNSURE


def _whole(own: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of a range, which settings outside of it have widened."""
    return min(0.0, float(own.min())), max(1.0, float(own.max()))


def _on_line(own: NDArray[np.float64], scores: Sequence[Score], whole: NDArray[np.float64]) -> Edge:
    least = min(scores)
    tied = own[[score == least for score in scores]]
    if tied.min() == tied.max() == own.max():
        side: Edge = "high"
    elif tied.min() == tied.max() == own.min():
        side = "low"
    else:
        beyond = max(tied.min() - own.min(), 0.0), max(own.max() - tied.max(), 0.0)
        return UNSURE if tied.min() == tied.max() and min(beyond) < _spacing(own) else ""
    order = _apart(own, np.argsort(-own if side == "high" else own, kind="stable").tolist())
    last: list[Any] = [scores[k] for k in order]
    if len(order) < 3:
        return UNSURE
    if len({(score.failures, score.misses) for score in last}) > 1:
        return side if np.ptp(own[order]) <= FINE else UNSURE
    low, high = _whole(whole)
    lowest = _vertex(own[order], np.array([score.value for score in last], dtype=float))
    if lowest is None or not low <= lowest <= high:
        return side
    # What grows faster than a parabola moves its vertex inwards: near the end it tells little.
    inside = min(lowest - low, high - lowest)
    return "" if inside > abs(own[order[1]] - own[order[0]]) / 2 else UNSURE


def _spacing(own: NDArray[np.float64]) -> float:
    """Return the distance from which on places lie apart; nearer ones show noise only."""
    return float(0.9 * np.ptp(own) / (len(own) - 1))


def _apart(own: NDArray[np.float64], order: Sequence[int]) -> list[int]:
    """Return the first three places that lie a mean distance apart."""
    kept = [order[0]]
    for place in order[1:]:
        if abs(own[place] - own[kept[-1]]) >= _spacing(own):
            kept.append(place)
    return kept[:3]


def _vertex(u: NDArray[np.float64], values: NDArray[np.float64]) -> float | None:
    """Return the minimum of the parabola through three points, or None where it has none."""
    if not np.isfinite(values).all():
        return None
    y = np.log(values) if (values > 0).all() else values
    slope = (y[1] - y[0]) / (u[1] - u[0])
    bend = ((y[2] - y[1]) / (u[2] - u[1]) - slope) / (u[2] - u[0])
    if bend <= 0:
        return None
    return float((u[0] + u[1]) / 2 - slope / (2 * bend))
