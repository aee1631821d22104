"""Least squares by the normal equations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import LinearRegression, Parameters, Problem


@dataclass(frozen=True)
class NormalEquations:
    r"""Least squares by Cholesky of the centred columns' Gram matrix, without refinement.

    .. math:: A' A \, w = A' b

    Forming :math:`A'A` squares the condition number: half of the digits are lost that QR keeps.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial())
    >>> round(ol.minimize(problem, ol.NormalEquations()).parameters["weight"].item(), 4)
    0.9424

    References
    ----------
    Golub and Van Loan, Matrix Computations (2013), section 5.3.2; LAPACK xPOTRF.
    """

    uses_batches: ClassVar[bool] = False

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: another loss, or no Cholesky factor."""
        if not isinstance(problem, LinearRegression):
            return "the normal equations minimise squared error only"
        if reason := problem.why_no_unique_optimum():
            return f"the normal equations take full rank for granted, but {reason}"
        certificate = problem.reference().certificate
        assert certificate is not None
        condition = certificate.condition_scaled
        if condition * condition * torch.finfo(problem.X.dtype).eps > 0.1:
            return f"the condition number {condition:.1e}, squared, leaves no digit"
        A, _, _ = problem.as_least_squares()
        gram = A.T @ A
        dtype = str(A.dtype).removeprefix("torch.")
        if not gram.isfinite().all():
            return f"the Gram matrix overflows {dtype}: standardize the columns"
        if not gram.diagonal().all():
            return f"the Gram matrix underflows {dtype}: standardize the columns"
        if torch.linalg.cholesky_ex(gram).info.item():
            return "the Gram matrix has no Cholesky factor: rounding left it indefinite"
        return None

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the solution, once."""
        assert isinstance(problem, LinearRegression)
        A, b, to_parameters = problem.as_least_squares()
        factor = torch.linalg.cholesky(A.T @ A)
        yield Iterate(to_parameters(torch.cholesky_solve((A.T @ b)[:, None], factor)[:, 0]))
