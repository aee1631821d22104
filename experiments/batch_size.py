"""Steps to a target against batch size: the exact curve, simulated runs on it, and momentum.

The noisy quadratic model (Zhang et al., 2019) has curvatures 1, 1/2, ..., 1/100 and gradients whose
noise has the covariance H / B. Its expected loss is known in closed form, so the least steps to a
target, over all constant rates, are known exactly. Three regimes show: up to a batch of some 100,
twice the batch means half the steps; then less and less is gained; beyond some 10 000, nothing.
The critical batch size between them is steps(1) over the steps without noise. Momentum gains
nothing where noise decides, and a factor of four where curvature does.

The trials are the same in shuffled epochs of finite data, each batch size at each one's best rate:
read along a row, no one rate is the best. The figure is saved as results/batch_size.png.

    python experiments/batch_size.py
"""

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import optlab as ol
from optlab.testing.oracles import NoisyQuadraticModel

TARGET = 0.01
BATCH_SIZES = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
MOMENTA = (0.5, 0.7, 0.8, 0.9)
RUNS = 100
MEASURED = (64, 256, 1024)

model = NoisyQuadraticModel()
problem = ol.NoisyQuadratic(rows=2048)


def simulated_steps(learning_rate: float, batch_size: int, least: int) -> int:
    """Return the number of steps after which the mean loss of simulated runs is above the target.

    All runs at once: the noise is normal, drawn anew for each step, the start plus or minus 1. The
    mean of finitely many runs crosses the target several times; to count the steps above it, up to
    1.3 times those of theory, leans to neither side.
    """
    random = np.random.default_rng(batch_size)
    h = np.asarray(model.eigenvalues, dtype=np.float32)
    deviation = np.sqrt(h / batch_size) * np.float32(learning_rate)
    w = random.choice(np.float32([-1, 1]), (RUNS, len(h)))
    above = 1  # the start is
    for _ in range(round(1.3 * least)):
        w *= 1 - np.float32(learning_rate) * h
        w -= deviation * random.standard_normal(w.shape, dtype=np.float32)
        above += bool((h * w**2).sum() / (2 * RUNS) > TARGET)
    return above


def measured_steps(results: ol.Results, rate: str, batch_size: int) -> str:
    """Return the steps of the trials that reached the target: the median over seeds."""
    trials = results.trials
    chosen = trials[(trials["optimizer"] == rate) & (trials["batch"] == str(batch_size))]
    if not (chosen["status"] == "converged").all():
        return "not reached"
    return f"{chosen['steps'].median():.0f}"


def show(results: ol.Results) -> None:
    """Print the exact and the simulated steps, momentum's gain and the trials; draw the curve."""
    exact, simulated, momentum = {}, {}, {}
    rows = BATCH_SIZES[0] * model.least_steps(TARGET, BATCH_SIZES[0]).steps  # perfect scaling's
    print(f"\nLeast steps to an expected loss of {TARGET}\n"
          "\n| batch size | best rate | exact steps | of perfect scaling | simulated "
          "| best with momentum | gain |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for B in BATCH_SIZES:
        best = model.least_steps(TARGET, B)
        exact[B], rate = best.steps, best.descent.learning_rate
        simulated[B] = simulated_steps(rate, B, best.steps)
        # At a batch size of 1 all momenta are alike: one is enough.
        tried = MOMENTA if B > 16 else MOMENTA[:1]
        momentum[B] = min(model.least_steps(TARGET, B, momentum=m).steps for m in tried)
        print(f"| {B} | {rate:.4g} | {exact[B]} | {rows / exact[B] / B:.0%} "
              f"| {simulated[B]} | {momentum[B]} | {exact[B] / momentum[B]:.2f} |")  # fmt: skip
    floor = model.least_steps(TARGET, math.inf).steps
    critical = rows / floor
    print(f"\nWithout noise {floor} steps; critical batch size {rows} / {floor} = {critical:.0f}")
    print("\nTrials in shuffled epochs: steps to the target, median over seeds\n")
    print(f"| rate | {' | '.join(map(str, MEASURED))} |\n" + "|---" * (1 + len(MEASURED)) + "|")
    for rate in RATES:
        cells = " | ".join(measured_steps(results, rate, B) for B in MEASURED)
        print(f"| {rate} | {cells} |")
    draw(exact, simulated, momentum, critical)


def draw(
    exact: dict[int, int], simulated: dict[int, int], momentum: dict[int, int], critical: float
) -> None:
    """Save the figure under results/."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    B = np.array(BATCH_SIZES)
    axes.loglog(B, exact.values(), color="C0", label="descent, exact")
    axes.loglog(B, simulated.values(), "o", color="C0", label=f"descent, {RUNS} simulated runs")
    axes.loglog(B, momentum.values(), color="C1", label="heavy ball, exact")
    axes.loglog(B, B[0] * exact[B[0]] / B, ":", color="grey", label="perfect scaling")
    axes.axvline(critical, color="grey", linewidth=0.8)
    axes.annotate("critical batch size", (critical * 1.15, exact[B[0]] / 2), color="grey")
    axes.set(xlabel="batch size", ylabel=f"steps to a loss of {TARGET}", ylim=(5, 1e5))
    axes.legend()
    path = Path("results") / "batch_size.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"\nThe figure is {path}.")


BEST = {B: model.least_steps(TARGET, B).descent.learning_rate for B in MEASURED}
RATES = {f"{rate:.3g}, the best for {B}": ol.SGD(rate) for B, rate in BEST.items()}

experiment = ol.Experiment(
    name="batch_size",
    problems=problem,
    optimizers=RATES,
    batch_sizes=MEASURED,
    seeds=[1, 2],
    epochs=100,
    recorded_epochs=1,
    stop_at=ol.StopAt("loss", value=TARGET),
    conclude=show,
)

if __name__ == "__main__":
    experiment.main()
