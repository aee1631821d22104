"""Checks of what losses and gradients are given: left as it is, and laid out in any way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from optlab.problems.problem import Batch, Parameters
from optlab.testing.failure_message import failure_message
from optlab.testing.gradients.differentiable import Differentiable
from optlab.testing.gradients.entry_difference import entry_difference
from optlab.testing.gradients.gradient_subject import GradientSubject
from optlab.testing.gradients.place import Place, places
from optlab.testing.gradients.rounding_bound import DERIVATION
from optlab.testing.run_checks import CheckFailedError


def check_inputs(subject: GradientSubject) -> None:
    """Require that loss and gradient leave the parameters, the batch and the data as they are."""
    at = subject.double
    calls: dict[str, Callable[[Parameters, Batch | None], object]] = {"loss": at.value}
    if at.closed is not None:
        calls["gradient"] = at.closed_form
    for place in places(at, subject.seed):
        for name, call in calls.items():
            point, rows = place.point, copied(place.batch)
            held = {f"parameter {k}": v for k, v in point.items()}
            held |= tensors(at.data, "data") | tensors(rows, "batch")
            before = {k: v.clone() for k, v in held.items()}
            call(point, rows)
            for which, value in held.items():
                if not torch.equal(value, before[which]):
                    _refuse(place, name, which, before[which], value)


def _refuse(place: Place, name: str, which: str, was: Tensor, value: Tensor) -> None:
    index = tuple((value != was).nonzero()[0].tolist())
    where = "".join(f"[{k}]" for k in index)
    raise CheckFailedError(
        failure_message(
            f"{name} leaves the parameters, the batch and the data as they are",
            f"{which}{where} was {was[index].item()!r} and became {value[index].item()!r}, "
            f"at {place}",
            hint="an operation in place: +=, *=, mul_, clamp_, out=",
            example=f"{place.code()}\nprint(point)\n{name}({place.arguments})\nprint(point)",
        )
    )


def tensors(rows: Batch | None, name: str) -> dict[str, Tensor]:
    """Return the tensors of rows by name, such as ``data X``."""
    if rows is None:
        return {}
    parts = zip(Batch._fields, rows, strict=True)
    return {f"{name} {field}": part for field, part in parts if part is not None}


def copied(rows: Batch | None) -> Batch | None:
    """Return a copy of rows, each contiguous."""
    if rows is None:
        return None
    return Batch(*(None if part is None else part.clone() for part in rows))  # type: ignore[arg-type]  # X and y are never None


def check_layout(subject: GradientSubject) -> None:
    """Require that the layout of the memory, every second entry of a larger tensor, is no matter.

    Parameters and batches are laid out so; the loss and the gradient stay what they were.
    """
    at = subject.double
    for place in places(at, subject.seed):
        point, rows = place.point, place.batch
        spread = {name: apart(value) for name, value in point.items()}
        wide = None if rows is None else Batch(*(None if v is None else apart(v) for v in rows))  # type: ignore[arg-type]  # as above
        bound = subject.bound(place)
        try:
            loss, slopes = at.value(spread, wide), at.gradient(spread, wide)
        except RuntimeError as error:
            raise CheckFailedError(
                failure_message(
                    "parameters and rows may lie anyhow in memory",
                    f"{type(error).__name__}: {error}, at {place}",
                    hint="view() of a tensor that is not contiguous: use reshape()",
                    example=_layout_example(place),
                )
            ) from error
        expected = at.value(point, rows)
        difference = entry_difference(slopes, at.gradient(point, rows), bound.gradient, point)
        if abs(loss - expected) <= bound.loss and difference is None:
            continue
        seen = f"a loss of {loss!r}, {expected!r} for contiguous tensors"
        raise CheckFailedError(
            failure_message(
                "parameters and rows may lie anyhow in memory",
                f"{seen if difference is None else difference}, at {place}",
                hint="as_strided, data_ptr or numpy's flags",
                tolerance=f"{bound.loss:.2g} = {DERIVATION}",
                example=_layout_example(place),
            )
        )


def _layout_example(place: Place) -> str:
    lay = "from optlab.testing.gradients.input_checks import apart"
    spread = (
        "point = apart(point)"
        if place.is_vector
        else "point = {name: apart(value) for name, value in point.items()}"
    )
    rows = ""
    if place.at.data is not None:
        rows = "\nrows = Batch(*(None if part is None else apart(part) for part in rows))"
    return f"{place.code()}\n{lay}\n{spread}{rows}\nprint(loss({place.arguments}))"


def apart(value: Tensor) -> Tensor:
    """Return a view of every second entry of a larger tensor, the last axis first in memory.

    Examples
    --------
    >>> apart(torch.arange(6.0).reshape(2, 3)).is_contiguous()
    False
    """
    order = tuple(reversed(range(value.ndim)))
    larger = torch.full((*reversed(value.shape), 2), -1, dtype=value.dtype, device=value.device)
    view = larger[..., 0].permute(order)
    view.copy_(value.detach())
    return view


def check_memory(subject: GradientSubject) -> None:
    """Require that a gradient depends on its own point alone, and on no earlier call."""
    at: Differentiable = subject.double
    found = places(at, subject.seed)
    if len(found) < 2:
        return
    for place in found[:2]:
        other = next(p for p in found if p.moved is not place.moved)
        point, rows, bound = place.point, place.batch, subject.bound(place)
        first = at.gradient(point, rows)
        kept = {name: value.clone() for name, value in first.items()}
        at.gradient(other.point, other.batch)
        changed = [name for name, value in first.items() if not torch.equal(value, kept[name])]
        again = at.gradient(point, rows)
        difference = entry_difference(again, kept, bound.gradient, point)
        if not changed and difference is None:
            continue
        arguments = place.arguments
        raise CheckFailedError(
            failure_message(
                "a gradient depends on its own point alone, and stays what it was",
                f"{changed[0]} of an earlier gradient changed with the next call"
                if changed
                else f"{difference}, after a call at {other}, at {place}",
                hint="a buffer that is returned and used again"
                if changed
                else "a gradient that is kept, or computed at an earlier point",
                tolerance=f"the largest is {max(map(_largest, bound.gradient.values())):.2g} = "
                f"{DERIVATION}",
                example=f"""{other.code()}
gradient({arguments})
{place.code()}
print("first", gradient({arguments}))
print("again", gradient({arguments}))"""
                if at.closed is not None
                else "",
            )
        )


def _largest(values: Tensor) -> float:
    return float(values.max()) if values.numel() else 0.0
