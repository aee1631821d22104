"""The noise floor of SGD: equal rate over batch size, equal floor; and what shuffling changes.

At a constant rate SGD ends in a cloud around the minimum, whose expected loss is known exactly
where rows are drawn with replacement. For small rates it depends on rate / batch size alone, and is
proportional to it. In shuffled epochs, which a DataLoader gives and the trials use, each row is
used once an epoch, and what it pulls aside the others pull back: at the end of an epoch the floor
is lower, hundreds of times for small rates, as the cube of rate / batch size.

The figure is saved as results/noise_floor.png.

    python experiments/noise_floor.py
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import optlab as ol
from optlab.testing.oracles import SGDMoments

BATCH_SIZES = (1, 2, 4, 8)
RATES = (0.005, 0.01, 0.02, 0.04)
EPOCHS, BURN_IN = 400, 200
RUNS, STEPS, START_AT = 200, 3000, 1500

problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(96, 3, condition=2, seed=3))


def simulated_floor(learning_rate: float, batch_size: int) -> float:
    """Return the mean suboptimality of simulated runs that draw rows with replacement."""
    random = np.random.default_rng(batch_size)
    A = np.column_stack([problem.X.numpy(), np.ones(len(problem.X))])
    best, *_ = np.linalg.lstsq(A, problem.y.numpy(), rcond=None)
    noise, H = problem.y.numpy() - A @ best, 2 * A.T @ A / len(A)
    error, total = np.zeros((RUNS, A.shape[1])), 0.0
    for step in range(STEPS):
        rows = random.integers(len(A), size=(RUNS, batch_size))
        residual = np.einsum("kbp,kp->kb", A[rows], error) - noise[rows]
        error -= learning_rate * 2 / batch_size * np.einsum("kbp,kb->kp", A[rows], residual)
        if step >= START_AT:
            total += np.einsum("kp,pq,kq->", error, H, error) / 2 / RUNS
    return total / (STEPS - START_AT)


def shuffled_floor(results: ol.Results, rate: float, batch_size: int) -> float:
    """Return the mean suboptimality of the trials' later epochs."""
    trials = results.trials
    chosen = trials[(trials["hp_learning_rate"] == rate) & (trials["batch"] == str(batch_size))]
    traces = results.traces
    late = traces[traces["trial"].isin(chosen["trial"]) & (traces["epoch"] > BURN_IN)]
    return float(late["suboptimality"].mean())


def show(results: ol.Results) -> None:
    """Print exact, simulated and measured floors, in the order of rate / batch size; draw them."""
    print("\n| rate / batch size | rate | batch size | exact floor | simulated | shuffled epochs "
          "| shuffled / exact |\n|---|---|---|---|---|---|---|")  # fmt: skip
    pairs = [(rate, B) for rate in RATES for B in BATCH_SIZES]
    found = {}
    for rate, B in sorted(pairs, key=lambda pair: (pair[0] / pair[1], pair[0])):
        exact = SGDMoments(problem, ol.SGD(rate), B).noise_floor()
        simulated, shuffled = simulated_floor(rate, B), shuffled_floor(results, rate, B)
        found[rate, B] = exact, simulated, shuffled
        print(f"| {rate / B:.5g} | {rate:g} | {B} | {exact:.5g} | {simulated:.5g} "
              f"| {shuffled:.3g} | {shuffled / exact:.2f} |")  # fmt: skip
    draw(found)


def draw(found: dict[tuple[float, int], tuple[float, float, float]]) -> None:
    """Save the figure under results/."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, B in enumerate(BATCH_SIZES):
        ratios = [rate / B for rate in RATES]
        exact, simulated, shuffled = np.transpose([found[rate, B] for rate in RATES])
        # Markers of falling size, so that those which coincide all show.
        look = {"color": f"C{i}", "markersize": 13 - 3 * i, "fillstyle": "none"}
        axes.loglog(ratios, exact, color=f"C{i}", linewidth=4 - i, label=f"batch size {B}")
        axes.loglog(ratios, simulated, "o", **look)
        axes.loglog(ratios, shuffled, "s:", linewidth=0.8, **look)
    axes.plot([], [], color="grey", label="drawn with replacement: exact")
    axes.plot(
        [], [], "o", color="grey", fillstyle="none", label="drawn with replacement: simulated"
    )
    axes.plot([], [], "s:", color="grey", fillstyle="none", label="shuffled epochs, at their ends")
    axes.set(xlabel="learning rate / batch size", ylabel="suboptimality in the long run")
    axes.legend(fontsize="small")
    path = Path("results") / "noise_floor.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"\nThe figure is {path}.")


experiment = ol.Experiment(
    name="noise_floor",
    problems=problem,
    optimizers={f"rate {rate:g}": ol.AnalyticSGD(rate) for rate in RATES},
    batch_sizes=BATCH_SIZES,
    seeds=[1, 2],
    epochs=EPOCHS,
    recorded_epochs=1,
    conclude=show,
)

if __name__ == "__main__":
    experiment.main()
