"""The objective of a linear model in pairs of numbers, against fractions."""

from fractions import Fraction

import pytest
import torch

from optlab.problems.certified.linear_objective import Objective
from optlab.problems.losses.softmax import Softmax
from optlab.problems.losses.squared import Squared

DESIGN = [[1.0, 0.1, -2.0], [1.0, 3.0, 0.7], [1.0, -0.3, 0.2], [1.0, 0.9, 1.1]]
SHARE, SHARE_LOW = [0.1, 0.3, 0.4, 0.2], [2.0**-60, -(2.0**-58), 2.0**-57, 2.0**-59]
Y = [0.3, -1.7, 0.9, 2.2]
L1, L2 = [0.0, 0.1, 0.2], [0.0, 0.7, 1.3]
ROWS, COLUMNS = range(4), range(3)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def objective(loss=Squared()):  # noqa: B008 - it has no state
    y = tensor([0.0, 1.0, 2.0, 1.0]) if loss.outputs else tensor(Y)
    return Objective(
        tensor(DESIGN), y, tensor(SHARE), tensor(SHARE_LOW), loss, tensor(L1), tensor(L2)
    )


def exact(pair):
    """A flat pair as fractions."""
    high, low = (part.reshape(-1).tolist() for part in pair)
    return [Fraction(h) + Fraction(low_part) for h, low_part in zip(high, low, strict=True)]


def near(found, expected):
    """Each is right to twice the working precision: a few units of 2^-104 of terms up to 16."""
    gaps = [abs(a - b) for a, b in zip(exact(found), expected, strict=True)]
    return max(gaps) <= Fraction(2) ** -98


def pair_of(*shape):
    high = tensor([0.7, -1.3, 2.9, 0.11, 0.23, -3.1, 1.9, -0.6][: torch.Size(shape).numel()])
    low = high * 2.0**-55 + 2.0**-58
    return high.reshape(shape), low.reshape(shape)


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_products_with_the_design_have_all_digits(outputs):
    own, K = objective(Softmax(2) if outputs else Squared()), 2 if outputs else 1
    theta = pair_of(3, *outputs)
    w = exact(theta)
    assert near(
        own.predictions(theta),
        [
            sum(Fraction(DESIGN[i][j]) * w[j * K + k] for j in COLUMNS)
            for i in ROWS
            for k in range(K)
        ],
    )
    rows = pair_of(4, *outputs)
    r = exact(rows)
    assert near(
        own.transposed(rows),
        [
            sum(Fraction(DESIGN[i][j]) * r[i * K + k] for i in ROWS)
            for j in COLUMNS
            for k in range(K)
        ],
    )
    share = [Fraction(high) + Fraction(low) for high, low in zip(SHARE, SHARE_LOW, strict=True)]
    shared = [share[i] * r[i * K + k] for i in ROWS for k in range(K)]
    assert near(own.shared(rows), shared)
    assert near(
        own.balance(theta, rows),
        [
            sum(Fraction(DESIGN[i][j]) * shared[i * K + k] for i in ROWS)
            + Fraction(L2[j]) * w[j * K + k]
            for j in COLUMNS
            for k in range(K)
        ],
    )


def test_the_value_and_the_gradient_of_squares():
    own, theta = objective(), pair_of(3)
    w, share = exact(theta), [Fraction(value) for value in SHARE]
    eta = [sum(Fraction(DESIGN[i][j]) * w[j] for j in COLUMNS) for i in ROWS]
    squares = sum(share[i] * (eta[i] - Fraction(Y[i])) ** 2 for i in ROWS)
    penalty = sum(Fraction(L1[j]) * abs(w[j]) + Fraction(L2[j]) / 2 * w[j] ** 2 for j in COLUMNS)
    assert own.penalty(theta[0]) == pytest.approx(float(penalty), rel=1e-15)
    found = own.value(theta, own.predictions(theta))
    assert found == pytest.approx(float(squares + penalty), rel=1e-15)
    assert abs(Fraction(found) - squares - penalty) <= own.value_error(
        theta, own.predictions(theta)
    )
    slopes = [2 * (eta[i] - Fraction(Y[i])) for i in ROWS]
    share = [a + Fraction(low) for a, low in zip(share, SHARE_LOW, strict=True)]
    assert near(
        own.gradient(theta, own.predictions(theta)),
        [
            sum(Fraction(DESIGN[i][j]) * share[i] * slopes[i] for i in ROWS)
            + Fraction(L2[j]) * w[j]
            for j in COLUMNS
        ],
    )


@pytest.mark.parametrize("loss", [Squared(), Softmax(3)], ids=["squared", "softmax"])
def test_the_hessian_of_the_free_entries_is_autograds(loss):
    own, K = objective(loss), 3 if loss.outputs else 1
    theta = tensor([0.3, -0.2, 0.5, 0.1, 0.7, -0.4, 0.2, 0.6, -0.1][: 3 * K]).reshape(own.shape)

    def smooth(flat):
        eta = own.design @ flat.reshape(own.shape)
        l2 = own.per_entry(own.l2)
        if loss.outputs:
            rows = eta.logsumexp(1) - eta[range(4), own.y.long()]
        else:
            rows = (eta - own.y).square()
        return (own.share * rows).sum() + (l2 / 2 * flat.square()).sum()

    free = torch.tensor([0, 2, 4, 7] if loss.outputs else [0, 2])
    expected = torch.autograd.functional.hessian(smooth, theta.reshape(-1))[free][:, free]
    eta = own.design @ theta
    root = own.root(eta, free)
    for found in (own.hessian(eta, free), root.T @ root):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)  # of numbers up to 8
    bases = tensor([[1.0, 0.5, -2.0, 0.3], [0.2, -1.0, 0.4, 1.0], [0.0, 2.0, 1.0, -0.5]])
    bases = bases[:, : len(free)]
    for i, row in enumerate(own.reach(bases, free).reshape(4, K).tolist()):
        for k in range(K):
            mine = [place for place, entry in enumerate(free.tolist()) if entry % K == k]
            x = tensor([DESIGN[i][free[place] // K] for place in mine])
            assert row[k] == pytest.approx((bases[:, mine] @ x).norm().item(), rel=1e-14)
