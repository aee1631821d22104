"""Closed-form least squares by torch.linalg.lstsq."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasLeastSquares, has
from optlab.problems.full_rank import certified_rank, why_not_full_rank
from optlab.problems.least_squares_system import why_another_minimiser

Driver = Literal["gelsd", "gels", "gelss", "gelsy"]


@dataclass(frozen=True)
class Lstsq:
    """Least squares by `torch.linalg.lstsq`, on centred columns, with the driver always named.

    Parameters
    ----------
    driver
        The LAPACK routine: ``"gelsd"`` (SVD, divide and conquer), ``"gelss"`` (SVD), ``"gelsy"``
        (pivoted QR) or ``"gels"`` (QR, which takes full rank for granted). Left out: gelsd on the
        CPU, and on other devices gels, the only one there is.

        Torch's own default on the CPU, gelsy, is not ours: torch 2.13 hands LAPACK an uninitialised
        pivot vector there, so rank-deficient problems get wrong answers at random (pytorch #71222,
        #187411). ``driver="gelsy"`` still runs it, for those who want to see.

    See Also
    --------
    RefinedLstsq : With residuals in twice the digits.
    QR, NormalEquations : Other direct methods.
    SklearnLinearRegression : scikit-learn's.

    Notes
    -----
    gels answers rank-deficient problems with nonsense and no warning (pytorch #88101, #117122), so
    such pairs are refused, with the rank that was found.

    Raises
    ------
    ValueError
        For an unknown driver.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial())
    >>> solution = ol.minimize(problem, ol.Lstsq())
    >>> solution.status, round(solution.parameters["weight"].item(), 4)
    (<Status.FINISHED: 'finished'>, 0.9424)

    References
    ----------
    LAPACK xGELSD, xGELSS, xGELSY, xGELS; `torch.linalg.lstsq`.
    """

    driver: Driver | None = None
    uses_batches: ClassVar[bool] = False
    needs: ClassVar[tuple[type, ...]] = (HasLeastSquares,)

    def __post_init__(self) -> None:
        if self.driver is not None and self.driver not in get_args(Driver):
            raise ValueError(
                f"driver must be one of {', '.join(get_args(Driver))}, not {self.driver!r}"
            )

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: a driver that the device lacks, or low rank."""
        driver = self._driver(device)
        if device.type != "cpu" and driver != "gels":
            return f"torch.linalg.lstsq has no driver {driver} on {device.type}, only gels"
        if driver == "gels" and (reason := why_not_full_rank(problem)):
            hint = "; driver='gelsd' can solve it" if device.type == "cpu" else ""
            return f"gels takes full rank for granted, but {reason}{hint}"
        return None

    def remark(self, problem: Problem, device: torch.device) -> str | None:
        """Say that LAPACK's cut-off, eps max(n, d), dropped directions the data have, or None."""
        if not has(problem, HasLeastSquares) or self._driver(device) == "gels":
            return None
        A, _, _ = problem.as_least_squares()
        cut_off = torch.finfo(A.dtype).eps * max(A.shape)
        return why_another_minimiser(A, certified_rank(problem), cut_off)

    def _driver(self, device: torch.device) -> Driver:
        return self.driver or ("gelsd" if device.type == "cpu" else "gels")

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the solution, once."""
        assert has(problem, HasLeastSquares)
        A, b, to_parameters = problem.as_least_squares()
        solution = torch.linalg.lstsq(A, b[:, None], driver=self._driver(A.device)).solution
        yield Iterate(to_parameters(solution[:, 0]))
