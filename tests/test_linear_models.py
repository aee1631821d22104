"""Linear models of every loss: loss, gradient, weights, labels, and what is refused."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.app.summary_table import print_coefficients
from optlab.problems import registry, smooth_linear_model
from optlab.problems.capabilities import HasCurvature, HasLipschitz, HasProximal
from optlab.problems.largest_eigenvalue import largest_eigenvalue
from optlab.problems.linear_model import LinearModel

MODELS = [cls for _, cls in registry.items() if issubclass(cls, LinearModel)]
SMOOTH = [cls for cls in MODELS if cls is not ol.QuantileRegression]
models = pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
smooth = pytest.mark.parametrize("cls", SMOOTH, ids=lambda cls: cls.__name__)
seeds = st.integers(0, 2**32 - 1)


def targets(cls, draw, rows):
    """Targets of the kind that a model takes, with all of its classes."""
    if cls is ol.LogisticRegression:
        return draw.permutation(np.arange(rows) % 2)
    if cls is ol.SoftmaxRegression:
        return draw.permutation(np.arange(rows) % 3)
    return draw.poisson(2.0, rows) if cls is ol.PoissonRegression else draw.normal(size=rows)


def problem_of(cls, seed, rows=9, **options):
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(rows, 3)), targets(cls, draw, rows)
    return cls(X, y, **options)


def point_of(problem, seed):
    start = problem.start(torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    return {
        name: value + torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in start.items()
    }


def assert_near(found, right):
    assert found.keys() == right.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, right[name], rtol=1e-11, atol=1e-12)


PENALTIES = [{}, {"l2": 0.5}, {"l1": 0.3}, {"l1": 0.3, "l2": 0.5, "fit_intercept": False}]


@models
@settings(max_examples=5)
@given(seeds, st.sampled_from(PENALTIES), st.booleans())
def test_gradient_in_closed_form_is_autograds(cls, seed, options, is_weighted):
    weights = np.random.default_rng(seed).uniform(0.1, 2.0, 9) if is_weighted else None
    problem = problem_of(cls, seed, sample_weight=weights, **options)
    point = point_of(problem, seed)
    leaves = {name: value.clone().requires_grad_() for name, value in point.items()}
    problem.loss(leaves).backward()
    assert_near(problem.gradient(point), {k: v.grad for k, v in leaves.items()})
    batch = ol.Batch(*(part if part is None else part[:4] for part in problem.data))
    leaves = {name: value.clone().requires_grad_() for name, value in point.items()}
    problem.loss(leaves, batch).backward()
    assert_near(problem.gradient(point, batch), {k: v.grad for k, v in leaves.items()})


@smooth
@settings(max_examples=5)
@given(seeds, st.sampled_from(PENALTIES), st.booleans())
def test_hessian_products_are_autograds_of_the_smooth_part(cls, seed, options, is_weighted):
    weights = np.random.default_rng(seed).uniform(0.1, 2.0, 9) if is_weighted else None
    problem = problem_of(cls, seed, sample_weight=weights, **options)
    assert isinstance(problem, HasCurvature | HasProximal | HasLipschitz)
    point, along = point_of(problem, seed), point_of(problem, seed + 7)
    leaves = {name: value.clone().requires_grad_() for name, value in point.items()}
    slopes = torch.autograd.grad(
        problem.smooth_loss(leaves), list(leaves.values()), create_graph=True
    )
    assert_near(
        problem.smooth_gradient(point), {k: s.detach() for k, s in zip(point, slopes, strict=True)}
    )
    total = sum((s * along[name]).sum() for name, s in zip(point, slopes, strict=True))
    right = torch.autograd.grad(total, list(leaves.values()))
    found = problem.hessian_product(point, along)
    assert_near(found, dict(zip(point, right, strict=True)))
    curvature = sum((found[name] * along[name]).sum() for name in along)
    size = sum(value.square().sum() for value in along.values())
    assert curvature <= problem.lipschitz() * size * (1 + 1e-12)


@smooth
@given(seeds, st.floats(0.01, 3.0))
@settings(max_examples=5)
def test_a_proximal_step_is_the_minimum_it_is_defined_by(cls, seed, step):
    """Against the subgradient's condition: (v - w) / step lies in l1 times the sign of w."""
    problem = problem_of(cls, seed, l1=0.4, l2=0.5)
    point = point_of(problem, seed)
    found = problem.proximal(point, step)
    pull = (point["weight"] - found["weight"]) / step
    assert (pull.abs() <= 0.4 + 1e-12).all()
    moved = found["weight"] != 0
    torch.testing.assert_close(pull[moved], 0.4 * found["weight"][moved].sign())
    assert torch.equal(found["bias"], point["bias"])


