"""Kill a run of 200 short trials with SIGKILL at random moments, and resume it each time.

Nothing that was finished may be lost, nothing that was stored may be run again, the file must be
whole after every kill, alone where it is copied (``cp``) or moved (``mv``) without the log beside
it, and the final tables must equal an undisturbed run's except for times.

    python -m benchmarks.kill_and_resume [KILLS]
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

import optlab as ol

TRIALS = 200
OPTLAB = Path(sys.executable).with_name("optlab")

# Each start of a trial is a line in a file: of the cold pass, and of the solve.
SCRIPT = """
import os
import time
from dataclasses import dataclass
from typing import ClassVar

import optlab as ol


@dataclass(frozen=True)
class Logged:
    number: int
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        with open(os.environ["STARTED"], "a") as file:
            file.write(f"{os.getpid()} {self.number}\\n")
        time.sleep(0.002)
        yield from ol.ManualSGD(0.001 * (1 + self.number)).iterates(problem, batches, start)


experiment = ol.Experiment(
    name="killed",
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers={str(number): Logged(number) for number in range(TRIALS)},
    batch_sizes=[5],
    epochs=5,
    recorded_epochs=1,
)
"""


@dataclass
class Seen:
    """The outcome of a run that was killed and resumed."""

    kills: int = 0
    starts: int = 0
    stored_after: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    run_again: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    torn: int = 0
    """The files that were killed while their pages were overwritten: whole only with their log."""
    cut_short: int = 0
    same_tables: bool = False


def kill_and_resume(
    folder: Path, kills: int, seed: int = 0, optlab: Path | str = OPTLAB, trials: int = TRIALS
) -> Seen:
    """Kill a run so often, let it end, and compare it with one that was left alone."""
    script, store, alone = folder / "script.py", folder / "killed.db", folder / "alone.db"
    script.write_text(SCRIPT.replace("TRIALS", str(trials)), encoding="utf-8")
    chance, seen = random.Random(seed), Seen()
    done: set[str] = set()
    while True:
        log = folder / f"started-{seen.starts}"
        process = _start(optlab, script, store, log)
        seen.starts += 1
        if seen.kills < kills:
            # So that about half of the trials is left for the last, undisturbed start.
            most = max(1, trials // (kills + 1))
            _wait_for_trials(process, log, chance.randint(1, most))
            time.sleep(chance.uniform(0, 0.02))
            _kill(log)
        status = process.wait()
        started = _started(log)
        _look_at_it_alone(store, done | set(started[:-1]), seen)
        now = _stored(store, seen)
        seen.stored_after.append(len(now))
        seen.lost += sorted(done - now) + sorted(set(started[:-1]) - now)
        seen.run_again += sorted(set(started) & done)
        done = now
        if status == 0:
            break
        if status != -signal.SIGKILL:
            raise RuntimeError(f"the run ended with status {status}")
        seen.kills += 1
        seen.cut_short += bool(started) and started[-1] not in now
    _start(optlab, script, alone, folder / "started-alone").wait()
    seen.same_tables = same_but_for_times(ol.Results.load(store), ol.Results.load(alone))
    return seen


def same_but_for_times(one: ol.Results, other: ol.Results) -> bool:
    """Whether two results have equal tables and parameters, what the clocks say left out."""
    for mine, its in ((one.trials, other.trials), (one.traces, other.traces)):
        columns = [c for c in mine if not c.endswith("seconds") and c != "cores_short"]
        plain = [table[columns] for table in (mine, its)]
        if not pd.DataFrame.equals(*plain):
            return False
    return all(
        one.parameters(trial)[name].tobytes() == value.tobytes()
        for trial in other.trials["trial"]
        for name, value in other.parameters(trial).items()
    )


def _start(optlab: Path | str, script: Path, store: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"STARTED": str(log)}
    command = [optlab, "run", script, "--store", store, "--threads", "1"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet)


def _wait_for_trials(process: subprocess.Popen[bytes], log: Path, count: int) -> None:
    while process.poll() is None and len(_started(log)) < count:
        time.sleep(0.002)


def _kill(log: Path) -> None:
    """Kill the process that runs the trials: it may be a child of the one that was started."""
    with suppress(ProcessLookupError):
        os.kill(int(_lines(log)[-1].split()[0]), signal.SIGKILL)


def _started(log: Path) -> list[str]:
    """Return the trials that a run started, in order."""
    return list(dict.fromkeys(line.split()[1] for line in _lines(log)))


def _lines(log: Path) -> list[str]:
    """Return the lines of a log but for the last, which may have been cut by a kill."""
    if not log.is_file():
        return []
    return log.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()


def _look_at_it_alone(store: Path, told: set[str], seen: Seen) -> None:
    """Look whether a copy of the file, and the file moved away, hold what was told as finished."""
    moved, log = store.with_name("moved.db"), store.with_name(f"{store.name}-journal")
    shutil.copy(store, moved)  # `cp`, while the file and its log stay
    try:
        seen.lost += sorted(told - _stored(moved, seen))
    except sqlite3.DatabaseError:
        seen.torn += 1
        if not log.exists():
            raise
    store.replace(moved)  # `mv`; and its log after it, if there is one
    if log.exists():
        log.replace(f"{moved}-journal")
    seen.lost += sorted(told - _stored(moved, seen))
    moved.replace(store)


def _stored(store: Path, seen: Seen) -> set[str]:
    database = sqlite3.connect(store)
    try:
        (state,) = database.execute("PRAGMA integrity_check").fetchone()
        if state != "ok":
            seen.damaged.append(state)
        rows = database.execute("SELECT record ->> '$.trial.optimizer' FROM trials").fetchall()
    finally:
        database.close()
    names = [name for (name,) in rows]
    if len(names) > len(set(names)):
        seen.run_again += sorted({name for name in names if names.count(name) > 1})
    return set(names)


def main() -> None:
    """Print what was seen."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        seen = kill_and_resume(Path(folder), kills)
    print(f"{seen.kills} kills, {seen.starts} starts, {time.perf_counter() - began:.0f} s")
    print(f"trials stored after each start: {seen.stored_after}")
    print(f"kills that cut a trial short: {seen.cut_short}")
    print(f"finished trials lost: {seen.lost or 'none'}")
    print(f"trials run again after they were stored: {seen.run_again or 'none'}")
    print(f"files torn without their log: {seen.torn}")
    print(f"integrity_check: {seen.damaged or 'ok, after every start'}")
    print(f"tables equal an undisturbed run's, times left out: {seen.same_tables}")


if __name__ == "__main__":
    main()
