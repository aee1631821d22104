"""The lab's own closed form: least squares to the digits the data have, with a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, get_args

import torch

from optlab.linalg import least_squares
from optlab.linalg.least_squares import Route
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import LinearRegression, Parameters, Problem


@dataclass(frozen=True)
class RefinedLstsq:
    """Least squares by Cholesky or QR with iterative refinement: `optlab.linalg.least_squares`.

    Rank-deficient problems get the weights of minimum norm. float32 data are solved in float64, and
    the answer is rounded.

    Parameters
    ----------
    route
        ``"fast"``: backward stable, at the speed of one symmetric product; ``"full"``: refined with
        residuals in double-double, to all the digits the data have; ``"auto"``: by size and
        condition.

    Raises
    ------
    ValueError
        For an unknown route.

    See Also
    --------
    Lstsq : Without refinement.
    optlab.linalg.least_squares : The reference, with its certificate.

    Examples
    --------
    >>> import optlab as ol
    >>> longley = ol.LinearRegression.from_dataset(ol.datasets.nist("Longley"))
    >>> solution = ol.minimize(longley, ol.RefinedLstsq())
    >>> round(solution.parameters["bias"].item(), 8)
    -3482258.63459582

    References
    ----------
    Björck, Numerical Methods for Least Squares Problems (1996), sections 2.4 to 2.9.
    """

    route: Route = "auto"
    uses_batches: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.route not in get_args(Route):
            raise ValueError(f"route must be one of {', '.join(get_args(Route))}, "
                             f"not {self.route!r}")  # fmt: skip

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: another loss, or a device without float64."""
        if not isinstance(problem, LinearRegression) or problem.l1:
            return "RefinedLstsq minimises squared error only, without an l1 penalty"
        return "RefinedLstsq needs float64, which mps has not" if device.type == "mps" else None

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the solution, once."""
        assert isinstance(problem, LinearRegression)
        weights = None
        if (weight := problem.moderate_weight) is not None:
            weights = weight.to(problem.X.device)
        solution = least_squares(
            problem.X,
            problem.y,
            fit_intercept=problem.fit_intercept,
            l2=problem.l2,
            route=self.route,
            weights=weights,
        )
        found = solution.parameters
        yield Iterate({name: found[name].to(value.dtype) for name, value in start.items()})