def test_a_quantile_loss_promises_no_curvature():
    problem = problem_of(ol.QuantileRegression, 0)
    assert not isinstance(problem, HasCurvature)
    assert not isinstance(problem, HasProximal)
    assert not isinstance(problem, HasLipschitz)
    assert not problem.is_smooth


@pytest.mark.parametrize("cls", SMOOTH, ids=lambda cls: cls.__name__)
def test_is_smooth_says_whether_the_penalty_has_kinks(cls):
    assert problem_of(cls, 0, l2=1.0).is_smooth
    assert not problem_of(cls, 0, l1=1.0).is_smooth


@models
@settings(max_examples=5)
@given(seeds)
def test_weights_are_repeated_rows(cls, seed):
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(12, 2)), targets(cls, draw, 12)
    counts = draw.integers(0, 4, 12)
    counts[:3] = 1, 2, 1
    rows = np.repeat(np.arange(12), counts)
    if cls in {ol.LogisticRegression, ol.SoftmaxRegression}:
        y[:3] = (0, 1, 2) if cls is ol.SoftmaxRegression else (0, 1, 1)
    options = {"l1": 0.01, "l2": 0.1}
    weighted, repeated = (
        cls(X, y, sample_weight=counts, **options),
        cls(X[rows], y[rows], **options),
    )
    point = point_of(weighted, seed)
    torch.testing.assert_close(weighted.loss(point), repeated.loss(point), rtol=1e-12, atol=0)
    assert_near(weighted.gradient(point), repeated.gradient(point))
    one, other = weighted.reference(), repeated.reference()
    assert one.kind == other.kind == "certified"
    assert abs(one.loss - other.loss) <= one.bound + other.bound
    first, second = weighted.evaluate(point), repeated.evaluate(point)
    assert first.suboptimality == pytest.approx(second.suboptimality, rel=1e-9)


@models
def test_moves_pickles_and_says_what_it_is(cls):
    problem = problem_of(cls, 3, l2=0.5, name="few", sample_weight=np.arange(1.0, 10.0))
    single = problem.to("cpu", torch.float32)
    assert single.X.dtype == torch.float32
    assert single.y.dtype == (torch.int64 if cls is ol.SoftmaxRegression else torch.float32)
    assert problem.to("cpu", torch.float64) is problem
    point = single.start(torch.Generator())
    assert single.loss(point).dtype == single.gradient(point)["weight"].dtype == torch.float32
    again = pickle.loads(pickle.dumps(problem))
    assert again.reference().loss == problem.reference().loss
    assert repr(problem).startswith(f"{cls.__name__}('few', n=9, d=3, float64, cpu")
    assert "l2=0.5, weighted" in repr(problem)
    assert {"l1", "l2", "sample_weight", "validation"} <= set(inspect.signature(cls).parameters)
    assert "Examples\n--------\n>>> " in inspect.getdoc(cls)


LABELS = [
    ["yes", "no", "no", "yes", "yes"],
    [True, False, False, True, True],
    np.array([7, -2, -2, 7, 7]),
    np.array([2.0, -1.0, -1.0, 2.0, 2.0], dtype=np.float32),
    np.array(["b", "a", "a", "b", "b"], dtype=object),
    pd.Series(["b", "a", "a", "b", "b"], dtype="category"),
    pd.Series(["b", "a", "a", "b", "b"], dtype="string"),
    torch.tensor([3, 1, 1, 3, 3]),
    torch.tensor([True, False, False, True, True]),
]


@pytest.mark.parametrize("labels", LABELS, ids=lambda y: f"{type(y).__name__}-{y[0]}")
@pytest.mark.parametrize("cls", [ol.LogisticRegression, ol.SoftmaxRegression])
def test_labels_of_any_kind_are_classes(cls, labels):
    X = np.array([[1.0], [0.0], [0.5], [0.2], [0.8]])
    problem = cls(X, labels, l2=1e-3)
    assert problem.y.tolist() == [1, 0, 0, 1, 1]
    plain = [v.item() if hasattr(v, "item") else v for v in labels]
    assert problem.classes.tolist() == sorted(set(plain))
    best = problem.reference().parameters
    assert problem.predict(best, X[:2]).tolist() == [plain[0], plain[1]]
    chances = problem.predict_proba(best)
    assert chances.shape == (5, 2)
    torch.testing.assert_close(chances.sum(1), torch.ones(5, dtype=torch.float64))


