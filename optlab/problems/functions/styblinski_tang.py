"""The function of Styblinski and Tang, two wells in each variable."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optlab.problems.functions.benchmark_function import BenchmarkFunction

# The least root of 4 t^3 - 32 t + 5 = 0, and t^4 - 16 t^2 + 5 t there over 2, to 35 digits by
# mpmath; the low part is what rounding to float64 takes off the root.
_ROOT, _ROOT_LOW = -2.903534027771177, -1.2214265395389633e-16
_LEAST = -39.16616570377141


class StyblinskiTang(BenchmarkFunction):
    r"""Minimise the function of Styblinski and Tang, of d variables.

    .. math:: f(x) = \frac{1}{2} \sum_i x_i^4 - 16 x_i^2 + 5 x_i

    Each variable has two wells; the deeper one is at :math:`t = -2.9035`, and the minimum is
    :math:`-39.166 d`. With :math:`e_i = x_i - t` the suboptimality is, without any cancellation,

    .. math:: f(x) - f_* = \frac{1}{2} \sum_i (6 t^2 - 16) e_i^2 + 4 t e_i^3 + e_i^4

    Parameters
    ----------
    d
        The number of variables.
    start
        The start of every trial, ``(d,)``; drawn uniformly from [-5, 5] where left out.
    name
        The name that stands in tables.

    Raises
    ------
    ValueError
        For no variable, or a start of another number of them.

    See Also
    --------
    Rastrigin : A function of more minima.
    Beale, Himmelblau, Rosenbrock : Other test functions.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.StyblinskiTang(start=(-1.0, -1.0))
    >>> solution = ol.minimize(problem, ol.ScipyMinimize("BFGS"), stop_at=1e-12)
    >>> round(solution.loss, 4)
    -78.3323

    References
    ----------
    Styblinski and Tang, Experiments in nonconvex optimization: stochastic approximation with
    function smoothing and simulated annealing (1990).
    """

    def __init__(
        self, d: int = 2, *, start: Sequence[float] | None = None, name: str | None = None
    ) -> None:
        message = "a sum of quartics in one variable each, whose least root is known by formula"
        super().__init__(
            d, box=(-5.0, 5.0), start=start, least=d * _LEAST, message=message, name=name
        )

    def value(self, x: Tensor) -> Tensor:
        """Return the function at points ``(..., d)``."""
        square = x.square()
        return (square.square() - 16 * square + 5 * x).sum(-1) / 2

    def minimiser(self) -> Tensor:
        """Return (t, ..., t)."""
        return torch.full((self.d,), _ROOT, dtype=torch.float64)

    def suboptimality(self, x: Tensor) -> Tensor:
        """Return the distance of the function from its minimum, by Taylor's series there."""
        e = (x - _ROOT) - _ROOT_LOW
        return (e.square() * (6 * _ROOT**2 - 16 + 4 * _ROOT * e + e.square())).sum(-1) / 2
