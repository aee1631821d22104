"""Strategies of linear models: least squares, and the convex losses with their penalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from optlab.checks import did_you_mean
from optlab.problems.linear_model import LinearModel
from optlab.problems.linear_regression import LinearRegression
from optlab.problems.losses.huber import HuberRegression
from optlab.problems.losses.logistic import LogisticRegression
from optlab.problems.losses.poisson import PoissonRegression
from optlab.problems.losses.quantile import QuantileRegression
from optlab.problems.losses.softmax import SoftmaxRegression
from optlab.testing.strategies.designs import Array, Design, designs
from optlab.testing.strategies.kinds import dtypes

CONVEX = (
    "ridge", "lasso", "elastic-net", "huber", "logistic", "softmax", "poisson", "quantile",
)  # fmt: skip
"""The kinds of `convex_problems`, in the order in which they shrink."""

_L1 = {"lasso": 0.1, "elastic-net": 0.1}
_L2 = {"ridge": 0.1, "elastic-net": 0.1}


@st.composite
def least_squares(
    draw: st.DrawFn,
    *,
    design: st.SearchStrategy[Design] | None = None,
    dtype: st.SearchStrategy[torch.dtype] | None = None,
    weighted: bool | None = None,
) -> LinearRegression:
    """Strategy of `LinearRegression` without penalty: `designs`, noise, intercept, row weights.

    Parameters
    ----------
    design
        The strategy of designs, `designs()` where left out: rank-deficient ones and n < d too.
    dtype
        The strategy of dtypes, `dtypes()` where left out.
    weighted
        Whether rows have weights; drawn where None.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(least_squares(), lambda problem: problem.X.shape[0] < problem.X.shape[1])
    LinearRegression('n=1 d=2 rank=1 condition=1 seed=0 noise=0', n=1, d=2, float64, cpu)
    """
    chosen = draw(designs() if design is None else design)
    noise = draw(st.sampled_from([0.0, 1e-3, 1.0]))
    options = _options(draw, chosen, weighted)
    X, draws = chosen.X, chosen.draws()
    y = X @ draws.normal(size=chosen.d) + options["fit_intercept"] * draws.normal()
    y = y + noise * draws.normal(size=chosen.n)
    problem = LinearRegression(X, y, name=f"{chosen} noise={noise:g}", **options)
    return problem.to("cpu", draw(dtypes() if dtype is None else dtype))


@st.composite
def convex_problems(
    draw: st.DrawFn,
    *,
    kinds: Sequence[str] = CONVEX,
    design: st.SearchStrategy[Design] | None = None,
    dtype: st.SearchStrategy[torch.dtype] | None = None,
    weighted: bool | None = None,
) -> LinearModel:
    """Strategy of convex linear models of each kind, with penalties and row weights.

    Ridge, lasso and elastic net have their penalties; each other kind has an l2 penalty, an l1
    penalty, or none.

    Parameters
    ----------
    kinds
        The kinds to draw from: ``"ridge"``, ``"lasso"``, ``"elastic-net"``, ``"huber"``,
        ``"logistic"``, ``"softmax"``, ``"poisson"``, ``"quantile"``.
    design, dtype, weighted
        As of `least_squares`; classes take designs of at least 2 rows.

    Raises
    ------
    ValueError
        For a kind that there is not.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(convex_problems(kinds=["poisson"]), lambda problem: problem.l1 > 0)
    PoissonRegression('poisson n=2 d=1 rank=1 condition=1 seed=0', n=2, d=1, float64, cpu, l1=0.1)
    """
    for name in kinds:
        if name not in CONVEX:
            hint = did_you_mean(str(name), CONVEX)
            raise ValueError(f"unknown kind {name!r}: {hint}there are {', '.join(CONVEX)}")
    kind = draw(st.sampled_from(list(kinds)))
    chosen = draw(designs(min_rows=2) if design is None else design)
    options = _options(draw, chosen, weighted)
    l1, l2 = _L1.get(kind, 0.0), _L2.get(kind, 0.0)
    if not (l1 or l2):
        l1, l2 = draw(st.sampled_from([(0.0, 0.1), (0.1, 0.0), (0.0, 0.0)]))
    problem = _of_kind(kind, chosen, options | {"l1": l1, "l2": l2, "name": f"{kind} {chosen}"})
    return problem.to("cpu", draw(dtypes() if dtype is None else dtype))


def _options(draw: st.DrawFn, design: Design, weighted: bool | None) -> dict[str, Any]:
    intercept = draw(st.sampled_from([True, False]))
    if not (draw(st.booleans()) if weighted is None else weighted):
        return {"fit_intercept": intercept}
    weight = np.random.default_rng([design.seed, 2]).uniform(0.25, 4.0, design.n)
    return {"fit_intercept": intercept, "sample_weight": weight}


def _of_kind(kind: str, design: Design, options: dict[str, Any]) -> LinearModel:
    X, draws = design.X, design.draws()
    eta = X @ draws.normal(size=design.d)
    noise = draws.normal(size=design.n)
    if kind == "logistic":
        return LogisticRegression(X, _labels(eta + noise, 2), **options)
    if kind == "softmax":
        return SoftmaxRegression(X, _labels(eta + noise, 3), **options)
    if kind == "poisson":
        return PoissonRegression(X, draws.poisson(np.exp(eta.clip(-3, 3))).astype(float), **options)
    if kind == "huber":
        return HuberRegression(X, eta + noise, delta=0.5, **options)
    if kind == "quantile":
        return QuantileRegression(X, eta + noise, quantile=0.3, **options)
    return LinearRegression(X, eta + noise, **options)


def _labels(scores: Array, classes: int) -> Array:
    """Return classes by the order of the scores, each as often as the others: at least two."""
    labels = np.empty(len(scores))
    labels[np.argsort(scores)] = np.arange(len(scores)) * classes // max(len(scores), classes)
    return labels
