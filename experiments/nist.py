"""Count the digits that each method gets right on the NIST sets.

The closed forms, and descent on the raw columns, on all 11 certified sets. The printed table
counts correct digits against NIST's certified coefficients: the least over a set's coefficients of
-log10 |found - certified| / |certified|, at most 15, the number of digits that are certified.

Why they differ: QR loses as many digits as the condition number has, the normal equations twice as
many, refinement in double-double none; what is lost when the design itself is rounded to float64
(Filip's tenth powers) no solver finds again, unless it is told what the rounding took off.

    python experiments/nist.py
"""

import math

import numpy as np
import torch

import optlab as ol

NAMES = ["Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley"]
NAMES += [f"Wampler{number}" for number in range(1, 6)]


def digits(found: dict[str, np.ndarray], certified: dict[str, np.ndarray]) -> float:
    """Return the correct digits of the least accurate coefficient."""
    pairs = [
        (f, c)
        for name in certified
        for f, c in zip(np.atleast_1d(found[name]), np.atleast_1d(certified[name]), strict=True)
    ]
    errors = [abs(f - c) / abs(c) if c else abs(f) for f, c in pairs]
    worst = max(errors)
    if not math.isfinite(worst):
        return 0.0
    return 15.0 if worst == 0 else min(15.0, max(0.0, -math.log10(worst)))


def from_double_double(dataset: ol.datasets.Dataset) -> float:
    """Return the digits of the full route told what rounding took off the design."""
    low = (torch.from_numpy(dataset.known[part]) for part in ("X_low", "y_low"))
    X_low, y_low = low
    solution = ol.linalg.least_squares(
        torch.from_numpy(dataset.X),
        torch.from_numpy(dataset.y),
        fit_intercept=dataset.fit_intercept,
        route="full",
        X_low=X_low,
        y_low=y_low,
    )
    found = {name: value.numpy() for name, value in solution.parameters.items()}
    return digits(found, dataset.known["certified"]["parameters"])


def print_digits(results: ol.Results) -> None:
    """Print a row for each optimizer, a column for each set."""
    datasets = {name: ol.datasets.nist(name) for name in NAMES}
    print(f"\n{'correct digits':<34}" + "".join(f"{name:>9}" for name in NAMES))
    for optimizer, trials in results.trials.groupby("optimizer", sort=False):
        cells = dict.fromkeys(NAMES, "-")
        for _, trial in trials.iterrows():
            if trial["status"] in {"finished", "converged"}:
                certified = datasets[trial["problem"]].known["certified"]["parameters"]
                count = digits(results.parameters(trial["trial"]), certified)
                cells[trial["problem"]] = f"{count:.1f}"
        print(f"{optimizer:<34}" + "".join(f"{cells[name]:>9}" for name in NAMES))
    told = "".join(f"{from_double_double(datasets[name]):>9.1f}" for name in NAMES)
    print(f"{'the design in double-double':<34}{told}")
    print("-: skipped or diverged, as the table above says")


experiment = ol.Experiment(
    name="nist",
    problems=[ol.LinearRegression.from_dataset(ol.datasets.nist(name)) for name in NAMES],
    optimizers={
        "RefinedLstsq": ol.RefinedLstsq(route="full"),
        "StreamingLstsq": ol.StreamingLstsq(),
        "QR": ol.QR(),
        "Lstsq (gelsd)": ol.Lstsq("gelsd"),
        "NormalEquations": ol.NormalEquations(),
        "scikit-learn, tol near eps": ol.SklearnLinearRegression(),
        "scikit-learn, tol=1e-6 (default)": ol.SklearnLinearRegression(tol=1e-6),
        "descent, learning rate 1e-5": ol.ManualSGD(1e-5),
        "L-BFGS": ol.TorchOptimizer(torch.optim.LBFGS, line_search_fn="strong_wolfe"),
    },
    seeds=[1],
    epochs=200,
    conclude=print_digits,
)

if __name__ == "__main__":
    experiment.main()
