"""Least squares by QR; copy this file for a new direct optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasLeastSquares, has
from optlab.problems.full_rank import why_not_full_rank


@dataclass(frozen=True)
class QR:
    r"""Least squares by Householder QR of the centred columns.

    .. math:: A = QR, \quad R w = Q' b

    See Also
    --------
    Lstsq : For every rank.
    NormalEquations : Faster and less exact.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial())
    >>> round(ol.minimize(problem, ol.QR()).parameters["weight"].item(), 4)
    0.9424

    References
    ----------
    Golub, Numerical methods for solving linear least squares problems (1965); LAPACK xGEQRF.
    """

    uses_batches: ClassVar[bool] = False
    needs: ClassVar[tuple[type, ...]] = (HasLeastSquares,)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: a design without full rank."""
        reason = why_not_full_rank(problem)
        return f"QR takes full rank for granted, but {reason}" if reason else None

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the solution, once."""
        assert has(problem, HasLeastSquares)
        A, b, to_parameters = problem.as_least_squares()
        Q, R = torch.linalg.qr(A)
        weight = torch.linalg.solve_triangular(R, (Q.T @ b)[:, None], upper=True)
        yield Iterate(to_parameters(weight[:, 0]))
