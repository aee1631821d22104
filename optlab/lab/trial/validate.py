"""What must hold of what an optimizer yields, and of the data it was given."""

from __future__ import annotations

import torch

from optlab.optimizers import Iterate
from optlab.problems import Parameters


def same_values(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors hold the same values, NaN being the same as NaN."""
    return torch.equal(one, other) or (
        one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())
    )


def check_iterate(iterate: object, start: Parameters, epoch: int) -> None:
    """Raise unless what an optimizer yielded is an iterate with the start's parameters."""
    if not isinstance(iterate, Iterate):
        raise TypeError(f"an optimizer must yield Iterate, not {type(iterate).__name__}")
    odd = [str(v.dtype) for v in iterate.parameters.values() if not v.is_floating_point()]
    if odd:
        raise TypeError(f"the iterate of epoch {epoch} is of {odd[0]}, not of real numbers")
    shapes = {name: tuple(value.shape) for name, value in iterate.parameters.items()}
    expected = {name: tuple(value.shape) for name, value in start.items()}
    if shapes != expected:
        raise ValueError(
            f"the iterate of epoch {epoch} has parameters of shapes {shapes} where {expected} "
            "were expected"
        )
