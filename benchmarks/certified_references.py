"""References of linear models: proven bounds, digits, and what scikit-learn's solvers reach.

Run: ``python -m benchmarks.certified_references``. For each kind of problem and five data sets: the
proven bound on the reference's loss above the infimum, over the loss at the start; the digits that
the reference claims for its parameters, and on small data those that they have (mpmath, 40 digits);
and scikit-learn's loss, at its tightest tolerance, above the reference's. A dated table goes to
``benchmarks/results/``.
"""

from __future__ import annotations

import datetime as dt
import math
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
import torch
from sklearn import datasets, linear_model

import optlab as ol
from tests.many_digits import least_digits, solved

RESULTS = Path(__file__).parent / "results"
SMALL = 2500  # rows times parameters up to which mpmath solves a problem too
ALLOWED = 1e-12  # of the loss at the start


class Case(NamedTuple):
    """A problem, and scikit-learn's estimator of the same."""

    kind: str
    data: str
    problem: Any
    estimator: Any


def standardized(X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return columns of mean 0 and deviation 1; constant ones stay constant."""
    deviation = X.std(0)
    return (X - X.mean(0)) / np.where(deviation > 0, deviation, 1.0)


def ill_conditioned(rows: int, columns: int, condition: float) -> np.ndarray[Any, Any]:
    """Return columns whose singular values fall from 10 to 10 / condition."""
    draw = np.random.default_rng(7)
    U, _, V = np.linalg.svd(draw.normal(size=(rows, columns)), full_matrices=False)
    return np.asarray(10 * U * np.logspace(0, -math.log10(condition), columns) @ V)


def designs() -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Return five data sets: X, and a target of real numbers."""
    draw = np.random.default_rng(8)
    found = {}
    for name, load in (
        ("diabetes", datasets.load_diabetes),
        ("breast cancer", datasets.load_breast_cancer),
        ("digits", datasets.load_digits),
    ):
        X, y = load(return_X_y=True)
        found[name] = (standardized(X), y.astype(float))
    found["breast cancer"] = (found["breast cancer"][0][:, 1:], found["breast cancer"][0][:, 0])
    ill = ill_conditioned(60, 5, 1e8)
    found["condition 1e8"] = (ill, ill[:, 0] + draw.standard_t(3, size=60))
    wide = draw.normal(size=(12, 20))
    found["12 rows of 20"] = (wide, wide[:, 0] + draw.normal(size=12))
    return found


def classes(name: str, y: np.ndarray[Any, Any], K: int) -> Any:
    """Return K classes: the data's own, or the quantiles of a noisy target."""
    if name == "breast cancer" and K == 2:
        return datasets.load_breast_cancer().target
    if name == "digits":
        return y.astype(int) if K > 2 else (y > 4).astype(int)
    noise = np.random.default_rng(9).normal(size=len(y)) * y.std() / 2
    return np.digitize(y + noise, np.quantile(y + noise, np.arange(1, K) / K))


def counts(y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return counts with the ranks of y."""
    return np.random.default_rng(10).poisson(np.exp(1 + y.argsort().argsort() / len(y)))


def cases() -> Iterator[Case]:
    """Yield every problem with its estimator; data that would separate have a penalty."""
    for name, (X, y) in designs().items():
        n = len(y)
        l2 = 0.0 if name in {"diabetes", "condition 1e8"} else 1e-3
        C = math.inf if l2 == 0 else 1 / (n * l2)
        for kind, make, K in (
            ("logistic", ol.LogisticRegression, 2),
            ("softmax", ol.SoftmaxRegression, 3),
        ):
            labels = classes(name, y, K)
            solver = {"solver": "lbfgs", "tol": 1e-14, "max_iter": 20000}
            estimator = linear_model.LogisticRegression(C=C, **solver)
            yield Case(kind, name, make(X, labels, l2=l2, name=name), estimator)
        estimator = linear_model.PoissonRegressor(
            alpha=l2, tol=1e-14, max_iter=1000, solver="newton-cholesky"
        )
        yield Case("poisson", name, ol.PoissonRegression(X, counts(y), l2=l2, name=name), estimator)
        estimator = linear_model.HuberRegressor(alpha=1e-3 * n, tol=1e-14, max_iter=100000)
        scale = estimator.fit(X, y).scale_  # at this scale both minimise the same
        huber = {"delta": 1.35 * scale, "l2": 1e-3 * scale}
        yield Case("huber", name, ol.HuberRegression(X, y, **huber, name=name), estimator)
        l1 = 1e-2 * y.std()
        estimator = linear_model.QuantileRegressor(quantile=0.3, alpha=l1)
        quantile = ol.QuantileRegression(X, y, quantile=0.3, l1=l1, name=name)
        yield Case("quantile", name, quantile, estimator)
        tight = {"tol": 1e-15, "max_iter": 1_000_000}
        estimator = linear_model.Lasso(alpha=l1 / 2, **tight)
        yield Case("lasso", name, ol.LinearRegression(X, y, l1=l1, name=name), estimator)
        estimator = linear_model.ElasticNet(alpha=l1, l1_ratio=0.5, **tight)
        net = ol.LinearRegression(X, y, l1=l1, l2=l1, name=name)
        yield Case("elastic net", name, net, estimator)


def by_sklearn(case: Case) -> dict[str, torch.Tensor]:
    """Return scikit-learn's parameters of the same problem."""
    problem = case.problem
    y = problem.y.numpy()
    found = case.estimator.fit(problem.X.numpy(), y)
    weight, bias = np.asarray(found.coef_), np.asarray(found.intercept_)
    if problem.loss_function.outputs:
        return {"weight": torch.from_numpy(weight.T.copy()), "bias": torch.from_numpy(bias)}
    return {"weight": torch.from_numpy(weight.reshape(-1)), "bias": torch.tensor(bias.item())}


def row(case: Case) -> str:
    """Return a line of the table; raise AssertionError where the reference fails."""
    problem = case.problem
    began = time.perf_counter()
    reference = problem.reference()
    seconds = time.perf_counter() - began
    start = problem.evaluate(problem.start(torch.Generator().manual_seed(1))).loss
    share = reference.bound / start
    assert share <= ALLOWED, (case.kind, case.data, share)
    theirs = problem.evaluate(by_sklearn(case))
    above = theirs.loss - reference.loss
    assert above >= -2 * reference.bound, (case.kind, case.data, above)  # both losses are rounded
    true = ""
    unknowns = reference.parameters["weight"].numel()
    if len(problem.y) * unknowns <= SMALL:
        exact = solved(problem)
        digits = least_digits(problem, exact)
        assert not digits < reference.digits - 0.1, (case.kind, case.data, digits)
        assert abs(float(reference.loss - exact.loss)) <= reference.bound
        true = f"{min(digits, 16.0):.1f}"
    claimed = "" if math.isnan(reference.digits) else f"{reference.digits:.1f}"
    n, d = problem.X.shape
    return (
        f"| {case.kind} | {case.data} | {n} x {d} | {seconds:.2f} | {start:.3g} "
        f"| {reference.loss:.6g} | {share:.1e} | {claimed} | {true} | {theirs.suboptimality:.1e} |"
    )


HEAD = """# Certified references of linear models

`python -m benchmarks.certified_references`, {date}: optlab {optlab}, scikit-learn {sklearn}, torch
{torch}. **bound** is the proven bound on the reference's loss above the infimum, the rounding of
the loss as a number included, over the loss at the start. **digits** are those that the reference
claims for its parameters (none where the minimiser is not unique), and **true** the least that they
have against mpmath's solution to 40 digits. **scikit-learn** is the suboptimality of its solver at
the tightest tolerance it takes; it never beat the reference by more than the bound. Seconds on a
busy machine.

| problem | data | size | seconds | start | reference | bound | digits | true | scikit-learn |
|---|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Print the table and write it."""
    warnings.simplefilter("ignore")  # scikit-learn warns where tolerances are not reached
    make: Callable[[Case], str] = row
    lines = []
    for case in sorted(cases(), key=lambda case: case.kind):
        lines.append(make(case))
        print(lines[-1], flush=True)
    date = dt.datetime.now(tz=dt.UTC).date().isoformat()
    versions = {"optlab": ol.__version__, "sklearn": sklearn.__version__}
    head = HEAD.format(date=date, torch=torch.__version__, **versions)
    path = RESULTS / f"{date}-certified-references.md"
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
