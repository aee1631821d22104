"""Quadratics with given eigenvalues, the model problem of the theory of descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.problems.functions.benchmark_function import BenchmarkFunction
from optlab.problems.problem import Batch, Parameters


class Quadratic(BenchmarkFunction):
    r"""Minimise a quadratic whose Hessian has given eigenvalues.

    .. math:: f(x) = \frac{1}{2} \sum_i h_i x_i^2

    The minimum is 0 at the origin. On it every rate of the theory can be seen: gradient descent is
    stable for learning rates below :math:`2 / \max h`, the best one is
    :math:`2 / (\max h + \min h)`, and the error shrinks by :math:`(k - 1) / (k + 1)` a step, with
    k the condition number.

    Parameters
    ----------
    eigenvalues
        :math:`h`, ``(d,)``, at least 0 and not all 0.
    start
        The start of every trial, ``(d,)``; drawn uniformly from [-2, 2] where left out.
    name
        The name that stands in tables.

    Raises
    ------
    ValueError
        For eigenvalues below 0, not finite, or all 0; a start of another number of variables.

    See Also
    --------
    NoisyQuadratic : With noisy gradients.
    Rosenbrock : A function that is not convex.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.Quadratic([10.0, 1.0], start=(1.0, 1.0))
    >>> one = ol.minimize(problem, ol.ManualSGD(2 / 11), epochs=1)
    >>> one.parameters["x"].round(decimals=6).tolist()
    [-0.818182, 0.818182]

    References
    ----------
    Polyak, Introduction to Optimization (1987), section 1.4.
    """

    is_quadratic: ClassVar[bool] = True

    def __init__(
        self,
        eigenvalues: ArrayLike | Tensor = (10.0, 1.0),
        *,
        start: Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        self.eigenvalues = self.diagonal = checked_eigenvalues(eigenvalues)
        flat = int((self.eigenvalues == 0).sum())
        message = "a sum of squares that is zero at the origin" + (
            f"; {flat} variables make no difference" if flat else " only"
        )
        super().__init__(
            len(self.eigenvalues),
            box=(-2.0, 2.0),
            start=start,
            unique=not flat,
            message=message,
            name=name,
        )

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same function, computed on another device or in another dtype."""
        moved = super().to(device, dtype, copy=copy)
        if moved is not self:
            # A loss that converted them would copy from the CPU at each step.
            moved.diagonal = self.eigenvalues.to(device, dtype)
        return moved

    def value(self, x: Tensor) -> Tensor:
        """Return the function at points ``(..., d)``."""
        return (self.diagonal.to(x) * x.square()).sum(-1) / 2

    def gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Return ``h x``."""
        return {"x": self.diagonal.to(parameters["x"]) * parameters["x"]}

    def hessian_product(
        self, parameters: Parameters, direction: Parameters, batch: Batch | None = None
    ) -> Parameters:
        """Return ``h`` times the direction."""
        return {"x": self.diagonal.to(direction["x"]) * direction["x"]}

    def lipschitz(self) -> float:
        """Return the largest eigenvalue."""
        return float(self.eigenvalues.max())

    def minimiser(self) -> Tensor:
        """Return the origin."""
        return torch.zeros(self.d, dtype=torch.float64)


def checked_eigenvalues(eigenvalues: ArrayLike | Tensor) -> Tensor:
    """Return eigenvalues as float64 on the CPU, or raise a ValueError that says what they must be.

    Examples
    --------
    >>> checked_eigenvalues([2, 1])
    tensor([2., 1.], dtype=torch.float64)
    """
    try:
        values: Tensor = torch.as_tensor(np.array(eigenvalues, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f"eigenvalues must be numbers, not {eigenvalues!r}") from error
    fit = values.ndim == 1 and len(values) and values.isfinite().all()
    if not fit or not (values >= 0).all() or not (values > 0).any():
        raise ValueError(
            f"eigenvalues must be finite numbers of at least 0, not all 0, not {eigenvalues!r}"
        )
    return values
