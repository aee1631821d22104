"""Simulate how often the rule of `optlab diff` calls seconds of unchanged code different.

Two runs of some methods; one trial's seconds have log-normal noise, and all of a run a factor of
their own. In per cent: comparisons in which any unchanged method is named, and those in which one
that is 1.5 times slower is. The table stands in `optlab.analysis.judge_pairs`.

    python -m benchmarks.diff_simulation [EXPERIMENTS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from optlab.analysis.intervals import holm, trimmed_mean_interval, trimmed_mean_p_value
from optlab.analysis.run_differences import LEVEL, TOLERANCE

Floats = NDArray[np.float64]
METHODS = 6


def slowdowns(share: float) -> Callable[[np.random.Generator, int], Floats]:
    """Return noise of 3 %, with a share of trials that take 1.5 to 3 times as long."""

    def draw(rng: np.random.Generator, pairs: int) -> Floats:
        slow = rng.random((pairs, METHODS)) < share
        noise: Floats = rng.normal(0, 0.03, slow.shape)
        return noise + slow * np.log(rng.uniform(1.5, 3, slow.shape))

    return draw


KINDS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "noise 3 %": slowdowns(0),
    "slowdowns 5 %": slowdowns(0.05),
    "slowdowns 20 %": slowdowns(0.2),
    "noise 20 %": lambda rng, pairs: rng.normal(0, 0.2, (pairs, METHODS)),
    "bursts": lambda rng, pairs: slowdowns(0)(rng, pairs) + rng.normal(0, 0.3, (pairs, 1)),
}


def named(log_ratios: Floats) -> NDArray[np.bool_]:
    """Return which methods are called different, of log ratios by pair and method."""
    samples = (log_ratios - np.median(log_ratios, axis=1, keepdims=True)).T
    mean, _, _ = trimmed_mean_interval(samples)
    shown = holm(trimmed_mean_p_value(samples)) < LEVEL["seconds"]
    found: NDArray[np.bool_] = shown & (np.abs(mean) > np.log1p(TOLERANCE["seconds"]))
    return found


def main() -> None:
    """Print the table."""
    experiments = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rng = np.random.default_rng(1)
    print(f"| pairs | {' | '.join(KINDS)} |\n{'|---' * (len(KINDS) + 1)}|")
    for pairs in (5, 10, 20, 30):
        cells = []
        for draw in KINDS.values():
            wrong = right = 0
            for _ in range(experiments):
                difference = draw(rng, pairs) - draw(rng, pairs) + rng.normal(0, 0.2)
                wrong += named(difference).any()
                difference[:, 0] += np.log(1.5)
                right += named(difference)[0]
            cells.append(f"{100 * wrong / experiments:.1f}, {100 * right / experiments:.0f}")
        print(f"| {pairs} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
