"""Seconds of the closed forms by shape, interleaved, beside the bounds of memory and arithmetic.

Run: ``python -m benchmarks.closed_form_speed [--shapes 1000000x50,...] [--condition 1e6]``.
Ratios matter, not seconds: the methods take turns. torch's faster driver is the faster of gels and
gelsd in each round.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn.linear_model import LinearRegression

from benchmarks.interleaved import interleaved
from benchmarks.record import Case, Record
from optlab.lab.measure.machine_speed import arithmetic_rate, read_bandwidth
from optlab.linalg import least_squares
from optlab.linalg.certificate import backward_error
from optlab.linalg.cross_product import cross_product
from optlab.linalg.factor import from_triangle
from optlab.linalg.passes import accurate_gradient
from optlab.linalg.row_blocks import Block, in_memory
from optlab.linalg.triangle import triangle

SHAPES = "1000000x50,100000x100,20000x1000,1000x20,10x1"
FASTER = "torch's faster driver"
GOALS = {  # fast route: times the fastest torch driver, times scikit-learn (issue 3)
    (1000000, 50): (3.0, 6.0), (100000, 100): (2.5, 4.0), (20000, 1000): (1.6, 2.5),
    (1000, 20): (1 / 4, None), (10, 1): (1 / 10, None),
}  # fmt: skip


def problem(n: int, d: int, condition: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return X with singular values spread evenly in the logarithm, and y with noise."""
    g = torch.Generator().manual_seed(0)
    kind = {"dtype": torch.float64, "generator": g}
    X = torch.randn(n, d, **kind)
    V = torch.linalg.qr(torch.randn(d, d, **kind)).Q
    X = X * torch.logspace(0, -math.log10(condition), d, dtype=torch.float64) @ V.T
    return X, X @ torch.randn(d, **kind) + 0.1 * torch.randn(n, **kind)


def true_backward_error(X: torch.Tensor, y: torch.Tensor, c: np.ndarray) -> float:
    """Return the Karlson-Walden backward error in eps ||A||_F, its gradient in double-double."""
    rows = in_memory(Block(X.numpy(), y.numpy()), True)
    R, *_ = triangle(rows)
    factor = from_triangle(np.asfortranarray(R[:-1, :-1]))
    assert factor is not None
    visit = accurate_gradient(rows, (c, 0.0 * c))
    return backward_error(factor, visit.high + visit.low, c, math.sqrt(visit.squares))


def contenders(X: torch.Tensor, y: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Return the methods by name, ready to run."""
    ones = torch.ones(len(y), 1, dtype=torch.float64)
    A, column = torch.cat([ones, X], 1), y[:, None]
    Xn, yn = X.numpy(), y.numpy()
    return {
        "torch gels": lambda: torch.linalg.lstsq(A, column, driver="gels"),
        "torch gelsd": lambda: torch.linalg.lstsq(A, column, driver="gelsd"),
        "scikit-learn": lambda: LinearRegression().fit(Xn, yn),
        "optlab fast": lambda: least_squares(X, y, route="fast"),
        "optlab full": lambda: least_squares(X, y, route="full"),
        "optlab auto": lambda: least_squares(X, y),
        "X'X by blocks": lambda: cross_product(X),
        "X'X by numpy": lambda: Xn.T @ Xn,
        "X'X by torch": lambda: X.T @ X,
    }


def accuracy(X: torch.Tensor, y: torch.Tensor) -> str:
    """Say how accurate the fast route and torch's gels are."""
    A = torch.cat([torch.ones(len(y), 1, dtype=torch.float64), X], 1)
    gels = torch.linalg.lstsq(A, y[:, None], driver="gels").solution[:, 0].numpy().copy()
    fast, full = (least_squares(X, y, route=route) for route in ("fast", "full"))
    ours, right = (
        np.concatenate([[found.bias.item()], found.weight.numpy()]) for found in (fast, full)
    )
    errors = [-math.log10(max(np.abs((c - right) / right).max(), 1e-16)) for c in (ours, gels)]
    return (
        f"The fast route took {fast.certificate.route!r}, {fast.certificate.refinement_steps} "
        f"corrections. Backward error in eps ||A||: fast {true_backward_error(X, y, ours):.3f}, "
        f"gels {true_backward_error(X, y, gels):.3f}; digits: fast {errors[0]:.1f}, gels "
        f"{errors[1]:.1f}."
    )


def measure(n: int, d: int, condition: float, rounds: int, *, processor: bool) -> Iterator[Case]:
    """Yield the cases of one shape: against torch's faster driver, and against scikit-learn."""
    X, y = problem(n, d, condition)
    clock = time.process_time if processor else time.perf_counter
    if rounds > 1 and n * d <= 10**6:
        rounds = 200  # of short calls
    seconds = interleaved(contenders(X, y), rounds, clock=clock)
    drivers = zip(seconds["torch gels"], seconds["torch gelsd"], strict=True)
    seconds |= {FASTER: [min(pair) for pair in drivers]}
    bounds = {
        "reading X once": 8 * n * d / read_bandwidth(torch.get_num_threads()),
        "the arithmetic of X'X": n * d**2 / arithmetic_rate(torch.float64, torch.get_num_threads()),
    }
    kind = ", processor time of all threads" if processor else ""
    goal = GOALS.get((n, d), (None, None))
    for baseline, factor in ((FASTER, goal[0]), ("scikit-learn", goal[1])):
        yield Case(
            f"{n} x {d}, condition {condition:g}, against {baseline}{kind}", baseline, seconds,
            bounds=bounds, goals={"optlab fast": factor} if factor else {}, unit="solve",
            notes=[accuracy(X, y), f"{rounds} rounds."] if baseline == FASTER else [],
        )  # fmt: skip


def main() -> None:
    """Print two tables a shape, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--condition", type=float, default=1e6)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--processor-time", action="store_true", help="where the machine is busy")
    arguments = parser.parse_args()
    record = Record("closed_form_speed", "How fast are closed forms?")
    for shape in arguments.shapes.split(","):
        n, d = (int(v) for v in shape.split("x"))
        condition = arguments.condition if d > 1 else 1.0
        clocks = (False, True) if arguments.processor_time else (False,)
        for processor in clocks:
            for case in measure(n, d, condition, arguments.rounds, processor=processor):
                record.add(case)
    record.save()


if __name__ == "__main__":
    main()
