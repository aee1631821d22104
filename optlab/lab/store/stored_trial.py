"""What a results file keeps, as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from optlab.lab.trial.record import TrialRecord


class Fingerprints(NamedTuple):
    """What tells trials of one name apart.

    Parameters
    ----------
    problems, optimizers
        The fingerprints of an experiment's problems and optimizers, by name.
    setting
        Its budget and threads, in words: what all its trials share.
    surroundings
        A hash of the machine, the versions and optlab's own code.
    """

    problems: Mapping[str, str]
    optimizers: Mapping[str, str]
    setting: str
    surroundings: str


class StoredExperiment(NamedTuple):
    """An experiment as a file keeps it."""

    name: str
    definition: Mapping[str, Any]
    machine: Mapping[str, str]
    prints: Fingerprints


class StoredTrial(NamedTuple):
    """A trial as a file keeps it: its key, the experiment that ran it, and what became of it."""

    key: str
    experiment: int
    record: TrialRecord
