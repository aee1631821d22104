"""Linear models on a few rows: losses, slopes and curvatures by hand, weights, words and copies."""

import inspect
import math

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.problems.linear_model import LinearModel
from optlab.problems.problem import Batch

X, Y = [[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]], [1.0, 2.0, 4.0]
WEIGHTS = [1.0, 2.0, 3.0]  # 1/2, 1 and 3/2 in the mean


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


POINT = {"weight": tensor(3.0, -1.0), "bias": torch.tensor(0.5).double()}
# It predicts 3/2, 21/2 and -1/2: residuals 1/2, 17/2 and -9/2.


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.25, 0.0), (0.0, 0.75), (0.25, 0.75)])
@pytest.mark.parametrize("rows", [None, [0, 2]])
def test_losses_and_gradients_are_means_over_the_rows_of_a_batch(weights, l1, l2, rows):
    """Of Huber's loss of threshold 4, slopes are residuals clipped to it."""
    problem = ol.HuberRegression(X, Y, delta=4.0, sample_weight=weights, l1=l1, l2=l2)
    chosen = [0, 1, 2] if rows is None else rows
    scale = [1.0] * 3 if weights is None else [0.5, 1.0, 1.5]
    batch = None
    if rows is not None:
        weight = None if weights is None else tensor(*scale)[rows]
        batch = Batch(tensor(*X)[rows], tensor(*Y)[rows], weight)
    values, slopes, bent = [0.125, 26.0, 10.0], [0.5, 4.0, -4.0], [1.0, 0.0, 0.0]
    n = len(chosen)
    smooth = sum(scale[i] * values[i] for i in chosen) / n + l2 / 2 * 10
    assert problem.loss(POINT, batch).item() == pytest.approx(smooth + 4 * l1, rel=1e-15, abs=0)
    assert problem.smooth_loss(POINT, batch).item() == pytest.approx(smooth, rel=1e-15, abs=0)
    slope = [
        sum(scale[i] * slopes[i] * X[i][k] for i in chosen) / n + l2 * w
        for k, w in enumerate((3.0, -1.0))
    ]
    found, kinks = problem.smooth_gradient(POINT, batch), problem.gradient(POINT, batch)
    assert found["weight"].tolist() == pytest.approx(slope, rel=1e-14, abs=0)
    right = [slope[0] + l1, slope[1] - l1]
    assert kinks["weight"].tolist() == pytest.approx(right, rel=1e-14, abs=0)
    bias = sum(scale[i] * slopes[i] for i in chosen) / n
    assert found["bias"].item() == kinks["bias"].item() == pytest.approx(bias, rel=1e-14, abs=0)
    along = {"weight": tensor(2.0, 5.0), "bias": torch.tensor(-1.0).double()}
    product = problem.hessian_product(POINT, along, batch)
    moved = [11.0, 0.0, 4.0]
    right = [
        sum(scale[i] * bent[i] * moved[i] * X[i][k] for i in chosen) / n + l2 * v
        for k, v in enumerate((2.0, 5.0))
    ]
    assert product["weight"].tolist() == pytest.approx(right, rel=1e-14, abs=0)
    bias = sum(scale[i] * bent[i] * moved[i] for i in chosen) / n
    assert product["bias"].item() == pytest.approx(bias, rel=1e-14, abs=0)


def test_without_an_intercept_there_is_no_bias():
    problem = ol.HuberRegression(X, Y, fit_intercept=False)
    point = {"weight": tensor(3.0, -1.0)}
    assert (
        list(problem.gradient(point)) == list(problem.hessian_product(point, point)) == ["weight"]
    )
    assert problem.linear_predictor(point).tolist() == [1.0, 10.0, -1.0]
    assert list(problem.start(torch.Generator())) == ["weight"]


def test_a_proximal_step_and_a_bound_of_curvature():
    problem = ol.HuberRegression(X, Y, l1=0.25, l2=0.75)
    moved = problem.proximal(POINT, 8.0)
    assert (moved["weight"].tolist(), moved["bias"].item()) == ([1.0, 0.0], 0.5)
    design = np.column_stack([np.ones(3), X])
    largest = np.linalg.eigvalsh(design.T @ design / 3)[-1]
    assert problem.lipschitz() == pytest.approx(largest + 0.75, rel=1e-12)
    assert ol.PoissonRegression(X, Y).lipschitz() == math.inf


