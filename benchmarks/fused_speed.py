"""Compiled gradient descent on the CPU against the article's script, a DataLoader and scikit-learn.

Contenders take turns in one run; each row says how many times as fast FusedSGD is, the median over
rounds, and the goal. Everything is warm; compiling is done before and reported apart. Drawing the
order is part of all times, but for the steps of the DataLoader loop below the first table.

    python -m benchmarks.fused_speed [--rounds 7]
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from statistics import median

import torch
from sklearn.linear_model import SGDClassifier, SGDRegressor
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol
from benchmarks.interleaved import ratio
from benchmarks.tutorial_loop import the_articles_loop
from optlab.problems.losses.logistic import LogisticRegression

PUBLISHED = 2.706723928451538, 4.969954013824463
RATE = 0.001


def fused(
    problem: ol.Problem, size: int, epochs: int, *, fastmath: bool = False
) -> Callable[[], float]:
    """Return a function that makes epochs and returns their seconds: order and steps, all of it."""
    optimizer = ol.FusedSGD(RATE, fastmath=fastmath)
    start = problem.start(torch.Generator().manual_seed(1))
    batches = ol.Batches(*problem.data[:2], size, torch.Generator().manual_seed(1))
    batches.looks = range(epochs, 10**9, epochs)
    iterates = optimizer.iterates(problem, batches, start)

    def go() -> float:
        began, made = time.perf_counter(), 0
        while made < epochs:
            made += next(iterates).epochs
        return time.perf_counter() - began

    return go


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """Return a function that returns the seconds of another."""

    def go() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return go


def in_turns(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return each contender's own seconds, round by round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            taken = run()
            if turn:
                seconds[name].append(taken)
    return seconds


def tutorial(rounds: int) -> None:
    """Print the article's run, 20 000 steps, by its own script and compiled."""
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())

    def solve(recorded: int | str) -> ol.Solution:
        return ol.minimize(problem, ol.FusedSGD(RATE), epochs=2000, batch_size=1, seed=1,
                           recorded_epochs=recorded)  # fmt: skip

    solution = solve(2000)
    found = solution.parameters["weight"].item(), solution.parameters["bias"].item()
    seconds = {"80 looks": [], "one look": []}
    theirs = []
    for _ in range(rounds):
        began = time.perf_counter()
        the_articles_loop(problem, 1, 2000)
        theirs.append(time.perf_counter() - began)
        for _ in range(20):
            seconds["80 looks"].append(solve("growing").seconds)
            seconds["one look"].append(solve(2000).seconds)
    same = "yes" if found == PUBLISHED else f"NO, {found}"
    print(f"\nThe tutorial, 20 000 steps: the article's script {median(theirs):.2f} s; the "
          f"published parameters to the last bit: {same}\n")  # fmt: skip
    print("| FusedSGD, solution.seconds | ms | times as fast | goal |\n|---|---|---|---|")
    for name, values in seconds.items():
        ours = median(values)
        print(f"| {name} of the runner | {ours * 1e3:.2f} | {median(theirs) / ours:.0f} | 800 |")


def with_a_dataloader(problem: ol.LinearRegression, size: int, steps: int) -> Callable[[], float]:
    """Return a function that makes so many steps of the article's loop and returns seconds a step.

    The clock starts at the first batch: an epoch's order, drawn before it, is not in the steps.
    """
    loader = DataLoader(TensorDataset(problem.X, problem.y), size, shuffle=True)
    dtype = problem.X.dtype
    weight = torch.zeros(problem.X.shape[1], dtype=dtype, requires_grad=True)
    bias = torch.zeros(1, dtype=dtype, requires_grad=True)

    def go() -> float:
        nonlocal weight, bias
        batches = iter(loader)
        next(batches)
        began = time.perf_counter()
        for _ in range(steps):
            x_batch, y_batch = next(batches)
            loss = (x_batch @ weight + bias - y_batch).pow(2).mean()
            loss.backward()
            with torch.no_grad():
                weight -= weight.grad * RATE
                bias -= bias.grad * RATE
                weight.grad.zero_()
                bias.grad.zero_()
        return (time.perf_counter() - began) / steps

    return go


