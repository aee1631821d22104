"""Noise of mini-batch gradients: its covariance, the noise scale, and the best single step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from optlab.checks import check_positive
from optlab.problems import Parameters, Problem, gradient
from optlab.problems.hessian import hessian
from optlab.problems.problem import Batch
from optlab.problems.vector import flatten
from optlab.theory.descent_theory import noise_share

Array: TypeAlias = np.ndarray[Any, Any]


def gradient_covariance(
    problem: Problem,
    parameters: Parameters,
    batch_size: int | str = 1,
    *,
    replacement: bool = False,
) -> Array:
    r"""Return the covariance ``(p, p)`` of a mini-batch's gradient at a point.

    .. math:: \frac{C}{B} \text{ with replacement}, \qquad
        \frac{C}{B} \, \frac{n - B}{n - 1} \text{ without}, \qquad
        C = \frac{1}{n} \sum_i (g_i - g)(g_i - g)^T

    with :math:`g_i` the gradient of the loss over row i alone, and g their mean, the full gradient.

    Parameters
    ----------
    problem
        The problem; its loss has to be a mean over rows.
    parameters
        The point, of any dtype.
    batch_size
        B, of any size with replacement; ``"full"`` is the gradient of all rows, which has none.
    replacement
        Whether rows are drawn with replacement. A shuffled epoch's batches are drawn without.

    Returns
    -------
    numpy.ndarray
        ``(p, p)``, float64 on the CPU.

    See Also
    --------
    noise_scale : One number in place of a matrix.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[1.0], [1.0]], [0.0, 2.0], fit_intercept=False)
    >>> at = {"weight": torch.zeros(1)}
    >>> [gradient_covariance(problem, at, B, replacement=True).item() for B in (1, 2)]
    [4.0, 2.0]
    >>> [gradient_covariance(problem, at, B).item() for B in (1, 2)]
    [4.0, 0.0]

    References
    ----------
    Cochran, Sampling Techniques (1977), section 2.5.
    """
    slopes = _row_slopes(problem, parameters)
    centred = slopes - slopes.mean(0)
    covariance: Array = centred.T @ centred / len(slopes)
    return covariance * noise_share(problem, batch_size, replacement=replacement)


@dataclass(frozen=True)
class NoiseScale:
    r"""The gradient noise scale at a point, and what it says of the best single step.

    With G the gradient, H the Hessian and S the covariance of a row's gradient, the expected loss
    after one step of rate e, over batches of B rows drawn with replacement, is

    .. math:: f - e |G|^2 + \frac{e^2}{2} \left( G^T H G + \frac{\mathrm{tr}(H S)}{B} \right)

    exactly, where f is quadratic. So the best rate and the decrease that it brings are

    .. math:: e(B) = \frac{e_{max}}{1 + B_{noise} / B}, \quad
        \Delta f(B) = \frac{\Delta f_{max}}{1 + B_{noise} / B}, \quad
        B_{noise} = \frac{\mathrm{tr}(H S)}{G^T H G}

    Parameters
    ----------
    batch_size
        :math:`B_{noise}`: batches far smaller save samples, far larger ones steps.
    rate
        :math:`e_{max} = |G|^2 / G^T H G`, the best rate of the full gradient.
    decrease
        :math:`\Delta f_{max} = |G|^4 / (2 G^T H G)`, what it decreases the loss by.

    See Also
    --------
    noise_scale : What returns it.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> zero = {"weight": torch.zeros(1), "bias": torch.zeros(())}
    >>> scale = noise_scale(problem, zero)
    >>> print(f"{scale.batch_size:.5f} {scale.rate:.6f} {scale.decrease:.4f}")
    1.14442 0.500000 32.0282
    >>> [round(scale.best_rate(B), 6) for B in (1, 10, 100)]
    [0.233164, 0.448655, 0.494343]

    References
    ----------
    McCandlish, Kaplan, Amodei et al., An Empirical Model of Large-Batch Training (2018), section
    2.2.
    """

    batch_size: float
    rate: float
    decrease: float

    def best_rate(self, batch_size: float) -> float:
        """Return the best rate of one step with batches of B rows; infinity is the full gradient.

        Raises
        ------
        ValueError
            For a batch size that is not positive.
        """
        return self.rate / self._excess(batch_size)

    def best_decrease(self, batch_size: float) -> float:
        """Return how much the best step decreases the expected loss."""
        return self.decrease / self._excess(batch_size)

    def _excess(self, batch_size: float) -> float:
        if batch_size != np.inf:
            check_positive("batch_size", batch_size)
        return 1 + self.batch_size / batch_size


def noise_scale(problem: Problem, parameters: Parameters) -> NoiseScale:
    """Return the gradient noise scale of a problem at a point: see `NoiseScale`.

    Where the loss is not quadratic it is that of its second-order expansion.

    Returns
    -------
    NoiseScale
        The scale and what follows from it.

    Raises
    ------
    ValueError
        Where the loss does not curve upwards along the gradient, or the gradient is zero.

    See Also
    --------
    gradient_covariance : The matrix behind it.
    """
    exact, at = problem.to("cpu", torch.float64), _as_double(parameters)
    slope = flatten(gradient(exact, at)).detach().numpy()
    H = hessian(exact, at).numpy()
    curvature, square = float(slope @ H @ slope), float(slope @ slope)
    if not curvature > 0:
        raise ValueError(
            f"parameters must be a point where the loss of {problem.name!r} has a slope and curves "
            f"upwards along it; the curvature there is {curvature:g}"
        )
    S = gradient_covariance(problem, parameters, 1, replacement=True)
    return NoiseScale(
        float((H * S).sum()) / curvature, square / curvature, square * square / curvature / 2
    )


def _row_slopes(problem: Problem, parameters: Parameters) -> Array:
    """Return the gradient of each row's loss, ``(n, p)``."""
    exact, at = problem.to("cpu", torch.float64), _as_double(parameters)
    parts = [None if part is None else part.split(1) for part in exact.data]
    X, y, weight = parts
    assert X is not None
    assert y is not None
    batches = (
        Batch(X[i], y[i], None if weight is None else weight[i]) for i in range(len(exact.data.y))
    )
    slopes = [flatten(gradient(exact, at, batch)).detach() for batch in batches]
    rows: Array = torch.stack(slopes).numpy()
    return rows


def _as_double(parameters: Parameters) -> Parameters:
    return {name: value.detach().to("cpu", torch.float64) for name, value in parameters.items()}
