import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol

dtypes = st.sampled_from([np.float32, np.float64])
sizes = st.sampled_from([1, 3, "full"])


def synthetic(n=20, d=3, **options):
    return ol.LinearRegression.from_dataset(ol.datasets.synthetic(n, d, **options))


def without_expansion(problem):
    """A learning rate at which no mini-batch step moves two points further apart.

    A batch's Hessian is 2 A'A / B with rows [x, 1], its largest eigenvalue at most
    2 max(|x|^2 + 1); half the reciprocal keeps lr H, penalty of at most 1 included, within [0, 1].
    """
    return 0.5 / (problem.X.double().pow(2).sum(1).max().item() + 2)


def step_error(problem, points, learning_rate):
    """A bound of what rounding adds in one step, however update and gradient are ordered.

    The update rounds w and lr g a few times: 4 eps (W + lr G). A gradient component is a sum of at
    most n terms 2 x r, each a sum of d + 2: 2 (n + d + 10) eps x r, twice for |w| in the norm.
    """
    eps, (n, d) = torch.finfo(problem.X.dtype).eps, problem.X.shape
    W = points.abs().max().item()
    x = max(1.0, problem.X.abs().max().item())
    r = problem.y.abs().max().item() + (d * x + 1) * W
    gradient = 2 * x * r
    per_component = eps * (4 * (W + learning_rate * gradient)
                           + learning_rate * 2 * (n + d + 10) * gradient)  # fmt: skip
    return per_component * np.sqrt(d + 1)


def assert_follows(points, reference, per_step, steps_per_epoch):
    """Epoch by epoch: steps that do not expand add up at most one step's error each."""
    steps = torch.arange(len(points)) * steps_per_epoch
    apart = (points.double() - reference.double()).norm(dim=1)
    assert (apart <= steps * per_step).all(), (apart / (steps * per_step)).tolist()


