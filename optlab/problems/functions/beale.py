"""Beale's function, a plateau with sharp corners."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optlab.problems.functions.benchmark_function import BenchmarkFunction


class Beale(BenchmarkFunction):
    r"""Minimise Beale's function of two variables.

    .. math:: f(x) = \sum_{k=1}^{3} (c_k - x_1 (1 - x_2^k))^2, \quad c = (1.5, 2.25, 2.625)

    The minimum is 0 at (3, 0.5). Around it the function is flat, and at the corners of the square
    [-4.5, 4.5] it is above 1e5: one learning rate hardly serves both.

    Parameters
    ----------
    start
        The start of every trial, ``(2,)``; drawn uniformly from [-4.5, 4.5] where left out.
    name
        The name that stands in tables.

    Raises
    ------
    ValueError
        For a start of another number of variables.

    See Also
    --------
    Himmelblau, Rosenbrock, StyblinskiTang, Rastrigin : Other test functions.

    Examples
    --------
    >>> import optlab as ol
    >>> solution = ol.minimize(ol.Beale(start=(1.0, 1.0)), ol.ScipyMinimize("BFGS"), stop_at=1e-12)
    >>> solution.parameters["x"].round(decimals=4).tolist()
    [3.0, 0.5]

    References
    ----------
    Beale, On an iterative method for finding a local minimum of a function of more than one
    variable (1958). More, Garbow and Hillstrom, Testing unconstrained optimization software (1981),
    function 5.
    """

    def __init__(self, *, start: Sequence[float] | None = None, name: str | None = None) -> None:
        message = "a sum of squares that is zero at (3, 0.5) only"
        super().__init__(2, box=(-4.5, 4.5), start=start, message=message, name=name)

    def value(self, x: Tensor) -> Tensor:
        """Return the function at points ``(..., 2)``."""
        first, second = x[..., 0], x[..., 1]
        terms = [(c - first * (1 - second**k)).square() for k, c in enumerate(_C, 1)]
        return terms[0] + terms[1] + terms[2]

    def minimiser(self) -> Tensor:
        """Return (3, 0.5)."""
        return torch.tensor([3.0, 0.5], dtype=torch.float64)


_C = (1.5, 2.25, 2.625)
