"""Barzilai-Borwein's and Polyak's step sizes, each step against its formula in numpy."""

import math
from itertools import islice, pairwise

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.optimizers import unsupported
from optlab.problems.vector import flatten

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def line():
    return ol.LinearRegression.from_dataset(ol.datasets.synthetic(30, 4, condition=10, seed=5))


class Function:
    """The mean squared error in numpy."""

    def __init__(self, problem):
        self.A = np.column_stack([problem.X.numpy(), np.ones(len(problem.y))])
        self.y = problem.y.numpy()

    def loss(self, w):
        return np.mean((self.A @ w - self.y) ** 2)

    def gradient(self, w):
        return 2 * self.A.T @ (self.A @ w - self.y) / len(self.y)


def run(optimizer, problem, count):
    generator = torch.Generator().manual_seed(1)
    start = problem.start(generator)
    first = flatten(start).numpy()
    batches = ol.Batches(problem.X, problem.y, "full", generator)
    found = list(islice(optimizer.iterates(problem, batches, start), count))
    return np.array([first, *(flatten(i.parameters).numpy() for i in found)]), found[-1].cost


@pytest.mark.parametrize("memory", [1, 10])
@pytest.mark.parametrize("step", ["long", "short"])
def test_each_barzilai_borwein_step_is_the_published_one(line, step, memory):
    f = Function(line)
    points, cost = run(ol.BarzilaiBorwein(step, memory), line, 25)
    losses, halved = [f.loss(w) for w in points], 0
    for k in range(1, 25):
        w, g = points[k], f.gradient(points[k])
        s, y = w - points[k - 1], g - f.gradient(points[k - 1])
        if np.linalg.norm(s) < 1e-6 * np.linalg.norm(w):
            break  # differences of close points have few digits
        size = (s @ s) / (s @ y) if step == "long" else (s @ y) / (y @ y)
        highest = max(losses[max(0, k - memory + 1) : k + 1])
        while f.loss(w - size * g) > highest - 1e-4 * size * (g @ g):
            size, halved = size / 2, halved + 1
        # y has the digits that its difference leaves: 1e-16 / 1e-6 at worst, over condition 100.
        np.testing.assert_allclose(
            points[k + 1], w - size * g, rtol=0, atol=1e-8 * np.linalg.norm(w)
        )
    assert k > 8
    if memory == 1 and step == "long":
        assert halved  # the long step alone is no descent
    # One loss and gradient a point, one gradient more for the first size, a loss each trial step.
    assert cost.gradients == 26 + 2
    assert cost.losses >= 26 + 25


def test_barzilai_borwein_minimises_a_function_that_is_no_quadratic():
    """Rosenbrock's, where steps of the secant size alone go astray."""

    class Rosenbrock:
        name, data = "rosenbrock", ol.Batch(torch.zeros(1, 0).double(), torch.zeros(1).double())

        def loss(self, parameters, batch=None):
            x, y = parameters["x"]
            return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    start = {"x": torch.tensor([-1.2, 1.0]).double()}
    found = islice(ol.BarzilaiBorwein().iterates(Rosenbrock(), None, start), 200)
    *_, last = (iterate.parameters["x"].clone() for iterate in found)
    assert torch.allclose(last, torch.ones(2).double(), atol=1e-8)


def test_each_polyak_step_is_the_published_one_and_leads_no_further_away(line):
    f, best = Function(line), flatten(line.reference().parameters).numpy()
    points, cost = run(ol.PolyakStep(), line, 200)
    for w, after in pairwise(points):
        g = f.gradient(w)
        gap = f.loss(w) - line.reference().loss
        if gap < 1e-9 * f.loss(w):
            break  # a difference of two losses with few digits left
        # 7 digits of the gap are left at least.
        np.testing.assert_allclose(after, w - gap / (g @ g) * g, rtol=0, atol=1e-6 * math.sqrt(gap))
        assert np.linalg.norm(after - best) <= np.linalg.norm(w - best)
    assert cost == (200, 200, 0)


def test_polyaks_step_says_that_no_least_loss_is_known(line):
    class Unknown:
        name, data, loss = "unknown", line.data, line.loss
        start, to, evaluate = line.start, line.to, line.evaluate

        def reference(self):
            return None

    assert "least loss, which is not known" in unsupported(ol.PolyakStep(), Unknown(), CPU)


def test_bad_hyperparameters_are_refused():
    with pytest.raises(ValueError, match="step must be one of long, short, not 'best'"):
        ol.BarzilaiBorwein("best")
    with pytest.raises(ValueError, match="memory must be a whole number of at least 1, not 0"):
        ol.BarzilaiBorwein(memory=0)
