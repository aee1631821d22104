"""Experiments and trials as a results file keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from optlab.lab.trial.record import TrialRecord


class Fingerprints(NamedTuple):
    """Hashes that tell trials of one name apart.

    Parameters
    ----------
    problems, optimizers
        The fingerprints of an experiment's problems and optimizers, by name.
    setting
        Its budget and threads, in words: what all its trials share.
    surroundings
        A hash of the machine, the versions and optlab's own code.
    code
        The hashes of the files of optlab that decide numbers, by their paths in the package.
    """

    problems: Mapping[str, str]
    optimizers: Mapping[str, str]
    setting: str
    surroundings: str
    code: Mapping[str, str] = {}


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
