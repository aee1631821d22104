"""Tune one method, or try several at their defaults: which gains more on eight small problems.

The question of "Descending through a Crowded Valley" (Schmidt, Schneider and Hennig, 2021). Each of
six methods runs at its defaults, and with the best of 5, 20 and 80 settings of a Sobol sequence. A
run's score is the share of the start's suboptimality that is left after 40 epochs, at least 1e-6
(1 where it diverged). A gain is the factor by which the score of one method, drawn at random and
run at its defaults, falls: when it is tuned, or when it is the best of k methods at their defaults.
Settings are chosen on one seed, methods on another, and both are judged on three more: medians over
these, geometric means over methods and problems. The figure is saved as
results/defaults_or_tuning.png.

    python experiments/defaults_or_tuning.py
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_wine

import optlab as ol

TRIALS = (5, 20, 80)
CHOOSING_SEED, JUDGING_SEEDS = 0, (1, 2, 3)
LEAST = 1e-6

METHODS = {
    "SGD": ol.SGD(),
    "heavy ball": ol.HeavyBall(),
    "Nesterov": ol.Nesterov(),
    "AdaGrad": ol.AdaGrad(),
    "RMSprop": ol.RMSprop(),
    "Adam": ol.Adam(),
}


def scaled(X: np.ndarray) -> np.ndarray:
    """Return the columns with mean 0 and standard deviation 1."""
    return (X - X.mean(axis=0)) / X.std(axis=0)


def problems() -> list[ol.Problem]:
    """Return the problems: five losses of linear models, a noisy quadratic, and two networks."""
    diabetes = ol.datasets.load("diabetes").standardized()
    cancer, wine = load_breast_cancer(return_X_y=True), load_wine(return_X_y=True)
    steep = ol.datasets.synthetic(400, 10, condition=30.0)
    network = torch.nn.Sequential(torch.nn.Linear(13, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    curve = torch.nn.Sequential(torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    x = np.linspace(-2, 2, 256)[:, None]
    return [
        ol.LinearRegression.from_dataset(diabetes, name="diabetes, squares"),
        ol.HuberRegression.from_dataset(diabetes, name="diabetes, Huber"),
        ol.LinearRegression.from_dataset(steep, l2=0.01, name="condition 30, ridge"),
        ol.LogisticRegression(scaled(cancer[0]), cancer[1], l2=0.01, name="cancer, logistic"),
        ol.SoftmaxRegression(scaled(wine[0]), wine[1], l2=0.01, name="wine, softmax"),
        ol.NoisyQuadratic(rows=512, name="noisy quadratic"),
        ol.ModuleProblem(network, torch.nn.CrossEntropyLoss(), scaled(wine[0]), wine[1],
                         name="wine, network"),
        ol.ModuleProblem(curve, torch.nn.MSELoss(), x, np.sin(3 * x), name="sine, network"),
    ]  # fmt: skip


def scores(results: ol.Results) -> pd.DataFrame:
    """Return the decades of each measured trial: log10 of the share of the suboptimality left."""
    trials, traces = results.measured.trials, results.traces
    start = traces[traces["epoch"] == 0].set_index("trial")["suboptimality"]
    share = trials["suboptimality"] / trials["trial"].map(start)
    share = share.where(trials["status"] != "diverged", 1.0).fillna(1.0).clip(LEAST, 1.0)
    parts = trials["optimizer"].str.partition(", ")
    return trials[["problem", "seed"]].assign(
        method=parts[0], trials=parts[2].replace("", "0").astype(int), decades=np.log10(share)
    )


def gains(results: ol.Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the mean gains in decades of trying k methods, and of tuning, by problem and method.

    The first has a row for each problem and a column for each k; the second a row for each problem
    and method, and a column for each number of trials.
    """
    table = scores(results)
    judged = table[table["seed"].isin(JUDGING_SEEDS)]
    final = judged.pivot_table(
        "decades", ["problem", "method"], "trials", aggfunc="median", sort=False
    )
    tuning = final[list(TRIALS)].rsub(final[0], axis=0)
    choosing = table[(table["seed"] == CHOOSING_SEED) & (table["trials"] == 0)]
    seen = choosing.set_index(["problem", "method"])["decades"]
    rows = {}
    for problem in results.problems:
        defaults, first = final.loc[problem, 0], seen[problem]
        names = list(defaults.index)
        best = {
            k: np.mean([defaults[first[list(some)].idxmin()] for some in combinations(names, k)])
            for k in range(2, len(names) + 1)
        }
        rows[problem] = {k: defaults.mean() - value for k, value in best.items()}
    return pd.DataFrame(rows).T, tuning


