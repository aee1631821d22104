"""Sweeps against the same trials one by one, and against the article's script.

Contenders take turns in one run; each row says how many times as fast the sweep is, the median over
rounds, and the goal. Everything is warm: compiling and tracing are done before. Times are the
optimizers' own (those of the clock that every trial has), added up over the trials; those of the
whole call, with evaluating and recording, stand beside them.

All run on one thread, and the clock is the processor's (`time.process_time_ns`): what other
processes use of a loaded machine is not in it.

    python -m benchmarks.sweep_speed [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch

import optlab as ol
from benchmarks.interleaved import ratio
from benchmarks.tutorial_loop import the_articles_loop
from optlab.lab.execution_options import Execution
from optlab.lab.measure.clock import Clock, use_clock

Clocks = dict[str, list[float]]


def rates(count: int, largest: float) -> list[float]:
    """Return learning rates at equal distances of their logarithms."""
    return [float(rate) for rate in np.geomspace(1e-4, largest, count)]


def runs(
    problem: ol.Problem,
    optimizers: Sequence[ol.Optimizer],
    size: int,
    epochs: int,
    looks: int | str,
) -> Callable[[bool], tuple[float, float, ol.Results]]:
    """Return a function that runs all trials: their seconds, the call's, and the results."""

    def go(sweep: bool) -> tuple[float, float, ol.Results]:
        began = time.process_time()
        results = ol.compare(
            problem, optimizers, batch_sizes=[size], seeds=[1], epochs=epochs,
            recorded_epochs=looks, execution=Execution(sweep=sweep, threads=1),
        )  # fmt: skip
        return float(results.trials["seconds"].sum()), time.process_time() - began, results

    return go


def gap(swept: ol.Results, alone: ol.Results) -> str:
    """Return the largest difference of parameters, over their size, of trials that ended well."""
    well = alone.trials.loc[alone.trials["status"] == "finished", "trial"]
    largest = 0.0
    for trial in well:
        theirs = alone.parameters(trial)
        for name, value in swept.parameters(trial).items():
            size = max(1.0, float(abs(theirs[name]).max()))
            largest = max(largest, float(abs(value - theirs[name]).max()) / size)
    return "the same bits" if largest == 0 else f"{largest:.1e}"


def row(
    name: str, go: Callable[[bool], tuple[float, float, ol.Results]], trials: int, steps: int,
    rounds: int, goal: str,
) -> None:  # fmt: skip
    """Print how many times as fast the sweep is as the same trials one by one."""
    own: Clocks = {"sweep": [], "alone": []}
    whole: Clocks = {"sweep": [], "alone": []}
    found = {}
    for turn in range(rounds + 1):
        for kind in own:
            seconds, call, found[kind] = go(kind == "sweep")
            if turn:
                own[kind].append(seconds)
                whole[kind].append(call)
    cells = [
        name, str(trials), f"{median(own['sweep']) / trials / steps * 1e9:.3g}",
        f"{median(own['sweep']) * 1e3:.3g}", f"{median(own['alone']) * 1e3:.3g}",
        f"{ratio(own, 'sweep', 'alone'):.1f}", goal, f"{ratio(whole, 'sweep', 'alone'):.1f}",
        gap(found["sweep"], found["alone"]),
    ]  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)


def against_the_article(rounds: int) -> None:
    """Print a sweep of 1 024 learning rates on the tutorial beside one run of the article's."""
    problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    own = [ol.FusedSGD(rate) for rate in rates(1024, 0.3)]
    clocks: dict[int | str, tuple[list[float], list[float]]] = {2000: ([], []), "growing": ([], [])}
    theirs: list[float] = []
    for turn in range(rounds + 1):
        began = time.process_time()
        the_articles_loop(problem, 1, 2000)
        article = time.process_time() - began
        for looks, (seconds, calls) in clocks.items():
            ours, call, _ = runs(problem, own, 1, 2000, looks)(True)
            if turn:
                seconds.append(ours)
                calls.append(call)
        if turn:
            theirs.append(article)
    print(f"\n1 024 learning rates on the tutorial, 20 million steps; the article's script takes "
          f"{median(theirs):.2f} s for one, 20 000 steps.\n")  # fmt: skip
    print("| looks | ms of the sweep | the script's one run is x times that | goal | ns a step | "
          "seconds of the whole call |\n|---|---|---|---|---|---|")  # fmt: skip
    for looks, (seconds, calls) in clocks.items():
        share = median(t / s for t, s in zip(theirs, seconds, strict=True))
        name = "one" if looks == 2000 else "some 80"
        print(f"| {name} | {median(seconds) * 1e3:.1f} | {share:.0f} | 50 | "
              f"{median(seconds) / 1024 / 20_000 * 1e9:.2f} | {median(calls):.2f} |")  # fmt: skip


def network() -> ol.Problem:
    """Return a regression by a network of 97 parameters."""
    draw = torch.Generator().manual_seed(0)
    X = torch.randn(256, 4, generator=draw)
    layers = torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)
    return ol.ModuleProblem(torch.nn.Sequential(*layers), torch.nn.MSELoss(), X,
                            X.sum(1, keepdim=True).sin(), name="network")  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with use_clock(Clock(time.process_time_ns)):
        tables(rounds)


def tables(rounds: int) -> None:
    """Print all tables."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load before "
          f"{os.getloadavg()[0]:.1f}")  # fmt: skip
    against_the_article(rounds)
    print("\nThe same trials one by one, seed 1; ns are a step's of one trial\n")
    print("| trials of | how many | ns a step | ms, sweep | ms, one by one | times as fast | goal "
          "| times as fast, whole call | largest gap of the parameters |")  # fmt: skip
    print("|---" * 9 + "|")
    linear = ol.LinearRegression.from_dataset(ol.datasets.synthetic(1000, 20, seed=1))
    fused = [ol.FusedSGD(rate) for rate in rates(128, 0.1)]
    adam = [ol.FusedAdam(rate) for rate in rates(128, 0.1)]
    row("FusedSGD, n = 1 000, d = 20, B = 32, float64",
        runs(linear, fused, 32, 20, 20), 128, 20 * 32, rounds, "2.5")  # fmt: skip
    row("FusedSGD, the same, B = 1", runs(linear, fused, 1, 2, 2), 128, 2000, rounds, "")
    row("FusedAdam, the same, B = 32",
        runs(linear, adam, 32, 20, 20), 128, 20 * 32, rounds, "")  # fmt: skip
    row("SGD (vmap), the same, B = 32",
        runs(linear, [ol.SGD(rate) for rate in rates(64, 0.1)], 32, 5, 5), 64, 5 * 32, rounds,
        "")  # fmt: skip
    small = [ol.Adam(rate) for rate in rates(64, 0.03)]
    for size in (16, 32):
        steps = 5 * -(-256 // size)
        row(f"Adam (vmap), a network of 97 parameters, n = 256, B = {size}",
            runs(network(), small, size, 5, 5), 64, steps, rounds, "10")  # fmt: skip
    print(f"\nload after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
