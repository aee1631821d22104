"""Designs of a search that are known before it begins: grid, random and Sobol points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from optlab.optimizers.ranges import Choice, Range

SEED = 0
"""Of all designs: methods of one hyperparameter are tried at the same values."""


def design(sampler: str, space: Mapping[str, Range], trials: int) -> list[dict[str, float]]:
    """Return the places of a search in the ranges, each in [0, 1].

    Examples
    --------
    >>> from optlab.optimizers.ranges import LogUniform
    >>> design("grid", {"learning_rate": LogUniform(0.01, 1)}, 3)
    [{'learning_rate': 0.0}, {'learning_rate': 0.5}, {'learning_rate': 1.0}]
    """
    if sampler == "grid":
        return _grid(space, trials)
    points = _sobol(len(space), trials) if sampler == "sobol" else _random(len(space), trials)
    return [dict(zip(space, map(float, row), strict=True)) for row in points]


def _sobol(dimensions: int, trials: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    from scipy.stats import qmc  # noqa: PLC0415 - it takes long to load, and most experiments tune nothing

    sequence = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(SEED))
    # A power of two is balanced, and drawing another number warns.
    points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    points = sequence.random_base2(math.ceil(math.log2(trials)))[:trials]
    return points


def _random(dimensions: int, trials: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(SEED).random((trials, dimensions))


def _grid(space: Mapping[str, Range], trials: int) -> list[dict[str, float]]:
    """Return a full grid: all options of each choice, and as many levels of each other range.

    Raises
    ------
    ValueError
        Where two levels of each range need more trials.
    """
    choices = {name: len(r.options) for name, r in space.items() if isinstance(r, Choice)}
    others = len(space) - len(choices)
    levels = trials
    if others:
        levels = math.floor((trials / math.prod(choices.values())) ** (1 / others) + 1e-9)
    needed = math.prod(choices.values()) * 2**others
    if trials < needed:
        raise ValueError(f"trials must be at least {needed} for a grid of {', '.join(space)}, "
                         f"not {trials}")  # fmt: skip
    axes = [
        [(k + 0.5) / choices[name] for k in range(choices[name])]
        if name in choices
        else np.linspace(0, 1, levels).tolist()
        for name in space
    ]
    return [dict(zip(space, map(float, row), strict=True)) for row in itertools.product(*axes)]
