"""The smoothed kinks and the balance of slopes with a penalty, by hand."""

from types import SimpleNamespace

import pytest
import torch

from optlab.problems.certified import ridge_kinks
from optlab.problems.certified.kinks import Kinks
from optlab.problems.certified.ridge_kinks import Envelope, _balanced, minimise_ridge_kinks


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def pair(*values):
    return tensor(*values), 0 * tensor(*values)


@pytest.mark.parametrize(
    ("residual", "value", "slope", "curvature"),
    [
        (0.25, 0.0625, -0.5, 2.0),
        (-0.25, 0.0625, 0.5, 2.0),
        (3.0, 5.0, -2.0, 0.0),
        (-3.0, 2.75, 1.0, 0.0),
        (1.0, 1.0, -2.0, 0.0),  # at the end of the quadratic part
        (-0.5, 0.25, 1.0, 0.0),
    ],
)
def test_an_envelope_is_quadratic_within_and_linear_beyond(residual, value, slope, curvature):
    """Of slopes -1 and 2 and the width 1/2: r**2 from -1/2 to 1, then 2 r - 1 and -r - 1/4."""
    loss, eta, y = Envelope(tensor(-1), tensor(2), 0.5), tensor(0.75), tensor(0.75 + residual)
    assert loss.value(eta, y).item() == value
    assert loss.slope(eta, y).item() == slope
    assert loss.curvature(eta, y).item() == curvature


THREE = Kinks(
    tensor([1.0], [1.0], [1.0]), tensor(0.0, 1.0, 10.0), pair(0.25, 0.5, 0.25),
    tensor(-3.0, -3.0, -3.0), tensor(1.0, 1.0, 1.0), tensor(0.5),
)  # fmt: skip


def test_rows_inside_a_kink_are_zero_and_their_slopes_balance_the_penalty():
    """At the row 1: -3/4 + a/2 + 1/4 = 1/2, so that a = 2 beyond its end; at 1/8 of l2 it is 1."""
    inside = torch.tensor([False, True, False])
    kinks = THREE._replace(l2=tensor(-0.25 / 2))
    found = _balanced(kinks._replace(l2=tensor(0.125)), inside, tensor(-3.0, 0.0, 1.0), tensor(9))
    assert found.theta[0].tolist() == [1.0]
    assert found.residual[0].tolist() == [-1.0, 0.0, 9.0]
    assert found.residual[1].tolist() == [0.0] * 3
    assert found.slope[0].tolist() == [-3.0, 1.0, 1.0]  # clipped from 5/4
    within = _balanced(
        THREE._replace(c=pair(0.125, 1.0, 0.25)), inside, tensor(-3, 0, 1), tensor(9)
    )
    assert within.slope[0].tolist() == [-3.0, 0.625, 1.0]  # 1/2 + 3/8 - 1/4
    assert within.bound <= 1e-26
    assert within.is_unique


@pytest.mark.parametrize(("slope", "end"), [(-0.9, 1.0), (-1.1, -3.0)])
def test_rows_outside_have_the_slope_of_their_nearer_end(slope, end):
    """With none inside, theta is twice the pull, (1 + 2 a + 1) / 4."""
    none = torch.tensor([False, False, False])
    found = _balanced(THREE, none, tensor(1.0, slope, 1.0), tensor(9.0))
    theta = (2 + 2 * end) / 2
    assert found.theta[0].tolist() == [theta]
    assert found.slope[0].tolist() == [1.0, end, 1.0]
    assert found.residual[0].tolist() == [-theta, 1 - theta, 10 - theta]


def test_a_row_that_stands_twice_is_held_once():
    kinks = Kinks(
        tensor([1.0], [1.0]), tensor(1.0, 1.0), pair(1.0, 1.0), tensor(-1, -1), tensor(1, 1),
        tensor(0.5),
    )  # fmt: skip
    found = _balanced(kinks, torch.tensor([True, True]), tensor(0.125, 0.125), tensor(0.0))
    assert found.theta[0].tolist() == [1.0]
    assert sorted(found.slope[0].tolist()) == [0.125, 0.375]  # the sum balances l2 = 1/2


