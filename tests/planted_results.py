"""Results made by hand for the report's tests: every status, hostile names, as large as asked."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.lab.store.problem_summary import ProblemSummary, ReferenceSummary
from optlab.lab.tables import batch_column

HOSTILE = "<script>alert(1)</script>"
EVIL = (
    "\"quotes\" 'single' </script><img src=x onerror=alert(2)> $x_1$ %{x} {{b}} <b>bold</b> "
    "\u2028 &amp;"
)

TRACE = [
    "trial", "epoch", "samples", "seconds", "loss", "suboptimality", "gradient_norm", "batch_loss",
    "parameter_error", "steps",
]  # fmt: skip

MISSING = [
    "first_pass_seconds", "seconds", "loss", "suboptimality", "parameter_error", "gradient_norm",
]  # fmt: skip


def facts(name: str, d: int = 1, n: int = 10) -> ProblemSummary:
    rng = np.random.default_rng(d)
    x = np.linspace(-1.5, 1.5, n)
    message = f"found by hand for {name}"
    certificate = {"rank": d, "message": message}
    return ProblemSummary(
        name=name, kind="LinearRegression", n=n, d=d, dtype="float64",
        feature_names=tuple(f"x{j}" for j in range(d)),
        parameters={"weight": rng.normal(size=d), "bias": np.array(1.0)},
        reference=ReferenceSummary("certified", 0.25, certificate=certificate, message=message),
        x=x if d == 1 else np.empty(0), y=2 * x + 1 if d == 1 else np.empty(0),
    )  # fmt: skip


def plant(
    *,
    name: str = "planted",
    seed: int = 0,
    problems: tuple[str, ...] = ("line", "plane"),
    optimizers: tuple[str, ...] = ("ManualSGD", "TorchSGD", "Adam", "Lstsq"),
    direct: tuple[str, ...] = ("Lstsq",),
    sizes: tuple[Any, ...] = (1, 8, "full"),
    devices: tuple[str, ...] = ("cpu", "cuda"),
    dtypes: tuple[str, ...] = ("float64",),
    seeds: int = 2,
    repeats: int = 3,
    epochs: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 400),
    mishaps: bool = True,
) -> ResultTables:
    """Make results: exponential convergence, seconds with noise, and mishaps in chosen cells."""
    rng = np.random.default_rng(seed)
    facts_of = {p: facts(p, d=1 if i == 0 else 3) for i, p in enumerate(problems)}
    parameters: dict[int, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    traces: list[dict[str, Any]] = []
    for problem, optimizer in product(problems, optimizers):
        is_direct = optimizer in direct
        for size, device, dtype in product([None] if is_direct else sizes, devices, dtypes):
            rate = 0.05 * 10 ** rng.uniform(-0.5, 0.5)
            cost = 1e-4 * 10 ** rng.uniform(0, 1)
            cost *= 0.3 if (device, str(size)) == ("cuda", "full") else 1
            noise = 0.3 if mishaps and (optimizer, str(size)) == ("Adam", "8") else 0.01
            for s, repeat in product(range(seeds), range(1, repeats + 1)):
                status, message = "finished", "budget spent"
                if mishaps:
                    status, message = _mishap(optimizer, size, device, problem, s, status, message)
                where = (problem, optimizer, str(size))
                row = {
                    "trial": len(rows), "problem": problem, "optimizer": optimizer,
                    "hp_learning_rate": 0.01, "batch": size,
                    "device": device, "dtype": dtype, "seed": s, "repeat": repeat,
                    "status": status, "message": message,
                    "contended": mishaps and where == (problems[-1], "TorchSGD", "8"),
                    "epochs": 0, "samples": 0, "transfer_seconds": 1e-5,
                    **dict.fromkeys(MISSING, np.nan), "peak_bytes": pd.NA,
                    "file": "", "versions": "{}", "cores_short": 0.0,
                }  # fmt: skip
                if status != "skipped":
                    pace = cost * max(0.2, 1 + noise * rng.normal())
                    steps = (0, 1) if is_direct else (0, *epochs)
                    trace = _trace(row, steps, rate * (1 + 0.2 * rng.uniform()), pace)
                    traces += trace
                    row |= {name: value for name, value in trace[-1].items() if name in row}
                    row |= {"epochs": trace[-1]["epoch"], "first_pass_seconds": 5 * pace}
                    parameters[row["trial"]] = {
                        key: np.asarray(value) + row["parameter_error"]
                        for key, value in facts_of[problem].parameters.items()
                    }
                rows.append(row)
    trials = pd.DataFrame(rows).assign(batch=lambda table: batch_column(table["batch"]))
    bad = trials.loc[trials["status"].isin(["failed", "crashed"]), "trial"]
    return ResultTables(
        name, trials, pd.DataFrame(traces, columns=TRACE), facts_of,
        {"processor": "abacus", "torch": "2.13"}, {}, parameters,
        {number: f"Traceback of trial {number}" for number in bad},
    )  # fmt: skip


def _trace(
    row: dict[str, Any], epochs: tuple[int, ...], rate: float, pace: float
) -> list[dict[str, Any]]:
    """Return a trace that falls exponentially, climbs, or ends early, as the status has it."""
    if row["status"] in {"crashed", "timed out", "failed"}:
        epochs = epochs[:4]
    trace = []
    for epoch in epochs:
        share = np.exp(-rate * epoch)
        if row["batch"] is None and epoch:
            share = 1e-15
        if row["status"] == "diverged":
            share = 10.0 ** min(epoch, 30)
        values = [row["trial"], epoch, 10 * epoch, pace * epoch, 0.25 + 5 * share, 5 * share]
        values += [share, 5 * share, np.sqrt(share), epoch * _steps_an_epoch(row["batch"])]
        trace.append(dict(zip(TRACE, values, strict=True)))
    return trace


def _steps_an_epoch(size: Any) -> int:
    return 1 if size in {None, "full"} else -(-10 // int(size))


def _mishap(
    optimizer: str, size: Any, device: str, problem: str, seed: int, status: str, message: str
) -> tuple[str, str]:
    if device == "cuda" and optimizer == "Adam":
        return "skipped", "no CUDA device: torch is built without CUDA"
    size = str(size)
    if optimizer != "Lstsq" and size == "1" and device == "cuda":
        return "timed out", "the limit of 10 s ran out at epoch 4"
    if optimizer == "TorchSGD" and size == "1":
        return "diverged", "the loss was 1e+08 times its start's at epoch 4"
    if optimizer == "Adam" and size == "1":
        return "failed", f"RuntimeError: {EVIL}"
    if optimizer == "Adam" and size == "full" and problem == "plane" and seed == 0:
        return "crashed", "its process died of SIGSEGV"
    return status, message
