"""Eigenvalues of the Hessian of a problem's loss, and the modes that descent is judged by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optlab.problems.capabilities import (
    HasBuffers,
    HasCurvature,
    HasResiduals,
    has,
    is_quadratic,
    is_smooth,
)
from optlab.problems.curves.derivatives import hessian as hessian_of
from optlab.problems.problem import Parameters, Problem
from optlab.problems.vector import flatten, unflatten

PARAMETERS = 4096
"""The most parameters of which a Hessian is made: 128 MiB in float64."""


@dataclass(frozen=True, eq=False)
class Modes:
    r"""The modes of a problem at a point: eigenvalues and eigenvectors of its Hessian.

    Near the minimiser (everywhere, where the loss is quadratic) the suboptimality is
    :math:`\frac{1}{2} \sum_i h_i c_i^2`, with c the coordinates of :math:`w - w_*` along the
    eigenvectors.

    Parameters
    ----------
    eigenvalues
        h, ``(r,)``, the largest first; those that are zero to rounding are 0.
    vectors
        The eigenvectors, ``(p, r)``. Of fewer rows than parameters r may be less than p: the
        directions left out change no loss.
    centre
        The flat parameters ``(p,)`` at which they hold.
    quadratic
        Whether the Hessian is the same everywhere.

    See Also
    --------
    modes : What returns it.
    """

    eigenvalues: np.ndarray[Any, Any]
    vectors: np.ndarray[Any, Any]
    centre: np.ndarray[Any, Any]
    quadratic: bool

    @property
    def largest(self) -> float:
        """The largest eigenvalue, L."""
        return float(self.eigenvalues[0])

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue above zero, mu: that of the slowest mode that changes the loss.

        NaN where there is none: the loss is flat.
        """
        positive = self.eigenvalues[self.eigenvalues > 0]
        return float(positive[-1]) if len(positive) else math.nan

    @property
    def condition(self) -> float:
        """The condition number, L / mu."""
        return self.largest / self.smallest

    def coordinates(self, parameters: Parameters) -> np.ndarray[Any, Any]:
        """Return the coordinates ``(r,)`` of a point's distance from the centre."""
        point = flatten(parameters).detach().to("cpu", torch.float64).numpy()
        coordinates: np.ndarray[Any, Any] = self.vectors.T @ (point - self.centre)
        return coordinates


def modes(problem: Problem, parameters: Parameters | None = None) -> Modes:
    """Return the eigenvalues and eigenvectors of the Hessian of a problem's loss, in float64.

    Of linear least squares they are the squared singular values of the design (with the intercept's
    column, row weights and the l2 penalty in it), times 2 / n: squares keep digits of small ones
    that a Gram matrix loses. Of other smooth losses they are those of the Hessian, by its products
    with the unit directions where the problem has them, else by autograd.

    Parameters
    ----------
    problem
        The problem.
    parameters
        The point; the reference's where left out. A quadratic has one Hessian at all points.

    Returns
    -------
    Modes
        In descending order of the eigenvalues.

    Raises
    ------
    ValueError
        For a loss with kinks or buffers; for more than 4 096 parameters; where there is no point.

    See Also
    --------
    half_lives, stable_rate : What follows from them.

    Examples
    --------
    >>> import numpy as np
    >>> import optlab as ol
    >>> x = np.arange(-500.0, 501.0)
    >>> line = modes(ol.LinearRegression(x[:, None], 1.8 * x + 32))
    >>> line.eigenvalues.round(6).tolist(), round(line.condition, 6), f"{2 / line.largest:.6e}"
    ([167000.0, 2.0], 83500.0, '1.197605e-05')

    References
    ----------
    Golub and Van Loan, Matrix Computations (2013), section 8.6.
    """
    problem = _checked(problem)
    at = _point(problem, parameters)
    centre = flatten(at).numpy()
    if len(centre) > PARAMETERS:
        raise ValueError(
            f"{problem.name!r} has {len(centre)} parameters, more than the {PARAMETERS} of which a "
            "Hessian is made"
        )
    quadratic = is_quadratic(problem)
    if quadratic and has(problem, HasResiduals):
        J = problem.jacobian(at)
        if len(J) > J.shape[1]:
            J = torch.linalg.qr(J, mode="r").R
        _, values, vectors = torch.linalg.svd(J, full_matrices=False)
        rounding = torch.finfo(torch.float64).eps * max(len(problem.data.y), len(centre))
        values = torch.where(values > rounding * values[0], values, 0.0)
        rows = len(problem.residuals(at))
        return Modes((2 / rows * values.square()).numpy(), vectors.T.numpy(), centre, quadratic)
    H = hessian(problem, at).numpy()
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    cut = np.finfo(float).eps * len(H) * np.abs(values).max()
    values = np.where(np.abs(values) > cut, values, 0.0)
    return Modes(values[::-1].copy(), vectors[:, ::-1].copy(), centre, quadratic)


def hessian(problem: Problem, parameters: Parameters) -> Tensor:
    """Return the Hessian ``(p, p)`` of a problem's loss over all data, at a point.

    Rows and columns are in the order of the flat parameters.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> hessian(ol.Quadratic([10.0, 1.0]), {"x": torch.zeros(2, dtype=torch.float64)})
    tensor([[10.,  0.],
            [ 0.,  1.]], dtype=torch.float64)
    """
    flat = flatten(parameters).detach()
    if has(problem, HasCurvature):
        units = torch.eye(len(flat), dtype=flat.dtype, device=flat.device)
        products = [problem.hessian_product(parameters, unflatten(e, parameters)) for e in units]
        H = torch.stack([flatten(product) for product in products])
        if H.shape != (len(flat), len(flat)):
            raise ValueError(
                f"hessian_product of {problem.name!r} must return a product of the parameters' "
                f"shapes, {len(flat)} numbers, not {H.shape[1]}"
            )
        return H
    return hessian_of(lambda w: problem.loss(unflatten(w, parameters)), flat)


def _checked(problem: Problem) -> Problem:
    """Return a problem in float64 on the CPU, or raise where its loss has no Hessian."""
    if not is_smooth(problem):
        raise ValueError(f"the loss of {problem.name!r} has kinks: it has no Hessian there")
    if has(problem, HasBuffers) and problem.buffers():
        raise ValueError(f"the loss of {problem.name!r} changes buffers: it has no one Hessian")
    return problem.to("cpu", torch.float64)


def _point(problem: Problem, parameters: Parameters | None) -> Parameters:
    """Return the given point or the reference's, in float64 on the CPU."""
    if parameters is None:
        reference = problem.reference()
        parameters = None if reference is None else reference.parameters
        if parameters is None:
            raise ValueError(
                f"{problem.name!r} has no reference parameters: give the point as parameters="
            )
    # Clones, in the order of the start, which is that of the flat parameters.
    like = problem.start(torch.Generator())
    return {name: parameters[name].detach().to("cpu", torch.float64, copy=True) for name in like}
