"""Two runs of one experiment made by hand: epochs, seconds and ends as they are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optlab.lab import Status, Trial, TrialRecord
from optlab.lab.store.problem_summary import ProblemSummary, ReferenceSummary
from optlab.lab.store.store import Store
from optlab.lab.store.stored_trial import Fingerprints
from optlab.lab.trial.record import TraceRow
from optlab.results import Results

TARGET = 1e-3
MACHINE = {
    "processor": "abacus", "cores": "2", "optlab": "1", "torch": "2.13", "torch threads": "1",
    "device cpu": "1 threads",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A cell: its pace of convergence, an epoch's seconds, and how it ends."""

    half_lives: float = 0.25  # an epoch
    seconds: float = 0.01
    status: Status = Status.CONVERGED
    message: str = ""
    optimizer: str = ""  # the class, where the name is not
    hyperparameters: Mapping[str, Any] | None = None
    stalls_at: float = 0.0  # suboptimality that it does not go below


CELLS = {f"m{k}": Cell(0.2 + 0.03 * k, 0.01 * (1 + k)) for k in range(6)}


def problem(name: str = "p", **changes: Any) -> ProblemSummary:
    facts = ProblemSummary(
        name=name, kind="LinearRegression", n=10, d=1, dtype="float64", feature_names=("x",),
        reference=ReferenceSummary("certified", 0.25), data_hash="abc",
    )  # fmt: skip
    return replace(facts, **changes)


def records(
    cells: Mapping[str, Cell], seed: int, *, noise: float, seeds: int, repeats: int,
    drift: float = 1.0, budget: int = 200, device: str = "cpu", start: float = 1.0,
    **marks: Any,
) -> list[TrialRecord]:  # fmt: skip
    """Return the trials of a run: their seconds have noise, and a burst in each repeat."""
    rng = np.random.default_rng(seed)
    found: list[TrialRecord] = []
    for repeat in range(1, repeats + 1):
        burst = drift * math.exp(5 * noise * rng.normal())
        for name, cell in cells.items():
            for number in range(seeds):
                pace = cell.seconds * burst * math.exp(noise * rng.normal())
                trial = Trial(len(found), "p", name, "full", device, "float64", number, repeat)
                trace = _trace(cell, 1 + 0.1 * number, pace, budget, start)
                converged = trace[-1].suboptimality <= TARGET
                status = (
                    cell.status if cell.status != Status.CONVERGED or converged else Status.FINISHED
                )
                own = {
                    "class": cell.optimizer or name,
                    "hyperparameters": dict(cell.hyperparameters or {}),
                }
                found.append(
                    TrialRecord(
                        trial, status, cell.message, started=1.0, seconds=trace[-1].seconds,
                        stop_scale=1.0, trace=trace, optimizer=own, **marks,
                    )
                )  # fmt: skip
    return found


def _trace(cell: Cell, factor: float, pace: float, budget: int, start: float) -> list[TraceRow]:
    rows = []
    for epoch in sorted(
        set(np.rint(np.geomspace(1, budget, 40)).astype(int).tolist()) | {0, budget}
    ):
        value = max(start * 2 ** (-cell.half_lives * epoch / factor), cell.stalls_at)
        rows.append(
            TraceRow(epoch, 10 * epoch, pace * epoch, 0.25 + value, value, value, 0, value, epoch)
        )
        if value <= TARGET and cell.status == Status.CONVERGED:
            break
    return rows


def run(
    cells: Mapping[str, Cell] = CELLS, seed: int = 0, *, noise: float = 0.02, seeds: int = 3,
    repeats: int = 6, machine: Mapping[str, str] | None = None,
    facts: ProblemSummary | None = None, code: Mapping[str, Any] | None = None,
    definition: Mapping[str, Any] | None = None, **how: Any,
) -> Results:  # fmt: skip
    """Return the results of a run."""
    budget = how.get("budget", 200)
    about = _definition(cells, budget) | dict(definition or {})
    made = records(cells, seed, noise=noise, seeds=seeds, repeats=repeats, **how)
    return Results.of(
        "planted", made, {"p": facts or problem()}, {**MACHINE, **(machine or {})}, about, code
    )


def _definition(cells: Mapping[str, Cell], budget: int) -> dict[str, Any]:
    optimizers = {
        name: {"class": cell.optimizer or name, **(cell.hyperparameters or {})}
        for name, cell in cells.items()
    }
    return {
        "optimizers": optimizers,
        "epochs": budget,
        "stop_at": TARGET,
        "recorded_epochs": "growing",
    }


def store(path: Any, cells: Mapping[str, Cell] = CELLS, seed: int = 0, **how: Any) -> Any:
    """Write a run into a results file."""
    made = records(cells, seed, **({"noise": 0.02, "seeds": 3, "repeats": 10} | how))
    wanted = {f"k{record.trial.number}": record.trial for record in made}
    fingerprints = Fingerprints(
        {"p": "1"}, dict.fromkeys(cells, "2"), "", "", {"linalg/a.py": str(seed)}
    )
    with Store(path) as file:
        number = file.begin_experiment(
            "planted", _definition(cells, 200), MACHINE, fingerprints, wanted
        )
        file.add_problem("1", problem())
        for key, record in zip(wanted, made, strict=True):
            file.add(key, record, record.optimizer, number)
    return path
