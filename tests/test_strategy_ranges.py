"""Strategies draw the whole of the ranges that they name, and each draw is what its name says."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.testing import strategies
from optlab.testing.strategies.other_problem_strategies import BENCHMARKS, CURVES

double = st.just(torch.float64)


def drawn(strategy, number=150):
    """Draws of a strategy in derandomized tests."""
    found = []

    @settings(derandomize=True, database=None, max_examples=number, phases=[Phase.generate])
    @given(strategy)
    def draw(one):
        found.append(one)

    draw()
    return found


def words(problem):
    """The settings in a problem's name, such as ``seed=3``."""
    return dict(word.split("=") for word in problem.name.split() if "=" in word)


def test_designs_have_all_sizes_ranks_and_conditions():
    found = drawn(strategies.designs(), 150)
    assert {design.n for design in found} == set(range(1, 13))
    assert {design.d for design in found} == set(range(1, 5))
    assert {design.rank for design in found} == set(range(1, 5))
    assert {design.condition for design in found} == {1.0, 10.0, 100.0, 1e3, 1e4}
    assert all(design.condition == 1 for design in found if design.rank == 1)
    few = drawn(strategies.designs(min_rows=3, max_rows=4, max_columns=2, max_condition=10), 60)
    assert {(design.n, design.d) for design in few} == {(3, 1), (3, 2), (4, 1), (4, 2)}
    assert {design.condition for design in few} == {1.0, 10.0}
    full = drawn(strategies.designs(full_rank=True), 60)
    assert all(design.rank == min(design.n, design.d) for design in full)


def has_wide_seeds(found):
    """Whether seeds are drawn from 0 to 2**16."""
    return 2**8 < max(int(words(problem)["seed"]) for problem in found) <= 2**16


def residuals(problem):
    """The residuals of the best fit of rows without weights."""
    X = problem.X.double().numpy()
    A = np.c_[X, np.ones(len(X))] if problem.fit_intercept else X
    y = problem.y.double().numpy()
    return y - A @ np.linalg.lstsq(A, y, rcond=1e-10)[0]


def test_the_noise_of_least_squares_is_what_the_name_says():
    found = drawn(strategies.least_squares(dtype=double), 60)
    assert has_wide_seeds(found)
    by_noise = {noise: [] for noise in ("0", "0.001", "1")}
    for problem in found:
        by_noise[words(problem)["noise"]].append(np.abs(residuals(problem)).max())
    assert max(by_noise["0"]) < 1e-12
    assert 1e-4 < max(by_noise["0.001"]) < 5e-3
    assert 0.3 < max(by_noise["1"]) < 5
    assert {problem.fit_intercept for problem in found} == {True, False}


@pytest.mark.parametrize(
    ("kind", "penalties"),
    [
        ("ridge", {(0.0, 0.1)}), ("lasso", {(0.1, 0.0)}), ("elastic-net", {(0.1, 0.1)}),
        ("huber", {(0.0, 0.1), (0.1, 0.0), (0.0, 0.0)}),
    ],
)  # fmt: skip
def test_penalties_are_those_of_the_kind(kind, penalties):
    found = drawn(strategies.convex_problems(kinds=[kind], dtype=double), 30)
    assert {(problem.l1, problem.l2) for problem in found} == penalties
    assert all(problem.name.startswith(f"{kind} n=") for problem in found)
    assert has_wide_seeds(found)


def test_losses_have_the_targets_of_their_kind():
    kinds = ("logistic", "softmax", "poisson", "huber", "quantile")
    for kind in kinds:
        for problem in drawn(strategies.convex_problems(kinds=[kind], dtype=double), 12):
            y, n = problem.y.double(), len(problem.y)
            if kind in {"logistic", "softmax"}:
                classes = 2 if kind == "logistic" else 3
                counts = torch.bincount(y.long()).tolist()
                assert len(counts) == min(n, classes)
                assert max(counts) - min(counts) <= 1
            elif kind == "poisson":
                assert (y >= 0).all()
                assert torch.equal(y, y.round())
            else:
                assert len(set(y.tolist())) == n


