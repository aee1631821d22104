"""Checks of the iterates that an optimizer yields, and of the data that it was given."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from optlab.optimizers import Iterate
from optlab.optimizers.together import JointIterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasRowWeights, has

_BLOCK = 1 << 20
"""Numbers compared at once."""

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integer dtypes by bytes."""


def same_bits(original: torch.Tensor, copy: torch.Tensor) -> bool:
    """Return whether a tensor on any device still is the copy of an original, to the bit.

    The original is converted and compared some rows at a time, so that no second copy of all of it
    stands on the device. Every change of a bit is found: bits are compared, as integers, not
    numbers, of which -0 equals 0 and NaN differs from itself.
    """
    if copy.shape != original.shape:
        return False
    if original.numel() <= _BLOCK:
        return _are_equal(original, copy)
    rows = max(1, _BLOCK // (original.numel() // len(original)))
    return all(map(_are_equal, original.split(rows), copy.split(rows)))


def _are_equal(original: torch.Tensor, copy: torch.Tensor) -> bool:
    bits = _INTEGERS[copy.element_size()]
    return torch.equal(original.to(copy.device, copy.dtype).view(bits), copy.view(bits))


def data_are_untouched(problem: Problem, local: Problem) -> bool:
    """Return whether the data of a problem's copy still are the problem's, to the bit."""
    original, data = problem.data, local.data
    if data.weight is not None and has(problem, HasRowWeights):
        # Normalised in float64, and rounded once to the trial's dtype.
        original = original._replace(weight=problem.row_weight_as(data.weight))
    return all(
        ours is theirs or (ours is not None and theirs is not None and same_bits(ours, theirs))
        for ours, theirs in zip(original, data, strict=True)
    )


def passes_of(iterate: object) -> int:
    """Return the passes since the last iterate; raise unless this is one that has made some."""
    if not isinstance(iterate, Iterate | JointIterate):
        raise TypeError(
            f"an optimizer must yield Iterate, not {type(iterate).__name__}: "
            "yield ol.Iterate(parameters)"
        )
    if type(iterate.epochs) is not int or iterate.epochs < 1:
        raise ValueError(
            f"the epochs of an iterate must be a whole number of at least 1, not {iterate.epochs!r}"
        )
    return iterate.epochs


def _check_tensors(parameters: object, epoch: int) -> None:
    if not isinstance(parameters, Mapping):
        raise TypeError(
            f"the iterate of epoch {epoch} holds a {type(parameters).__name__}: it must hold "
            "a dict of tensors by name, as the start is"
        )
    for name, value in parameters.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"the iterate of epoch {epoch} has as {name!r} a {type(value).__name__}: it must "
                "be a tensor, such as torch.as_tensor(array)"
            )


def check_iterate(iterate: Iterate, start: Parameters, epoch: int) -> None:
    """Raise unless an iterate has the start's parameters, as real numbers."""
    parameters = iterate.parameters
    _check_tensors(parameters, epoch)
    if parameters.keys() == start.keys():
        for name, value in parameters.items():
            if not value.is_floating_point() or value.shape != start[name].shape:
                break
        else:
            return
    odd = [str(v.dtype) for v in parameters.values() if not v.is_floating_point()]
    if odd:
        raise TypeError(f"the iterate of epoch {epoch} is of {odd[0]}, not of real numbers")
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    expected = {name: tuple(value.shape) for name, value in start.items()}
    if shapes != expected:
        raise ValueError(
            f"the iterate of epoch {epoch} has parameters of shapes {shapes} where {expected} "
            "were expected"
        )
