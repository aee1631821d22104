"""Correct digits on NIST's 27 nonlinear regression sets, from both starts, by method.

Run: ``python -m benchmarks.nist_nonlinear`` (some minutes), or with names of methods, a part of
each, to run only these. It prints Markdown: a row a method, then a row a set, and at last the
references that are computed where the known answers are taken away.

Digits: the least over a set's parameters of -log10 |b - c| / |c|, at most 15, against the 30-digit
solution for the decimals that NIST prints. Rounding these to float64 alone leaves 12.2 digits of
Lanczos2, 12.7 of Lanczos3 and 13.1 of Lanczos1. Exchanged: the certified loss at other parameters,
with terms that are alike exchanged, or signs.
"""

from __future__ import annotations

import math
import statistics
import sys
import warnings
from dataclasses import dataclass
from decimal import Decimal

import torch

import optlab as ol
from optlab.datasets.nist_curves import NONLINEAR_NAMES
from optlab.datasets.nist_models import MODELS

TIGHT = {"tolerance": 1e-15, "max_evaluations": 5000}
METHODS: dict[str, tuple[ol.Optimizer, int]] = {
    "LevenbergMarquardt": (ol.LevenbergMarquardt(), 2000),
    "LevenbergMarquardt, geodesic": (ol.LevenbergMarquardt(geodesic=True), 2000),
    "scipy trf, defaults": (ol.ScipyLeastSquares("trf", "2-point", "none"), 5000),
    "scipy dogbox, defaults": (ol.ScipyLeastSquares("dogbox", "2-point", "none"), 5000),
    "scipy lm, defaults": (ol.ScipyLeastSquares("lm", "2-point", "none"), 5000),
    "scipy trf, exact J, 1e-15": (ol.ScipyLeastSquares("trf", **TIGHT), 5000),
    "scipy dogbox, exact J, 1e-15": (ol.ScipyLeastSquares("dogbox", **TIGHT), 5000),
    "scipy lm, exact J, 1e-15": (ol.ScipyLeastSquares("lm", **TIGHT), 5000),
    "GaussNewton": (ol.GaussNewton(), 500),
    "Newton": (ol.Newton(), 500),
    "LBFGS": (ol.LBFGS(), 1000),
    "Adam, rate 0.01": (ol.Adam(0.01), 2000),
}
"""Each method, and the most iterations it may make."""


REFERENCES = """
The reference that is computed where the known answer is taken away, from both starts and four more
near the first: digits that it claims, and has, against the solution for the data as float64 holds
them. Where terms are exchanged, the loss is that of the answer.
"""


@dataclass(frozen=True)
class Run:
    """One method from one start of one set."""

    digits: float
    exchanged: bool
    iterations: int
    losses: float
    gradients: float
    products: float


def correct_digits(parameters: dict[str, torch.Tensor], exact: dict[str, str]) -> float:
    """Return the correct digits of the worst parameter, 0 to 15."""
    errors = []
    for name, text in exact.items():
        value = parameters[name].item()
        if not math.isfinite(value):
            return 0.0
        errors.append(abs((Decimal(value) - Decimal(text)) / Decimal(text)))
    worst = max(errors)
    return 15.0 if worst == 0 else min(15.0, max(0.0, -math.log10(worst)))


def run(name: str, start: int, optimizer: ol.Optimizer, most: int) -> Run:
    """Run a method from a start of a set; an overflow or an exception counts as no digits."""
    dataset = ol.datasets.nist_nonlinear(name)
    problem = ol.NonlinearLeastSquares.from_dataset(dataset, start=start)
    try:
        solution = ol.minimize(problem, optimizer, epochs=most, recorded_epochs=[most])
    except (ValueError, RuntimeError, ArithmeticError):
        return Run(0.0, False, 0, 0.0, 0.0, 0.0)
    last = solution.trace.iloc[-1]
    digits = correct_digits(solution.parameters, dataset.known["exact"]["parameters"])
    slack = 1e-2 if name == "Lanczos1" else 1e-9  # its sum of squares is rounding: 1.4e-25
    same = abs(solution.loss / problem.reference().loss - 1) <= slack
    return Run(
        digits,
        digits < 4 and same,
        solution.epochs,
        last["loss_evaluations"],
        last["gradient_evaluations"],
        last["hessian_products"],
    )


def summary(method: str, runs: list[Run]) -> str:
    """Return a method's row of the first table."""
    digits = [each.digits for each in runs]
    solved = [each for each in digits if each >= 6]
    close = sum(4 <= each < 6 for each in digits)
    exchanged = sum(each.exchanged for each in runs)
    costs = [sum(getattr(r, part) for r in runs) for part in ("losses", "gradients", "products")]
    cells = [
        f"{len(solved)}",
        f"{close}",
        f"{exchanged}",
        f"{len(runs) - len(solved) - close - exchanged}",
        f"{statistics.median(digits):.1f}",
        f"{min(solved, default=0.0):.1f}",
        f"{statistics.median(r.iterations for r in runs):.0f}",
        *(f"{cost:.0f}" for cost in costs),
    ]
    return f"| {method} | " + " | ".join(cells) + " |"


def print_by_set(runs: dict[str, list[Run]]) -> None:
    """Print the second table: digits from start 1 and start 2, a row a set."""
    print("\n| set | " + " | ".join(runs) + " |")
    print("|---" * (len(runs) + 1) + "|")
    for row, name in enumerate(NONLINEAR_NAMES):
        pairs = [f"{r[2 * row].digits:.1f} / {r[2 * row + 1].digits:.1f}" for r in runs.values()]
        print(f"| {name} | " + " | ".join(pairs) + " |")


def print_references() -> None:
    """Print the third table: the computed references, with the digits they claim and have."""
    print(REFERENCES)
    print("| set | claimed | correct | loss / answer's - 1 | trusted |\n" + "|---" * 5 + "|")
    for name in NONLINEAR_NAMES:
        dataset = ol.datasets.nist_nonlinear(name)
        problem = ol.NonlinearLeastSquares(
            MODELS[name], dataset.X, dataset.y, start=dataset.known["starts"], name=name
        )
        reference = problem.reference()
        assert reference.parameters is not None
        exact = dataset.known["exact_float64_data"]["parameters"]
        correct = correct_digits(reference.parameters, exact)
        trusted = "yes" if reference.trusted else "no"
        right = float(dataset.known["exact_float64_data"]["rss"]) / len(dataset.y)
        cells = f"{reference.digits:.1f} | {correct:.1f} | {reference.loss / right - 1:.0e}"
        print(f"| {name} | {cells} | {trusted} |", flush=True)


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    asked = sys.argv[1:]
    chosen = {
        method: value
        for method, value in METHODS.items()
        if not asked or any(part in method for part in asked)
    }
    print(
        f"torch {torch.__version__}, float64, one thread; 27 sets x 2 starts = 54 runs a method.\n"
    )
    head = "solved to 6 digits | 4 to 6 | exchanged | fewer | median digits | least of the solved"
    cost = "median iterations | losses | gradients | Hessian products"
    print(f"| method | {head} | {cost} |\n" + "|---" * 11 + "|")
    runs: dict[str, list[Run]] = {}
    for method, (optimizer, most) in chosen.items():
        runs[method] = [
            run(name, start, optimizer, most) for name in NONLINEAR_NAMES for start in (1, 2)
        ]
        print(summary(method, runs[method]), flush=True)
    print_by_set(runs)
    if not asked:
        print_references()


if __name__ == "__main__":
    main()