def test_rows_weights_differ_by_at_most_sixteen_times():
    found = drawn(strategies.least_squares(weighted=True, dtype=double), 60)
    ratios = [float(p.row_weight.max() / p.row_weight.min()) for p in found if len(p.y) > 1]
    assert 8 < max(ratios) <= 16


def test_curves_are_those_of_their_names():
    point, x = {"height": torch.tensor(2.0), "rate": torch.tensor(0.5)}, torch.tensor([3.0])
    found = {name: curve(point, x).item() for name, curve in CURVES.items()}
    assert found == pytest.approx(
        {"decay": 2 * math.exp(-1.5), "saturation": 2 * 3 / 3.5,
         "logistic growth": 2 / (1 + math.exp(-0.5 * 2))}, rel=1e-6,
    )  # fmt: skip


def test_curves_start_near_the_parameters_that_made_them():
    found = drawn(strategies.curves(dtype=double), 60)
    assert {len(problem.y) for problem in found} >= {4, 12}
    assert {words(problem)["noise"] for problem in found} == {"0", "0.01"}
    assert {p.name.partition(" seed")[0] for p in found} == {
        "decay", "saturation", "logistic growth"
    }  # fmt: skip
    assert has_wide_seeds(found)
    truths = []
    for problem in found:
        start = problem.start(torch.Generator())
        truth = {"height": start["height"] / 1.2, "rate": start["rate"] / 0.8}
        truths.append([float(value) for value in truth.values()])
        noise = float(words(problem)["noise"])
        gaps = problem.residuals(truth).abs()
        assert gaps.max() <= max(5 * noise, 1e-5)  # starts are rounded to float32
        assert noise == 0 or gaps.max() > noise / 10
    heights, rates = np.array(truths).T
    assert (heights.min() >= 1, heights.max() <= 4, rates.min() >= 0.5, rates.max() <= 2) == (
        True, True, True, True
    )  # fmt: skip
    assert np.ptp(heights) > 2
    assert np.ptp(rates) > 1


def test_functions_are_of_every_kind_size_and_condition():
    found = drawn(strategies.functions(dtype=double), 150)
    quadratics = [p for p in found if "condition" in words(p)]
    assert {type(p) for p in found} == {ol.Quadratic, ol.NoisyQuadratic, *BENCHMARKS.values()}
    assert {float(words(p)["condition"]) for p in quadratics} == {1.0, 10.0, 1e4}
    for problem in quadratics:
        values, condition = problem.eigenvalues.sort(descending=True).values, words(problem)
        expected = torch.logspace(0, -math.log10(float(condition["condition"])), len(values))
        torch.testing.assert_close(values, expected.double(), rtol=1e-6, atol=0)
    assert {len(problem.eigenvalues) for problem in quadratics} == {1, 2, 3, 4}
    noisy = [p for p in quadratics if type(p) is ol.NoisyQuadratic]
    assert has_wide_seeds(noisy)
    assert {len(p.data.y) for p in noisy} == {4, 6, 8, 10, 12, 14, 16}


def test_modules_have_all_sizes_and_targets_that_can_be_learned():
    found = drawn(strategies.modules(dtype=double), 60)
    assert has_wide_seeds(found)
    assert {len(problem.data.y) for problem in found} >= {2, 12}
    shapes = [p.start(torch.Generator()) for p in found]
    assert {tuple(start["0.weight"].shape) for start in shapes} >= {(1, 1), (1, 3), (4, 1), (4, 3)}
    for problem, start in zip(found, shapes, strict=True):
        numbers = problem.name.startswith("numbers")
        assert len(start["2.bias"]) == (1 if numbers else 3)
        if numbers:
            assert torch.equal(problem.data.y, problem.data.X[:, :1].cos())
        else:
            assert set(problem.data.y.tolist()) <= {0, 1, 2}


def test_points_are_starts_or_lie_near_them():
    problem = ol.Quadratic([1.0, 4.0], start=[1.0, 1.0])
    points = drawn(strategies.points(problem), 60)
    far = [float((point["x"] - 1).abs().max()) for point in points]
    assert 0.0 in far
    # Steps of 0.1 and of 1 times standard normal numbers.
    assert any(0.01 < gap < 0.1 for gap in far)
    assert any(0.7 < gap < 4 for gap in far)
    assert max(far) < 4


