"""Experiments and trials as a results file keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from optlab.lab.trial.record import TrialRecord

SAVED = "saved as a whole"
"""The surroundings of an experiment that was saved as a whole, of which nothing is known again."""


class Fingerprints(NamedTuple):
    """Hashes that tell trials of one name apart."""

    problems: Mapping[str, str]  # by name
    optimizers: Mapping[str, str]
    setting: str  # the budget and the threads of all trials, as text
    surroundings: str  # of the machine, the versions and optlab's own code
    code: Mapping[str, str] = {}  # of the files of optlab that decide numbers, by path


class StoredExperiment(NamedTuple):
    """An experiment that was run into the file."""

    name: str
    definition: Mapping[str, Any]
    machine: Mapping[str, str]
    fingerprints: Fingerprints


class StoredTrial(NamedTuple):
    """A trial's key, the experiment that ran it, and its record."""

    key: str
    experiment: int
    record: TrialRecord
