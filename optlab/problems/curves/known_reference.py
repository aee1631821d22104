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
    r"""Raise unless a reference is a stationary point of a problem, and its loss the loss there.

    Both to half the digits. The cosines between the residuals and the columns of the Jacobian, all
    0 at a minimum, must be at most 1e-6, and the loss right to 1e-6 of it; or to what rounding the
    residuals leaves of them where these are small. A column of zeros is orthogonal to all.
    """
    parameters = reference.parameters
    if parameters is None:
        raise ValueError(
            "reference must have parameters, which those of trials are compared with; leave "
            "reference out to have it computed"
        )
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    expected = {name: tuple(value.shape) for name, value in problem.starts[0].items()}
    if shapes != expected:
        raise ValueError(f"reference has parameters {shapes}, the start has {expected}")
    exact = problem.to("cpu", torch.float64)
    residual, jacobian = exact.residuals(parameters), exact.jacobian(parameters)
    size = float(residual.norm())
    if not (math.isfinite(size) and jacobian.isfinite().all()):
        raise ValueError(
            f"reference is no minimum of {problem.name!r}: the residuals there or their "
            "derivatives are not finite"
        )
    moved = rounded_size(exact, parameters, jacobian)
    rounding = 1e2 * torch.finfo(torch.float64).eps * float(moved.norm())
    lengths = jacobian.norm(dim=0)
    products = (jacobian.T @ residual).abs() / torch.where(lengths > 0, lengths, 1.0)
    if not (steepest := float(products.max())) <= 1e-6 * size + rounding:
        raise ValueError(
            f"reference is no minimum of {problem.name!r}: a column of the Jacobian and the "
            f"residuals have the cosine {steepest / size:.1e} there, where it would be 0"
        )
    # Residuals r that are off by e are off by 2 r.e + e.e in the sum of their squares.
    n = len(residual)
    loss = size**2 / n
    if not abs(reference.loss - loss) <= 1e-6 * loss + (2 * size + rounding) * rounding / n:
        raise ValueError(
            f"reference has the loss {reference.loss!r}, but the loss of {problem.name!r} at its "
            f"parameters, a mean of squares, is {loss!r}"
        )