@given(dtype=dtypes, size=sizes, seed=st.integers(0, 2**32), l2=st.sampled_from([0.0, 0.5]))
def test_manual_sgd_follows_torch_sgd_epoch_by_epoch(trajectory, dtype, size, seed, l2):
    data = ol.datasets.synthetic(20, 3, dtype=dtype, seed=seed)
    problem = ol.LinearRegression.from_dataset(data, l2=l2)
    rate = without_expansion(problem)
    manual, sgd = (
        trajectory(problem, optimizer, 10, batch_size=size, seed=seed)
        for optimizer in (ol.ManualSGD(rate), ol.TorchSGD(rate))
    )
    steps = 1 if size == "full" else -(-20 // size)
    # Twice: either side rounds.
    assert_follows(manual, sgd, 2 * step_error(problem, sgd, rate), steps)
    assert not torch.equal(manual[0], manual[-1])


@given(seed=st.integers(0, 2**32), dtype=dtypes)
@pytest.mark.parametrize("method", [ol.ManualSGD, ol.TorchSGD])
def test_permuting_rows_leaves_full_batch_descent_unchanged(trajectory, method, seed, dtype):
    problem = synthetic(dtype=dtype, seed=seed)
    order = np.random.default_rng(seed).permutation(20)
    permuted = ol.LinearRegression(problem.X[order], problem.y[order])
    rate = without_expansion(problem)
    points, others = (trajectory(p, method(rate), 20, seed=seed) for p in (problem, permuted))
    assert_follows(points, others, 2 * step_error(problem, points, rate), 1)


def modes(problem):
    """The optimum, and eigenvalues and eigenvectors of the Hessian 2 A'A / n, A = [X, 1]."""
    A = np.column_stack([problem.X.double(), np.ones(len(problem.y))])
    optimum = problem.reference().parameters
    w = np.append(optimum["weight"], optimum["bias"])
    return w, *np.linalg.eigh(2 * A.T @ A / len(A))


def recurrence(first, second, a, b, steps):
    """The sequence e[t + 1] = a e[t] + b e[t - 1], and the sum of |e| for an impulse, by mode."""

    def run(e0, e1):
        found = [e0, e1]
        while len(found) <= steps:
            found.append(a * found[-1] + b * found[-2])
        return np.array(found)

    return run(first, second), abs(run(np.ones_like(a), a)).sum(0)


@given(
    seed=st.integers(0, 2**32),
    condition=st.floats(1, 20),
    share=st.floats(0.05, 0.95),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    nesterov=st.booleans(),
)
def test_full_batch_descent_moves_along_each_mode_as_theory_says(
    trajectory, seed, condition, share, momentum, nesterov
):
    problem = synthetic(condition=condition, seed=seed)
    w, eigenvalues, Q = modes(problem)
    nesterov = nesterov and momentum > 0
    m, L = momentum, eigenvalues[-1]
    # Stable while lr L < 2 (1 + m); Nesterov: (2 + 2 m) / (1 + 2 m).
    rate = share * (2 + 2 * m) / ((1 + 2 * m) if nesterov else 1) / L
    points = trajectory(problem, ol.TorchSGD(rate, momentum, nesterov), 60, seed=seed)
    e = (points.numpy() - w) @ Q
    left = 1 - rate * eigenvalues
    if nesterov:  # z^2 - (1 + m)(1 - lr lambda) z + m (1 - lr lambda)
        a, b, first = (1 + m) * left, -m * left, 1 - (1 + m) * rate * eigenvalues
    else:  # z^2 - (1 + m - lr lambda) z + m
        a, b, first = m + left, np.full_like(left, -m), left
    expected, response = recurrence(e[0], first * e[0], a, b, 60)
    # Rounding of a step is an impulse to the recurrence, twice where it is of w but not of the
    # velocity; m's velocity is at most 1 / (1 - m) gradients. The optimum's own error, eps k
    # (condition k) relative to its size, is under that of a step times the condition.
    step = step_error(problem, points, rate / (1 - m))
    tolerance = 2 * step * response.max() + condition * step
    np.testing.assert_allclose(e, expected, rtol=0, atol=tolerance)


@given(seed=st.integers(0, 2**32))
def test_manual_sgd_contracts_each_mode_by_one_minus_rate_times_eigenvalue(trajectory, seed):
    problem = synthetic(condition=5, seed=seed)
    w, eigenvalues, Q = modes(problem)
    rate = 1.5 / eigenvalues[-1]
    points = trajectory(problem, ol.ManualSGD(rate), 50, seed=seed)
    e = (points.numpy() - w) @ Q
    expected = e[0] * (1 - rate * eigenvalues) ** np.arange(51)[:, None]
    # Each factor is within [-0.5, 1]: errors of 50 steps add up at most; the optimum's as above.
    tolerance = (50 + 5) * step_error(problem, points, rate)
    np.testing.assert_allclose(e, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", [ol.ManualSGD, ol.TorchSGD])
def test_descent_is_stable_just_below_two_over_the_largest_eigenvalue_and_not_above(
    trajectory, method
):
    problem = synthetic(seed=1)
    w, eigenvalues, Q = modes(problem)
    for factor in (0.99, 1.01):
        points = trajectory(problem, method(factor * 2 / eigenvalues[-1]), 100)
        e = abs(((points.numpy() - w) @ Q)[:, -1])
        # The mode shrinks or grows by |1 - 2 factor| a step: 0.98^100 = 0.13, 1.02^100 = 7.2.
        assert (e[-1] > e[0]) == (factor > 1)


direct = [
    *(ol.Lstsq(driver) for driver in ("gelsd", "gelss", "gelsy", "gels")),
    ol.Lstsq(),
    ol.SklearnLinearRegression(),
]


@pytest.mark.parametrize("optimizer", direct, ids=repr)
@given(
    dtype=dtypes,
    exponent=st.floats(0, 3),
    noise=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 2**32),
    fit_intercept=st.booleans(),
)
def test_closed_forms_are_as_accurate_as_conditioning_allows(
    optimizer, dtype, exponent, noise, seed, fit_intercept
):
    data = ol.datasets.synthetic(30, 4, condition=10**exponent, noise=noise, dtype=dtype, seed=seed)
    problem = ol.LinearRegression.from_dataset(data, fit_intercept=fit_intercept)
    found = ol.minimize(problem, optimizer)
    A = np.column_stack([data.X, np.ones(30)]) if fit_intercept else data.X
    A = A.astype(np.float64)
    k = np.linalg.cond(A)
    best = problem.reference()
    w = np.concatenate([value.reshape(-1).numpy() for value in best.parameters.values()])
    rho = np.sqrt(30 * best.loss) / (np.linalg.norm(A, 2) * np.linalg.norm(w))
    # Forward error bound of a backward stable solver, eps k (2 + (k + 1) rho), times the backward
    # error's constant: 30 + 4 roundings in each of its sums; once more for the float64 reference.
    bound = 2 * 34 * np.finfo(dtype).eps * k * (2 + (k + 1) * rho)
    assert found.parameter_error <= bound


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("optimizer", [ol.ManualSGD(0.5), ol.TorchSGD(0.5)], ids=repr)
def test_the_limit_of_descent_is_the_closed_form(trajectory, optimizer, seed):
    problem = synthetic(condition=2, seed=seed)
    points = trajectory(problem, optimizer, 200, seed=seed)
    answer = trajectory(problem, ol.Lstsq(), 1, seed=seed)[-1]
    # Eigenvalues lie in [2 / 4, 2]: at rate 0.5 a step leaves at most 1 - 0.25, and 0.75^200 is
    # 1e-25. What remains is each step's rounding, summed: 1 / (1 - 0.75) = 4 times, and the closed
    # form's error, which the condition (2) times that of a step covers.
    tolerance = (4 + 2) * step_error(problem, points[-1:], 0.5)
    assert (points[-1] - answer).norm() <= tolerance


@pytest.mark.parametrize("optimizer", [ol.Lstsq("gelsd"), ol.Lstsq("gelss")], ids=repr)
def test_svd_drivers_answer_rank_deficient_problems_with_the_least_weights(optimizer):
    x = np.arange(6.0)
    problem = ol.LinearRegression(np.column_stack([x, x]), 4 * x + 1)
    found = ol.minimize(problem, optimizer)
    # Six rows of digits, singular values 1 and 0: 1e-13 is 450 eps.
    np.testing.assert_allclose(found.parameters["weight"], [2, 2], rtol=1e-13)
    assert found.parameters["bias"].item() == pytest.approx(1, rel=1e-13, abs=0)


def test_gels_refuses_a_rank_deficient_problem_with_a_sentence():
    problem = synthetic(rank=2, seed=1)
    sentence = "gels takes full rank for granted, but the rank is 2 of 3; driver='gelsd' can"
    with pytest.raises(ValueError, match=sentence):
        ol.minimize(problem, ol.Lstsq("gels"))
    results = ol.compare(problem, [ol.Lstsq("gels"), ol.Lstsq("gelsd")])
    assert results.trials["status"].tolist() == ["skipped", "finished"]
    assert sentence in results.trials["message"][0]


def test_gels_solves_a_rank_deficient_problem_that_a_penalty_makes_regular():
    data = ol.datasets.synthetic(20, 3, rank=2, seed=1)
    problem = ol.LinearRegression.from_dataset(data, l2=0.5)
    # Eigenvalues of 2 X'X / n + l2 lie in [0.5, 2.5]: condition below 3, so some 100 eps.
    assert ol.minimize(problem, ol.Lstsq("gels")).parameter_error < 100 * np.finfo(float).eps


def test_lstsq_solves_ridge():
    problem = ol.LinearRegression([[1.0], [-1.0]], [3.0, -3.0], l2=2.0)
    # f = (w - 3)^2 + w^2: the minimiser is 1.5. Digits: some 20 roundings.
    found = ol.minimize(problem, ol.Lstsq())
    assert found.parameters["weight"].item() == pytest.approx(1.5, rel=1e-14, abs=0)


def test_off_the_cpu_lstsq_takes_gels_and_refuses_the_drivers_that_are_not_there():
    problem, cuda = synthetic(seed=1), torch.device("cuda")
    assert ol.Lstsq().unsupported(problem, cuda) is None
    assert "no driver gelsd on cuda, only gels" in ol.Lstsq("gelsd").unsupported(problem, cuda)
    deficient = synthetic(rank=2, seed=1)
    assert "the rank is 2 of 3" in ol.Lstsq().unsupported(deficient, cuda)


def test_sklearn_refuses_what_it_cannot_do():
    sklearn = ol.SklearnLinearRegression()
    assert "on the CPU, not on cuda" in sklearn.unsupported(synthetic(), torch.device("cuda"))
    penalised = ol.LinearRegression([[1.0], [2.0]], [1.0, 2.0], l2=1.0)
    assert "no penalty" in sklearn.unsupported(penalised, torch.device("cpu"))


def test_sklearn_names_its_version():
    import sklearn

    assert ol.SklearnLinearRegression().versions() == {"scikit-learn": sklearn.__version__}


def test_sklearns_own_default_cut_off_is_not_ours():
    # Singular values 1 and 1e-7: scikit-learn's own tol of 1e-6 would drop the second.
    problem = synthetic(n=30, d=2, condition=1e7, noise=0, seed=1)
    ours = ol.minimize(problem, ol.SklearnLinearRegression()).parameter_error
    theirs = ol.minimize(problem, ol.SklearnLinearRegression(tol=1e-6)).parameter_error
    # Ours: eps k = 2e-9, some hundred times at most. Theirs loses the second direction whole.
    assert ours < 1e-6
    assert theirs > 1e-2


@given(seed=st.integers(0, 2**32), momentum=st.sampled_from([0.0, 0.9]))
def test_weight_decay_is_ridge_where_there_is_no_intercept(trajectory, seed, momentum):
    data = ol.datasets.synthetic(20, 3, seed=seed)
    plain, ridge = (
        ol.LinearRegression.from_dataset(data, fit_intercept=False, l2=l2) for l2 in (0.0, 0.5)
    )
    rate = without_expansion(plain)
    decayed = trajectory(plain, ol.TorchSGD(rate, momentum, weight_decay=0.5), 20, seed=seed)
    penalised = trajectory(ridge, ol.TorchSGD(rate, momentum), 20, seed=seed)
    # A step's rounding stays in the velocity 1 / (1 - m) steps long.
    per_step = 2 * step_error(plain, decayed, rate) / (1 - momentum)
    assert_follows(decayed, penalised, per_step, 1)


@pytest.mark.parametrize("size", [3, "full"])
def test_the_adapter_runs_torchs_sgd_to_the_same_bits(trajectory, size):
    problem = synthetic(seed=1)
    adapted = ol.TorchOptimizer(torch.optim.SGD, lr=0.01, momentum=0.9)
    ours = ol.TorchSGD(0.01, momentum=0.9)
    a, b = (trajectory(problem, optimizer, 5, batch_size=size) for optimizer in (adapted, ours))
    assert torch.equal(a, b)


def test_adams_first_step_is_the_learning_rate_along_each_sign(trajectory):
    problem = synthetic(seed=1)
    start, first = trajectory(problem, ol.TorchOptimizer(torch.optim.Adam, lr=0.25), 1)
    gradient = problem.gradient({"weight": start[:3], "bias": start[3]})
    g = torch.cat([gradient["weight"], gradient["bias"][None]])
    # m / (1 - beta1) = g and sqrt(v / (1 - beta2)) = |g|: some ten roundings of numbers below 4.
    expected = start - 0.25 * g / (g.abs() + 1e-8)
    torch.testing.assert_close(first, expected, rtol=0, atol=4e-15)


def test_lbfgs_with_its_closure_solves_the_problem():
    problem = synthetic(condition=10, seed=1)
    lbfgs = ol.TorchOptimizer(torch.optim.LBFGS, line_search_fn="strong_wolfe")
    assert ol.minimize(problem, lbfgs, epochs=20, stop_at=1e-8).status == "converged"


def test_the_adapter_is_named_after_its_class_and_keeps_its_options():
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.25, betas=(0.9, 0.99))
    results = ol.compare(synthetic(), [adam, ol.TorchOptimizer(torch.optim.LBFGS)], epochs=2)
    assert results.trials["optimizer"].tolist() == ["torch Adam", "torch LBFGS"]
    assert '"betas": [0.9, 0.99]' in results.trials["hp_options"][0]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        *[
            (lambda cls=cls, rate=rate: cls(rate), "learning_rate must be positive and finite")
            for cls in (ol.ManualSGD, ol.TorchSGD)
            for rate in (0, -1.0, float("nan"), float("inf"), None, True)
        ],
        (lambda: ol.ManualSGD("0.1"), "learning_rate must be a positive number, 'auto'"),
        (lambda: ol.TorchSGD("0.1"), "learning_rate must be a positive number, 'auto'"),
        (lambda: ol.TorchSGD(momentum=1.0), "momentum must be at least 0 and less than 1, not 1.0"),
        (lambda: ol.TorchSGD(momentum=-0.1), "momentum must be"),
        (lambda: ol.TorchSGD(momentum=float("nan")), "momentum must be"),
        (lambda: ol.TorchSGD(nesterov=True), "nesterov=True needs a momentum"),
        (lambda: ol.TorchSGD(weight_decay=-1.0), "weight_decay must be finite and at least 0"),
        (lambda: ol.TorchSGD(weight_decay=float("inf")), "weight_decay must be finite"),
        (lambda: ol.Lstsq("gelsx"), "driver must be one of gelsd, gels, gelss, gelsy, not 'gelsx'"),
        (lambda: ol.SklearnLinearRegression(tol=0), "tol must be positive and finite"),
        (lambda: ol.TorchOptimizer(torch.optim.Adam, lr=-1), "lr must be positive and finite"),
        (lambda: ol.TorchOptimizer(torch.optim.Adam, rate=1), "Adam does not take .*rate"),
        (lambda: ol.TorchOptimizer(torch.optim.Adam, betas=(2, 2)), "Adam does not take"),
        (lambda: ol.TorchOptimizer("Adam"), "cls must be a class of torch.optim, not 'Adam'"),
        (lambda: ol.TorchOptimizer(ol.ManualSGD), "cls must be a class of torch.optim"),
    ],
)
def test_bad_hyperparameters_are_refused_by_name(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
