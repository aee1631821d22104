"""The objective of a linear model in pairs of numbers, against fractions."""

import math
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
    assert own.penalty(theta[0]) == pytest.approx(float(penalty), rel=1e-15, abs=0)
    found = own.value(theta, own.predictions(theta))
    assert found == pytest.approx(float(squares + penalty), rel=1e-15, abs=0)
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
            assert row[k] == pytest.approx((bases[:, mine] @ x).norm().item(), rel=1e-14, abs=0)


FOUR = tensor([[1.0, 2.0, -4.0, 1.0], [3.0, 0.0, 1.0, -1.0]])  # (log2 4 + 3)**2 + 8 = 33 units


def of_four(loss, y, l1=0.0, l2=0.0):
    share, free = tensor([0.25, 0.75]), tensor([0.0, 1.0, 1.0, 1.0])
    return Objective(FOUR, y, share, 0 * share, loss, l1 * free, l2 * free)


def test_the_error_of_a_value_of_residual_zero_is_that_of_its_predictions():
    """Errors e of terms of 5 + 2 and 4 + 2 give residuals of e, of slope 2 e, twice."""
    theta = tensor([1.0, 1.0, 1.0, -1.0])
    own = of_four(Squared(), tensor([-2.0, 5.0]))
    eta = own.predictions((theta, 0 * theta))
    assert eta[0].tolist() == [-2.0, 5.0]
    errors = [33 * 2.0**-106 * size for size in (8 + 2, 5 + 5)]
    right = sum(s * 4 * e * e for s, e in zip((0.25, 0.75), errors, strict=True))
    assert own.value_error((theta, 0 * theta), eta) == pytest.approx(right, rel=1e-12, abs=0)
    penalised = of_four(Squared(), tensor([-2.0, 5.0]), l1=0.5, l2=4.0)
    right = 2.0**-49 * (1.5 + 6)
    assert penalised.value_error((theta, 0 * theta), eta) == pytest.approx(right, rel=1e-12, abs=0)


def test_the_error_of_a_value_has_that_of_rounding_predictions():
    """Residuals r of 1 and -2: 2**-53 r moves the loss by 4 r times that; and 3 r**2 units."""
    theta = tensor([1.0, 1.0, 1.0, -1.0])
    own = of_four(Squared(), tensor([-3.0, 7.0]))
    eta = own.predictions((theta, 0 * theta))
    right = sum(s * r * r * (2.0**-51 + 3 * 2.0**-50) for s, r in ((0.25, 1.0), (0.75, 2.0)))
    assert own.value_error((theta, 0 * theta), eta) == pytest.approx(right, rel=1e-12, abs=0)


def test_the_error_of_a_value_of_several_outputs_is_summed_over_them():
    """At 0 and 0 only terms that cancel count: slopes of 1/2 each move the loss by twice e / 2."""
    theta = tensor([[2.0**60] * 2, [0.0] * 2, [2.0**58] * 2, [0.0] * 2])
    own = of_four(Softmax(2), torch.tensor([0, 1]))
    eta = (torch.zeros((2, 2)).double(), torch.zeros((2, 2)).double())
    errors = [33 * 2.0**-106 * size * 2.0**58 for size in (4 + 4, 12 + 1)]
    own_error = 10 * 2.0**-52 * math.log(2)  # 8 + K units of the value
    right = sum(s * (own_error + 2 * 2 * e / 2) for s, e in zip((0.25, 0.75), errors, strict=True))
    assert own.value_error((theta, 0 * theta), eta) == pytest.approx(right, rel=1e-8, abs=0)


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_a_design_without_curvature_stands_for_what_changes_the_loss(outputs):
    """Rows times the roots of their shares; of two classes at 0 half of their difference."""
    own = of_four(Softmax(2) if outputs else Squared(), torch.tensor([0, 1]).to(torch.int64))
    free = torch.tensor([0, 3, 4, 7]) if outputs else torch.tensor([0, 2])
    damping = own.damping(free)
    if not outputs:
        right = tensor([0.25, 0.75]).sqrt()[:, None] * FOUR[:, [0, 2]]
        torch.testing.assert_close(damping, right, rtol=1e-15, atol=0)
        return
    columns, signs = FOUR[:, [0, 1, 2, 3]], tensor([1.0, -1.0, 1.0, -1.0])
    moves = columns[:, [0, 1, 2, 3]] * signs
    right = moves.T @ (tensor([0.25, 0.75])[:, None] * moves) / 4
    torch.testing.assert_close(damping.T @ damping, right, rtol=1e-14, atol=1e-16)


def test_a_factor_is_of_the_product_or_else_of_the_rows():
    own = of_four(Squared(), tensor([0.0, 1.0]), l2=2.0)
    eta, free = tensor([0.0, 0.0]), torch.tensor([0, 1])
    H = 2 * FOUR[:, :2].T @ (tensor([0.25, 0.75])[:, None] * FOUR[:, :2])
    H[1, 1] += 2
    vector = tensor([1.0, -3.0])
    solved = torch.linalg.solve(H, vector)
    torch.testing.assert_close(own.factor(eta, free).solve(vector), solved, rtol=1e-13, atol=0)
    near = Objective(
        tensor([[1.0, 1.0], [1.0, 1.0 + 2.0**-24]]), *(own.y, own.share, own.share_low, own.loss),
        tensor([0.0, 0.0]), tensor([0.0, 0.0]),
    )  # fmt: skip
    assert near.factor(eta, free) is not None  # its product loses all digits
    twice = Objective(
        tensor([[1.0, 1.0], [1.0, 1.0]]), *(own.y, own.share, own.share_low, own.loss),
        tensor([0.0, 0.0]), tensor([0.0, 0.0]),
    )  # fmt: skip
    assert twice.factor(eta, free) is None
