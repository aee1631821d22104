"""Correct digits (LRE) of the closed forms on the NIST sets, by method and dtype.

Run: ``python -m benchmarks.accuracy``. Two tables: against the certified values, and against the
exact solution of the data as rounded to the dtype (rational arithmetic).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LinearRegression

from optlab.linalg import least_squares, streaming_least_squares
from tests.exact import NIST_NAMES, Nist, exact_solution, load_nist, lre, unknowns

Solver = Callable[[Nist, torch.Tensor, torch.Tensor], list[float]]


def with_ones(data: Nist, X: torch.Tensor) -> torch.Tensor:
    """Return [1 X] where the model has an intercept."""
    return torch.cat([torch.ones_like(X[:, :1]), X], 1) if data.intercept else X


def torch_driver(driver: str) -> Solver:
    """Return torch.linalg.lstsq with this driver."""
    return lambda data, X, y: torch.linalg.lstsq(
        with_ones(data, X), y[:, None], driver=driver).solution[:, 0].tolist()  # fmt: skip


def normal_equations(data: Nist, X: torch.Tensor, y: torch.Tensor) -> list[float]:
    """Solve X'X w = X'y by Cholesky."""
    A = with_ones(data, X)
    return torch.cholesky_solve((A.T @ y)[:, None], torch.linalg.cholesky(A.T @ A))[:, 0].tolist()


def qr(data: Nist, X: torch.Tensor, y: torch.Tensor) -> list[float]:
    """Solve R w = Q'y."""
    Q, R = torch.linalg.qr(with_ones(data, X))
    return torch.linalg.solve_triangular(R, (Q.T @ y)[:, None], upper=True)[:, 0].tolist()


def sklearn(**options: float) -> Solver:
    """Return scikit-learn's LinearRegression."""

    def solve(data: Nist, X: torch.Tensor, y: torch.Tensor) -> list[float]:
        model = LinearRegression(fit_intercept=data.intercept, **options).fit(X.numpy(), y.numpy())
        return ([float(model.intercept_)] if data.intercept else []) + model.coef_.tolist()

    return solve


def ours(**options: str) -> Solver:
    """Return optlab's least_squares."""
    return lambda data, X, y: unknowns(
        least_squares(X, y, fit_intercept=data.intercept, **options), data.intercept)  # fmt: skip


def streamed(data: Nist, X: torch.Tensor, y: torch.Tensor) -> list[float]:
    """Solve by blocks of five rows."""
    pieces = list(zip(X.split(5), y.split(5), strict=True))
    return unknowns(streaming_least_squares(pieces, fit_intercept=data.intercept), data.intercept)


METHODS: dict[str, Solver] = {
    "torch gels": torch_driver("gels"),
    "torch gelsd": torch_driver("gelsd"),
    "Cholesky of X'X": normal_equations,
    "QR": qr,
    "sklearn default": sklearn(),
    "sklearn tol=eps": sklearn(tol=float(np.finfo(float).eps)),
    "optlab fast": ours(route="fast"),
    "optlab full": ours(route="full"),
    "optlab streaming": streamed,
}


def digits(solver: Solver, data: Nist, dtype: torch.dtype, *, certified: bool) -> str:
    """Return the LRE of one method on one set, or what went wrong."""
    X, y = data.X.to(dtype), data.y.to(dtype)
    try:
        found = solver(data, X, y)
    except (RuntimeError, ValueError) as error:
        return type(error).__name__[:7]
    right = data.certified if certified else exact_solution(X, y, data.intercept)
    return f"{lre(found, right):.1f}"


def main() -> None:
    """Print both tables for both dtypes."""
    warnings.simplefilter("ignore")
    sets = {name: load_nist(name) for name in NIST_NAMES}
    for dtype in (torch.float64, torch.float32):
        for certified in (True, False):
            against = "certified values" if certified else "exact solution of the rounded data"
            print(f"\n{dtype}, correct digits against the {against}")
            print(f"{'':17}" + "".join(f"{name:>9}" for name in sets))
            for name, solver in METHODS.items():
                row = [digits(solver, data, dtype, certified=certified) for data in sets.values()]
                print(f"{name:17}" + "".join(f"{value:>9}" for value in row))
    print("\ndouble-double design, optlab full, against the 30-digit values:")
    for name, data in sets.items():
        options = {"fit_intercept": data.intercept, "X_low": data.X_low, "y_low": data.y_low}
        solution = least_squares(data.X, data.y, **options)
        print(f"{name:10} {lre(unknowns(solution, data.intercept), data.exact_coef):5.1f}")


if __name__ == "__main__":
    main()