@dataclass(frozen=True)
class Accepts:
    """A class with a field in a range, whose ends it refuses or accepts."""

    value: float = 0.5
    least: float = -math.inf
    most: float = math.inf
    closed: bool = True

    def __post_init__(self):
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise TypeError
        inside = self.least < self.value < self.most
        if not (inside or (self.closed and self.value in (self.least, self.most))):
            raise ValueError


TINY = math.nextafter(0, 1)
EDGES = {
    (0.0, math.inf, False): {TINY, 1e308}, (0.0, math.inf, True): {0.0, 1e308},
    (0.0, 1.0, False): {TINY, math.nextafter(1, 0)}, (0.0, 1.0, True): {0.0, 1.0},
    (1.0, math.inf, False): {math.nextafter(1, 2), 1e308}, (1.0, 1.5, True): {1.0, 1 + 2.0**-52},
    (0.0, 1e-15, False): {TINY, 2.0**-52},
}  # fmt: skip


@pytest.mark.parametrize("range_", EDGES)
def test_edges_are_the_least_and_the_largest_number_that_a_class_accepts(range_):
    least, most, closed = range_
    fixed = {"least": least, "most": most, "closed": closed}
    found = drawn(strategies.edge_hyperparameters(Accepts, **fixed), 10)
    assert {keywords["value"] for keywords in found} == EDGES[range_]


@dataclass(frozen=True)
class FlagFirst:
    flag: bool = False
    word: str = "a"
    rate: float = 0.5
    limit: float | None = None


def test_edges_are_of_each_field_that_is_a_number():
    found = drawn(strategies.edge_hyperparameters(FlagFirst), 20)
    assert {name for keywords in found for name in keywords} == {"rate", "limit"}


@dataclass(frozen=True)
class RefusesOne:
    """A class that refuses nothing but what one rule tells."""

    rule: object
    value: float = 0.5

    def __post_init__(self):
        if self.rule(self.value):
            raise ValueError


def is_float(value):
    return isinstance(value, float)


@pytest.mark.parametrize(
    "rule",
    [
        lambda v: is_float(v) and math.isnan(v), lambda v: v == math.inf, lambda v: v == -math.inf,
        lambda v: is_float(v) and -1e-6 < v < 0, lambda v: is_float(v) and -10 < v < -0.1,
        lambda v: type(v) is int and v < 0, lambda v: type(v) is int and v == 0,
        lambda v: is_float(v) and v == 0, lambda v: is_float(v) and v == 1,
        lambda v: is_float(v) and 1 < v < 2, lambda v: is_float(v) and 1.5 < v < 10,
        lambda v: v is None, lambda v: v is True, lambda v: isinstance(v, list),
        lambda v: isinstance(v, str) and not v.replace(".", "").isdigit(),
        lambda v: isinstance(v, str) and v.replace(".", "").isdigit(),
        lambda v: isinstance(v, complex),
    ],
)  # fmt: skip
def test_each_kind_of_wrong_value_is_tried(rule):
    found = drawn(strategies.invalid_hyperparameters(RefusesOne, rule=rule), 3)
    assert all(rule(keywords["value"]) for keywords in found)


@dataclass(frozen=True)
class Anything:
    rate: float = 0.3
    count: int = 7
    flag: bool = False
    kind: Literal["a", "b"] = "a"
    limit: float | None = None


def test_numbers_of_all_sizes_whole_ones_and_all_words_are_drawn():
    found = drawn(strategies.valid_hyperparameters(Anything), 120)
    values = {
        name: {keywords[name] for keywords in found if name in keywords}
        for name in ("rate", "count", "flag", "kind", "limit")
    }
    rates = values["rate"]
    assert min(rates) == 0
    assert min(rates - {0.0}) <= 1e-6
    assert max(rates) == 10
    assert all(isinstance(rate, float) for rate in rates)
    assert values["count"] == {0, 1, 2, 3, 10, 100}
    assert (values["flag"], values["kind"]) == ({True}, {"b"})
    assert values["limit"] >= {100, 0.5}
