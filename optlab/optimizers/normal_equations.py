"""Least squares by the normal equations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.linalg.cross_product import cross_product
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasLeastSquares, has
from optlab.problems.full_rank import scaled_condition, why_not_full_rank


@dataclass(frozen=True)
class NormalEquations:
    r"""Least squares by Cholesky of the centred columns' Gram matrix, without refinement.

    .. math:: A' A \, w = A' b

    Forming :math:`A'A` squares the condition number: half of the digits are lost that QR keeps.

    See Also
    --------
    Lstsq, QR : Slower and more exact.
    StreamingLstsq : For data that do not fit into memory.

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
    needs: ClassVar[tuple[type, ...]] = (HasLeastSquares,)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: a design without a Cholesky factor."""
        if reason := why_not_full_rank(problem):
            return f"the normal equations take full rank for granted, but {reason}"
        assert has(problem, HasLeastSquares)
        A, _, _ = problem.as_least_squares()
        condition = scaled_condition(problem)
        if condition * condition * torch.finfo(A.dtype).eps > 0.1:
            return f"the condition number {condition:.1e}, squared, leaves no digit"
        gram = cross_product(A)
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
        assert has(problem, HasLeastSquares)
        A, b, to_parameters = problem.as_least_squares()
        factor = torch.linalg.cholesky(cross_product(A))
        yield Iterate(to_parameters(torch.cholesky_solve((A.T @ b)[:, None], factor)[:, 0]))
