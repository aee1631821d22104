"""Least squares in exact rational arithmetic, and the NIST sets, for tests and benchmarks."""

from __future__ import annotations

import csv
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import torch

NIST_FOLDER = Path(__file__).parents[1] / "optlab" / "datasets" / "nist_data"
NIST_NAMES = (
    "Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley",
    "Wampler1", "Wampler2", "Wampler3", "Wampler4", "Wampler5",
)  # fmt: skip
Numbers = list[list[Fraction]]


class Nist(NamedTuple):
    """A set: design and target as float64 with their low parts, exact rows, certified values."""

    X: torch.Tensor  # without the column of ones
    y: torch.Tensor
    X_low: torch.Tensor
    y_low: torch.Tensor
    intercept: bool
    exact_coef: list[Fraction]  # of the decimal data, 30 digits
    certified: list[Fraction]
    exact_sd: list[Fraction]


def load_nist(name: str, folder: Path = NIST_FOLDER) -> Nist:
    """Return a set; powers of a polynomial design are formed exactly, then rounded to pairs."""
    entry = json.loads((folder / "certified.json").read_text())[name]
    with (folder / f"{name}.csv").open() as file:
        lines = [[Fraction(v) for v in line] for line in list(csv.reader(file))[1:]]
    design = entry["design"]
    degree = design.get("degree", 1) if design["kind"] == "polynomial" else 1
    rows = [[x**k for x in line[1:] for k in range(1, degree + 1)] for line in lines]
    X, X_low = pairs(rows)
    y, y_low = pairs([[line[0]] for line in lines])
    return Nist(
        X, y[:, 0], X_low, y_low[:, 0], bool(design["intercept"]),
        [Fraction(v) for v in entry["exact"]["coef"]],
        [Fraction(v) for v in entry["coef"]],
        [Fraction(v) for v in entry["exact"]["coef_sd"]],
    )  # fmt: skip


def pairs(rows: Numbers) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the numbers rounded to float64, and what rounding took off, rounded too."""
    high = [[float(v) for v in row] for row in rows]
    low = [[float(v - Fraction(h)) for v, h in zip(row, top, strict=True)]
           for row, top in zip(rows, high, strict=True)]  # fmt: skip
    return torch.tensor(high, dtype=torch.float64), torch.tensor(low, dtype=torch.float64)


def fractions(X: torch.Tensor, intercept: bool) -> Numbers:
    """Return the rows of [1 X] (or X) as exact fractions."""
    head = [Fraction(1)] if intercept else []
    return [head + [Fraction(v) for v in row] for row in X.tolist()]


def exact_solution(
    X: torch.Tensor, y: torch.Tensor, intercept: bool, ridge: Fraction = Fraction(0)
) -> list[Fraction] | None:
    """Return the exact minimiser [bias, weight...] by Gauss elimination of the normal equations.

    None where it is not unique.
    """
    A = fractions(X, intercept)
    t = [Fraction(v) for v in y.tolist()]
    p = len(A[0])
    M = [[sum((r[i] * r[j] for r in A), Fraction(0)) for j in range(p)] for i in range(p)]
    for i in range(int(intercept), p):
        M[i][i] += ridge
    b = [sum((r[i] * v for r, v in zip(A, t, strict=True)), Fraction(0)) for i in range(p)]
    for i in range(p):
        pivot = next((k for k in range(i, p) if M[k][i] != 0), None)
        if pivot is None:
            return None
        M[i], M[pivot], b[i], b[pivot] = M[pivot], M[i], b[pivot], b[i]
        for k in range(i + 1, p):
            f = M[k][i] / M[i][i]
            if f:
                M[k] = [u - f * v for u, v in zip(M[k], M[i], strict=True)]
                b[k] -= f * b[i]
    c = [Fraction(0)] * p
    for i in reversed(range(p)):
        c[i] = (b[i] - sum((M[i][j] * c[j] for j in range(i + 1, p)), Fraction(0))) / M[i][i]
    return c


def exact_squares(X: torch.Tensor, y: torch.Tensor, c: list[Fraction], intercept: bool) -> Fraction:
    """Return the exact residual sum of squares at c."""
    A = fractions(X, intercept)
    return sum(
        ((Fraction(v) - sum((a * b for a, b in zip(r, c, strict=True)), Fraction(0))) ** 2
         for r, v in zip(A, y.tolist(), strict=True)), Fraction(0))  # fmt: skip


def unknowns(solution: Any, intercept: bool) -> list[float]:
    """Return [bias, weight...] of a solution."""
    head = [solution.bias.item()] if intercept else []
    return head + solution.weight.tolist()


def lre(found: list[float], right: list[Fraction]) -> float:
    """Return the least over coefficients of -log10 |b - c|/|c|, capped at 15 (NIST)."""
    worst = 15.0
    for b, c in zip(found, right, strict=True):
        if not math.isfinite(b):
            return -math.inf
        error = abs(Fraction(b) - c) / (abs(c) or 1)
        if error:
            worst = min(worst, -(math.log10(error.numerator) - math.log10(error.denominator)))
    return worst
