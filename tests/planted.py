"""Results made by hand for the report's tests: every status, hostile names, as large as asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.statistics import summary
from optlab.lab.facts import ProblemFacts

HOSTILE = "<script>alert(1)</script>"
EVIL = "\"quotes\" 'single' </script><img src=x onerror=alert(2)> $x_1$ %{x} {{b}} <b>bold</b> \u2028 &amp;"

TRACE = [
    "trial", "epoch", "samples", "seconds", "loss", "suboptimality", "gradient_norm", "batch_loss",
    "parameter_error",
]  # fmt: skip


@dataclass
class Planted:
    """The shape of `optlab.Results`, and nothing of its making."""

    name: str
    trials: pd.DataFrame
    traces: pd.DataFrame
    problems: dict[str, ProblemFacts]
    machine: dict[str, str] = field(
        default_factory=lambda: {"processor": "abacus", "torch": "2.13"}
    )
    found: dict[int, dict[str, Any]] = field(default_factory=dict)

    def parameters(self, trial: int) -> dict[str, Any]:
        if trial not in self.found:
            raise ValueError(f"trial {trial} has no parameters")
        return self.found[trial]

    def summary(self) -> pd.DataFrame:
        return summary(self.trials)


def facts(name: str, d: int = 1, n: int = 10) -> ProblemFacts:
    rng = np.random.default_rng(d)
    x = np.linspace(-1.5, 1.5, n)
    return ProblemFacts(
        name=name, kind="LinearRegression", n=n, d=d, dtype="float64",
        feature_names=tuple(f"x{j}" for j in range(d)),
        optimum={"weight": rng.normal(size=d), "bias": np.array(1.0)}, optimum_loss=0.25,
        certificate={"rank": d, "message": f"found by hand for {name}"},
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
) -> Planted:
    """Make results: exponential convergence, seconds with noise, and mishaps in chosen cells."""
    rng = np.random.default_rng(seed)
    facts_of = {p: facts(p, d=1 if i == 0 else 3) for i, p in enumerate(problems)}
    rows: list[dict[str, Any]] = []
    traces: list[dict[str, Any]] = []
    found: dict[int, dict[str, Any]] = {}
    for problem, optimizer in product(problems, optimizers):
        is_direct = optimizer in direct
        for size, device, dtype in product([pd.NA] if is_direct else sizes, devices, dtypes):
            rate = 0.05 * 10 ** rng.uniform(-0.5, 0.5)
            cost = (
                1e-4
                * 10 ** rng.uniform(0, 1)
                * (0.3 if (device, str(size)) == ("cuda", "full") else 1)
            )
            noise = 0.3 if mishaps and (optimizer, str(size)) == ("Adam", "8") else 0.01
            for s, repeat in product(range(seeds), range(1, repeats + 1)):
                number = len(rows)
                status, message = "finished", "budget spent"
                if mishaps:
                    status, message = _mishap(optimizer, size, device, problem, s, status, message)
                row: dict[str, Any] = {
                    "trial": number, "problem": problem, "optimizer": optimizer,
                    "hyperparameters": json.dumps({"learning_rate": 0.01}), "batch_size": size,
                    "device": device, "dtype": dtype, "seed": s, "repeat": repeat,
                    "status": status, "message": message, "epochs": 0, "samples": 0,
                    "transfer_seconds": 1e-5, "first_pass_seconds": np.nan, "seconds": np.nan,
                    "contended": bool(mishaps and problem == problems[-1] and optimizer == "TorchSGD"
                                      and str(size) == "8"),
                    "loss": np.nan, "suboptimality": np.nan, "parameter_error": np.nan,
                    "gradient_norm": np.nan, "peak_bytes": pd.NA,
                    "versions": json.dumps({"torch": "2.13.0"}),
                }  # fmt: skip
                if status != "skipped":
                    steps = (0, 1) if is_direct else (0, *epochs)
                    if status in ("crashed", "timed out", "failed"):
                        steps = steps[:4]
                    factor = cost * max(0.2, 1 + noise * rng.normal())
                    wobble = 1 + 0.2 * rng.uniform()
                    for e in steps:
                        share = 1e-15 if is_direct and e else np.exp(-rate * e * wobble)
                        share = 10.0 ** min(e, 30) if status == "diverged" else share
                        traces.append({
                            "trial": number, "epoch": e, "samples": 10 * e, "seconds": factor * e,
                            "loss": 0.25 + 5 * share, "suboptimality": 5 * share,
                            "gradient_norm": share, "batch_loss": 5 * share,
                            "parameter_error": np.sqrt(share),
                        })  # fmt: skip
                    last = traces[-1]
                    row |= {"epochs": last["epoch"], "samples": last["samples"],
                            "seconds": last["seconds"], "first_pass_seconds": factor * 5}  # fmt: skip
                    for key in ("loss", "suboptimality", "parameter_error", "gradient_norm"):
                        row[key] = last[key]
                    off = last["parameter_error"]
                    found[number] = {
                        k: np.asarray(v) + off for k, v in facts_of[problem].optimum.items()
                    }
                rows.append(row)
    trials = pd.DataFrame(rows)
    trials["batch_size"] = trials["batch_size"].astype(object)
    return Planted(name, trials, pd.DataFrame(traces, columns=TRACE), facts_of, found=found)


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
