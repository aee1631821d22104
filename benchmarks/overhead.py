"""Measure the lab's own cost: a recorded iterate of `compare`, and a whole `optlab run`.

Goals: at most 0.2 ms a recorded iterate beyond the optimizer's own work on 10 points, and at most
1.5 s for a run of four optimizers beyond importing torch and scikit-learn. Interleaved; the
difference is taken round by round, and its median and range over the rounds are printed.

    python -m benchmarks.overhead [--rounds 9]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from statistics import median

import torch

import optlab as ol
from benchmarks.interleaved import interleaved

EPOCHS = 1000
OPTLAB = Path(sys.executable).with_name("optlab")
OPTIMIZERS = {"ManualSGD": ol.ManualSGD(0.01), "TorchSGD": ol.TorchSGD(0.01)}

SCRIPT = """
import optlab as ol

experiment = ol.Experiment(
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers=[ol.ManualSGD(), ol.TorchSGD(), ol.Lstsq(), ol.SklearnLinearRegression()],
    epochs=100,
)
"""


def own_work(problem: ol.LinearRegression, optimizer: ol.Optimizer) -> None:
    """Take the iterates that `compare` takes, the cold pass included, and look at none."""
    for epochs in (1, EPOCHS):
        generator = torch.Generator().manual_seed(0)
        start = problem.start(generator)
        batches = ol.Batches(problem.X, problem.y, "full", generator)
        for _ in islice(optimizer.iterates(problem, batches, start), epochs):
            pass


def differences(
    seconds: Mapping[str, list[float]], name: str, baseline: str
) -> tuple[float, float, float]:
    """Return the median, least and most of what one takes beyond the other, round by round."""
    pairs = zip(seconds[name], seconds[baseline], strict=True)
    beyond = sorted(ours - theirs for ours, theirs in pairs)
    return median(beyond), beyond[0], beyond[-1]


def iterates(rounds: int) -> None:
    """Print what a recorded iterate costs."""
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    print("| optimizer | own work, ms/epoch | beyond it, ms/recorded iterate | least | most |")
    print("|---|---|---|---|---|")
    for name, optimizer in OPTIMIZERS.items():
        seconds = interleaved(
            {
                "own": lambda o=optimizer: own_work(problem, o),
                "compare": lambda o=optimizer: ol.compare(
                    problem, o, epochs=EPOCHS, recorded_epochs=1
                ),
            },
            rounds,
        )
        own = median(seconds["own"]) / EPOCHS * 1e3
        beyond = [1e3 * value / EPOCHS for value in differences(seconds, "compare", "own")]
        print(f"| {name} | {own:.3f} | {beyond[0]:.3f} | {beyond[1]:.3f} | {beyond[2]:.3f} |")


def whole_run(rounds: int) -> None:
    """Print what a whole run costs."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(SCRIPT, encoding="utf-8")
        imports = "import torch, sklearn.linear_model"
        first_use = f"{imports}; torch.optim.SGD([torch.zeros(1)], lr=1)"
        seconds = interleaved(
            {
                "imports": lambda: _run(sys.executable, "-c", imports),
                "optim": lambda: _run(sys.executable, "-c", first_use),
                "run": lambda: _run(OPTLAB, "run", script),
                "stored": lambda: _run(
                    OPTLAB, "run", script, "--fresh", "--store", Path(folder) / "results.db"
                ),
            },
            rounds,
        )
    print("\n| command | seconds | beyond the imports | least | most |")
    print("|---|---|---|---|---|")
    print(f"| import torch, sklearn.linear_model | {median(seconds['imports']):.2f} | | | |")
    rows = {"optim": "the same, and the first torch.optim.SGD: torch imports more for it"}
    rows |= {"run": "optlab run", "stored": "optlab run --store --fresh"}
    for name, command in rows.items():
        beyond = " | ".join(f"{value:.2f}" for value in differences(seconds, name, "imports"))
        print(f"| {command} | {median(seconds[name]):.2f} | {beyond} |")


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, env=os.environ)


def main() -> None:
    """Print both tables, and how busy the machine was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}\n")
    iterates(rounds)
    whole_run(rounds)
    print(f"\nload after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
