"""The subject of the problem checks: a problem, its copy in float64, and points of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from optlab.problems.problem import Batch, Parameters, Problem
from optlab.testing.failure_message import failure_message
from optlab.testing.gradients.differentiable import Differentiable, near
from optlab.testing.gradients.gradient_subject import GradientSubject
from optlab.testing.gradients.input_checks import tensors
from optlab.testing.run_checks import CheckFailedError

HEAD = "import torch\n# problem: the one that was checked\n"
"""The first lines of an example to paste."""

DOUBLE = 'double = problem.to("cpu", torch.float64, copy=True)\n'


@dataclass(frozen=True)
class ProblemSubject:
    """A problem, the checks' seed, and a copy of the data as they were before the checks."""

    problem: Problem
    seed: int
    given: dict[str, torch.Tensor]

    @cached_property
    def gradients(self) -> GradientSubject:
        """The subject of the gradient checks."""
        at = Differentiable("", self.problem, None, self.problem.data, None, torch.float64)
        return GradientSubject(at.in_dtype(torch.float64), self.seed)

    @property
    def at(self) -> Differentiable:
        """The loss in float64."""
        return self.gradients.double

    @property
    def double(self) -> Any:
        """The problem in float64 on the CPU, over a copy of its data."""
        return self.at.problem

    def start(self, problem: Problem | None = None, seed: int | None = None) -> Parameters:
        """Return a start, drawn from a seed (the checks' own where none is given)."""
        own = self.seed if seed is None else seed
        return (self.problem if problem is None else problem).start(
            torch.Generator().manual_seed(own)
        )

    def points(self, count: int) -> list[Parameters]:
        """Return the start and points near it, in float64."""
        start = self.start(self.double)
        return [start] + [near(start, 10 * self.seed + k, 0.1) for k in range(1, count)]


def reference_rounding(
    subject: ProblemSubject,
    point: Parameters,
    measure: Callable[[Parameters], float] | None = None,
) -> float:
    """Return the rounding of a loss that is judged by the distance from the reference's parameters.

    These may be far larger than the point's: the change of the loss, or of another measure, by
    adding and taking off multiples of them is seen, times the number of terms.
    """
    measure = subject.at.value if measure is None else measure
    reference = subject.problem.reference()
    if reference is None or reference.parameters is None:
        return 0.0
    # A point of float32 has too few digits to be rounded: one very near it has all of them.
    full = {name: value * (1 + 2.0**-21 / 3) for name, value in point.items()}
    value, changes = measure(full), [0.0]
    for factor in (1.0, -1.0, 3.0, 1.0 / 3.0):
        far = {name: factor * value for name, value in reference.parameters.items()}
        moved = {name: (value + far[name]) - far[name] for name, value in full.items()}
        changes.append(abs(measure(moved) - value))
    terms = len(subject.problem.data.y) + sum(value.numel() for value in point.values()) + 8
    return 2 * terms * max(change for change in changes if math.isfinite(change))


def start_code(problem: str, seed: int) -> str:
    """Return code of a start.

    Examples
    --------
    >>> start_code("problem", 0)
    'problem.start(torch.Generator().manual_seed(0))'
    """
    return f"{problem}.start(torch.Generator().manual_seed({seed}))"


def require(
    holds: object, theory: str, seen: str, *, tolerance: str = "", hint: str = "", example: str = ""
) -> None:
    """Raise CheckFailedError with these words unless a condition holds."""
    if not holds:
        raise CheckFailedError(
            failure_message(theory, seen, tolerance=tolerance, hint=hint, example=example)
        )


def frozen(rows: Batch) -> dict[str, torch.Tensor]:
    """Return a copy of each tensor of the rows, by name."""
    return {name: part.clone() for name, part in tensors(rows, "data").items()}