def test_predictions_are_in_the_units_of_the_target():
    X = np.array([[0.0], [1.0]])
    counts = ol.PoissonRegression(X, [1, 4])
    best = counts.reference().parameters
    torch.testing.assert_close(counts.predict(best), torch.tensor([1.0, 4.0]).double())
    torch.testing.assert_close(counts.linear_predictor(best).exp(), counts.predict(best))


@pytest.mark.parametrize("shape", [(40, 3), (3, 40), (9, 9)])
@pytest.mark.parametrize("size", [1.0, 1e-100, 1e150])
@settings(max_examples=3)
@given(seeds, st.booleans(), st.booleans())
def test_the_largest_eigenvalue_is_rounded_up_by_little(shape, size, seed, intercept, is_weighted):
    """Columns of one number have one eigenvalue, which is known; others are compared with the SVD.

    The bound adds ``8 (n + p) eps`` of the trace, at most p times the eigenvalue: 8 50 40 eps here,
    4e-12. The SVD's value errs by far less than 1e-13 of it.
    """
    draw = np.random.default_rng(seed)
    weight = draw.uniform(0.1, 2.0, shape[0]) if is_weighted else np.ones(shape[0])
    weight = torch.from_numpy(weight * (shape[0] / weight.sum()))
    X = size * torch.from_numpy(draw.normal(size=shape))
    A = torch.cat([X.new_ones(shape[0], 1), X], 1) if intercept else X
    right = float(torch.linalg.matrix_norm((weight / shape[0]).sqrt()[:, None] * A, 2)) ** 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optlab.problems.largest_eigenvalue.ENTRIES", 50)  # several blocks of rows
        found = largest_eigenvalue(X, weight if is_weighted else None, intercept=intercept)
        plain = largest_eigenvalue(torch.full(shape, 3.0), None, intercept=False)
    assert right * (1 - 1e-13) <= found <= right * (1 + 4e-12)
    assert 9 * shape[1] <= plain <= 9 * shape[1] * (1 + 4e-12)


def test_lipschitz_is_computed_once_on_the_data_as_they_are(monkeypatch):
    calls = []
    real = smooth_linear_model.largest_eigenvalue
    monkeypatch.setattr(
        smooth_linear_model,
        "largest_eigenvalue",
        lambda X, *rest, **more: calls.append(X) or real(X, *rest, **more),
    )
    problem = problem_of(ol.LogisticRegression, 3, l2=0.5).to("cpu", torch.float32)
    assert problem.lipschitz() == problem.lipschitz() > 0.5
    assert calls == [problem.X]
    assert "objective" not in vars(problem)  # a copy of the data on the host
    assert problem_of(ol.PoissonRegression, 3).lipschitz() == np.inf
    assert len(calls) == 1


FRAME = pd.DataFrame(np.random.default_rng(3).normal(size=(12, 3)), columns=["a", "b", "c"])


def assert_same_predictions(found, own):
    """Equal up to the order of four terms, which BLAS chooses by how the rows lie in memory."""
    rounding = 8 * np.finfo(np.float64).eps
    np.testing.assert_allclose(np.asarray(found), np.asarray(own), rtol=rounding, atol=rounding)


@models
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_predictions_take_parameters_and_rows_of_any_dtype(cls, dtype):
    draw = np.random.default_rng(5)
    problem = cls(torch.tensor(FRAME.to_numpy(), dtype=dtype), targets(cls, draw, 12), l2=0.1)
    best = problem.reference().parameters
    own = problem.predict(best)
    assert len(problem.linear_predictor(best)) == 12
    for rows in (problem.X, problem.X.double(), problem.X.numpy(), problem.X.tolist()):
        assert_same_predictions(problem.predict(best, rows), own)
    single = {name: value.float() for name, value in best.items()}
    assert len(problem.predict(single, problem.X.double())) == 12


