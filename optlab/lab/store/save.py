"""Save the records of trials as a results file that is written at once."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from optlab.lab.store.archive import copy_in_folder
from optlab.lab.store.encoding import record_to_row, to_json
from optlab.lab.store.problem_summary import ProblemSummary
from optlab.lab.store.store import Store
from optlab.lab.store.stored_trial import SAVED, Fingerprints
from optlab.lab.trial.record import TrialRecord

_BUDGET = ("epochs", "stop_at", "recorded_epochs")


def keep_stored_trials(path: Path, *, force: bool) -> None:
    """Refuse to replace a results file to which trials were written as they ended.

    With ``force`` it is copied into an archive file beside it.

    Raises
    ------
    ValueError
        For such a file without ``force``, and for one that cannot be read.
    """
    with Store(path, create=False) as store:
        experiments = store.experiments().values()
        lasting = any(own.fingerprints.surroundings != SAVED for own in experiments)
    if lasting and not force:
        raise ValueError(
            f"{path} holds trials that an experiment wrote as they ended: name another file, or "
            "replace it with force=True, which keeps them in an archive file beside it"
        )
    if lasting:
        copy_in_folder(path)


def write_saved(
    file: BinaryIO,
    name: str,
    records: Sequence[TrialRecord],
    problems: Mapping[str, ProblemSummary],
    machine: Mapping[str, str],
    definition: Mapping[str, Any],
) -> None:
    """Write the records of an experiment as a results file that `read_stores` reads.

    The fingerprints are of what is written, so that equal problems and optimizers of two such files
    are the same; they are not those of a store, which are made of data and code.
    """
    settings = {record.trial.optimizer: _hash(record.optimizer) for record in records}
    setting = ", ".join(f"{k} {definition[k]}" for k in _BUDGET if definition.get(k) is not None)
    hashes = {key: problem_hash(facts) for key, facts in problems.items()}
    fingerprints = Fingerprints(hashes, settings, setting, SAVED)
    keyed = {
        _hash({"place": place, **_texts(record_to_row(record, record.optimizer))}): record
        for place, record in enumerate(records)
    }
    with tempfile.TemporaryDirectory(prefix="optlab-") as folder:
        made = Path(folder, "results.db")
        with Store(made) as store:
            for key, facts in problems.items():
                store.add_problem(hashes[key], facts)
            wanted = {key: record.trial for key, record in keyed.items()}
            number = store.begin_experiment(name, definition, machine, fingerprints, wanted)
            store.add_all(keyed, number)
        with made.open("rb") as whole:
            shutil.copyfileobj(whole, file)


def problem_hash(facts: ProblemSummary) -> str:
    """Return a hash of a problem's summary: of one that was saved and read again the same."""
    plain = asdict(facts)
    parameters = {name: array.tolist() for name, array in facts.parameters.items()}
    return _hash(plain | {"parameters": parameters, "x": facts.x.tolist(), "y": facts.y.tolist()})


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: v.hex() if isinstance(v, bytes) else v for name, v in row.items()}


def _hash(values: Mapping[str, Any]) -> str:
    text = json.dumps(json.loads(to_json(values)), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
