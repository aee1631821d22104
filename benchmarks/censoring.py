"""Count how often an optimum is called censored, of searches whose optimum is planted.

Searches of one, two and three hyperparameters, by random, Sobol and grid points. The epochs to the
target are least at a place of the first hyperparameter, which is inside the range or beyond one of
its ends (by 5 to 50 % of its width, as long as not all settings fail); they rise faster on the side
of large values, fail there in the end, and have noise of 2 %. Of the others the best is inside.
Wrong is an end that is named where the optimum is inside, and an optimum beyond an end that is said
to be inside or at the other one; "cannot tell" is neither. At most 10 of 200 may be wrong either
way: else the exit status is 1.

    python -m benchmarks.censoring [SEARCHES] [--save]
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import sys
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from benchmarks.record import RESULTS
from optlab.lab.tuning.range_edge import UNSURE, edge_of
from optlab.lab.tuning.samplers import design
from optlab.lab.tuning.scores import Score
from optlab.optimizers.ranges import Uniform

Floats = NDArray[np.float64]

SIZES = {1: (10, 20), 2: (20, 36, 64), 3: (64, 125)}
"""Settings of a search, by its number of hyperparameters."""

MOST_WRONG = 0.05
"""The share of searches that may be called wrongly, of those inside and of those outside."""

LOST = Score(failures=1, misses=0, value=math.inf, cost=100.0)

HEAD = (
    "| sampler | hyperparameters | settings | inside: wrong | cannot tell | outside: wrong | "
    "cannot tell | the others, inside: wrong |"
)


def places_of(sampler: str, count: int, settings: int, rng: np.random.Generator) -> Floats:
    """Return the places of a search, shape (settings, count): other ones each time, but a grid's.

    A grid has as many levels as the settings allow.
    """
    if sampler == "random":
        return rng.random((settings, count))
    if sampler == "sobol":
        sequence = qmc.Sobol(count, scramble=True, rng=rng)
        points: Floats = sequence.random_base2(math.ceil(math.log2(settings)))
        return points[:settings]
    space = {f"{k}": Uniform(0, 1) for k in range(count)}
    return np.array([list(own.values()) for own in design("grid", space, settings)])


def scores_of(places: Floats, peak: float, rng: np.random.Generator) -> list[Score]:
    """Return the scores of settings whose epochs are least at a place of the first column."""
    far = (places[:, 0] - peak) * 5  # decades
    far += 1.5 * np.maximum(far, 0.0) ** 2  # too large rates are worse
    rest = ((places[:, 1:] - 0.4) ** 2).sum(axis=1)
    noise = 0.02 * rng.standard_normal(len(far))
    epochs = 50 * np.exp(np.minimum(0.5 * far**2 + rest + noise, 100))
    return [Score(0, 0, value, value) if value < 1e6 else LOST for value in epochs.tolist()]


def beyond_an_end(places: Floats, rng: np.random.Generator) -> tuple[str, list[Score]]:
    """Return an end, and scores whose least is beyond it, not all of them failed."""
    while True:
        beyond = rng.uniform(0.05, 0.5)
        peak, side = (1 + beyond, "high") if rng.random() < 0.5 else (-beyond, "low")
        scores = scores_of(places, peak, rng)
        if not all(own.failures for own in scores):  # another sentence is about those
            return side, scores


def counts_of(sampler: str, count: int, settings: int, searches: int) -> Counter[str]:
    """Return how many searches were called wrongly, and of how many nothing could be told."""
    rng, found = np.random.default_rng(16), Counter[str]()
    for _ in range(searches):
        places = places_of(sampler, count, settings, rng)
        inside = scores_of(places, rng.uniform(0.05, 0.95), rng)
        edges = [edge_of(places, inside, column) for column in range(count)]
        for column, edge in enumerate(edges):
            found[f"{column} inside, wrong"] += edge in {"low", "high"}
        found["inside, unsure"] += edges[0] == UNSURE
        side, outside = beyond_an_end(places, rng)
        said = edge_of(places, outside, 0)
        found["outside, wrong"] += said not in {side, UNSURE}
        found["outside, unsure"] += said == UNSURE
    return found


def cells_of(found: Counter[str], count: int) -> list[int]:
    """Return the numbers of a row of the table; the worst of the other hyperparameters."""
    others = max((found[f"{column} inside, wrong"] for column in range(1, count)), default=0)
    names = ("0 inside, wrong", "inside, unsure", "outside, wrong", "outside, unsure")
    return [*(found[name] for name in names), others]


def main() -> None:
    """Print the table, save it where that is asked for; exit with 1 where too many are wrong."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("searches", type=int, nargs="?", default=200)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    searches = options.searches
    today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    title = f"# How often a planted optimum is called censored, of {searches} searches ({today})"
    lines = [title, "", "`python -m benchmarks.censoring --save`", "", HEAD, "|---" * 8 + "|"]
    most = 0
    for count, settings in ((k, n) for k, sizes in SIZES.items() for n in sizes):
        for sampler in ("random", "sobol", "grid"):
            cells = cells_of(counts_of(sampler, count, settings, searches), count)
            most = max(most, cells[0], cells[2], cells[4])
            lines.append(f"| {sampler} | {count} | {settings} | {' | '.join(map(str, cells))} |")
            print(lines[-1], flush=True)
    lines += ["", f"At most {most} of {searches} wrong either way."]
    page = "\n".join(lines) + "\n"
    print(page)
    if options.save:
        (RESULTS / f"{today}-censoring.md").write_text(page, encoding="utf-8")
    sys.exit(most > MOST_WRONG * searches)


if __name__ == "__main__":
    main()
