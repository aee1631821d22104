"""The subject of the gradient checks: one loss in float64, and in float32 where it has that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from optlab.problems.problem import Batch, Parameters
from optlab.testing.gradients.differentiable import Differentiable, random_direction
from optlab.testing.gradients.line import Line
from optlab.testing.gradients.place import MOST_ROWS, Place
from optlab.testing.gradients.rounding import Bound, rounding_bound
from optlab.testing.run_checks import CheckSkipped


@dataclass(frozen=True)
class GradientSubject:
    """A loss in float64, and the checks' seed."""

    double: Differentiable
    seed: int

    @cached_property
    def single(self) -> Differentiable | None:
        """The same loss in float32, or None for a function that has none."""
        if self.double.problem is not None:
            return self.double.in_dtype(torch.float32)
        single = self.double.in_dtype(torch.float32)
        try:
            dtypes = {v.dtype for v in single.gradient(single.start(self.seed)).values()}
        except Exception:  # a function that holds float64 data of its own raises what it will
            return None
        return single if dtypes == {torch.float32} else None

    def bound(self, place: Place) -> Bound:
        """Return the rounding bounds at a place."""
        return self.bound_at(place.point, place.batch)

    def bound_at(self, point: Parameters, rows: Batch | None) -> Bound:
        """Return the rounding bounds at a point, over some rows."""
        return rounding_bound(self.double, self.single, point, rows)

    def line(self, place: Place, number: int) -> tuple[Line, Parameters]:
        """Return the loss along a random direction through a place, and the direction."""
        point, rows = place.point, place.batch
        direction = random_direction(point, 1000 * (self.seed + 1) + number)
        return line_along(self.double, point, direction, rows), direction

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
