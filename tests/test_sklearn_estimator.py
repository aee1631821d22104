"""scikit-learn's estimators as optimizers: the bits of direct calls, and the right problem."""

import json
import pickle
import warnings
from itertools import islice

import numpy as np
import pytest
import torch
from sklearn import linear_model as sk
from sklearn.exceptions import ConvergenceWarning

import optlab as ol
from optlab.optimizers import hyperparameters, unsupported
from optlab.optimizers.adapters.sklearn_estimator import _fit_quietly

CPU = torch.device("cpu")
SEED = 3


def data(kind, weighted=False):
    draw = np.random.default_rng(1)
    X = draw.normal(size=(60, 4)) + np.array([0.0, 1.0, -1.0, 0.5])
    eta = X @ [1.0, -0.5, 0.0, 0.3] + 0.2
    y = {
        "real": eta + draw.normal(size=60),
        "two": (eta + draw.logistic(size=60) > 0).astype(int),
        "three": draw.integers(0, 3, 60),
        "counts": draw.poisson(np.exp(0.3 * eta)),
    }[kind]
    weights = draw.uniform(0.5, 2.0, 60) if weighted else None
    return X, y, weights


MAKE = {
    "linear": (ol.LinearRegression, "real", {}),
    "logistic": (ol.LogisticRegression, "two", {}),
    "softmax": (ol.SoftmaxRegression, "three", {}),
    "poisson": (ol.PoissonRegression, "counts", {}),
    "huber": (ol.HuberRegression, "real", {"delta": 0.7}),
    "median": (ol.QuantileRegression, "real", {"quantile": 0.5}),
    "quantile": (ol.QuantileRegression, "real", {"quantile": 0.8}),
}


def problem_of(name, weighted=False, **options):
    cls, kind, own = MAKE[name]
    X, y, weights = data(kind, weighted)
    return cls(X, y, sample_weight=weights, **own, **options)


def run(problem, optimizer, most=1):
    generator = torch.Generator().manual_seed(SEED)
    start = problem.start(generator)
    X, y, weight = problem.data
    batches = ol.Batches(X, y, "full", generator, weight=weight)
    return list(islice(optimizer.iterates(problem, batches, start), most))


def flat(parameters):
    return np.concatenate([value.numpy().reshape(-1) for value in parameters.values()])


def coefficients(estimator, problem):
    weight = np.transpose(estimator.coef_).reshape(-1)
    bias = np.reshape(estimator.intercept_, -1) if problem.fit_intercept else []
    return np.concatenate([weight, bias])


