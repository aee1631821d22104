"""The same solvers on the same problem, run by benchopt and by optlab: a whole command each.

Gradient descent in numpy, the same rule and rate, for so many iterations on one least-squares
problem, several repeats: what a person waits for. benchopt runs it from the start for each of some
twenty numbers of iterations; optlab records a hundred epochs of one run, imports torch, and solves
the problem for the reference that it judges by.

benchopt lives in an environment of its own, whose Python the variable OPTLAB_BENCHOPT_PYTHON names;
without it nothing is measured, and the exit status is 0. To make one:

    python -m venv benchopt && benchopt/bin/pip install benchopt
    OPTLAB_BENCHOPT_PYTHON=benchopt/bin/python python -m benchmarks.benchopt_peer
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.interleaved import interleaved
from benchmarks.record import Case, Record

VARIABLE = "OPTLAB_BENCHOPT_PYTHON"
ITERATIONS, REPEATS, ROWS, COLUMNS = 1000, 5, 1000, 20

OBJECTIVE = """
from benchopt import BaseObjective
import numpy as np

class Objective(BaseObjective):
    name = "least squares"
    min_benchopt_version = "1.6"
    sampling_strategy = "iteration"

    def set_data(self, X, y):
        self.X, self.y = X, y

    def evaluate_result(self, w):
        return dict(value=float(np.mean((self.X @ w - self.y) ** 2)))

    def get_one_result(self):
        return dict(w=np.zeros(self.X.shape[1]))

    def get_objective(self):
        return dict(X=self.X, y=self.y)
"""

DATASET = f"""
from benchopt import BaseDataset
import numpy as np

class Dataset(BaseDataset):
    name = "random"

    def get_data(self):
        draw = np.random.default_rng(1)
        X = draw.normal(size=({ROWS}, {COLUMNS}))
        return dict(X=X, y=X.sum(1) + draw.normal(size={ROWS}))
"""

SOLVER = """
from benchopt import BaseSolver
import numpy as np

class Solver(BaseSolver):
    name = "descent"
    sampling_strategy = "iteration"

    def set_objective(self, X, y):
        self.X, self.y = X, y

    def run(self, n_iter):
        w = np.zeros(self.X.shape[1])
        for _ in range(n_iter):
            w = w - 0.02 / len(self.y) * ((self.X @ w - self.y) @ self.X)
        self.w = w

    def get_result(self):
        return dict(w=self.w)
"""

SCRIPT = f"""
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import optlab as ol

@dataclass(frozen=True)
class Descent:
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        X, y = problem.X.numpy(), problem.y.numpy()
        w = np.zeros(X.shape[1])
        while True:
            w = w - 0.02 / len(y) * ((X @ w - y) @ X)
            yield ol.Iterate({{"weight": torch.from_numpy(w)}})

draw = np.random.default_rng(1)
X = draw.normal(size=({ROWS}, {COLUMNS}))
problem = ol.LinearRegression(
    X, X.sum(1) + draw.normal(size={ROWS}), fit_intercept=False, name="random"
)
experiment = ol.Experiment(
    problems=problem, optimizers=Descent(), epochs={ITERATIONS}, repeats={REPEATS}
)
"""


def write(folder: Path) -> None:
    """Write benchopt's three files and optlab's one."""
    for name, text in {
        "objective.py": OBJECTIVE,
        "datasets/random.py": DATASET,
        "solvers/descent.py": SOLVER,
        "script.py": SCRIPT,
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def command(*words: str | Path) -> Callable[[], object]:
    """Return a function that runs a command, and raises what it printed where it fails."""

    def run() -> None:
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[0]} failed:\n{done.stdout}\n{done.stderr}")

    return run


def main() -> int:
    """Print the table and write it, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    python = os.environ.get(VARIABLE)
    if not python:
        print(f"left out: {VARIABLE} names no Python that has benchopt (see this file's docstring)")
        return 0
    probe = [python, "-c", "import benchopt; print(benchopt.__version__)"]
    version = subprocess.run(probe, capture_output=True, text=True, check=False)
    if version.returncode:
        print(f"left out: the Python that {VARIABLE} names has no benchopt")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        options = ["-n", ITERATIONS, "-r", REPEATS, "--no-plot", "--no-cache"]
        benchopt = [python, "-m", "benchopt", "run", folder, *map(str, options)]
        optlab = [Path(sys.executable).with_name("optlab"), "run", Path(folder, "script.py")]
        seconds = interleaved({"benchopt": command(*benchopt), "optlab": command(*optlab)}, rounds)
    record = Record("benchopt_peer", "How long does a whole comparison take?")
    name = f"{ITERATIONS} iterations of descent, {REPEATS} repeats, n = {ROWS}, d = {COLUMNS}"
    notes = [f"benchopt {version.stdout.strip()}, in an environment of its own."]
    record.add(Case(name, "benchopt", seconds, unit="command", notes=notes))
    record.save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