def test_the_objective_is_of_the_rows_that_count():
    problem = ol.HuberRegression(X, Y, sample_weight=[1.0, 0.0, 3.0], l1=0.25, l2=0.75)
    its = problem.objective
    assert its.design.tolist() == [[1.0, 1.0, 2.0], [1.0, 0.0, 1.0]]
    assert (its.y.tolist(), its.share.tolist(), its.share_low.tolist()) == (
        [1.0, 4.0],
        [0.25, 0.75],
        [0.0, 0.0],
    )
    assert (its.l1.tolist(), its.l2.tolist()) == ([0.0, 0.25, 0.25], [0.0, 0.75, 0.75])
    bare = ol.HuberRegression(X, Y, l1=0.25, fit_intercept=False).objective
    assert (bare.design.tolist(), bare.l1.tolist()) == (X, [0.25, 0.25])


def test_a_start_is_drawn_in_float32_and_has_no_bias():
    generator = torch.Generator().manual_seed(3)
    start = ol.HuberRegression(X, Y).start(generator)
    right = torch.randn(2, generator=torch.Generator().manual_seed(3)).double()
    assert torch.equal(start["weight"], right)
    assert (start["bias"].shape, start["bias"].item()) == ((), 0.0)
    classes = ol.SoftmaxRegression(X, ["a", "b", "c"]).start(generator)
    assert (classes["weight"].shape, classes["bias"].tolist()) == ((2, 3), [0.0] * 3)


def test_what_a_problem_is_is_said_in_one_line():
    plain = ol.HuberRegression(X, Y, name="rows")
    assert repr(plain) == "HuberRegression('rows', n=3, d=2, float64, cpu)"
    full = ol.LogisticRegression(
        X, ["no", "yes", "no"], sample_weight=WEIGHTS, validation=(X[:2], ["no", "yes"]),
        fit_intercept=False, l1=0.25, l2=0.75,
    )  # fmt: skip
    assert repr(full) == (
        "LogisticRegression('data', n=3, d=2, float64, cpu, classes=2, log-odds of 'yes' against "
        "'no', no intercept, l1=0.25, l2=0.75, weighted, validation=2)"
    )
    assert plain.is_smooth
    assert not full.is_smooth
    assert not ol.QuantileRegression(X, Y).is_smooth
    assert plain.quantity == ""


def test_what_is_no_dataset_is_refused_with_a_way_out():
    with pytest.raises(ValueError, match=r"not list: HuberRegression\(X, y\) takes arrays"):
        ol.HuberRegression.from_dataset(X)
    with pytest.raises(ValueError, match="name must be text, not 3"):
        ol.HuberRegression(X, Y, name=3)


def test_a_dataset_gives_its_facts_and_options_go_before_them():
    data = ol.datasets.Dataset("its", np.array(X), np.array(Y), feature_names=("a", "b"))
    problem = ol.HuberRegression.from_dataset(data, delta=2.0)
    assert (problem.name, problem.feature_names, problem.fit_intercept) == ("its", ("a", "b"), True)
    assert problem.loss_function.delta == 2.0
    own = ol.HuberRegression.from_dataset(data, name="own", fit_intercept=False)
    assert (own.name, own.fit_intercept) == ("own", False)


def test_a_copy_in_another_dtype_is_solved_once_where_nothing_was_rounded():
    problem = ol.HuberRegression(torch.tensor(X), torch.tensor(Y), sample_weight=WEIGHTS)
    wide, same = problem.to("cpu", torch.float64), problem.to("cpu", torch.float32)
    assert same is problem
    assert wide._original is problem
    assert wide._optimum is problem._optimum
    assert wide._judge is problem._judge
    assert (wide.X.dtype, wide.y.dtype, wide.row_weight.dtype) == (torch.float64,) * 3
    narrow = wide.to("cpu", torch.float32)
    assert narrow._original is None
    again = problem.to("cpu", torch.float32, copy=True)
    assert again is not problem
    assert again._original is problem
    assert "_optimum" not in problem.__getstate__()
    assert "X" in problem.__getstate__()
    classes = ol.SoftmaxRegression(X, ["a", "b", "c"]).to("cpu", torch.float32)
    assert (classes.X.dtype, classes.y.dtype) == (torch.float32, torch.int64)


