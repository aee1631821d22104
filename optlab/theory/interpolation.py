"""SGD on least squares that interpolates: convergence without a floor, and the critical batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optlab.checks import check_count
from optlab.problems import Problem
from optlab.theory.row_gradients import row_gradients


@dataclass(frozen=True)
class Interpolation:
    r"""Constants of SGD on least squares whose residuals are all zero at the minimum.

    There the noise of mini-batch gradients vanishes with the error, and SGD at a constant rate
    converges like descent. With batches of B rows drawn with replacement,

    .. math::
        E \lVert c_{t+1} \rVert^2 \le g(B, \eta) \, E \lVert c_t \rVert^2, \quad
        g = \max_i \; 1 - 2 \eta h_i + \frac{\eta^2}{B} h_i (\beta + (B - 1) h_i)

    with h from the smallest eigenvalue to the largest, L, and :math:`\beta` the largest curvature
    of one row. Up to the critical batch size, :math:`\beta / L + 1`, B rows a step do nearly the
    work of B steps; above it a step does nearly that of a full one.

    Parameters
    ----------
    row_curvature
        :math:`\beta = 2 \max_i u_i \lVert (x_i, 1) \rVert^2`.
    smallest, largest
        The eigenvalues of the Hessian between which the others lie.

    See Also
    --------
    interpolation : What returns it.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[3.0], [1.0]], [6.0, 2.0], fit_intercept=False)
    >>> found = interpolation(problem)
    >>> round(found.row_curvature, 9), round(found.largest, 9), round(found.critical_batch_size, 9)
    (18.0, 10.0, 2.8)
    >>> round(found.best_rate(1), 6), round(found.best_rate(100), 6)
    (0.055556, 0.099206)

    References
    ----------
    Ma, Bassily and Belkin, The Power of Interpolation: Understanding the Effectiveness of SGD in
    Modern Over-parametrized Learning (2018), theorems 2 to 4.
    """

    row_curvature: float
    smallest: float
    largest: float

    @property
    def critical_batch_size(self) -> float:
        """The batch size up to which larger batches save as many steps as they cost rows."""
        return self.row_curvature / self.largest + 1

    def bound(self, batch_size: int, learning_rate: float) -> float:
        """Return g, the most that a step leaves of the expected squared distance."""
        B, eta = check_count("batch_size", batch_size), learning_rate
        h = np.array([self.smallest, self.largest])  # convex in h: the largest is at an end
        left = 1 - 2 * eta * h + eta * eta / B * h * (self.row_curvature + (B - 1) * h)
        return float(left.max())

    def best_rate(self, batch_size: int) -> float:
        r"""Return the rate at which g is least.

        .. math:: \frac{B}{\beta + (B - 1) \mu} \text{ up to } B = \frac{\beta}{L - \mu} + 1,
            \qquad \frac{2 B}{\beta + (B - 1)(L + \mu)} \text{ above}
        """
        B, beta = check_count("batch_size", batch_size), self.row_curvature
        if (B - 1) * (self.largest - self.smallest) <= beta:
            return B / (beta + (B - 1) * self.smallest)
        return 2 * B / (beta + (B - 1) * (self.largest + self.smallest))


def interpolation(problem: Problem) -> Interpolation:
    """Return the constants of a least-squares problem whose residuals are zero at its minimum.

    Returns
    -------
    Interpolation
        The constants.

    Raises
    ------
    ValueError
        Where the rows have gradients at the minimiser: the problem does not interpolate. For a
        problem that is not least squares.

    See Also
    --------
    Interpolation : What is returned.
    """
    found = row_gradients(problem)
    curvature = np.einsum("ir,ir->i", found.rows, found.rows)
    beta, h = float(curvature.max()), found.eigenvalues
    noise = np.sqrt(np.einsum("ir,ir->i", found.at_centre, found.at_centre).max())
    scale = beta * max(float(np.linalg.norm(found.modes.centre)), 1.0)
    if not beta or noise > 1e-6 * scale or found.shared.any():
        raise ValueError(
            f"the rows of {problem.name!r} have gradients of up to {noise:.3g} at the minimiser, "
            "or a penalty: it does not interpolate"
        )
    return Interpolation(beta, float(h.min()), float(h.max()))
