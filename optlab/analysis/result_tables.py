"""The results of an experiment as plain data, from which analysis and report are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from optlab.lab import ProblemSummary


@dataclass(frozen=True, eq=False)
class ResultTables:
    """The two tables of an experiment, and what they were measured on.

    Parameters
    ----------
    name
        The experiment's name.
    trials
        A row for each trial asked for, whatever became of it.
    traces
        A row for each recorded iterate.
    problems
        The summary of each problem, by name: its size, its optimum and certificate.
    machine
        The machine that the trials ran on.
    definition
        The axes and the budget that were asked for; when (``started``), by which ``command``, and
        from which ``commit``, as far as these are known.
    final_parameters, tracebacks
        By trial, where there are any.
    """

    name: str
    trials: pd.DataFrame
    traces: pd.DataFrame
    problems: Mapping[str, ProblemSummary]
    machine: Mapping[str, str] = field(default_factory=dict)
    definition: Mapping[str, Any] = field(default_factory=dict)
    final_parameters: Mapping[int, Mapping[str, np.ndarray[Any, Any]]] = field(default_factory=dict)
    tracebacks: Mapping[int, str] = field(default_factory=dict)
