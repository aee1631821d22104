"""Directions of recession on three rows, by hand: who recedes, who is held, and what remains."""

import numpy as np
import pytest
import torch

from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.recession import _most_growth, recession
from optlab.problems.losses.logistic import Logistic
from optlab.problems.losses.poisson import Poisson
from optlab.problems.losses.softmax import Softmax
from optlab.problems.losses.squared import Squared


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def objective(loss, y, l1=(0.0, 0.0), l2=(0.0, 0.0), size=1.0):
    design = tensor([1.0, 0.0], [1.0, size], [1.0, 2 * size])
    y = torch.tensor(y) if loss.outputs else tensor(*y)
    share, low = tensor(0.25, 0.25, 0.5), tensor(1.0, 2.0, 3.0) * 2.0**-60
    return Objective(design, y, share, low, loss, tensor(*l1), tensor(*l2))


@pytest.mark.parametrize("size", [1.0, 2.0**40, 2.0**-40])
def test_rows_of_no_counts_recede_where_the_others_are_held(size):
    found = recession(objective(Poisson(), (2.0, 0.0, 0.0), size=size))
    assert found.rows == 2
    assert found.direction[0].item() == pytest.approx(0.0, abs=1e-12)
    assert found.direction[1].item() * size <= -0.5  # both rows fall by 1 or more, or in sum
    assert found.rest.design.tolist() == [[1.0, 0.0]]
    assert (found.rest.y.tolist(), found.rest.share.tolist()) == ([2.0], [0.25])
    assert found.rest.share_low.tolist() == [2.0**-60]
    assert recession(objective(Poisson(), (2.0, 1.0, 0.0), size=size)) is None
    all_of_them = recession(objective(Poisson(), (0.0, 0.0, 0.0), size=size))
    assert (all_of_them.rows, len(all_of_them.rest.y)) == (3, 0)


def test_classes_recede_where_they_are_apart():
    found = recession(objective(Logistic(), (0.0, 1.0, 1.0)))
    along = objective(Logistic(), (0.0, 1.0, 1.0)).design @ found.direction
    assert along[0] < 0 < along[1] < along[2]
    assert (found.rows, len(found.rest.y)) == (3, 0)
    assert recession(objective(Logistic(), (0.0, 1.0, 0.0))) is None
    assert recession(objective(Squared(), (0.0, 1.0, 1.0))) is None


@pytest.mark.parametrize("penalty", [{"l1": (0.0, 0.5)}, {"l2": (0.0, 0.5)}])
def test_entries_with_a_penalty_do_not_move(penalty):
    found = recession(objective(Logistic(), (1.0, 1.0, 1.0), **penalty))
    assert found.direction[0] > 0 == found.direction[1]
    assert found.rows == 3
    assert recession(objective(Logistic(), (0.0, 1.0, 1.0), **penalty)) is None
    both = dict.fromkeys(penalty, (0.5, 0.5))
    assert recession(objective(Logistic(), (1.0, 1.0, 1.0), **both)) is None
    opposite = {"l1": (0.5, 0.0), "l2": (0.0, 0.5)}
    assert recession(objective(Logistic(), (1.0, 1.0, 1.0), **opposite)) is None


def test_a_class_that_recedes_from_one_of_two_others_is_left_with_the_other():
    """Class 2 has the largest x; 0 and 1 cannot be told apart at x = 0 and 1."""
    design = tensor([1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 5.0])
    y, share = torch.tensor([0, 1, 0, 1, 2]), torch.full((5,), 0.2, dtype=torch.float64)
    zero = tensor(0.0, 0.0)
    found = recession(Objective(design, y, share, 0 * share, Softmax(3), zero, zero))
    assert found.direction.shape == (2, 3)
    along = design @ found.direction
    apart = along.gather(1, y[:, None]) - along
    assert (apart >= -1e-9).all()
    assert (apart[:4, 2] > 0.5).all()
    assert (apart[4, :2] > 0.5).all()
    assert found.rows == 5
    assert found.rest.loss.possible[:4].tolist() == [[True, True, False]] * 4
    assert found.rest.loss.possible[4].tolist() == [False, False, True]
    assert len(found.rest.y) == 5


def test_the_most_rows_grow_and_held_ones_do_not():
    M = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, -1.0]])
    none = np.zeros(3, dtype=bool)
    v, receding = _most_growth(M, none)
    assert receding.tolist() == [True, True, True]
    assert ((M @ v) >= 1 - 1e-9).all()
    held = np.array([False, True, False])
    v, receding = _most_growth(M, held)
    assert receding.tolist() == [True, False, True]
    assert M[1] @ v == pytest.approx(0, abs=1e-9)
    assert _most_growth(np.array([[1.0], [-1.0]]), none[:2]) is None
    assert _most_growth(M[:2], np.array([True, True])) is None