n = 60
TIGHT = {"tol": 1e-12, "max_iter": 100_000}
# An estimator with the settings of its method, a problem, its options, and by hand the arguments
# with which scikit-learn minimises the problem.
PAIRS = {
    "ridge": (sk.Ridge(solver="svd"), "linear", {"l2": 0.3}, {"alpha": n * 0.15}),
    "no penalty": (sk.Ridge(solver="cholesky"), "linear", {}, {"alpha": 0}),
    "lasso": (sk.Lasso(**TIGHT, selection="random", random_state=0), "linear", {"l1": 0.2},
              {"alpha": 0.1}),
    "elastic net": (sk.ElasticNet(**TIGHT, selection="random", random_state=0), "linear",
                    {"l1": 0.2, "l2": 0.6}, {"alpha": 0.4, "l1_ratio": 0.25}),
    "logistic": (sk.LogisticRegression(**TIGHT), "logistic", {"l2": 0.1}, {"C": 1 / (n * 0.1)}),
    "logistic, none": (sk.LogisticRegression(**TIGHT, solver="newton-cg"), "logistic", {},
                       {"C": np.inf}),
    "logistic, both": (sk.LogisticRegression(**TIGHT, solver="saga", random_state=0), "logistic",
                       {"l1": 0.03, "l2": 0.01}, {"C": 1 / (n * 0.04), "l1_ratio": 0.75}),
    "liblinear": (sk.LogisticRegression(**TIGHT, solver="liblinear", random_state=0), "logistic",
                  {"l1": 0.05, "fit_intercept": False},
                  {"C": 1 / (n * 0.05), "l1_ratio": 1.0, "fit_intercept": False}),
    "softmax": (sk.LogisticRegression(**TIGHT), "softmax", {"l2": 0.1}, {"C": 1 / (n * 0.1)}),
    "poisson": (sk.PoissonRegressor(**TIGHT), "poisson", {"l2": 0.1}, {"alpha": 0.1}),
    "quantile": (sk.QuantileRegressor(), "quantile", {"l1": 0.05},
                 {"alpha": 0.05, "quantile": 0.8}),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pair", PAIRS)
def test_direct_answers_are_to_the_bit_those_of_scikit_learn_and_minimise_the_problem(
    pair, weighted
):
    estimator, name, options, arguments = PAIRS[pair]
    problem = problem_of(name, weighted, **options)
    adapted = ol.SklearnEstimator(estimator)
    assert unsupported(adapted, problem, CPU) is None
    assert adapted.direct
    (iterate,) = run(problem, adapted, 2)

    X, y, weight = (None if part is None else part.numpy() for part in problem.data)
    direct = type(estimator)(**adapted.options | arguments).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(flat(iterate.parameters), coefficients(direct, problem))

    judged = problem.evaluate(iterate.parameters)
    start = problem.evaluate(problem.start(torch.Generator().manual_seed(0)))
    # Solvers that stop by a relative change of 1e-12 of the loss or slope; a wrong C or alpha is
    # off by some 1e-3.
    assert judged.suboptimality <= 1e-7 * start.suboptimality


CONTINUED = {
    "lasso": (sk.Lasso(tol=1e-10), "linear", {"l1": 0.2}, {"alpha": 0.1}),
    "elastic net": (sk.ElasticNet(tol=1e-10), "linear", {"l1": 0.2, "l2": 0.6},
                    {"alpha": 0.4, "l1_ratio": 0.25}),
    "logistic": (sk.LogisticRegression(tol=1e-8, solver="newton-cholesky"), "logistic",
                 {"l2": 0.1}, {"C": 1 / (n * 0.1)}),
    "softmax": (sk.LogisticRegression(tol=1e-8, solver="newton-cholesky"), "softmax",
                {"l2": 0.1}, {"C": 1 / (n * 0.1)}),
    "poisson": (sk.PoissonRegressor(tol=1e-8, solver="newton-cholesky"), "poisson",
                {"l2": 0.1}, {"alpha": 0.1}),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pair", CONTINUED)
def test_warm_starts_give_an_iterate_an_iteration_and_arrive_where_one_call_does(pair, weighted):
    estimator, name, options, arguments = CONTINUED[pair]
    problem = problem_of(name, weighted, **options)
    adapted = ol.SklearnEstimator(estimator)
    assert not adapted.direct
    found = np.array([flat(iterate.parameters) for iterate in run(problem, adapted, 500)])

    X, y, weight = (None if part is None else part.numpy() for part in problem.data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stepwise = type(estimator)(**adapted.options | arguments, warm_start=True, max_iter=1)
        theirs = np.array(
            [coefficients(stepwise.fit(X, y, sample_weight=weight), problem) for _ in found]
        )
    np.testing.assert_array_equal(found, theirs)

    whole = type(estimator)(**adapted.options | arguments).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(found[-1], coefficients(whole, problem), rtol=1e-5, atol=1e-6)
    assert 2 < len(found) < 500
    # It is one method, continued: it takes as many iterations as in one call, and one to see it.
    assert abs(len(found) - np.max(whole.n_iter_)) <= max(2, 0.2 * len(found))


BY_EPOCHS = {
    "squared": (sk.SGDRegressor(), "linear", {"l2": 0.2},
                {"loss": "squared_error", "penalty": "elasticnet", "alpha": 0.1, "l1_ratio": 0}),
    "both": (sk.SGDRegressor(learning_rate="constant", eta0=0.001), "linear",
             {"l1": 0.1, "l2": 0.3},
             {"loss": "squared_error", "penalty": "elasticnet", "alpha": 0.2, "l1_ratio": 0.25}),
    "no penalty": (sk.SGDRegressor(), "linear", {}, {"loss": "squared_error", "penalty": None}),
    "huber": (sk.SGDRegressor(), "huber", {"l2": 0.1},
              {"loss": "huber", "epsilon": 0.7, "penalty": "l2", "alpha": 0.1}),
    "median": (sk.SGDRegressor(), "median", {"l1": 0.05},
               {"loss": "epsilon_insensitive", "epsilon": 0, "penalty": "l1", "alpha": 0.1}),
    "logistic": (sk.SGDClassifier(), "logistic", {"l2": 0.1},
                 {"loss": "log_loss", "penalty": "l2", "alpha": 0.1}),
    "averaged": (sk.SGDClassifier(average=True), "logistic", {"l1": 0.02},
                 {"loss": "log_loss", "penalty": "l1", "alpha": 0.02}),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pair", BY_EPOCHS)
def test_each_epoch_is_to_the_bit_that_of_partial_fit_and_goes_to_the_minimum(pair, weighted):
    estimator, name, options, arguments = BY_EPOCHS[pair]
    problem = problem_of(name, weighted, **options)
    adapted = ol.SklearnEstimator(estimator)
    assert not adapted.direct
    found = run(problem, adapted, 60)
    X, y, weight = (None if part is None else part.numpy() for part in problem.data)
    direct = type(estimator)(
        **adapted.options | arguments,
        random_state=np.random.RandomState(SEED),
    )
    classes = {"classes": [0, 1]} if name == "logistic" else {}
    for iterate in found:
        direct.partial_fit(X, y, sample_weight=weight, **classes)
        np.testing.assert_array_equal(flat(iterate.parameters), coefficients(direct, problem))
    zero = {key: torch.zeros_like(value) for key, value in found[0].parameters.items()}
    # Its steps shrink slowly: far below the gap of zero weights is where only this problem ends.
    gap = problem.evaluate(found[-1].parameters).suboptimality
    assert gap <= 0.1 * problem.evaluate(zero).suboptimality


def test_a_seed_beyond_numpys_is_that_seed_in_32_bits(monkeypatch):
    monkeypatch.setattr("tests.test_sklearn_estimator.SEED", 2**33 + 2**31 + 5)
    problem = problem_of("linear", l2=0.1)
    found = run(problem, ol.SklearnEstimator(sk.SGDRegressor()))[0]
    alone = sk.SGDRegressor(random_state=np.random.RandomState(2**31 + 5))
    expected = run(problem, ol.SklearnEstimator(alone))[0]
    assert flat(found.parameters).tolist() == flat(expected.parameters).tolist()


@pytest.mark.parametrize(
    ("estimator", "name", "options", "sentence"),
    [
        (sk.Ridge(), "logistic", {}, "Ridge minimises squared error only"),
        (sk.Ridge(), "linear", {"l1": 0.1}, "Ridge has no l1 penalty"),
        (sk.Lasso(), "linear", {"l1": 0.1, "l2": 0.1}, "Lasso has no l2 penalty"),
        (sk.Lasso(), "linear", {}, "Lasso needs an l1 penalty"),
        (sk.ElasticNet(), "linear", {"l2": 0.1}, "take Ridge"),
        (sk.LogisticRegression(), "linear", {}, "minimises log loss only"),
        (sk.LogisticRegression(), "logistic", {"l1": 0.1}, "solver lbfgs has no l1 penalty"),
        (sk.LogisticRegression(solver="liblinear"), "logistic", {"l2": 0.1},
         "liblinear penalises the intercept"),
        (sk.HuberRegressor(), "huber", {}, "estimates a scale of the residuals"),
        (sk.PoissonRegressor(), "linear", {}, "Poisson deviance only"),
        (sk.QuantileRegressor(), "median", {"l2": 0.1}, "QuantileRegressor has no l2 penalty"),
        (sk.SGDRegressor(), "quantile", {}, "the absolute error .the quantile 0.5. only"),
        (sk.SGDClassifier(), "softmax", {}, "log loss of two classes only"),
        (sk.SGDClassifier(), "logistic", {}, "learning_rate='optimal' needs a penalty"),
    ],
)  # fmt: skip
def test_another_problem_is_declined_in_a_sentence(estimator, name, options, sentence):
    adapted, problem = ol.SklearnEstimator(estimator), problem_of(name, **options)
    with pytest.raises(ValueError, match=sentence):
        adapted.translated(problem)
    assert unsupported(adapted, problem, CPU) is not None


def test_problems_that_are_no_linear_models_are_declined():
    for estimator, *_ in [*PAIRS.values(), *CONTINUED.values(), *BY_EPOCHS.values()]:
        reason = unsupported(ol.SklearnEstimator(estimator), ol.Rosenbrock(), CPU)
        assert "only" in reason


def test_two_classes_of_softmax_are_declined():
    X, y, _ = data("two")
    reason = unsupported(
        ol.SklearnEstimator(sk.LogisticRegression()), ol.SoftmaxRegression(X, y), CPU
    )
    assert "take optlab.LogisticRegression" in reason


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (sk.Ridge(alpha=2.0), r"Ridge\(alpha=2.0\): leave alpha out"),
        (sk.Lasso(fit_intercept=False), "leave fit_intercept out"),
        (sk.LogisticRegression(C=3.0, class_weight="balanced"), "leave C, class_weight out"),
        (sk.SGDRegressor(loss="huber"), "leave loss out"),
        (sk.LinearRegression(), "estimator must be one of Ridge, Lasso"),
        (sk.Ridge, "not 'the class Ridge'"),
        ("ridge", "not 'ridge'"),
    ],
)
def test_what_the_problem_decides_and_other_estimators_are_refused(estimator, sentence):
    with pytest.raises(ValueError, match=sentence):
        ol.SklearnEstimator(estimator)


def test_hyperparameters_pickle_hash_and_name():
    one = ol.SklearnEstimator(sk.Ridge(solver="svd", tol=1e-6))
    assert one == ol.SklearnEstimator(sk.Ridge(tol=1e-6, solver="svd"))
    assert hash(one) == hash(pickle.loads(pickle.dumps(one)))
    assert one == pickle.loads(pickle.dumps(one))
    values = json.loads(json.dumps(hyperparameters(one)))
    assert values["options"] == {"solver": "svd", "tol": 1e-6}
    assert one.name == "sklearn Ridge"


def test_the_lab_compares_them():
    problem = problem_of("logistic", l2=0.1)
    results = ol.compare(
        problem,
        [
            ol.SklearnEstimator(sk.LogisticRegression()),
            ol.SklearnEstimator(sk.SGDClassifier()),
            ol.SklearnEstimator(sk.Ridge()),
            ol.ScipyMinimize(),
        ],
        batch_sizes=[1, "full"], epochs=30, stop_at=1e-4, seeds=[1],
    )  # fmt: skip
    trials = results.trials.set_index("optimizer")
    assert trials["batch"].astype(str).to_dict() == {
        "sklearn LogisticRegression": "direct", "sklearn SGDClassifier": "full",
        "sklearn Ridge": "direct", "scipy L-BFGS-B": "full",
    }  # fmt: skip
    assert trials.loc["sklearn Ridge", "status"] == "skipped"
    assert trials.loc["scipy L-BFGS-B", "status"] == "converged"
    assert trials.loc["sklearn SGDClassifier", "epochs"] > 1


@pytest.mark.parametrize("category", [None, ConvergenceWarning])
def test_only_the_warning_that_more_iterations_are_needed_is_kept_quiet(category):
    class Warns:
        def fit(self, *arguments, **options):
            warnings.warn("a column is constant", UserWarning, stacklevel=2)
            if category is not None:
                warnings.warn("more iterations", category, stacklevel=2)

    with pytest.warns(UserWarning, match="a column is constant") as seen:
        assert _fit_quietly(Warns(), None, None, None) is (category is None)
    assert len(seen) == 1


def test_each_iteration_is_counted_up_to_the_estimators_own_limit():
    lasso = ol.SklearnEstimator(sk.Lasso(tol=1e-30, max_iter=3))
    iterates = run(problem_of("linear", l1=0.05), lasso, 9)
    assert [iterate.cost for iterate in iterates] == [ol.Cost(k, k) for k in (1, 2, 3)]
