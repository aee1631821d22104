"""Compiled gradient descent on the CPU against the article's script, a DataLoader and scikit-learn.

Contenders take turns in one run. All is warm: what compiling takes is measured before, and said.
Drawing the order of the rows is in every contender's time, but for what gathers or reads rows only.

    python -m benchmarks.fused_speed [--rounds 9] [--busy]

With --busy, seconds are the processor's for this process, which has one thread: what is left to
measure on a machine where others work.
"""

from __future__ import annotations

import argparse
import gc
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import TypeAlias

import torch
from sklearn.linear_model import SGDClassifier, SGDRegressor
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol
from benchmarks.interleaved import interleaved
from benchmarks.record import Case, Record
from benchmarks.tutorial_loop import the_articles_loop
from optlab.optimizers import Order
from optlab.problems.losses.logistic import LogisticRegression

PUBLISHED = 2.706723928451538, 4.969954013824463
RATE = 0.001
LOADER = "DataLoader loop"

MINIMIZE = (
    "`minimize` is the whole call: checks, 80 looks at which the iterate is judged and recorded (3 "
    "with recorded_epochs=2000), the solution. `solution.seconds` is what the lab reports and "
    "ranks: order and steps."
)

Measure: TypeAlias = Callable[[Mapping[str, Callable[[], object]]], dict[str, list[float]]]
"""Returns the seconds of contenders that take turns, round by round."""


def fused(
    problem: ol.Problem, size: int, epochs: int, optimizer: ol.Optimizer, order: Order
) -> Callable[[], object]:
    """Return a function that makes some epochs: order and steps, all of it."""
    start = problem.start(torch.Generator().manual_seed(1))
    batches = ol.Batches(*problem.data[:2], size, torch.Generator().manual_seed(1), order=order)
    batches.looks = range(epochs, 10**9, epochs)
    iterates = optimizer.iterates(problem, batches, start)

    def go() -> None:
        made = 0
        while made < epochs:
            made += next(iterates).epochs

    return go


def with_a_dataloader(problem: ol.LinearRegression, size: int, steps: int) -> Callable[[], object]:
    """Return a function that makes so many steps of the article's loop."""
    loader = DataLoader(TensorDataset(problem.X, problem.y), size, shuffle=True)
    dtype = problem.X.dtype
    weight = torch.zeros(problem.X.shape[1], dtype=dtype, requires_grad=True)
    bias = torch.zeros(1, dtype=dtype, requires_grad=True)

    def go() -> None:
        nonlocal weight, bias
        for _, (x_batch, y_batch) in zip(range(steps), loader, strict=False):
            loss = (x_batch @ weight + bias - y_batch).pow(2).mean()
            loss.backward()
            with torch.no_grad():
                weight -= weight.grad * RATE
                bias -= bias.grad * RATE
                weight.grad.zero_()
                bias.grad.zero_()

    return go


def gather(problem: ol.LinearRegression, size: int) -> Callable[[], object]:
    """Return a function that gathers an epoch's rows, batch by batch, and does nothing else."""
    order = torch.randperm(len(problem.y)).split(size)
    return lambda: [problem.X.index_select(0, rows) for rows in order]


def tutorial(record: Record, measure: Measure) -> None:
    """Measure the article's run, 20 000 steps, by its own script and by whole calls of minimize."""
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    own: dict[str, list[float]] = {}

    def solve(name: str, order: Order, recorded: int | str) -> ol.Solution:
        solution = ol.minimize(problem, ol.FusedSGD(RATE), epochs=2000, batch_size=1, seed=1,
                               order=order, recorded_epochs=recorded)  # fmt: skip
        own.setdefault(name, []).append(solution.seconds)
        return solution

    kinds = {
        "minimize": ("dataloader", "growing"),
        "minimize, recorded_epochs=2000": ("dataloader", 2000),
        'minimize, order="fast"': ("fast", "growing"),
        'minimize, order="fast", recorded_epochs=2000': ("fast", 2000),
    }
    again = 20  # a call is short: so many follow each other
    contenders: dict[str, Callable[[], object]] = {
        "the article's script": lambda: the_articles_loop(problem, 1, 2000)
    }
    contenders |= {
        name: lambda name=name, kind=kind: [solve(name, *kind) for _ in range(again)]
        for name, kind in kinds.items()
    }
    found = solve("", "dataloader", 2000).parameters
    is_published = (found["weight"].item(), found["bias"].item()) == PUBLISHED
    seconds = measure(contenders)
    script = seconds["the article's script"]
    for name in kinds:  # the optimizer's own seconds, as the lab reports them
        values = own[name][again:]  # without the round that is not counted
        label = name.replace("minimize", "solution.seconds")
        seconds[label] = [min(values[i * again : (i + 1) * again]) for i in range(len(script))]
    goals = {name: 2000.0 if "fast" in name else 800.0 for name in seconds if name.isascii()}
    goals.pop("the article's script")
    record.add(
        Case(
            "The tutorial: 2 000 epochs of 10 steps, float32",
            "the article's script",
            seconds,
            work=dict.fromkeys(kinds, again),
            goals=goals,
            notes=[
                f"The published parameters to the last bit: {'yes' if is_published else 'NO'}.",
                MINIMIZE,
            ],
        )
    )