@models
def test_predictions_of_a_frame_are_by_the_names_of_its_columns(cls):
    problem = cls(FRAME, targets(cls, np.random.default_rng(5), 12), l2=0.1)
    best = problem.reference().parameters
    own = problem.predict(best)
    backwards = FRAME[["c", "b", "a"]]
    again = backwards.iloc[:, ::-1]  # a view with negative strides
    assert_same_predictions(problem.predict(best, again), own)
    assert_same_predictions(problem.predict(best, again.to_numpy()), own)
    wider = backwards.assign(other="text")
    assert_same_predictions(problem.predict(best, wider), own)
    held = [cls(FRAME, problem.y, validation=(frame, problem.y)) for frame in (FRAME, wider)]
    assert len({one.evaluate(best).more["validation_loss"] for one in held}) == 1
    for frame, hint in (
        (FRAME.rename(columns={"a": "d"}), r"not \('d', 'b', 'c'\): rename them, or pass X.to_num"),
        (FRAME[["a", "a", "b", "c"]], "X names columns twice: 'a'"),
    ):
        with pytest.raises(ValueError, match=hint):
            problem.predict(best, frame)
        with pytest.raises(ValueError, match=f"validation: .*{hint}"):
            cls(FRAME, problem.y, validation=(frame, problem.y))
    for rows, wrong in (
        (FRAME.to_numpy()[:, :2], "X must have the 3 columns .*, not 2"),
        (FRAME.to_numpy()[0], r"X must have shape \(n, d\), not \(3,\)"),
        (FRAME.where(FRAME < 1), "NaN or infinite"),
    ):
        with pytest.raises(ValueError, match=wrong):
            problem.predict(best, rows)
    unnamed = cls(FRAME.to_numpy(), problem.y, l2=0.1)
    assert_same_predictions(unnamed.predict(best, FRAME), own)


@pytest.mark.parametrize("cls", [ol.LogisticRegression, ol.SoftmaxRegression])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_accuracy_is_the_share_of_labels_that_are_predicted(cls, fit_intercept):
    draw = np.random.default_rng(9)
    X, y = draw.normal(size=(30, 3)), targets(cls, draw, 30)
    weight = np.arange(30) % 3
    held = ol.datasets.Dataset("held", X[:8], y[:8], sample_weight=weight[:8] + 1.0)
    problem = cls(X, y, sample_weight=weight, validation=held, fit_intercept=fit_intercept)
    single = problem.to("cpu", torch.float32)
    for seed in range(5):
        point = point_of(problem, seed)
        hits = problem.predict(point) == y
        more = problem.evaluate(point).more
        assert set(more) == {"accuracy", "validation_accuracy", "validation_loss"}
        assert more["accuracy"] == pytest.approx(np.average(hits, weights=weight), rel=1e-14)
        own = np.average(hits[:8], weights=weight[:8] + 1.0)
        assert more["validation_accuracy"] == pytest.approx(own, rel=1e-14)
        at = {name: value.float() for name, value in point.items()}
        assert single.evaluate(at).more["accuracy"] == more["accuracy"]
    assert np.isnan(problem.evaluate({k: v * np.nan for k, v in point.items()}).more["accuracy"])


def test_held_out_rows_are_measured_by_the_loss_alone():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    labels = ["no", "yes", "no", "yes"]
    problem = ol.LogisticRegression(X, labels, l2=1.0, validation=(X[:2], labels[:2]))
    zero = {"weight": torch.zeros(1), "bias": torch.zeros(())}
    assert problem.evaluate(zero).more["validation_loss"] == pytest.approx(np.log(2), rel=1e-15)
    with pytest.raises(ValueError, match="validation: label 'perhaps' is none of the classes"):
        ol.LogisticRegression(X, labels, validation=(X[:1], ["perhaps"]))
    with pytest.raises(ValueError, match="validation: y must hold counts"):
        ol.PoissonRegression(X, [1, 2, 3, 4], validation=(X[:1], [-1]))


