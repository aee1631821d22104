"""Rastrigin's function, a bowl full of dents."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from optlab.problems.functions.benchmark_function import BenchmarkFunction


class Rastrigin(BenchmarkFunction):
    r"""Minimise Rastrigin's function of d variables.

    .. math:: f(x) = 10 d + \sum_i x_i^2 - 10 \cos(2 \pi x_i)
        = \sum_i x_i^2 + 20 \sin^2(\pi x_i)

    The minimum is 0 at the origin; near every other point of whole numbers there is a local one,
    11 to the power d in the box. It is computed in the second form, whose digits do not cancel
    near the minimum.

    Parameters
    ----------
    d
        The number of variables.
    start
        The start of every trial, ``(d,)``; drawn uniformly from [-5.12, 5.12] where left out.
    name
        The name that stands in tables.

    Raises
    ------
    ValueError
        For no variable, or a start of another number of them.

    See Also
    --------
    StyblinskiTang : A function of fewer minima.
    Beale, Himmelblau, Rosenbrock : Other test functions.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.Rastrigin(2)
    >>> problem.loss({"x": torch.tensor([1.0, 0.0])}).item()
    1.0

    References
    ----------
    Rastrigin, Systems of Extremal Control (1974). Muehlenbein, Schomisch and Born, The parallel
    genetic algorithm as function optimizer (1991).
    """

    def __init__(
        self, d: int = 2, *, start: Sequence[float] | None = None, name: str | None = None
    ) -> None:
        message = "at least the sum of the squares of x, and zero at the origin"
        super().__init__(d, box=(-5.12, 5.12), start=start, message=message, name=name)

    def value(self, x: Tensor) -> Tensor:
        """Return the function at points ``(..., d)``."""
        return (x.square() + 20 * (math.pi * x).sin().square()).sum(-1)

    def minimiser(self) -> Tensor:
        """Return the origin."""
        return torch.zeros(self.d, dtype=torch.float64)
