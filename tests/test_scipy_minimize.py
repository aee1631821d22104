"""scipy's minimize as an optimizer: the bits of a direct call, an iterate an iteration."""

import signal
import threading
import time
from itertools import islice

import numpy as np
import pytest
import scipy.optimize
import torch

import optlab as ol
from optlab.lab.measure.threads import set_threads, threads_kept
from optlab.optimizers.adapters.callback_iterates import callback_iterates
from optlab.optimizers.adapters.scipy_minimize import METHODS

HILL = (-1.2, 1.0)


def hill(point):
    """Rosenbrock's function and its gradient, by hand: the bits of torch's are other."""
    x = torch.tensor(point, requires_grad=True)
    value = (100 * (x[1:] - x[:-1].square()).square() + (1 - x[:-1]).square()).sum(-1)
    value.backward()
    return value.item(), x.grad.numpy()


def hessian(point):
    def value(x):
        return (100 * (x[1:] - x[:-1].square()).square() + (1 - x[:-1]).square()).sum(-1)

    return torch.autograd.functional.hessian(value, torch.tensor(point)).numpy()


def run(problem, optimizer, most=10_000):
    start = problem.start(torch.Generator().manual_seed(0))
    batches = ol.Batches(problem.data.X, problem.data.y, "full", torch.Generator())
    return list(islice(optimizer.iterates(problem, batches, start), most))


def direct(method, options):
    points, evaluations, calls = [], [], []

    def function(x):
        calls.append(x)
        return hill(x)

    def product(x, direction):
        return hessian(x) @ direction

    needs = {"hess": hessian} if method in {"dogleg", "trust-exact"} else {}
    if method in {"Newton-CG", "trust-ncg", "trust-krylov", "trust-constr"}:
        needs = {"hessp": product}

    def callback(x, *_):
        points.append(np.array(x))
        evaluations.append(len(calls))

    result = scipy.optimize.minimize(
        function, np.array(HILL), jac=True, method=method, options=options, callback=callback,
        **needs,
    )  # fmt: skip
    if not np.array_equal(points[-1], result.x):
        callback(result.x)
    return points, evaluations


@pytest.mark.parametrize("method", METHODS)
def test_each_method_gives_the_iterates_of_a_direct_call(method):
    options = {"maxiter": 30}
    if method == "TNC":
        options = {"maxfun": 60}
    points, evaluations = direct(method, options)
    found = run(ol.Rosenbrock(start=HILL), ol.ScipyMinimize(method, options=options))
    ours = np.array([iterate.parameters["x"].numpy() for iterate in found])
    theirs = np.array(points)
    assert len(ours) > 3
    if method in {"CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP"}:
        np.testing.assert_array_equal(ours, theirs)
        assert [iterate.cost for iterate in found] == [ol.Cost(k, k) for k in evaluations]
    else:  # the Hessian by hand and that by two passes of autograd differ in the last bits
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
        assert found[-1].cost.hessian_products > 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", ["L-BFGS-B", "trust-exact"])
def test_a_linear_problem_gives_the_bits_of_a_direct_call(method, threads):
    with threads_kept():
        set_threads(threads)  # a sum has other bits with another number of threads
        compare_with_a_direct_call(method)


def compare_with_a_direct_call(method):
    problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes().standardized(), l2=0.1)
    X, y = problem.data.X.numpy(), problem.data.y.numpy()

    def point(flat):
        return {"weight": torch.tensor(flat[:-1]), "bias": torch.tensor(flat[-1])}

    def function(flat):
        slopes = problem.gradient(point(flat))
        return problem.loss(point(flat)).item(), np.append(slopes["weight"], slopes["bias"])

    X1 = np.column_stack([X, np.ones(len(y))])
    hess = 2 * X1.T @ X1 / len(y) + 0.1 * np.diag([*np.ones(10), 0.0])
    start = problem.start(torch.Generator().manual_seed(0))
    result = scipy.optimize.minimize(
        function, np.append(start["weight"], 0.0), jac=True, method=method,
        hess=(lambda _: hess) if method == "trust-exact" else None,
    )  # fmt: skip
    last = run(problem, ol.ScipyMinimize(method))[-1]
    found = np.append(last.parameters["weight"], last.parameters["bias"])
    if method == "L-BFGS-B":
        np.testing.assert_array_equal(found, result.x)
        assert last.cost.losses == result.nfev
    else:
        np.testing.assert_allclose(found, result.x, rtol=1e-8)