def against(record: Record, n: int, d: int, size: int, epochs: int, measure: Measure) -> None:
    """Measure FusedSGD at one shape and batch size."""
    problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(n, d, seed=1))
    X, y, steps = problem.X.numpy(), problem.y.numpy(), math.ceil(n / size)
    learner = SGDRegressor(penalty=None, learning_rate="constant", eta0=RATE / 2, max_iter=epochs,
                           tol=None, shuffle=True, random_state=1)  # fmt: skip
    fused_ones = {
        "FusedSGD": (ol.FusedSGD(RATE), "dataloader"),
        'FusedSGD, order="fast"': (ol.FusedSGD(RATE), "fast"),
        "FusedSGD, fastmath": (ol.FusedSGD(RATE, fastmath=True), "dataloader"),
        "FusedAdam": (ol.FusedAdam(RATE), "dataloader"),
    }
    contenders = {
        name: fused(problem, size, epochs, optimizer, order)
        for name, (optimizer, order) in fused_ones.items()
    }
    work = dict.fromkeys(contenders, epochs * steps)
    contenders[LOADER] = with_a_dataloader(problem, size, min(steps, 300))
    contenders["gather"], contenders["read"] = gather(problem, size), problem.X.sum
    work |= {LOADER: min(steps, 300), "gather": steps, "read": steps}
    if size == 1:
        contenders["SGDRegressor"] = lambda: learner.fit(X, y)
        work["SGDRegressor"] = epochs * steps
    seconds = measure(contenders)
    bounds = {
        "gathering the rows": median(seconds.pop("gather")) / steps,
        "reading the rows in order": median(seconds.pop("read")) / steps,
    }
    shape = f"n = {n}, d = {d}, batch size {size}, float64"
    goal = {1: 1500.0, 32: 250.0, 256: 20.0}[size]
    goals = {name: goal for name in seconds if name.startswith("FusedSGD")}
    record.add(Case(shape, LOADER, seconds, work, "step", bounds, goals))
    if size == 1:
        seconds = {name: values for name, values in seconds.items() if name != LOADER}
        goals = {"FusedSGD": 1.2, "FusedSGD, fastmath": 2.5}
        record.add(Case(f"{shape}: scikit-learn", "SGDRegressor", seconds, work, "step", {}, goals))


def logistic(record: Record, measure: Measure) -> None:
    """Measure FusedSGD against SGDClassifier, log loss, batch size 1."""
    n, d, epochs = 10_000, 20, 20
    draw = torch.Generator().manual_seed(1)
    X = torch.randn(n, d, generator=draw, dtype=torch.float64)
    y = (X.sum(1) + torch.randn(n, generator=draw, dtype=torch.float64) > 0).double()
    problem = LogisticRegression(X, y)
    learner = SGDClassifier(loss="log_loss", penalty=None, learning_rate="constant", eta0=RATE,
                            max_iter=epochs, tol=None, shuffle=True, random_state=1)  # fmt: skip
    contenders: dict[str, Callable[[], object]] = {
        f"FusedSGD{', fastmath' if fastmath else ''}": fused(
            problem, 1, epochs, ol.FusedSGD(RATE, fastmath=fastmath), "dataloader"
        )
        for fastmath in (False, True)
    }
    contenders["SGDClassifier"] = lambda: learner.fit(X.numpy(), y.numpy())
    seconds = measure(contenders)
    record.add(
        Case(
            f"Logistic loss, n = {n}, d = {d}, batch size 1, float64",
            "SGDClassifier",
            seconds,
            dict.fromkeys(seconds, epochs * n),
            "step",
            goals={"FusedSGD": 2.0},
        )
    )


def compile_note(problem: ol.LinearRegression) -> str:
    """Return what compiling takes, or loading what an earlier process has compiled."""
    began = time.perf_counter()
    fused(problem, 1, 1, ol.FusedSGD(RATE), "dataloader")()
    return (
        f"Compiling is in no number. The first run in this process took "
        f"{time.perf_counter() - began:.2f} s: numba itself, and the loops compiled (some 20 s the "
        "first time on a machine) or loaded from disk."
    )


def main() -> None:
    """Print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--busy", action="store_true")
    options = parser.parse_args()
    measure = partial(interleaved, rounds=options.rounds)
    if options.busy:
        torch.set_num_threads(1)
        measure = partial(measure, clock=time.process_time)
    record = Record("fused_speed", "How fast is compiled gradient descent on the CPU?")
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    note = compile_note(problem)
    gc.collect()
    tutorial(record, measure)
    against(record, 10_000, 20, 1, 20, measure)
    against(record, 10_000, 20, 32, 50, measure)
    against(record, 100_000, 100, 256, 3, measure)
    logistic(record, measure)
    if options.busy:
        note += (
            " Others worked on this machine: seconds are the processor's, of one thread of this "
            "process, but for solution.seconds: the wall clock's, the least of each round's 20."
        )
    print(f"\n{note}")
    first = record.cases[0]
    record.cases[0] = Case(**{**vars(first), "notes": [*first.notes, note]})
    record.save()


if __name__ == "__main__":
    main()
