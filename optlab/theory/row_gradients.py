"""The gradients of single rows, as affine functions of the error: what mini-batch noise is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch

from optlab.optimizers.linear_descent import LinearDescent
from optlab.problems import Parameters, Problem, gradient
from optlab.problems.capabilities import HasResiduals, has
from optlab.problems.hessian import Modes
from optlab.problems.problem import Batch
from optlab.problems.vector import flatten, unflatten
from optlab.theory.descent_theory import decay_offset, quadratic_modes

Array: TypeAlias = np.ndarray[Any, Any]

TABULATED = 12
"""Up to so many parameters the rows' fourth moments are kept, r**4 numbers."""


@dataclass(frozen=True, eq=False)
class RowGradients:
    r"""The gradient of each row's loss, :math:`a_i (a_i^T c) + P c + g_i`, with c the error.

    Everything is in coordinates along the eigenvectors that change the loss, r of them, and the
    error c is that from the point where the mean gradient, weight decay included, is zero.

    Parameters
    ----------
    modes
        The modes of the problem.
    along
        Which of them change the loss, ``(r,)``, boolean.
    rows
        :math:`a_i`, ``(n, r)``.
    shared
        P, ``(r, r)``: the penalty's part, which is the same in every row.
    at_centre
        :math:`g_i`, ``(n, r)``, of mean zero.
    offset
        The coordinates ``(r,)`` of that point's distance from the problem's minimiser: zero but for
        weight decay.
    """

    modes: Modes
    along: Array
    rows: Array
    shared: Array
    at_centre: Array
    offset: Array

    @property
    def eigenvalues(self) -> Array:
        """The eigenvalues of the loss, ``(r,)``, without the weight decay."""
        return self.modes.eigenvalues[self.along]

    def coordinates(self, parameters: Parameters) -> Array:
        """Return the error ``(r,)`` of a point."""
        coordinates: Array = self.modes.coordinates(parameters)[self.along] - self.offset
        return coordinates

    def covariance(self, second: Array, mean: Array) -> Array:
        r"""Return the covariance ``(r, r)`` of a row's gradient, averaged over a random error.

        .. math:: \frac{1}{n} \sum_i E[A_i c c^T A_i] - H S H + C + C^T
            + \frac{1}{n} \sum_i g_i g_i^T, \quad C = \frac{1}{n} \sum_i A_i m g_i^T

        for an error c of second moment S ``(r, r)`` and mean m ``(r,)``, with
        :math:`A_i = a_i a_i^T + P`: P cancels.
        """
        shape = second.shape
        if len(second) <= TABULATED:
            quartic = (self._fourth @ second.ravel()).reshape(shape)
            cross = (self._third @ mean).reshape(shape)
        else:
            a, g, n = self.rows, self.at_centre, len(self.at_centre)
            quartic = a.T @ (np.einsum("ir,ir->i", a @ second, a)[:, None] * a) / n
            cross = a.T @ ((a @ mean)[:, None] * g) / n
        constant, gram = self._constant, self._gram
        covariance: Array = quartic - gram @ second @ gram + cross + cross.T + constant
        return covariance

    @cached_property
    def _gram(self) -> Array:
        gram: Array = self.rows.T @ self.rows / len(self.rows)
        return gram

    @cached_property
    def _constant(self) -> Array:
        constant: Array = self.at_centre.T @ self.at_centre / len(self.at_centre)
        return constant

    @cached_property
    def _products(self) -> Array:
        """The products of each row's entries, ``(n, r * r)``."""
        products: Array = (self.rows[:, :, None] * self.rows[:, None, :]).reshape(
            len(self.rows), -1
        )
        return products

    @cached_property
    def _fourth(self) -> Array:
        """The rows' fourth moments ``(r * r, r * r)``, which spare passes over all rows."""
        fourth: Array = self._products.T @ self._products / len(self.rows)
        return fourth

    @cached_property
    def _third(self) -> Array:
        """The mean of ``a_j g_k a_l`` over rows, ``(r * r, r)``."""
        third = np.einsum("ij,ik,il->jkl", self.rows, self.at_centre, self.rows, optimize=True)
        moments: Array = third.reshape(-1, third.shape[-1]) / len(self.rows)
        return moments


def row_gradients(problem: Problem, descent: LinearDescent | None = None) -> RowGradients:
    """Return the row gradients of linear least squares, or of a quadratic with additive noise.

    Raises
    ------
    ValueError
        For a loss that is no quadratic, or whose rows are neither squared residuals nor alike but
        for a linear term.

    Examples
    --------
    >>> import numpy as np
    >>> import optlab as ol
    >>> found = row_gradients(ol.NoisyQuadratic([1.0, 0.5], rows=64))
    >>> found.covariance(np.zeros((2, 2)), np.zeros(2)).diagonal().round(6).tolist()
    [1.0, 0.5]
    """
    found = quadratic_modes(problem)
    along = found.eigenvalues > 0
    V = found.vectors[:, along]
    exact = problem.to("cpu", torch.float64)
    centre = unflatten(torch.from_numpy(found.centre), problem.start(torch.Generator()))
    if has(exact, HasResiduals):
        rows, shared, at_centre = _least_squares(exact, centre, V)
    else:
        rows, shared, at_centre = _additive(exact, centre, V, found.eigenvalues[along])
    offset = np.zeros(V.shape[1])
    if descent is not None and descent.weight_decay:
        offset = decay_offset(descent, found)[along]
        at_centre = at_centre + (rows @ offset)[:, None] * rows + shared @ offset
        shared = shared + descent.weight_decay * np.eye(len(offset))
    # The mean is zero but for rounding, and for what weight decay adds.
    return RowGradients(found, along, rows, shared, at_centre - at_centre.mean(0), offset)


def _least_squares(problem: Any, at: Parameters, V: Array) -> tuple[Array, Array, Array]:
    """Return the parts of squared residuals; those beyond the n rows are the penalty's."""
    n = len(problem.data.y)
    J, r = problem.jacobian(at).numpy(), problem.residuals(at).numpy()
    m = len(J)
    J = J @ V
    penalty = 2 / m * J[n:].T @ J[n:]
    slope = 2 / m * J[n:].T @ r[n:]
    return J[:n] * np.sqrt(2 * n / m), penalty, 2 * n / m * J[:n] * r[:n, None] + slope


def _additive(problem: Any, at: Parameters, V: Array, h: Array) -> tuple[Array, Array, Array]:
    """Return the parts of a quadratic whose rows differ by a linear term."""
    data, n = problem.data, len(problem.data.y)
    batches = [Batch(data.X[i : i + 1], data.y[i : i + 1]) for i in range(n)]
    if data.weight is not None:
        raise ValueError(f"the rows of {problem.name!r} have weights and no squared residuals")
    probe = torch.linspace(1.0, 2.0, len(flatten(at)), dtype=torch.float64)
    moved = unflatten(flatten(at) + probe, at)
    slopes, others = (
        torch.stack([flatten(gradient(problem, w, batch)) for batch in batches]).numpy()
        for w in (at, moved)
    )
    change = others - slopes
    if not np.allclose(change, change[0], rtol=1e-9, atol=1e-9 * np.abs(others).max()):
        raise ValueError(f"the rows of {problem.name!r} have curvatures of their own")
    return np.zeros((n, len(h))), np.diag(h), slopes @ V
