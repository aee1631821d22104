"""A point and rows at which a loss is checked, in numbers, in words and as code to paste."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from optlab.problems.problem import Batch, Parameters
from optlab.testing.gradients.differentiable import VECTOR, Differentiable, near, some

_WRITTEN = 64
"""Entries of a point up to which they are written out."""

MOST_ROWS = 12
"""Rows that the checks of batches take from the data."""


@dataclass(frozen=True)
class Place:
    """A point, drawn from a seed, and the first rows (or all) of the data, in float64.

    ``moved`` tells that the point is near the start, not at it.
    """

    at: Differentiable
    seed: int
    moved: bool = False
    rows: slice | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """The place among those of one loss."""
        return self.seed, self.moved, self.rows and (self.rows.start, self.rows.stop)

    @property
    def point(self) -> Parameters:
        """The point, in float64."""
        start = self.at.start(self.seed)
        return near(start, self.seed, 0.1) if self.moved else start

    @property
    def batch(self) -> Batch | None:
        """The rows, or None for all."""
        assert self.rows is None or self.at.data is not None
        return None if self.rows is None else some(self.at.data, self.rows)  # type: ignore[arg-type]  # there are data

    def __str__(self) -> str:
        point = "the start" if self.at.problem is not None else "the point given"
        where = f"a point near {point}" if self.moved else point
        where += f" of seed {self.seed}" if self.at.problem is not None or self.moved else ""
        if self.rows is None:
            return where
        return f"{where}, over the rows {self.rows.start} to {self.rows.stop - 1}"

    def code(self) -> str:
        """Return code that defines loss, gradient (where it is given), point and rows."""
        at, lines = self.at, ["import torch"]
        if at.problem is not None:
            lines += [
                "# problem: the one that was checked",
                'double = problem.to("cpu", torch.float64, copy=True)',
                "loss = double.loss",
            ]
            if at.closed is not None and getattr(at.closed, "__self__", None) is at.problem:
                lines.append("gradient = double.gradient")
            elif at.closed is not None:
                lines.append(_import("gradient", at.closed))
        else:
            lines += _imports(at)
        if at.data is not None:
            data = "double.data" if at.problem is not None else "data"
            lines.append("from optlab import Batch")
            if at.problem is None:
                lines.append("from optlab.testing.gradients.differentiable import converted")
                lines.append("data = converted(data, torch.float64)")
            rows = (
                "slice(None)"
                if self.rows is None
                else f"slice({self.rows.start}, {self.rows.stop})"
            )
            lines.append(
                f"rows = Batch(*(None if part is None else part[{rows}] for part in {data}))"
            )
        return "\n".join([*lines, *self._point_code()])

    @property
    def arguments(self) -> str:
        """The arguments of loss and gradient in that code."""
        return "point, rows" if self.at.data is not None else "point"

    @property
    def is_vector(self) -> bool:
        """Whether the point is one tensor, not a dict of tensors."""
        return not (self.at.given is None or isinstance(self.at.given, dict))

    def _point_code(self) -> Iterator[str]:
        point = self.point
        if sum(value.numel() for value in point.values()) <= _WRITTEN:
            written = {
                name: f"torch.tensor({value.tolist()!r}, dtype=torch.float64)"
                + (f".reshape({tuple(value.shape)})" if not value.numel() else "")
                for name, value in point.items()
            }
            if self.is_vector:
                yield f"point = {written[VECTOR]}"
                return
            yield "point = {"
            yield from (f"    {name!r}: {value}," for name, value in written.items())
            yield "}"
            return
        yield (
            f"point = double.start(torch.Generator().manual_seed({self.seed}))"
            if self.at.problem is not None
            else "point = parameters  # those that were given"
        )
        if self.moved:
            yield "from optlab.testing.gradients.differentiable import near"
            yield (
                f"point = near({{{VECTOR!r}: point}}, {self.seed}, 0.1)[{VECTOR!r}]"
                if self.is_vector
                else f"point = near(point, {self.seed}, 0.1)"
            )


def _imports(at: Differentiable) -> list[str]:
    """Return imports of a function and its gradient where they have a place to import from."""
    lines = [_import("loss", at.of)]
    if at.closed is not None:
        lines.append(_import("gradient", at.closed))
    return lines + (["# data: those that were given"] if at.data is not None else [])


def _import(name: str, function: object) -> str:
    place, own = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if place in {None, "__main__", "builtins"} or not own.isidentifier():
        return f"# {name}: the function that was checked"
    return f"from {place} import {own} as {name}"


def places(at: Differentiable, seed: int, *, batches: bool = True) -> list[Place]:
    """Return the places to check: two points at which the loss is finite, and batches of rows.

    Over all rows, over one, and over a part whose size is no divisor of theirs.
    """
    points = [
        place
        for place in (Place(at, seed), Place(at, seed + 1, moved=True))
        if math.isfinite(at.value(place.point))
    ]
    parts: dict[int, slice] = {}
    if at.data is not None and at.has_separate_rows and batches:
        short = max(1, 2 * min(len(at.data.y), MOST_ROWS) // 3)
        parts = {1: slice(0, 1), short: slice(0, short)}
    return points + [
        Place(at, place.seed, place.moved, rows) for place in points for rows in parts.values()
    ]
