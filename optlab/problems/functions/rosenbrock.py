"""Rosenbrock's function, a curved valley."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optlab.problems.functions.benchmark_function import BenchmarkFunction, check_variables


class Rosenbrock(BenchmarkFunction):
    r"""Minimise Rosenbrock's function of d variables.

    .. math:: f(x) = \sum_{i=1}^{d-1} 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2

    The minimum 0 at (1, ..., 1) lies in a flat curved valley, which is easy to find and hard to
    follow; the Hessian's condition number there is 2508 for d = 2. For d from 4 to 7 there is a
    second, local minimum near (-1, 1, ..., 1).

    Parameters
    ----------
    d
        The number of variables, at least 2.
    start
        The start of every trial, such as the customary (-1.2, 1); drawn uniformly from
        [-2.048, 2.048] where left out.
    name
        The name that stands in tables.

    Raises
    ------
    ValueError
        For fewer than two variables, or a start of another number of them.

    See Also
    --------
    Beale, Himmelblau, StyblinskiTang, Rastrigin : Other test functions.
    Quadratic : A convex one.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.Rosenbrock(start=(-1.2, 1.0))
    >>> solution = ol.minimize(problem, ol.ScipyMinimize("BFGS"), stop_at=1e-12)
    >>> solution.parameters["x"].round(decimals=4).tolist()
    [1.0, 1.0]

    References
    ----------
    Rosenbrock, An automatic method for finding the greatest or least value of a function (1960).
    Shang and Qiu, A note on the extended Rosenbrock function (2006).
    """

    def __init__(
        self, d: int = 2, *, start: Sequence[float] | None = None, name: str | None = None
    ) -> None:
        message = "a sum of squares that is zero at (1, ..., 1) only"
        check_variables(d, 2)
        super().__init__(d, box=(-2.048, 2.048), start=start, message=message, name=name)

    def value(self, x: Tensor) -> Tensor:
        """Return the function at points ``(..., d)``."""
        before, after = x[..., :-1], x[..., 1:]
        return (100 * (after - before.square()).square() + (1 - before).square()).sum(-1)

    def minimiser(self) -> Tensor:
        """Return (1, ..., 1)."""
        return torch.ones(self.d, dtype=torch.float64)