def show(results: ol.Results) -> None:
    """Print the two tables of factors and what follows from them; draw the figure."""
    trying, tuning = gains(results)
    by_problem = trying.add_prefix("try ").join(_tuned(tuning.groupby("problem").mean()))
    by_problem.loc["all"] = by_problem.mean()
    by_method = _tuned(tuning.groupby("method", sort=False).mean())
    by_method.loc["all"] = by_method.mean()
    print("\nFactor by which the score of one method at its defaults falls, by problem\n")
    print(_markdown(by_problem, "problem"))
    print("\nThe same when it is tuned, by method\n")
    print(_markdown(by_method, "method"))
    most, few = trying.columns[-1], min(TRIALS)
    one, other = 10 ** trying[most].mean(), 10 ** tuning[few].mean().mean()
    more = "more" if one > other else "less"
    print(f"\nTrying all {most} methods at their defaults gains a factor of {one:.3g}, {more} than "
          f"to tune one with {few} trials ({other:.3g}).")  # fmt: skip
    draw(trying, tuning)


def _tuned(table: pd.DataFrame) -> pd.DataFrame:
    return table.add_prefix("tune, ")


def _markdown(decades: pd.DataFrame, name: str) -> str:
    head = f"| {name} | {' | '.join(map(str, decades))} |\n" + "|---" * (1 + decades.shape[1]) + "|"
    rows = [f"| {key} | {' | '.join(f'{10**v:.3g}' for v in row)} |" for key, row in
            zip(decades.index, decades.to_numpy(), strict=True)]  # fmt: skip
    return "\n".join([head, *rows])


def draw(trying: pd.DataFrame, tuning: pd.DataFrame) -> None:
    """Save the figure under results/: the factor gained against the runs that it took."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    tuned = tuning.groupby("problem").mean()
    for table, colour, label in ((trying, "C1", "the best of k methods at their defaults"),
                                 (tuned, "C0", "one method, tuned")):  # fmt: skip
        runs = [*map(int, table)]
        axes.loglog(runs, 10**table.T, color=colour, linewidth=0.5, alpha=0.5)
        axes.loglog(runs, 10 ** table.mean(), "o-", color=colour, label=label)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set_xticks([2, 6, *TRIALS], [str(k) for k in (2, 6, *TRIALS)], minor=False)
    axes.set_xticks([], minor=True)
    axes.set(xlabel="runs", ylabel="factor gained over one method at its defaults")
    axes.legend(title="thin lines: one problem each")
    path = Path("results") / "defaults_or_tuning.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"\nThe figure is {path}.")


def optimizers() -> dict[str, ol.Optimizer]:
    """Return each method at its defaults and tuned, the longer searches repeating the shorter."""
    tuned = {
        f"{name}, {k}": ol.Tuned(method, trials=k, seeds=[1000])
        for name, method in METHODS.items()
        for k in TRIALS
    }
    return {**METHODS, **tuned}


experiment = ol.Experiment(
    name="defaults or tuning",
    problems=problems(),
    optimizers=optimizers(),
    batch_sizes=[32],
    seeds=[CHOOSING_SEED, *JUDGING_SEEDS],
    epochs=40,
    recorded_epochs=[40],
    conclude=show,
)

if __name__ == "__main__":
    experiment.main(["--sweep", "--threads", "1", *sys.argv[1:]])
