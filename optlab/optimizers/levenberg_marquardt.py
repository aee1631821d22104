"""Levenberg-Marquardt: nonlinear least squares within a trust region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from optlab.checks import check_positive
from optlab.optimizers.batches import Batches
from optlab.optimizers.least_squares_iterate import least_squares_iterate
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasResiduals, has
from optlab.problems.curves.residual_functions import ResidualFunctions
from optlab.problems.curves.trust_region import TrustRegion
from optlab.problems.vector import flatten


@dataclass(frozen=True)
class LevenbergMarquardt:
    r"""Levenberg-Marquardt: Gauss-Newton steps of bounded length for least squares.

    .. math:: p \leftarrow p + s, \quad (J'J + \lambda D^2) s = -J'r

    with r the residuals, J their Jacobian, D the largest norms of its columns so far, so that units
    make no difference, and :math:`\lambda` such that :math:`\lVert D s \rVert` stays within a trust
    region. The step comes from a QR factorisation, never from J'J. Where the model meets a pole or
    overflows the step is refused. Near the minimum, where sums of squares differ by rounding only,
    steps are judged by gradients, so that the method ends at the last digits that float64 has.

    Each iterate is a step that was taken. A Jacobian counts as p gradients, the second derivative
    along a step as a Hessian product.

    Parameters
    ----------
    initial_radius
        The first radius, as a multiple of the start's norm ``|| D p ||``: positive and finite.
    geodesic
        Whether steps bend with the second derivative of the residuals along them (geodesic
        acceleration): fewer steps through curved valleys, each of a higher price.

    Raises
    ------
    ValueError
        For a radius that is not positive and finite.

    See Also
    --------
    GaussNewton : Undamped.
    ScipyLeastSquares : scipy's methods.

    Examples
    --------
    >>> import optlab as ol
    >>> dataset = ol.datasets.nist_nonlinear("Misra1a")
    >>> problem = ol.NonlinearLeastSquares.from_dataset(dataset, start=1)
    >>> solution = ol.minimize(problem, ol.LevenbergMarquardt())
    >>> f"{solution.parameters['b1'].item():.10e}", dataset.known["certified"]["parameters"]["b1"]
    ('2.3894212918e+02', 238.94212918)

    References
    ----------
    Levenberg (1944); Marquardt (1963); More, The Levenberg-Marquardt algorithm: implementation and
    theory (1978); Transtrum and Sethna, Improvements to the Levenberg-Marquardt algorithm (2012).
    """

    initial_radius: float = 1.0
    geodesic: bool = False
    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    needs: ClassVar[tuple[type[Any], ...]] = (HasResiduals,)

    def __post_init__(self) -> None:
        check_positive("initial_radius", self.initial_radius)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each step, until rounding lets none go further down."""
        assert has(problem, HasResiduals)
        functions = ResidualFunctions(problem, start)
        points = TrustRegion(self.initial_radius, self.geodesic).points(functions, flatten(start))
        here = next(points)
        stays = True
        for here in points:
            stays = False
            yield least_squares_iterate(functions, here.point)
        if stays:
            yield least_squares_iterate(functions, here.point)
