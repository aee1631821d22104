"""The results of an experiment as plain data, from which analysis and report are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from optlab.analysis.statistics import measured
from optlab.lab import ProblemSummary
from optlab.lab.tables import predictions_table
from optlab.lab.trial.recorded_parameters import RecordedParameters


@dataclass(frozen=True, eq=False)
class ResultTables:
    """The two tables of an experiment, and what they were measured on."""

    name: str
    trials: pd.DataFrame  # a row for each trial asked for
    traces: pd.DataFrame  # a row for each recorded iterate
    problems: Mapping[str, ProblemSummary]  # by name
    machine: Mapping[str, str] = field(default_factory=dict)
    # The axes and the budget that were asked for; when (`started`), by which `command`, and from
    # which `commit`, as far as these are known.
    definition: Mapping[str, Any] = field(default_factory=dict)
    # By trial, where there are any:
    final_parameters: Mapping[int, Mapping[str, np.ndarray[Any, Any]]] = field(default_factory=dict)
    tracebacks: Mapping[int, str] = field(default_factory=dict)
    recorded_parameters: Mapping[int, RecordedParameters] = field(default_factory=dict)
    # A row for each trial that theory describes, see `optlab.lab.trial.prediction.Prediction`.
    predictions: pd.DataFrame = field(default_factory=lambda: predictions_table([]))
    # Hashes of the code, of results that were loaded: see `optlab.lab.store.merge.MergedFiles`.
    code: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def measured(self) -> Self:
        """The results without the tuning trials: what is said of an experiment is said of these.

        Whatever is made of results begins here, but for the tables, figure and sentences on tuning.
        """
        trials = measured(self.trials)
        return self if len(trials) == len(self.trials) else self.of_trials(trials)

    def of_trials(self, trials: pd.DataFrame) -> Self:
        """Return the results of some rows of the table of trials, in the order given."""
        kept = set(trials["trial"])
        return replace(
            self,
            trials=trials.reset_index(drop=True),
            traces=self.traces[self.traces["trial"].isin(kept)].reset_index(drop=True),
            predictions=self.predictions[self.predictions["trial"].isin(kept)],
            final_parameters={n: p for n, p in self.final_parameters.items() if n in kept},
            tracebacks={n: text for n, text in self.tracebacks.items() if n in kept},
            recorded_parameters={n: p for n, p in self.recorded_parameters.items() if n in kept},
        )
