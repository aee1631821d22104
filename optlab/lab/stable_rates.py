"""The largest stable rates of tuned optimizers, where theory knows them."""

from __future__ import annotations

import math
from itertools import product

from optlab.lab.grid import Grid
from optlab.lab.tuning.tuned import Tuned
from optlab.theory.descent_theory import stable_rate

MOST_FEATURES = 500
"""The eigenvalues of larger Hessians take longer than a look at the result is worth."""


def stable_rates(grid: Grid) -> dict[str, dict[str, float]]:
    """Return the largest stable learning rate with full batches, by problem and tuned optimizer.

    Left out where it depends on what is tuned (momentum), where the method or the problem has none,
    and for problems of many features.
    """
    found: dict[str, dict[str, float]] = {}
    for (problem, own), (name, tuned) in product(grid.problems.items(), grid.optimizers.items()):
        if not isinstance(tuned, Tuned) or "momentum" in tuned.ranges:
            continue
        if getattr(own.data, "d", 0) > MOST_FEATURES:
            continue
        try:
            rate = stable_rate(own, tuned.optimizer)
        except ValueError:  # it says that there is none
            continue
        if math.isfinite(rate):
            found.setdefault(problem, {})[name] = rate
    return found
