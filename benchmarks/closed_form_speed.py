"""Seconds of the closed forms by shape, interleaved, beside the bounds of memory and arithmetic.

Run: ``python -m benchmarks.closed_form_speed [--shapes 1000000x50,...] [--condition 1e6]``.
Ratios matter, not seconds: the methods take turns, and the ratio of medians is reported.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import blas
from sklearn.linear_model import LinearRegression

from optlab.linalg import least_squares
from optlab.linalg.certificate import backward_error
from optlab.linalg.factor import from_triangle
from optlab.linalg.passes import accurate_gradient
from optlab.linalg.row_blocks import Block, in_memory
from optlab.linalg.triangle import triangle

SHAPES = "1000000x50,100000x100,20000x1000,1000x20,10x1"
BYTES_PER_SECOND = 27e9  # what two cores read here
GOALS = {  # fast route: times the fastest torch driver, times scikit-learn (issue 3)
    (1000000, 50): (3.0, 6.0), (100000, 100): (2.5, 4.0), (20000, 1000): (1.6, 2.5),
    (1000, 20): (1 / 4, 0.0), (10, 1): (1 / 10, 0.0),
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


def measure(n: int, d: int, condition: float) -> None:
    """Print the table of one shape."""
    X, y = problem(n, d, condition)
    ones = torch.ones(n, 1, dtype=torch.float64)
    A, column = torch.cat([ones, X], 1), y[:, None]
    Xn, yn = X.numpy(), y.numpy()
    methods: dict[str, Callable[[], object]] = {
        "torch gels": lambda: torch.linalg.lstsq(A, column, driver="gels"),
        "torch gelsd": lambda: torch.linalg.lstsq(A, column, driver="gelsd"),
        "scikit-learn": lambda: LinearRegression().fit(Xn, yn),
        "optlab fast": lambda: least_squares(X, y, route="fast"),
        "optlab full": lambda: least_squares(X, y, route="full"),
        "optlab auto": lambda: least_squares(X, y),
        "dsyrk of X": lambda: blas.dsyrk(1.0, Xn.T, lower=1),
    }
    rounds = 5 if n * d > 10**6 else 200
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for run in methods.values():
        run()  # warm
    for _ in range(rounds):
        for name, run in methods.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    median = {name: float(np.median(v)) for name, v in seconds.items()}
    driver = min(median["torch gels"], median["torch gelsd"])
    goal = GOALS.get((n, d), (0.0, 0.0))
    certificate = least_squares(X, y, route="fast").certificate
    print(
        f"\n{n} x {d}, condition {condition:g}: fast route took {certificate.route!r}, "
        f"{certificate.refinement_steps} corrections, {certificate.digits:.1f} digits predicted"
    )
    print(f"{'method':14} {'ms':>10} {'IQR/median':>11} {'torch/it':>9} {'sklearn/it':>10}")
    for name, value in median.items():
        q = np.percentile(seconds[name], [25, 75])
        print(
            f"{name:14} {1e3 * value:10.3f} {(q[1] - q[0]) / value:11.2f} "
            f"{driver / value:9.2f} {median['scikit-learn'] / value:10.2f}"
        )
    print(f"{'read X once':14} {1e3 * n * d * 8 / BYTES_PER_SECOND:10.3f}")
    torch_ratio = driver / median["optlab fast"]
    learn_ratio = median["scikit-learn"] / median["optlab fast"]
    reached = torch_ratio >= goal[0] and learn_ratio >= goal[1]
    print(
        f"goal: {goal[0]:.2f} and {goal[1]:.2f}: {'reached' if reached else 'NOT REACHED'}; "
        f"full / fast = {median['optlab full'] / median['optlab fast']:.2f} (at most 10)"
    )
    gels = torch.linalg.lstsq(A, column, driver="gels").solution[:, 0].numpy().copy()
    found = least_squares(X, y, route="fast")
    ours = np.concatenate([[found.bias.item()], found.weight.numpy()])
    full = least_squares(X, y, route="full")
    right = np.concatenate([[full.bias.item()], full.weight.numpy()])
    errors = [-math.log10(max(np.abs((c - right) / right).max(), 1e-16)) for c in (ours, gels)]
    print(
        f"backward error in eps: fast {true_backward_error(X, y, ours):.3f} (certificate "
        f"{certificate.backward_error:.3f}), gels {true_backward_error(X, y, gels):.3f}; "
        f"digits: fast {errors[0]:.1f}, gels {errors[1]:.1f}"
    )


def main() -> None:
    """Print one table a shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--condition", type=float, default=1e6)
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for shape in arguments.shapes.split(","):
        n, d = (int(v) for v in shape.split("x"))
        measure(n, d, arguments.condition if d > 1 else 1.0)


if __name__ == "__main__":
    main()