X4 = np.arange(4.0)[:, None]
REFUSED = [
    (ol.LogisticRegression, ["a"] * 4, {}, "y must have 2 classes, not 1 in 4 rows: 'a'$"),
    (ol.LogisticRegression, [0, 1, 2, 1], {}, "2 classes, not 3 .*use SoftmaxRegression"),
    (ol.LogisticRegression, [0, 1, None, 1], {}, "1 missing class labels, the first in row 2"),
    (ol.LogisticRegression, [0.0, 1.0, np.nan, 1.0], {}, "1 missing class labels"),
    (ol.LogisticRegression, [0.1, 0.2, 0.2, 0.1], {}, "continuous numbers such as 0.1 in row 0"),
    (ol.SoftmaxRegression, [1, 2, 2.5, 3.5], {}, "continuous .* 2.5 in row 2 .*2 such values"),
    (ol.SoftmaxRegression, np.array([1.0, np.inf, 2.0, 3.0]), {}, "continuous .* inf in row 1"),
    (ol.SoftmaxRegression, torch.tensor([1.0, 2.0, 2.5, 3.0]), {}, "continuous .* 2.5 in row 2"),
    (ol.SoftmaxRegression, pd.Series([1.0, 2.0, 2.5, 3.0], dtype=object), {}, "continuous"),
    (ol.SoftmaxRegression, pd.Series([1.0, 2.0, 2.5, 3.0], dtype="Float64"), {}, "continuous"),
    (ol.LogisticRegression, [0, "1", 0, "1"], {}, "y mixes class labels of several kinds"),
    (ol.LogisticRegression, [[0], [1], [0], [1]], {}, "one class label a row"),
    (ol.LogisticRegression, [0, 1], {}, "X and y differ in length"),
    (ol.SoftmaxRegression, [5, 5, 5, 5], {}, "at least 2 classes, not 1"),
    (ol.PoissonRegression, [1, 2, -3, 4], {}, "counts, .* not -3.0 in row 2 .*1 such"),
    (ol.PoissonRegression, [1, 2.5, 3, 4.5], {}, "counts, .* not 2.5 in row 1 .*2 such"),
    (ol.PoissonRegression, [1, 2, np.nan, 4], {}, "NaN or infinite"),
    (ol.HuberRegression, [1, 2, 3, 4], {"delta": 0}, "delta must be positive"),
    (ol.QuantileRegression, [1, 2, 3, 4], {"quantile": 1.0}, "quantile must be between 0 and 1"),
    *[
        (cls, [0, 1, 0, 1], {name: value}, f"{name} must be finite and at least 0")
        for cls in (ol.LinearRegression, ol.LogisticRegression)
        for name in ("l1", "l2")
        for value in (-1.0, np.nan, "1")
    ],
    *[
        (cls, [0, 1, 0, 1], {"sample_weight": weight}, match)
        for cls in (ol.LogisticRegression, ol.QuantileRegression)
        for weight, match in (
            ([1, np.nan, 1, 1], "sample_weight must be finite and at least 0, not nan in row 1"),
            ([0, 0, 0, 0], "sample_weight is 0 in every row"),
            ([1, -1, 1, 1], "not -1.0 in row 1"),
        )
    ],
]


@pytest.mark.parametrize(("cls", "y", "options", "match"), REFUSED)
def test_bad_input_is_refused_with_the_place(cls, y, options, match):
    with pytest.raises(ValueError, match=match):
        cls(X4, y, **options)


def test_a_penalty_with_kinks_is_no_least_squares():
    problem = ol.LinearRegression(X4, [0.0, 1.0, 2.0, 4.0], l1=0.1)
    results = ol.compare(problem, [ol.Lstsq(), ol.QR(), ol.RefinedLstsq(), ol.NormalEquations()])
    assert (results.trials.status == "skipped").all()
    assert results.trials.message.str.contains("least-squares system|without an l1 penalty").all()


def test_coefficients_have_the_classes_names():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    table = ol.SoftmaxRegression(X, ["a", "b", "c", "a"], l2=0.1).coefficients()
    assert table["name"].tolist()[:3] == ["intercept of a", "x0 of a", "intercept of b"]
    assert len(ol.LogisticRegression(X, [0, 1, 0, 1]).coefficients()) == 2
    with pytest.raises(ValueError, match="has no minimiser: the infimum is not attained"):
        ol.LogisticRegression(X, [0, 0, 1, 1]).coefficients()


def test_the_class_that_positive_coefficients_speak_for_is_named(capsys):
    X = np.array([[0.0], [1.0], [2.0]])
    problem = ol.LogisticRegression(X, ["no", "yes", "no"], l2=1.0)
    assert "classes=2, log-odds of 'yes' against 'no'" in repr(problem)
    results = ol.compare(problem, ol.Newton(), epochs=5)
    print_coefficients(results.problems, every=True)
    title = "coefficients of the reference of data (log-odds of 'yes' against 'no'), in the units"
    assert title in capsys.readouterr().out
    assert "log-odds" not in repr(ol.SoftmaxRegression(X, [0, 1, 2], l2=1.0))


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pd.Categorical])
def test_a_target_of_labels_asks_for_a_classification(kind):
    with pytest.raises(ValueError, match=r"y holds .* a problem of classification") as refused:
        ol.LinearRegression(np.eye(2), kind(["a", "b"]))
    assert "one-hot" not in str(refused.value)
