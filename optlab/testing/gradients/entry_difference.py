"""The entries in which two gradients differ, the worst of them, and a likely cause."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.problems.problem import Parameters


@dataclass(frozen=True)
class EntryDifference:
    """The worst entry in which a gradient differs from the right one.

    ``wrong`` entries of ``entries`` differ; the worst is that furthest beyond its tolerance.
    """

    name: str
    index: tuple[int, ...]
    seen: float
    expected: float
    tolerance: float
    wrong: int
    entries: int
    cause: str

    @property
    def entry(self) -> str:
        """The entry in words, such as ``weight[2]``."""
        return self.name + "".join(f"[{i}]" for i in self.index)

    def __str__(self) -> str:
        part = f"; {self.wrong} of {self.entries} entries differ" if self.entries > 1 else ""
        return (
            f"{self.entry} = {self.seen!r}, expected {self.expected!r}, "
            f"off by {abs(self.seen - self.expected):.3g}{part}"
        )


def entry_difference(
    seen: Parameters,
    expected: Parameters,
    tolerance: dict[str, Tensor],
    point: Parameters,
    rows: int = 0,
) -> EntryDifference | None:
    """Return the worst entry beyond its tolerance, or None where all are within it.

    Parameters
    ----------
    seen, expected
        Gradients of the same shapes.
    tolerance
        Of each entry.
    point
        Where they were taken, for the likely cause.
    rows
        The number of rows, 0 where there are none.

    Examples
    --------
    >>> one, two = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([1.0, -2.0])}
    >>> point = {"w": torch.zeros(2)}
    >>> print(entry_difference(one, two, {"w": torch.full((2,), 1e-6)}, point))
    w[1] = 2.0, expected -2.0, off by 4; 1 of 2 entries differ
    """
    excess = {
        name: ((seen[name] - value).abs() / tolerance[name].clamp(min=2.0**-1000)).nan_to_num(
            nan=torch.inf
        )
        for name, value in expected.items()
    }
    wrong = {name: int((value > 1).sum()) for name, value in excess.items()}
    if not sum(wrong.values()):
        return None
    worst = max((n for n in excess if excess[n].numel()), key=lambda n: float(excess[n].max()))
    flat = int(excess[worst].argmax())
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), excess[worst].shape))
    return EntryDifference(
        worst,
        index,
        float(seen[worst].reshape(-1)[flat]),
        float(expected[worst].reshape(-1)[flat]),
        float(tolerance[worst].reshape(-1)[flat]),
        sum(wrong.values()),
        sum(value.numel() for value in excess.values()),
        likely_cause(seen, expected, point, rows),
    )


def likely_cause(seen: Parameters, expected: Parameters, point: Parameters, rows: int) -> str:
    """Return a likely cause of wrong entries in words; empty where none is known.

    Examples
    --------
    >>> right, point = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([0.5, 0.5])}
    >>> likely_cause({"w": -right["w"]}, right, point, 0)
    'the sign is wrong'
    """
    for name, right in expected.items():
        gap = (seen[name] - right).reshape(-1)
        if not right.numel() or float(gap.abs().max()) <= 1e-6 * float(right.abs().max()):
            continue
        ratio = _multiple(seen[name].reshape(-1), right.reshape(-1))
        if ratio is not None and abs(ratio) > 1e-9:
            return _of_ratio(ratio, rows)
        for what, direction in (("the parameter", point[name]), ("its sign", point[name].sign())):
            factor = _multiple(gap, direction.reshape(-1)) if len(gap) > 1 else None
            if factor is not None:
                return (
                    f"{name} is off by {factor:.6g} times {what}: a penalty that the gradient "
                    "or the loss leaves out or counts otherwise"
                )
        return ""
    size = max((float(v.abs().max()) for v in expected.values() if v.numel()), default=0.0)
    apart = max(float((seen[k] - v).abs().max()) for k, v in expected.items() if v.numel())
    return "a part is computed in float32" if apart > 2.0**-30 * size else ""


def _multiple(values: Tensor, of: Tensor) -> float | None:
    """Return c where values are c times others, to 6 digits, else None."""
    square = float(of.square().sum())
    if not square:
        return None
    factor = float((values * of).sum()) / square
    apart = float((values - factor * of).abs().max())
    return factor if apart <= 1e-6 * float(values.abs().max()) else None


def _of_ratio(ratio: float, rows: int) -> str:
    if abs(ratio + 1) < 1e-6:
        return "the sign is wrong"
    if rows > 1 and abs(ratio - rows) < 1e-6 * rows:
        return f"a sum over the {rows} rows, not a mean"
    return f"every entry is {ratio:.6g} times what it must be"
