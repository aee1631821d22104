"""What every registered problem must do; a new one is tested by being registered."""

import pickle

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.lab.keys.object_hash import object_hash
from optlab.problems import registry
from optlab.problems.capabilities import (
    HasCurvature,
    HasGradient,
    HasLeastSquares,
    HasProximal,
    HasResiduals,
    gradient,
    has,
)

DTYPES = [torch.float32, torch.float64]


def of_table(cls, **options):
    """A problem that is made of a table: of classes, counts or numbers, as it takes them."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(24, 3))
    eta = X @ [1.0, -0.5, 0.2]
    y = eta + draw.normal(size=24)
    if getattr(cls, "takes_labels", False):
        y = np.where(y > 0, 1.0, 0.0)
    elif "Poisson" in cls.__name__:
        y = draw.poisson(np.exp(0.5 * eta)).astype(float)
    return cls.from_dataset(ol.datasets.Dataset("sample", X, y), l2=0.1, **options)


def of_module(cls):
    X = torch.linspace(-1, 1, 36).reshape(12, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)]
    return cls(torch.nn.Sequential(*layers), torch.nn.MSELoss(), X, X[:, :1].square())


# Of problems that neither a table nor their defaults make.
SAMPLES = {
    "module": of_module,
    "nonlinear-least-squares": lambda cls: cls.from_dataset(ol.datasets.nist_nonlinear("Misra1a")),
}


def samples():
    """Each registered problem, and with an l1 penalty where it is made of a table."""
    for name, cls in registry.items():
        if name in SAMPLES:
            yield pytest.param((SAMPLES[name], cls, {}), id=name)
        elif hasattr(cls, "from_dataset"):
            yield pytest.param((of_table, cls, {}), id=name)
            yield pytest.param((of_table, cls, {"l1": 0.05}), id=f"{name}, l1")
        else:
            yield pytest.param((lambda cls: cls(), cls, {}), id=name)


@pytest.fixture(scope="module", params=samples())
def problem(request):
    make, cls, options = request.param
    return make(cls, **options)


def start_of(problem, seed=0):
    return problem.start(torch.Generator().manual_seed(seed))


def leaves_of(parameters):
    return {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}


def autograd(function, leaves):
    values = list(leaves.values())
    slopes = torch.autograd.grad(function, values, allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, slopes, strict=True))


def assert_close(found, expected, rtol=1e-10):
    assert found.keys() == expected.keys()
    size = max(float(value.abs().max()) for value in expected.values())
    for name, value in expected.items():
        # Sums of some hundred terms of this size, in double precision.
        torch.testing.assert_close(found[name].detach(), value, rtol=rtol, atol=1e-13 * (1 + size))


def test_follows_the_protocol(problem):
    assert isinstance(problem, ol.Problem)
    assert isinstance(problem.name, str)
    assert len(problem.data.X) == len(problem.data.y)
    assert problem.data.X.device == problem.data.y.device
    assert repr(problem).startswith(type(problem).__name__)


def test_its_class_is_public_and_says_what_is_minimised(problem):
    cls = type(problem)
    assert getattr(ol, cls.__name__) is cls
    assert "Examples\n" in cls.__doc__
    assert "References\n" in cls.__doc__


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_copy_in_another_dtype_is_its_own(problem, dtype):
    copy = problem.to("cpu", dtype, copy=True)
    assert copy is not problem
    assert type(copy) is type(problem)
    assert copy.name == problem.name
    for own, given in zip(copy.data, problem.data, strict=True):
        if own is not None and own.numel():
            assert own.data_ptr() != given.data_ptr()
            assert not own.is_floating_point() or own.dtype == dtype
    start = start_of(copy)
    assert {value.dtype for value in start.values()} == {dtype}
    assert copy.loss(start).dtype == dtype


def test_a_start_is_drawn_from_the_seed_alone_alike_in_every_dtype(problem):
    generators = [torch.Generator().manual_seed(3) for _ in DTYPES]
    one, other = (
        problem.to("cpu", dtype, copy=True).start(generator)
        for dtype, generator in zip(DTYPES, generators, strict=True)
    )
    state = torch.get_rng_state()
    for name, value in one.items():
        assert torch.equal(value.double().to(torch.float32), other[name].to(torch.float32))
    assert torch.equal(generators[0].get_state(), generators[1].get_state())
    again = start_of(problem.to("cpu", torch.float64, copy=True), 3)
    assert all(torch.equal(value, other[name]) for name, value in again.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_is_one_number_whatever_is_made_of_the_batch(problem):
    local = problem.to("cpu", torch.float64, copy=True)
    point = start_of(local)
    whole, batch = local.loss(point), local.loss(point, local.data)
    assert whole.shape == ()
    # A batch of all rows is all data, but for the order of sums.
    torch.testing.assert_close(batch, whole, rtol=1e-12, atol=1e-12)


def test_the_mean_of_the_losses_of_equal_batches_is_the_loss(problem):
    local = problem.to("cpu", torch.float64, copy=True)
    point, n = start_of(local), len(local.data.y)
    halves = [
        ol.Batch(*(None if part is None else part[rows] for part in local.data))
        for rows in ([slice(0, n // 2), slice(n // 2, n)] if n % 2 == 0 else [slice(0, n)])
    ]
    mean = torch.stack([local.loss(point, half) for half in halves]).mean()
    torch.testing.assert_close(mean, local.loss(point), rtol=1e-12, atol=1e-12)


def test_closed_gradients_and_hessian_products_are_autograds(problem):
    local = problem.to("cpu", torch.float64, copy=True)
    leaves, n = leaves_of(start_of(local)), len(local.data.y)
    part = ol.Batch(*(None if t is None else t[: -(-n // 3)] for t in local.data))
    for batch in (None, part):
        slopes = autograd(local.loss(leaves, batch), leaves)
        assert_close(gradient(local, leaves, batch), slopes)
        if has(local, HasGradient):
            assert_close(local.gradient(leaves, batch), slopes)
        if has(local, HasProximal):
            smooth = autograd(local.smooth_loss(leaves, batch), leaves)
            assert_close(local.smooth_gradient(leaves, batch), smooth)
        if has(local, HasCurvature):
            along = {name: torch.ones_like(value) for name, value in leaves.items()}
            first = torch.autograd.grad(local.loss(leaves, batch), list(leaves.values()),
                                        create_graph=True)  # fmt: skip
            product = autograd(sum(slope.sum() for slope in first), leaves)
            assert_close(local.hessian_product(leaves, along, batch), product)


def test_residuals_and_least_squares_are_those_of_the_loss(problem):
    local = problem.to("cpu", torch.float64, copy=True)
    point = start_of(local)
    if has(local, HasResiduals):
        mean = local.residuals(point).square().mean()
        torch.testing.assert_close(mean, local.loss(point), rtol=1e-12, atol=0)
    if has(local, HasLeastSquares):
        A, b, to_parameters = local.as_least_squares()
        best = to_parameters(torch.linalg.lstsq(A, b, driver="gelsd").solution)
        slopes = torch.cat([slope.reshape(-1) for slope in gradient(local, best).values()])
        assert slopes.norm() <= 1e-12 * (1 + b.norm())  # some eps of the size of its terms


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_evaluation_is_the_loss_in_double_precision(problem, dtype):
    double = problem.to("cpu", torch.float64, copy=True)
    point = {name: value.to(dtype) for name, value in start_of(problem).items()}
    before = {name: value.clone() for name, value in point.items()}
    judged = problem.evaluate(point)
    leaves = leaves_of({name: value.double() for name, value in point.items()})
    loss = double.loss(leaves)
    assert judged.loss == pytest.approx(loss.item(), rel=1e-12)
    slopes = torch.cat([value.reshape(-1) for value in autograd(loss, leaves).values()])
    if not np.isnan(judged.gradient_norm):
        assert judged.gradient_norm == pytest.approx(slopes.norm().item(), rel=1e-10)
    assert tuple(judged.more) == tuple(getattr(problem, "measures", judged.more))
    assert judged == problem.evaluate(point)
    assert all(torch.equal(point[name], before[name]) for name in point)


def test_nothing_is_below_the_reference_by_more_than_its_bound(problem):
    reference = problem.reference()
    if reference is None:
        assert np.isnan(problem.evaluate(start_of(problem)).suboptimality)
        return
    assert reference.kind in {"certified", "computed", "best known"}
    assert reference.message
    points = [start_of(problem, seed) for seed in range(20)]
    if reference.parameters is not None:
        assert all(value.dtype == torch.float64 for value in reference.parameters.values())
        points.append(reference.parameters)
        draw = torch.Generator().manual_seed(0)
        for scale in (1e-1, 1e-4):
            points += [
                {
                    name: value
                    + scale * torch.randn(value.shape, generator=draw, dtype=torch.float64)
                    for name, value in reference.parameters.items()
                }
                for _ in range(10)
            ]
    least = min(problem.evaluate(point).loss for point in points)
    slack = 0.0 if np.isnan(reference.bound) else reference.bound
    assert least >= reference.loss - slack - 1e-14 * abs(reference.loss)
    for point in points:
        judged = problem.evaluate(point)
        rounding = 1e-13 * (abs(judged.loss) + abs(reference.loss))
        assert abs(judged.loss - reference.loss - judged.suboptimality) <= slack + rounding
        assert judged.suboptimality >= -slack


def test_pickles_and_is_known_again_also_after_it_was_used(problem):
    key = object_hash(problem)
    point = start_of(problem)
    problem.loss(point)
    judged = problem.evaluate(point)
    again = pickle.loads(pickle.dumps(problem))
    assert again.evaluate(point) == judged
    assert object_hash(problem) == key
    assert object_hash(again) == key
