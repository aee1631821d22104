"""The parts of a network's checks, on data small enough to be looked at."""

import math

import pytest
import torch

from optlab.problems.module_checks import (
    check_loss,
    check_measures,
    check_output,
    checked_module,
    checked_rows,
    split,
    unused,
)
from optlab.problems.problem import Batch

ROWS = Batch(torch.arange(10.0)[:, None], torch.arange(10.0))


@pytest.mark.parametrize(("share", "held"), [(0.2, 2), (0.25, 2), (0.06, 1), (0.94, 9)])
def test_a_share_of_the_rows_is_held_out_the_same_each_time(share, held):
    kept, out = split(ROWS, share)
    assert (len(kept.y), len(out.y)) == (10 - held, held)
    assert sorted(kept.y.tolist() + out.y.tolist()) == list(range(10))
    for part in (kept, out):
        assert part.y.tolist() == sorted(part.y.tolist())
        assert torch.equal(part.X[:, 0], part.y)
    assert torch.equal(split(ROWS, share)[1].y, out.y)
    assert kept.y.tolist() != list(range(10 - held))  # neither the first rows nor the last


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5, True, "0.2", math.nan])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match="must be a share of the rows"):
        split(ROWS, share)


@pytest.mark.parametrize(
    ("share", "left"), [(0.04, "10 to train on and 0"), (0.96, "0 to train on and 10")]
)
def test_a_part_without_rows_is_refused(share, left):
    with pytest.raises(ValueError, match=f"of 10 rows leaves {left} held out"):
        split(ROWS, share)


@pytest.mark.parametrize(
    ("shape", "y", "said"),
    [
        ((), torch.ones(2), "for 2 rows must have 2 rows, not the shape"),
        ((3,), torch.ones(2), "for 2 rows must have 2 rows, not the shape"),
        ((2, 1), torch.ones(2), "would pair every row with every other"),
        ((2,), torch.ones(2), None),
        ((2, 3), torch.ones(2), None),
        ((2, 1), torch.ones(2, dtype=torch.int64), None),  # classes
    ],
)
def test_an_output_has_the_rows_and_the_shape_of_its_target(shape, y, said):
    if said is None:
        check_output(torch.ones(shape), y)
        return
    with pytest.raises(ValueError, match=said):
        check_output(torch.ones(shape), y)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda output, y: (output - y).square().mean(), None),
        (lambda output, y: (output - y).square().sum(), "doubles where every row stands twice"),
        (lambda output, y: (output * 0).sum(), None),  # a fit at the start
        (lambda output, y: (output - y).square(), r"a tensor of shape \(3,\)"),
        (lambda output, y: 1.0, "not 1.0"),
        (lambda output, y: output.argmax(), r"a tensor of shape \(\)"),
        (lambda output, y: output.mean() / 0, "the loss at the start is inf"),
        (lambda output, y: output.mean() * math.nan, "the loss at the start is nan"),
    ],
)
def test_a_loss_is_one_finite_mean(loss, said):
    output, y = torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3)
    if said is None:
        check_loss(loss, output, y)
        return
    with pytest.raises(ValueError, match=said):
        check_loss(loss, output, y)


def test_parameters_that_a_loss_is_not_made_of_are_named():
    one, other = (torch.ones(2, requires_grad=True) for _ in range(2))
    assert unused((2 * one).sum(), {"one": one, "other": other}) == ["other"]
    assert unused(torch.tensor(1.0), {"one": one, "other": other}) == ["one", "other"]


@pytest.mark.parametrize("name", ["loss", "seconds", "validation_own", "a b", 3])
def test_measures_have_plain_names_of_their_own(name):
    with pytest.raises(ValueError, match="measure"):
        check_measures({name: len})
    check_measures({"own": len})
    with pytest.raises(ValueError, match="must be a function"):
        check_measures({"own": 3})


def test_rows_are_copied_and_whole_numbers_stay_whole():
    X, y = torch.ones(2, 1, dtype=torch.float64), [0, 1]
    rows = checked_rows(X, y, torch.float32)
    assert (rows.X.dtype, rows.y.dtype) == (torch.float32, torch.int64)
    assert checked_rows(X, [True, False], torch.float32).y.tolist() == [1.0, 0.0]
    same = checked_rows(X, y, torch.float64).X
    same += 1
    assert X.tolist() == [[1.0], [1.0]]
    for wrong, said in [
        ([[1.0], [math.nan]], "X must be finite, but row 1 holds NaN"),
        ([], "X must have rows"),
        (1.0, "X must have rows"),
        ([[1j]], "X must be real numbers"),
        ([[1.0]], "X has 1 rows and y has 2"),
    ]:
        with pytest.raises(ValueError, match=said):
            checked_rows(wrong, y, torch.float32)


def test_a_modules_parameters_to_train_have_one_dtype():
    linear, frozen = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1).double()
    assert checked_module(linear) == torch.float32
    both = torch.nn.Sequential(linear, frozen)
    with pytest.raises(ValueError, match="not float32, float64"):
        checked_module(both)
    frozen.requires_grad_(False)
    assert checked_module(both) == torch.float32
    with pytest.raises(ValueError, match="not float16"):
        checked_module(torch.nn.Linear(1, 1).half())
    with pytest.raises(ValueError, match="all have requires_grad=False"):
        checked_module(frozen)
    with pytest.raises(ValueError, match="did you mean Linear"):
        checked_module(torch.nn.Linear)
    with pytest.raises(ValueError, match="no shape yet"):
        checked_module(torch.nn.LazyLinear(1))
