"""A trial with everything that running it takes, to be sent to a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import Trial
from optlab.optimizers import Optimizer, hyperparameters, versions
from optlab.problems import Problem


@dataclass(frozen=True, eq=False)
class Task:
    """A trial, its problem, its optimizer and its budget."""

    trial: Trial
    problem: Problem
    optimizer: Optimizer
    budget: Budget

    def about_optimizer(self) -> dict[str, Any]:
        """Return the optimizer's class, hyperparameters and versions, for the tables."""
        return {
            "class": type(self.optimizer).__name__,
            "hyperparameters": hyperparameters(self.optimizer),
            "versions": versions(self.optimizer),
        }


Work: TypeAlias = Task | Sequence[Task]
"""A trial that runs by itself, or those of a sweep."""
