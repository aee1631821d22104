"""The condition number, and standardising, decide which learning rates converge, and how fast.

Full-batch descent on mean squared error contracts the error along each eigenvector of the Hessian
H = 2 A'A / n (A = [X, 1]) by 1 - lr * eigenvalue at each step. So it converges only while lr is
below 2 / L, L being the largest eigenvalue, and how long it takes is decided by the smallest.
Theory says how many epochs, exactly; the printed table sets that beside what was measured.

    python experiments/conditioning.py
"""

import numpy as np
import torch

import optlab as ol

EPOCHS = 5000
TARGET = 1e-8
LEARNING_RATES = [1e-5, 0.2, 0.9, 1.1]
SEED = 1


def predicted(problem: ol.LinearRegression, learning_rate: float) -> str:
    """Return how descent will end, from the Hessian's eigenvalues and the start alone."""
    A = np.column_stack([problem.X.double().numpy(), np.ones(len(problem.X))])
    eigenvalues, eigenvectors = np.linalg.eigh(2 * A.T @ A / len(A))
    start, optimum = (
        np.append(point["weight"].double().numpy(), point["bias"].double().numpy())
        for point in (
            problem.start(torch.Generator().manual_seed(SEED)),
            problem.reference().parameters,
        )
    )
    along = eigenvalues * (eigenvectors.T @ (start - optimum)) ** 2  # twice the loss in each mode
    left = (1 - learning_rate * eigenvalues) ** 2  # what a step leaves of it
    if (left > 1).any():
        return "diverged"
    epochs = np.arange(1, EPOCHS + 1)
    reached = (left ** epochs[:, None]) @ along <= TARGET * along.sum()
    return f"{epochs[reached.argmax()]} epochs" if reached.any() else f"over {EPOCHS} epochs"


def print_theory_beside_measurement(results: ol.Results) -> None:
    """Print, for each problem and learning rate, how descent ended and how theory says it ends."""
    print("\n| problem | condition of X | learning rate | theory | measured |")
    print("|---|---|---|---|---|")
    for _, trial in results.trials.iterrows():
        problem, optimizer = PROBLEMS[trial["problem"]], OPTIMIZERS[trial["optimizer"]]
        centred = (problem.X - problem.X.mean(0)).double().numpy()
        measured = {"converged": f"{trial['epochs']} epochs", "finished": f"over {EPOCHS} epochs"}
        print(f"| {problem.name} | {np.linalg.cond(centred):.3g} | {optimizer.learning_rate:g} "
              f"| {predicted(problem, optimizer.learning_rate)} "
              f"| {measured.get(trial['status'], trial['status'])} |")  # fmt: skip


DATASETS = [ol.datasets.synthetic(200, 5, condition=c, seed=1) for c in (1, 3, 10, 30)]
DATASETS += [ol.datasets.diabetes(), ol.datasets.diabetes().standardized()]
PROBLEMS = {data.name: ol.LinearRegression.from_dataset(data) for data in DATASETS}
OPTIMIZERS = {f"descent, rate {rate:g}": ol.ManualSGD(rate) for rate in LEARNING_RATES}

experiment = ol.Experiment(
    name="conditioning",
    problems=list(PROBLEMS.values()),
    optimizers=OPTIMIZERS,
    batch_sizes=["full"],
    seeds=[SEED],
    epochs=EPOCHS,
    stop_at=TARGET,
    recorded_epochs=1,
    conclude=print_theory_beside_measurement,
)

if __name__ == "__main__":
    experiment.main()
