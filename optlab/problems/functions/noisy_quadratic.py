"""The noisy quadratic model of mini-batch training."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.checks import check_count
from optlab.problems.functions.benchmark_function import BenchmarkFunction
from optlab.problems.functions.quadratic import checked_eigenvalues
from optlab.problems.problem import Batch, Parameters


class NoisyQuadratic(BenchmarkFunction):
    r"""Minimise a quadratic whose mini-batch gradients have noise of covariance H / B.

    .. math:: f(x) = \frac{1}{2} \sum_i h_i x_i^2
        = \frac{1}{n} \sum_k \left( \frac{1}{2} \sum_i h_i x_i^2 + g_k \cdot x \right)

    The data are n rows of noise :math:`g_k`, whose mean is zero and whose covariance
    :math:`\frac{1}{n} \sum_k g_k g_k^T` is the Hessian H, to rounding. The gradient of a mini-batch
    of B rows is that of f plus the mean of their noise: unbiased, and of covariance H / B where
    rows are drawn with replacement, :math:`\frac{n - B}{n - 1} H / B` in a shuffled epoch. So it
    shows in a moment, at any batch size, what training of networks shows in days: larger batches
    save steps up to a critical size, and momentum helps large batches only.

    Parameters
    ----------
    eigenvalues
        :math:`h`, ``(d,)``, at least 0 and not all 0; 1, 1/2, ..., 1/100 where left out.
    rows
        The number n of rows of noise, even, at least 2 (d + 1).
    seed
        Of the noise.
    name
        The name that stands in tables.

    Raises
    ------
    ValueError
        For eigenvalues that are none, or another number of rows.

    See Also
    --------
    Quadratic : Without noise.
    optlab.testing.oracles.NoisyQuadraticModel : Its expected loss in closed form.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.NoisyQuadratic([1.0, 0.1], rows=64)
    >>> X = problem.data.X
    >>> (X.T @ X / 64).round(decimals=6).abs().tolist()
    [[1.0, 0.0], [0.0, 0.1]]

    Notes
    -----
    The noise is that of Zhang et al. with finite data: the rows are :math:`\sqrt{n/2}\, Q H^{1/2}`
    with random orthonormal columns Q, each row once with either sign.

    The start is drawn from a standard normal, as in the paper.

    References
    ----------
    Zhang et al., Which Algorithmic Choices Matter at Which Batch Sizes? Insights From a Noisy
    Quadratic Model (2019).
    """

    is_quadratic: ClassVar[bool] = True

    def __init__(
        self,
        eigenvalues: ArrayLike | Tensor | None = None,
        *,
        rows: int = 1024,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        given = 1 / np.arange(1.0, 101.0) if eigenvalues is None else eigenvalues
        self.eigenvalues = self.diagonal = checked_eigenvalues(given)
        flat, d = int((self.eigenvalues == 0).sum()), len(self.eigenvalues)
        message = "the mean of the noise is zero, so that the mean loss is a sum of squares"
        super().__init__(d, box=(-2.0, 2.0), unique=not flat, message=message, name=name)
        if check_count("rows", rows) % 2 or rows < 2 * (d + 1):
            raise ValueError(f"rows must be even and at least {2 * (d + 1)}, not {rows!r}")
        draw = np.random.default_rng(seed).standard_normal((rows // 2, d))
        half = torch.from_numpy(math.sqrt(rows / 2) * np.linalg.qr(draw).Q)
        noise = torch.stack([half, -half], 1).reshape(rows, d) * self.eigenvalues.sqrt()
        self.data = Batch(noise, noise.new_zeros(rows))

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same function, computed on another device or in another dtype."""
        moved = super().to(device, dtype, copy=copy)
        if moved is not self:
            # A loss that converted them would copy from the CPU at each step.
            moved.diagonal = self.eigenvalues.to(device, dtype)
        return moved

    def value(self, x: Tensor) -> Tensor:
        """Return the mean loss at points ``(..., d)``."""
        return (self.diagonal.to(x) * x.square()).sum(-1) / 2

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Return the mean loss over the rows of a batch; over all data the noise is zero."""
        x = parameters["x"]
        return self.value(x) if batch is None else self.value(x) + (batch.X @ x).mean()

    def gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Return ``h x`` plus the mean of the batch's noise."""
        slope = self.diagonal.to(parameters["x"]) * parameters["x"]
        return {"x": slope if batch is None else slope + batch.X.mean(0)}

    def hessian_product(
        self, parameters: Parameters, direction: Parameters, batch: Batch | None = None
    ) -> Parameters:
        """Return ``h`` times the direction."""
        return {"x": self.diagonal.to(direction["x"]) * direction["x"]}

    def lipschitz(self) -> float:
        """Return the largest eigenvalue."""
        return float(self.eigenvalues.max())

    def start(self, generator: torch.Generator) -> Parameters:
        """Draw the start from a standard normal, in float32 for every dtype."""
        x = torch.randn(self.d, generator=generator, dtype=torch.float32, device="cpu")
        return {"x": x.to(self.data.y)}

    def minimiser(self) -> Tensor:
        """Return the origin."""
        return torch.zeros(self.d, dtype=torch.float64)
