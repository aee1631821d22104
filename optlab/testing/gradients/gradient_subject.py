"""The subject of the gradient checks: one loss in float64, and in float32 where it has that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from optlab.problems.problem import Batch, Parameters
from optlab.testing.gradients.differentiable import Differentiable, random_direction
from optlab.testing.gradients.line import Line
from optlab.testing.gradients.place import MOST_ROWS, Place
from optlab.testing.gradients.rounding_bound import Bound, rounding_bound
from optlab.testing.run_checks import CheckSkipped


@dataclass(frozen=True)
class GradientSubject:
    """A loss in float64, and the checks' seed."""

    double: Differentiable
    seed: int
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def single(self) -> Differentiable | None:
        """The same loss in float32, or None for a function that has none.

        Where only a function that was given as a problem's gradient has none, it is left out.
        """
        single, problem = self.double.in_dtype(torch.float32), self.double.problem
        closed = self.double.closed
        is_own = closed is None or getattr(closed, "__self__", None) is problem
        if problem is not None and is_own:
            return single
        try:
            start = single.start(self.seed)
            single.value(start)
            dtypes = {v.dtype for v in single.gradient(start).values()}
        except Exception:  # a function that holds float64 data of its own raises what it will
            dtypes = set()
        if dtypes == {torch.float32}:
            return single
        return None if problem is None else replace(single, closed=None)

    def bound(self, place: Place) -> Bound:
        """Return the rounding bounds at a place."""
        key = ("bound", place.key)
        if key not in self._kept:
            self._kept[key] = self.bound_at(place.point, place.batch)
        found: Bound = self._kept[key]
        return found

    def bound_at(self, point: Parameters, rows: Batch | None) -> Bound:
        """Return the rounding bounds at a point, over some rows."""
        return rounding_bound(self.double, self.single, point, rows)

    def line(self, place: Place, number: int) -> tuple[Line, Parameters]:
        """Return the loss along a random direction through a place, and the direction."""
        key = ("line", place.key, number)
        if key not in self._kept:
            point = place.point
            direction = random_direction(point, self.line_seed(number))
            self._kept[key] = line_along(self.double, point, direction, place.batch), direction
        found: tuple[Line, Parameters] = self._kept[key]
        return found

    def line_seed(self, number: int) -> int:
        """Return the seed of a random direction."""
        return 1000 * (self.seed + 1) + number

    def rows(self) -> Batch:
        """Return up to 12 rows, of which batches are made.

        Raises
        ------
        CheckSkipped
            If there are not at least two, or the loss of a batch is no mean over its rows, by batch
            norm or dropout.
        """
        data = self.double.data
        if data is None or len(data.y) < 2:
            raise CheckSkipped("there are not two rows of data")
        if not self.double.has_separate_rows:
            raise CheckSkipped("a batch's loss depends on the other rows, by its buffers")
        if self.double.is_random:
            raise CheckSkipped("the loss draws random numbers, as with dropout")
        return Batch(*(None if part is None else part[:MOST_ROWS] for part in data))  # type: ignore[arg-type]  # X and y are never None


def line_along(
    of: Differentiable, point: Parameters, direction: Parameters, rows: Batch | None
) -> Line:
    """Return a loss along a direction through a point."""

    def function(t: float) -> float:
        return of.value({k: v + t * direction[k] for k, v in point.items()}, rows)

    return Line(function)


def along(gradient: Parameters, direction: Parameters) -> float:
    """Return the inner product of a gradient and a direction."""
    return sum(float((gradient[k] * v).sum()) for k, v in direction.items())


Check = Callable[[], object]