def test_a_parameter_without_penalty_that_no_row_holds_stays():
    """The slopes 1 and -1 of an intercept balance; the other column's pull is 1/4 (3 - 1)."""
    A = tensor([1.0, 3.0], [1.0, 1.0])
    kinks = Kinks(A, tensor(9.0, -9.0), pair(0.25, 0.25), tensor(-1, -1), tensor(1, 1),
                  tensor(0.0, 2.0))  # fmt: skip
    none = torch.tensor([False, False])
    found = _balanced(kinks, none, tensor(1.0, -1.0), tensor(0.75, 9.0))
    assert found.theta[0].tolist() == [0.75, 0.25]
    assert found.residual[0].tolist() == [9 - 0.75 - 0.75, -9 - 0.75 - 0.25]
    # A row that holds it, at 1/2 + 0: the slope 0 of the row 1/2 + 0 x balances 1 and -1.
    more = Kinks(
        torch.cat([A, tensor([1.0, 0.0])]),
        tensor(9.0, -9.0, 0.5), pair(0.25, 0.25, 1.0), tensor(-1, -1, -1), tensor(1, 1, 1),
        tensor(0.0, 2.0),
    )  # fmt: skip
    held = _balanced(more, torch.tensor([False, False, True]), tensor(1.0, -1.0, 0.0), tensor(9, 9))
    assert held.theta[0].tolist() == [0.5, 0.25]
    assert held.slope[0].tolist() == [1.0, -1.0, 0.0]


def searched(monkeypatch, bounds):
    """Search with made-up minima, at 4, 5, ..., whose vertices have these bounds; what was seen."""
    smooths, balanced = [], []

    def minimise(objective, allowed, start):
        smooths.append((objective, allowed.tolist(), start.item()))
        return SimpleNamespace(theta=(tensor(3.0 + len(smooths)), tensor(9.0)))

    def vertex(kinks, inside, slope, near):
        balanced.append((inside.tolist(), slope.tolist(), near.item()))
        return SimpleNamespace(bound=bounds[len(balanced) - 1], number=len(balanced))

    monkeypatch.setattr(ridge_kinks, "minimise", minimise)
    monkeypatch.setattr(ridge_kinks, "_balanced", vertex)
    return minimise_ridge_kinks(THREE), smooths, balanced


def test_kinks_are_smoothed_ever_less_from_the_last_minimum_and_the_best_vertex_kept(monkeypatch):
    """From an eighth of the mean target, 11/3, which is 11/24."""
    found, smooths, balanced = searched(monkeypatch, [3.0, 5.0, 1.0, *[2.0] * 11])
    assert found.number == 3
    widths = [objective.loss.width for objective, _, _ in smooths]
    assert widths == pytest.approx([11 / 3 / 8**k for k in range(1, 15)], rel=1e-14, abs=0)
    assert [start for _, _, start in smooths] == [0.0, *range(4, 17)]
    objective, allowed, _ = smooths[0]
    assert (objective.l1.tolist(), objective.l2.tolist(), allowed) == ([0.0], [0.5], [True])
    assert balanced[0] == ([False, False, False], [-3.0, -3.0, 1.0], 4.0)
    inside, slope, _ = balanced[6]  # at 10 is the last row
    assert inside == [False, False, True]
    assert slope == [-3.0, -3.0, 0.0]


@pytest.mark.parametrize(("share", "rounds"), [(0.99, 1), (1.01, 2)])
def test_a_bound_that_is_a_share_of_the_objective_ends_the_search(share, rounds, monkeypatch):
    """Residuals -4, -3, 6 at 4 have the slopes -3, -3, 1; the penalty is 4; at 5 it is more."""
    width = 11 / 24
    rows = [12 - 4.5 * width, 9 - 4.5 * width, 6 - width / 2]
    value = rows[0] / 4 + rows[1] / 2 + rows[2] / 4 + 4
    bounds = [share * 1e-14 * value, *[1.0] * 13]
    found, smooths, _ = searched(monkeypatch, bounds)
    assert len(smooths) == rounds
    assert found.number == 1


def test_targets_that_are_all_zero_have_a_width_of_an_eighth(monkeypatch):
    seen = []

    def minimise(objective, allowed, start):
        seen.append(objective.loss.width)
        return SimpleNamespace(theta=(start, start))

    monkeypatch.setattr(ridge_kinks, "minimise", minimise)
    found = minimise_ridge_kinks(THREE._replace(b=tensor(0.0, 0.0, 0.0)))
    assert seen[0] == 1 / 8
    assert found.theta[0].item() == 0.0
