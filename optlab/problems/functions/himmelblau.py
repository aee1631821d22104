"""Himmelblau's function, with four minima of one depth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optlab.problems.functions.benchmark_function import BenchmarkFunction


class Himmelblau(BenchmarkFunction):
    r"""Minimise Himmelblau's function of two variables.

    .. math:: f(x) = (x_1^2 + x_2 - 11)^2 + (x_1 + x_2^2 - 7)^2

    The minimum 0 is reached at four points: (3, 2), (-2.805, 3.131), (-3.779, -3.283) and
    (3.584, -1.848). The start decides which of them is found, so that no parameter error is told.

    Parameters
    ----------
    start
        The start of every trial, ``(2,)``; drawn uniformly from [-5, 5] where left out.
    name
        The name that stands in tables.

    Raises
    ------
    ValueError
        For a start of another number of variables.

    See Also
    --------
    Beale, Rosenbrock, StyblinskiTang, Rastrigin : Other test functions.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.Himmelblau(start=(-1.0, 2.0))
    >>> solution = ol.minimize(problem, ol.ScipyMinimize("BFGS"), stop_at=1e-12)
    >>> solution.parameters["x"].round(decimals=3).tolist()
    [-2.805, 3.131]

    References
    ----------
    Himmelblau, Applied Nonlinear Programming (1972).
    """

    def __init__(self, *, start: Sequence[float] | None = None, name: str | None = None) -> None:
        super().__init__(
            2,
            box=(-5.0, 5.0),
            start=start,
            unique=False,
            message="a sum of squares that is zero at (3, 2) and at three more points",
            name=name,
        )

    def value(self, x: Tensor) -> Tensor:
        """Return the function at points ``(..., 2)``."""
        first, second = x[..., 0], x[..., 1]
        return (first.square() + second - 11).square() + (first + second.square() - 7).square()

    def minimiser(self) -> Tensor:
        """Return (3, 2), one of the four."""
        return torch.tensor([3.0, 2.0], dtype=torch.float64)