def gather(problem: ol.LinearRegression, size: int) -> Callable[[], object]:
    """Return a function that gathers an epoch's rows, batch by batch, and does nothing else."""
    order = torch.randperm(len(problem.y)).split(size)
    return lambda: [problem.X.index_select(0, rows) for rows in order]


def against(name: str, n: int, d: int, size: int, epochs: int, rounds: int, goals: str) -> None:
    """Print how many times as fast FusedSGD is at one shape and batch size."""
    data = ol.datasets.synthetic(n, d, seed=1)
    problem = ol.LinearRegression.from_dataset(data)
    X, y = problem.X.numpy(), problem.y.numpy()
    learner = SGDRegressor(penalty=None, learning_rate="constant", eta0=RATE / 2, max_iter=epochs,
                           tol=None, shuffle=True, random_state=1)  # fmt: skip
    steps = math.ceil(n / size)
    contenders = {
        "strict": fused(problem, size, epochs),
        "fastmath": fused(problem, size, epochs, fastmath=True),
        "gather": timed(gather(problem, size)),
        "DataLoader": with_a_dataloader(problem, size, min(steps - 1, 300)),
    }
    if size == 1:
        contenders["scikit-learn"] = timed(lambda: learner.fit(X, y))
    seconds = in_turns(contenders, rounds)
    per_step = {k: median(v) / steps / (1 if k == "gather" else epochs) for k, v in seconds.items()}
    a_step = median(seconds["DataLoader"])
    for kind in ("strict", "fastmath"):
        learn = ratio(seconds, kind, "scikit-learn") if size == 1 else math.nan
        cells = [f"{per_step[kind] * 1e6:.3g}", f"{a_step / per_step[kind]:.0f}",
                 "" if math.isnan(learn) else f"{learn:.2f}",
                 f"{per_step['gather'] / per_step[kind]:.2f}", goals]  # fmt: skip
        print(f"| {name} | {size} | {kind} | " + " | ".join(cells) + " |", flush=True)


def logistic(rounds: int) -> None:
    """Print FusedSGD against SGDClassifier, log loss, batch size 1."""
    n, d, epochs = 10_000, 20, 10
    draw = torch.Generator().manual_seed(1)
    X = torch.randn(n, d, generator=draw, dtype=torch.float64)
    y = (X.sum(1) + torch.randn(n, generator=draw, dtype=torch.float64) > 0).double()
    problem = LogisticRegression(X, y)
    learner = SGDClassifier(loss="log_loss", penalty=None, learning_rate="constant", eta0=RATE,
                            max_iter=epochs, tol=None, shuffle=True, random_state=1)  # fmt: skip
    seconds = in_turns(
        {
            "strict": fused(problem, 1, epochs),
            "fastmath": fused(problem, 1, epochs, fastmath=True),
            "scikit-learn": timed(lambda: learner.fit(X.numpy(), y.numpy())),
        },
        rounds,
    )
    for kind in ("strict", "fastmath"):
        step = median(seconds[kind]) / n / epochs * 1e6
        print(f"| logistic, n = {n}, d = {d} | 1 | {kind} | {step:.3g} | "
              f"| {ratio(seconds, kind, 'scikit-learn'):.2f} | | SGDClassifier x 2 |")  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load before "
          f"{os.getloadavg()[0]:.1f}")  # fmt: skip
    began = time.perf_counter()
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    fused(problem, 1, 1)()
    print(f"first run of FusedSGD, compiled or loaded: {time.perf_counter() - began:.2f} s")
    tutorial(min(rounds, 5))
    print("\nOrder and steps, float64: microseconds a step, and times as fast as\n")
    print("| problem | batch size | FusedSGD | us a step | DataLoader loop | scikit-learn "
          "| gathering the rows alone | goals |\n" + "|---" * 8 + "|")  # fmt: skip
    against("n = 10 000, d = 20", 10_000, 20, 1, 20, rounds,
            "SGDRegressor x 1.2, fastmath x 2.5; DataLoader x 1 500")  # fmt: skip
    against("n = 10 000, d = 20", 10_000, 20, 32, 50, rounds, "DataLoader x 250")
    against("n = 100 000, d = 100", 100_000, 100, 256, 3, rounds,
            "DataLoader x 20; half of gathering")  # fmt: skip
    logistic(rounds)
    print(f"\nload after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
