"""A known minimum of a curve fit as a reference: from a dataset, and checked against the data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from optlab.datasets.dataset import Dataset
from optlab.problems.curves.rounded_size import rounded_size
from optlab.problems.problem import Reference

if TYPE_CHECKING:
    from optlab.problems.nonlinear_least_squares import NonlinearLeastSquares

_NIST = (
    "NIST certifies 11 digits of this minimum; it was computed to 30 in arithmetic of 100 digits, "
    "for the data as float64 holds them, and its Hessian is positive definite; that no other "
    "minimum is lower is not proven"
)


def dataset_reference(dataset: Dataset) -> Reference | None:
    """Return the answer that a dataset knows for its own rows, or None.

    The loss is the sum of squares of ``known["exact_float64_data"]`` over n. Rows that have weights
    have another answer.
    """
    exact = dataset.known.get("exact_float64_data")
    if exact is None or dataset.sample_weight is not None:
        return None
    numbers = {name: float(value) for name, value in exact["parameters"].items()}
    return Reference(
        kind="certified",
        loss=float(exact["rss"]) / len(dataset.y),
        parameters={name: torch.tensor(v, dtype=torch.float64) for name, v in numbers.items()},
        digits=-math.log10(2**-53),
        message=_NIST,
    )


def checked_reference(reference: Reference, problem: NonlinearLeastSquares) -> None:
    r"""Raise unless a reference is a stationary point of a problem, to half the digits.

    The cosines between the residuals and the columns of the Jacobian, all 0 at a minimum, must be
    at most 1e-6, or what rounding the residuals leaves of them where these are small.
    """
    parameters = reference.parameters
    if parameters is None:
        return
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    expected = {name: tuple(value.shape) for name, value in problem.starts[0].items()}
    if shapes != expected:
        raise ValueError(f"reference has parameters {shapes}, the start has {expected}")
    exact = problem.to("cpu", torch.float64)
    residual, jacobian = exact.residuals(parameters), exact.jacobian(parameters)
    moved = rounded_size(exact, parameters, jacobian)
    allowed = 1e-6 * residual.norm() + 1e2 * torch.finfo(torch.float64).eps * moved.norm()
    steepest = ((jacobian.T @ residual).abs() / jacobian.norm(dim=0)).max()
    if not steepest <= allowed:
        cosine = float(steepest / residual.norm())
        raise ValueError(
            f"reference is no minimum of {problem.name!r}: a column of the Jacobian and the "
            f"residuals have the cosine {cosine:.1e} there, where it would be 0"
        )