def test_rows_of_a_weighted_problem_need_their_weights():
    problem = ol.HuberRegression(X, Y, sample_weight=WEIGHTS, name="its")
    with pytest.raises(ValueError, match="the rows of 'its' have weights, but the batch has none"):
        problem.loss(POINT, Batch(problem.X, problem.y))
    equal = ol.HuberRegression(X, Y, sample_weight=[2.0] * 3)
    assert equal.row_weight is None
    assert equal.loss(POINT, Batch(equal.X, equal.y)) == equal.loss(POINT)


def test_predictions_are_means_at_the_linear_predictor():
    problem = ol.PoissonRegression(X, Y)
    eta = [1.5, 10.5, -0.5]
    assert problem.linear_predictor(POINT).tolist() == eta
    assert problem.predict(POINT).tolist() == pytest.approx(
        [math.exp(v) for v in eta], rel=1e-14, abs=0
    )
    assert problem.predict(POINT, [[1.0, 1.0]]).tolist() == [
        pytest.approx(math.exp(2.5), rel=1e-15, abs=0)
    ]


def test_held_out_rows_are_measured_with_their_weights_and_no_penalty():
    held = ol.datasets.Dataset("held", np.array(X[:2]), np.array([0.5, 10.0]),
                               sample_weight=np.array([1.0, 3.0]))  # fmt: skip
    problem = ol.HuberRegression(X, Y, validation=held, l2=5.0)
    # Residuals 1 and 1/2, whose halves of squares are 1/2 and 1/8.
    found = problem.evaluate(POINT).more
    assert found == {"validation_loss": pytest.approx((0.5 + 3 * 0.125) / 4, rel=1e-14, abs=0)}
    plain = ol.HuberRegression(X, Y, validation=(X[:2], [0.5, 10.0]), fit_intercept=False)
    alone = plain.evaluate({"weight": POINT["weight"]}).more["validation_loss"]  # 1/2 and 0
    assert alone == 0.0625
    assert ol.HuberRegression(X, Y).evaluate(POINT).more == {}


def test_coefficients_of_classes_are_named_and_those_of_no_minimiser_refused():
    problem = ol.SoftmaxRegression([[0.0], [1.0], [2.0], [1.0]], ["a", "b", "b", "a"], l2=0.5)
    own = {"weight": tensor([3.0, -4.0]), "bias": tensor(1.0, 2.0)}
    table = problem.coefficients(own)
    assert table["name"].tolist() == [
        "intercept of a", "x0 of a", "intercept of b", "x0 of b"
    ]  # fmt: skip
    assert table["coefficient"].tolist() == [1.0, 3.0, 2.0, -4.0]
    assert table.index.tolist() == [0, 1, 2, 3]
    apart = ol.LogisticRegression([[0.0], [1.0]], ["a", "b"], name="apart")
    with pytest.raises(ValueError, match="'apart' has no minimiser: the infimum is not attained"):
        apart.coefficients()


def test_the_signature_of_a_model_names_its_options_but_not_its_loss():
    names = list(inspect.signature(ol.HuberRegression).parameters)
    assert names[:3] == ["X", "y", "delta"]
    assert "l1" in names
    assert "loss" not in names
    assert "self" not in names
    assert "loss" in inspect.signature(LinearModel).parameters


def test_targets_of_the_objective_are_float64_or_classes():
    labels = ol.SoftmaxRegression(X, ["a", "c", "b"]).objective
    assert (labels.y.dtype, labels.y.tolist()) == (torch.int64, [0, 2, 1])
    narrow = ol.HuberRegression(torch.tensor(X), torch.tensor(Y)).objective
    assert (narrow.design.dtype, narrow.y.dtype) == (torch.float64, torch.float64)
