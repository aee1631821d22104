"""The subject of checks: an optimizer, the problems that it is checked on, and its claims."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from optlab.optimizers import Optimizer, is_direct, unsupported
from optlab.testing.conformance.recorded_problem import Call, recorded
from optlab.testing.conformance.single_run import Point, Run, copied, iterates
from optlab.testing.conformance.small_data import FAMILIES, Family, small_data
from optlab.testing.run_checks import CheckSkipped

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Subject:
    """An optimizer that is checked.

    Parameters
    ----------
    optimizer
        The optimizer.
    seed
        Of all data that are drawn.
    reference
        An optimizer that it must follow to rounding, or None.
    draw
        Which draw of the data this is.
    unused
        A copy of the optimizer that has never run; made where left out.
    """

    optimizer: Optimizer
    seed: int = 0
    reference: Any = None
    draw: int = 0
    unused: Any = None

    def on_other_data(self, draw: int) -> Subject:
        """Return the same subject, with a fresh copy, on another draw of the data."""
        return replace(self, draw=draw, optimizer=self.fresh(), unused=self._unused)

    @cached_property
    def _unused(self) -> Any:
        """A copy that never runs, or the optimizer itself where it cannot be copied."""
        if self.unused is not None:
            return self.unused
        try:
            return copy.deepcopy(self.optimizer)
        except Exception:  # a lock, an open file: whatever it holds
            return self.optimizer

    @property
    def data_seed(self) -> int:
        """The seed of this draw's data."""
        return 7919 * self.seed + 104729 * self.draw

    @cached_property
    def data(self) -> tuple[Tensor, Tensor]:
        """X and y of this draw."""
        return small_data(self.data_seed)

    @cached_property
    def family(self) -> Family:
        """The plainest kind of problem that the optimizer supports on the CPU."""
        reasons = []
        for family in FAMILIES.values():
            reason = unsupported(self.optimizer, family.make(*self.data), CPU)
            if reason is None:
                return family
            reasons.append(reason)
        raise CheckSkipped(
            f"it supports none of the problems that checks are made on: {reasons[0]}"
        )

    @property
    def is_linear(self) -> bool:
        """Whether it is checked on plain linear regression."""
        return self.family is FAMILIES["linear"]

    @property
    def is_least_squares(self) -> bool:
        """Whether it is checked on linear regression, plain or ridge."""
        return self.family in (FAMILIES["linear"], FAMILIES["ridge"])

    @property
    def is_direct(self) -> bool:
        """Whether the method answers at once."""
        return is_direct(self.optimizer)

    @property
    def uses_batches(self) -> bool:
        """Whether the method uses mini-batches."""
        return bool(self.optimizer.uses_batches)

    @cached_property
    def is_batch_local(self) -> bool:
        """Whether it says that a step takes gradients of its mini-batch's rows alone.

        A cost left out says so; a cost of more gradients than rows visited says otherwise.
        """
        (first,) = self.run(self.setting(batch_size=2))
        return self.uses_batches and (first.cost is None or first.cost.gradients <= 1 + 1e-9)

    def setting(self, **changes: Any) -> Run:
        """Return a run on this draw's data, all rows at once, but for some settings."""
        X, y = self.data
        run = Run(self.family, X, y, seed=self.data_seed % 1000)
        return run.but(**changes)

    def run(self, run: Run, problem: Any = None) -> list[Point]:
        """Return the first iterates of a run."""
        return iterates(self.optimizer, run, problem)

    def record(self, run: Run) -> tuple[list[Point], list[Call]]:
        """Return the iterates of a run, and the evaluations that it made until the last of them."""
        problem, calls = recorded(run.problem())
        if reason := unsupported(self.optimizer, problem, CPU):
            raise CheckSkipped(f"its evaluations cannot be recorded: {reason}")
        calls.clear()  # those that `unsupported` made
        batches = run.batches(problem)
        found = self.optimizer.iterates(problem, batches, run.begin(problem))
        points, made = [], 0
        for iterate in islice(found, run.count):
            points.append(copied(iterate, batches))
            made = len(calls)
        del calls[made:]  # those of a method that ends by itself, after its last iterate
        if not calls:
            raise CheckSkipped("it does not ask the problem for losses or gradients")
        return points, calls

    def fresh(self) -> Optimizer:
        """Return a copy of the optimizer as it was before its first run, where it can be copied."""
        unused: Optimizer = self._unused
        return unused if unused is self.optimizer else copy.deepcopy(unused)

    def begin(self) -> Subject:
        """Return the subject for one check: a fresh copy, so that no check sees another's runs."""
        return replace(self, optimizer=self.fresh(), unused=self._unused)

    def require(self, **properties: bool) -> None:
        """Skip a check unless the optimizer has these properties."""
        sentences = {
            "uses_batches": ("it uses mini-batches", "it uses no mini-batches"),
            "is_direct": ("it is a direct method", "it is no direct method"),
            "is_linear": (
                "it is checked on plain linear regression",
                "it does not minimise plain linear regression",
            ),
            "is_batch_local": (
                "it takes gradients of the batch's rows only",
                "its cost says that it takes gradients of other rows too",
            ),
        }
        for name, value in properties.items():
            if getattr(self, name) != value:
                raise CheckSkipped(sentences[name][int(value)])

    def takes(self, run: Run) -> bool:
        """Return whether the optimizer supports the problem of a run."""
        return unsupported(self.optimizer, run.problem(), CPU) is None
