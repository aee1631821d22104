"""The starting points of a curve fit: named parameters or vectors, one or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.problems.problem import Parameters

Start: TypeAlias = (
    Mapping[str, "ArrayLike | Tensor"] | Sequence[float] | Tensor | np.ndarray[Any, Any]
)

VECTOR = "parameters"
"""The name of the parameters where the start is a plain vector."""


def checked_starts(start: Any) -> tuple[Parameters, ...]:
    """Return one or several starts as named float64 tensors on the CPU.

    Parameters
    ----------
    start
        A mapping of names to numbers or arrays, a vector ``(p,)``, or a sequence of either; a
        matrix ``(k, p)`` is k vectors. A vector's one name is ``parameters``.

    Raises
    ------
    ValueError
        For no start, no parameters, values that are not finite real numbers, and several starts of
        different names or shapes.

    Examples
    --------
    >>> checked_starts({"a": 1.0})
    ({'a': tensor(1., dtype=torch.float64)},)
    >>> len(checked_starts([[1.0, 2.0], [3.0, 4.0]]))
    2
    """
    given = _listed(start)
    starts = tuple(_checked(each, _label(i, len(given))) for i, each in enumerate(given, start=1))
    for number, other in enumerate(starts[1:], start=2):
        shapes = [{k: tuple(v.shape) for k, v in each.items()} for each in (starts[0], other)]
        if shapes[0] != shapes[1] or list(starts[0]) != list(other):
            raise ValueError(
                f"all starts must have the same parameters: start 1 has {shapes[0]}, "
                f"start {number} has {shapes[1]}"
            )
    return starts


def _listed(start: Any) -> list[Any]:
    """Return the starts as a list of mappings and vectors."""
    if isinstance(start, Mapping):
        return [start]
    if isinstance(start, list | tuple) and any(isinstance(each, Mapping) for each in start):
        return list(start)
    vectors = _numbers(start, "start")
    if vectors.ndim == 1 and vectors.numel():
        return [vectors]
    if vectors.ndim == 2 and vectors.numel():
        return list(vectors)
    raise ValueError(
        "start must be a dict of named parameters, a vector (p,), or a sequence of either, "
        f"not an array of shape {tuple(vectors.shape)}"
    )


def _label(number: int, count: int) -> str:
    return "start" if count == 1 else f"start {number}"


def _checked(given: Any, label: str) -> Parameters:
    if isinstance(given, Mapping) and not given:
        raise ValueError(f"{label} has no parameters")
    named = given if isinstance(given, Mapping) else {VECTOR: given}
    if not all(isinstance(name, str) for name in named):
        raise ValueError(f"{label} must name its parameters by text, not {list(named)!r}")
    start = {name: _numbers(value, f"{label}: {name}") for name, value in named.items()}
    for name, value in start.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{label}: {name} must be finite, not {value.tolist()!r}")
    return start


def _numbers(value: Any, label: str) -> Tensor:
    """Return real numbers as a new float64 tensor on the CPU."""
    try:
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        return torch.from_numpy(np.array(value, dtype=np.float64))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{label} must be real numbers, not {value!r} ({error})") from None
