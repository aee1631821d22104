"""Theory beside measurement: descent around its limit of stability, and mini-batches of any size.

On squared error everything is known in advance. Full-batch descent follows its curve exactly, and
diverges from 2 / L on; a rate just above it looks for some epochs like progress that flattens.
Mini-batches have an exact expected loss where rows are drawn with replacement; shuffled epochs,
which a DataLoader gives and the trials use, end lower, since each row is used once an epoch.

The figure is saved as results/theory.png.

    python experiments/theory.py
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import optlab as ol
from optlab.testing import oracles

EPOCHS = 60
LAST = 20  # epochs at the end, of which the mean is printed
SEEDS = range(1, 5)
SHARES = (0.5, 0.99, 1.01, 1.1)
BATCH_SIZES = (1, 4, 32, "full")

problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(128, 4, condition=5, seed=1))
LIMIT = oracles.stable_rate(problem)
MINI_BATCH_RATE = 0.05 * LIMIT  # small enough for batches of one row
RATES = {f"{share:g} of 2/L": ol.AnalyticSGD(share * LIMIT) for share in (0.05, *SHARES)}


def start(seed: int) -> ol.Parameters:
    """Return the start of the trials of a seed."""
    return problem.start(torch.Generator().manual_seed(seed))


def curve(results: ol.Results, name: str, batch: str, seed: int | None = None) -> np.ndarray:
    """Return the measured suboptimality of each epoch, the mean over seeds if none is given."""
    trials = results.trials
    chosen = trials[(trials["optimizer"] == name) & (trials["batch"] == batch)]
    if seed is not None:
        chosen = chosen[chosen["seed"] == seed]
    traces = results.traces[results.traces["trial"].isin(chosen["trial"])]
    return traces.groupby("epoch")["suboptimality"].mean().to_numpy()


def expected(batch_size: int | str) -> np.ndarray:
    """Return the expected suboptimality after each epoch, the mean over the seeds' starts."""
    moments = oracles.SGDMoments(problem, ol.SGD(MINI_BATCH_RATE), batch_size)
    steps = 1 if batch_size == "full" else len(problem.y) // batch_size
    curves = [moments.suboptimality(start(seed), EPOCHS * steps)[::steps] for seed in SEEDS]
    return np.mean(curves, axis=0)


def show(results: ol.Results) -> None:
    """Print predicted and measured suboptimality, and draw both."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    print(f"\nL = {2 / LIMIT:.6g}: full-batch descent is stable below 2 / L = {LIMIT:.6g}")
    print("\n| full batch, seed 1: rate | predicted, last epoch | measured "
          "| largest relative difference of the curves |\n|---|---|---|---|")  # fmt: skip
    for i, share in enumerate(SHARES):
        name = f"{share:g} of 2/L"
        theory = oracles.predicted_suboptimality(problem, RATES[name], start(1), EPOCHS)
        measured = curve(results, name, "full", seed=1)
        shown = theory[: len(measured)]  # a trial that diverges ends early
        difference = np.abs(measured / shown - 1).max()
        print(f"| {name} | {shown[-1]:.6g} | {measured[-1]:.6g} | {difference:.1e} |")
        left.semilogy(theory, color=f"C{i}", label=name)
        left.semilogy(measured, ".", color=f"C{i}")
    print(f"\nRate {MINI_BATCH_RATE:.4g}, mean of the last {LAST} epochs\n")
    print("| batch size | noise floor | expected, with replacement | measured, shuffled epochs |")
    print("|---|---|---|---|")
    for i, batch_size in enumerate(BATCH_SIZES):
        floor = oracles.SGDMoments(problem, ol.SGD(MINI_BATCH_RATE), batch_size).noise_floor()
        theory = expected(batch_size)
        measured = curve(results, "0.05 of 2/L", str(batch_size))
        print(
            f"| {batch_size} | {floor:.4g} | {theory[-LAST:].mean():.4g} "
            f"| {measured[-LAST:].mean():.4g} |"
        )
        right.semilogy(theory, color=f"C{i}", label=f"batch size {batch_size}")
        right.semilogy(np.arange(len(measured)), measured, ".", color=f"C{i}", markersize=4)
    left.set(title="Full batch, around the limit of stability", ylim=(1e-4, 1e6))
    right.set(title=f"Mini-batches at 0.05 of 2/L, mean of {len(SEEDS)} runs")
    for axes in (left, right):
        axes.set(xlabel="epoch", ylabel="suboptimality")
        axes.legend(title="lines: theory; dots: measured", fontsize="small")
    save(figure)


def save(figure: Figure) -> None:
    """Save a figure under results/."""
    path = Path("results") / "theory.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"\nThe figure is {path}.")


experiment = ol.Experiment(
    name="theory",
    problems=problem,
    optimizers=RATES,
    batch_sizes=BATCH_SIZES,
    seeds=SEEDS,
    epochs=EPOCHS,
    recorded_epochs=1,
    conclude=show,
)

if __name__ == "__main__":
    experiment.main()