def test_float32_problems_and_networks_run():
    X = torch.linspace(-1, 1, 20)[:, None]
    network = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    problem = ol.ModuleProblem(network, torch.nn.MSELoss(), X, X.square())
    found = run(problem, ol.ScipyMinimize("BFGS", options={"maxiter": 50}))
    assert found[-1].parameters["0.weight"].dtype == torch.float32
    assert problem.evaluate(found[-1].parameters).loss < 0.01


def test_the_lab_runs_it_once_for_all_batch_sizes_and_stops_it():
    problem = ol.Rosenbrock(start=HILL)
    results = ol.compare(problem, ol.ScipyMinimize("BFGS"), batch_sizes=[1, "full"], epochs=200,
                         stop_at=1e-6)  # fmt: skip
    trial = results.trials.iloc[0]
    assert (len(results.trials), trial["batch"], trial["status"]) == (1, "full", "converged")
    trace = results.traces
    assert (trace["gradient_evaluations"] >= trace["epoch"]).all()
    gone = [thread for thread in threading.enumerate() if thread.name.endswith("(run)")]
    assert not gone


def counting(limit=100):
    """A function that calls back again and again, and counts how often it did."""
    calls = []

    def solve(callback):
        for k in range(limit):
            calls.append(k)
            callback(np.array([float(k)]))
        return np.array([float(limit)])

    return solve, calls


def test_the_function_works_only_while_it_is_asked():
    solve, calls = counting()
    points = callback_iterates(solve)
    assert calls == []
    for k in range(3):
        assert next(points) == k
        time.sleep(0.02)
        assert len(calls) == k + 1
    before = threading.active_count()
    points.close()
    assert threading.active_count() == before - 1
    assert len(calls) == 3


def test_the_last_point_is_not_told_twice():
    solve, _ = counting(3)
    assert [float(point[0]) for point in callback_iterates(solve)] == [0, 1, 2, 3]

    def same(callback):
        callback(np.zeros(2))
        return np.zeros(2)

    assert len(list(callback_iterates(same))) == 1


def test_errors_of_the_function_are_raised_where_it_is_asked():
    def solve(callback):
        callback(np.zeros(1))
        raise ZeroDivisionError("in the middle")

    points = callback_iterates(solve)
    next(points)
    with pytest.raises(ZeroDivisionError, match="in the middle"):
        next(points)


def test_ctrl_c_ends_the_function():
    went_on = []

    def solve(callback):
        callback(np.zeros(1))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # which waits
        time.sleep(0.05)
        callback(np.ones(1))
        went_on.append(True)

    points = callback_iterates(solve)
    next(points)
    before = threading.active_count()
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be inherited "ignored"
    try:
        with pytest.raises(KeyboardInterrupt):
            next(points)
    finally:
        signal.signal(signal.SIGINT, ours)
    assert threading.active_count() == before - 1
    assert not went_on


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"method must be one of CG, BFGS, .*, not 'Adam'"):
        ol.ScipyMinimize("Adam")


def test_hyperparameters_pickle_and_hash():
    one = ol.ScipyMinimize("BFGS", options={"gtol": 1e-9})
    assert one == ol.ScipyMinimize("BFGS", options={"gtol": 1e-9})
    assert hash(one) == hash(ol.ScipyMinimize("BFGS", options={"gtol": 1e-9}))
