"""A trial with all that running it takes, ready to be sent elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import Trial
from optlab.optimizers import Optimizer, hyperparameters, versions
from optlab.problems import Problem


@dataclass(frozen=True, eq=False)
class Task:
    """A trial, its problem, its optimizer, and how long it may go on."""

    trial: Trial
    problem: Problem
    optimizer: Optimizer
    budget: Budget

    def about_optimizer(self) -> dict[str, Any]:
        """Return what the tables say of the optimizer: class, hyperparameters and versions."""
        return {
            "class": type(self.optimizer).__name__,
            "hyperparameters": hyperparameters(self.optimizer),
            "versions": versions(self.optimizer),
        }
