"""Bootstrap intervals of scores over problems: problems are resampled, and the seeds of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optlab.analysis.intervals import LEVEL, Floats

RESAMPLES = 1000
"""An interval is made of so many resamples."""


def generator() -> np.random.Generator:
    """Return the random generator of all resampling: the same table gives the same interval."""
    return np.random.default_rng(20260101)


def resampled_medians(values: Floats, random: np.random.Generator) -> Floats:
    """Return the medians of `RESAMPLES` resamples of some values, of as many values each.

    Infinite values count: a median between a finite and an infinite one is infinite.

    Examples
    --------
    >>> float(resampled_medians(np.array([2.0, 2.0]), generator()).max())
    2.0
    """
    return np.asarray(np.median(random.choice(values, (RESAMPLES, len(values))), axis=1))


def problem_interval(
    statistic: Callable[[Floats], Floats], samples: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % percentile interval of a statistic over resampled problems.

    Parameters
    ----------
    statistic
        Maps ``(resamples, problems, ...)`` to ``(resamples, ...)``, such as a mean over problems.
    samples : (resamples, problems, ...)
        What each problem gave in each resample of its seeds.
    random
        Where the draws come from.

    Returns
    -------
    tuple of (...) arrays
        The lower and the upper ends. NaN where there is one problem only: nothing is known of how
        much another would differ.

    Notes
    -----
    The percentile bootstrap (Efron, 1979, Annals of Statistics 7, 1-26), clustered by problem, as
    in Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical
    precipice". Few problems make it too narrow: simulated, it covers a mean of normal scores in
    83 % of experiments with 5 problems, in 90 % with 10 and in 93 % with 20.

    Examples
    --------
    >>> scores = np.broadcast_to(np.arange(9.0)[None, :, None], (1000, 9, 1))
    >>> low, high = problem_interval(lambda drawn: drawn.mean(axis=1), scores, generator())
    >>> 2 < low.item() < 4 < high.item() < 6
    True
    """
    draws, problems = samples.shape[:2]
    chosen = random.integers(0, problems, (draws, problems, *[1] * (samples.ndim - 2)))
    found = statistic(np.take_along_axis(samples, chosen, axis=1))
    if problems == 1:
        return np.full(found.shape[1:], np.nan), np.full(found.shape[1:], np.nan)
    return percentile_interval(found)


def percentile_interval(resampled: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % percentile interval of a statistic's resamples, (resamples, ...).

    Both are resamples themselves, so that infinite ones make no NaN.
    """
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0, method="closest_observation")
    return low, high
