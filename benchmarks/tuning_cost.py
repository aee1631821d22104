"""Measure the cost of 64 tuning trials as a sweep against one by one.

Run it as ``python -m benchmarks.tuning_cost [--rounds 3]``. The trials of `optlab.Tuned` run as one
sweep, and the same settings as an experiment of 64 optimizers, in turns. Both times are those of
whole experiments: looks, recording and the choice included.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np

import optlab as ol
from benchmarks.record import Case, Record

TRIALS = 64


def _problem(rows: int, features: int) -> ol.LinearRegression:
    random = np.random.default_rng(0)
    X = random.standard_normal((rows, features))
    y = X @ random.standard_normal(features) + random.standard_normal(rows)
    return ol.LinearRegression(X, y, name=f"{rows} x {features}")


def _seconds(problem: ol.LinearRegression, optimizers: object, batch: int | str) -> float:
    started = perf_counter()
    ol.compare(problem, optimizers, batch_sizes=[batch], epochs=20, seeds=[1000])  # type: ignore[arg-type]  # several kinds
    return perf_counter() - started


def main() -> None:
    """Print a table a case, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    record = Record("tuning_cost", "What do 64 tuning trials cost as a sweep, and one by one?")
    for rows, features, batch in ((100, 5, "full"), (2000, 20, 32), (20000, 20, 256)):
        problem = _problem(rows, features)
        for optimizer in (ol.SGD(), ol.Adam()):
            space = {"learning_rate": ol.LogUniform(1e-4, 0.1)}
            tuned = ol.Tuned(optimizer, space, trials=TRIALS, seeds=[7])
            settings = [tuned.at({"learning_rate": k / (TRIALS - 1)})[1] for k in range(TRIALS)]
            _seconds(problem, [settings[0], tuned], batch)  # what is loaded and compiled once
            seconds: dict[str, list[float]] = {"one by one": [], "sweep": []}
            for _ in range(rounds):
                seconds["one by one"].append(_seconds(problem, settings, batch))
                seconds["sweep"].append(_seconds(problem, [tuned], batch))
            record.add(
                Case(
                    f"{type(optimizer).__name__}, {rows} x {features}, batch {batch}",
                    "one by one",
                    seconds=seconds,
                    work=dict.fromkeys(seconds, TRIALS),
                    unit="trial",
                )
            )
    record.save()


if __name__ == "__main__":
    main()
