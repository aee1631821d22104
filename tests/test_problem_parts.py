"""The parts that checks of problems are made of, and where their limits lie, by hand."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch

import optlab as ol
from optlab.testing.gradients.differentiable import near, random_direction
from optlab.testing.gradients.line import EPS
from optlab.testing.problem_checks import capability_checks as capability
from optlab.testing.problem_checks import problem_subject as parts
from optlab.testing.problem_checks import protocol_checks as protocol
from optlab.testing.problem_checks import reference_checks as reference
from optlab.testing.problem_checks.problem_subject import ProblemSubject, frozen
from optlab.testing.run_checks import CheckFailedError, CheckSkipped
from tests.wrong_problems import DefaultDtype, N, NoGradient, X, y

F32, F64 = torch.float32, torch.float64
DATA = torch.as_tensor(X), torch.as_tensor(y)


def vector(*values):
    return torch.tensor(values, dtype=F64)


def subject_of(problem, seed=0):
    return ProblemSubject(problem, seed, frozen(problem.data))


def said(check, problem, seed=0):
    """The failure of a check of a problem, why it does not apply, or nothing."""
    try:
        check(subject_of(problem, seed))
    except (CheckFailedError, CheckSkipped) as error:
        return str(error)
    return ""


def with_method(cls=ol.LinearRegression, /, **methods):
    """A subclass whose methods are functions of the problem, the right result and the arguments."""

    def made(name, change):
        def method(self, *arguments, **named):
            return change(self, getattr(cls, name)(self, *arguments, **named), *arguments)

        return method

    return type("Changed", (cls,), {name: made(name, change) for name, change in methods.items()})


def fit(cls=ol.LinearRegression, **options):
    return cls(*DATA, **options)


# problem_subject


def test_points_are_the_start_and_some_near_it():
    subject = subject_of(fit(), seed=3)
    start = subject.start()
    assert torch.equal(start["weight"], fit().start(torch.Generator().manual_seed(3))["weight"])
    first, second, third = subject.points(3)
    for name in start:
        assert torch.equal(first[name], start[name])
        assert torch.equal(second[name], near(start, 31, 0.1)[name])
        assert torch.equal(third[name], near(start, 32, 0.1)[name])
    assert not torch.equal(subject.start(seed=4)["weight"], start["weight"])
    assert subject.start(subject.double.to("cpu", F32))["weight"].dtype == F32
    assert (subject.gradients.seed, subject.at.dtype) == (3, F64)
    assert parts.start_code("double", 3) == "double.start(torch.Generator().manual_seed(3))"
    assert frozen(fit().data)["data X"].data_ptr() != DATA[0].data_ptr()


def test_the_rounding_of_distances_is_that_of_the_references_parameters():
    def far(size):
        found = ol.Reference(
            kind="computed", loss=0.0, bound=0.0, message="by hand",
            parameters={"w": torch.full((2,), size).double()},
        )  # fmt: skip
        return with_method(NoGradient, reference=lambda self, right: found)()

    point, terms = {"w": vector(0.75, -0.5)}, N + 2 + 8
    assert parts.reference_rounding(subject_of(NoGradient()), point) == 0.0
    for size in (3.0, 3e6):
        subject = subject_of(far(size))
        found = parts.reference_rounding(subject, point, lambda p: float(p["w"].sum()))
        full = {name: value * (1 + 2.0**-21 / 3) for name, value in point.items()}
        moved = max(
            abs(float(((full["w"] + k * size) - k * size).sum()) - float(full["w"].sum()))
            for k in (1.0, -1.0, 3.0, 1 / 3)
        )
        assert found == 2 * terms * moved
        assert 0 < found <= 2 * terms * 2 * 3 * size * 2.0**-52
        # The loss moves by its slope times as much.
        assert parts.reference_rounding(subject, point) > 0
    odd = parts.reference_rounding(
        subject_of(far(3.0)), point, lambda p: math.inf if p["w"][0] != full["w"][0] else 1.0
    )
    assert odd == 0.0


def test_what_does_not_hold_is_told():
    parts.require(True, "a", "b")
    with pytest.raises(CheckFailedError) as failed:
        parts.require(0, "a", "b", tolerance="c", hint="d", example="e")
    assert str(failed.value).splitlines() == [
        "a", "  seen: b", "  likely: d", "  tolerance: c", "  to see it again:", "    e",
    ]  # fmt: skip


# capability_checks


def test_the_unit_of_rounding_is_of_rows_and_parameters():
    assert capability._unit(subject_of(fit())) == 2 * (N + 3 + 8) * EPS
    assert capability._size(vector(1.0, -4.0)) == 4.0
    assert capability._size(vector()) == 0.0


def larger(by):
    """A method whose result is larger by a share."""

    def change(self, right, *arguments):
        if isinstance(right, dict):
            return {name: value * (1 + by) for name, value in right.items()}
        return right * (1 + by)

    return change


@pytest.mark.parametrize(
    ("check", "method", "options"),
    [
        (capability.check_smooth_gradient, "smooth_gradient", {"l1": 0.1}),
        (capability.check_hessian_product, "hessian_product", {"l2": 0.1}),
        (capability.check_residuals, "residuals", {}),
        (capability.check_residuals, "jacobian", {}),
    ],
)
@pytest.mark.parametrize(("by", "is_right"), [(1e-9, False), (4e-16, True)])
def test_capabilities_are_held_to_rounding(check, method, options, by, is_right):
    found = said(check, fit(with_method(**{method: larger(by)}), **options))
    assert bool(found) is not is_right
    if found:
        assert "tolerance: " in found


def on_rows(rows):
    """A method that is wrong where so many rows are given."""

    def change(self, right, *arguments):
        given = [part for part in arguments if isinstance(part, ol.Batch)]
        n = len(given[0].y) if given else len(self.y)
        return {name: 2 * value for name, value in right.items()} if n == rows else right

    return change


@pytest.mark.parametrize(
    ("check", "method"),
    [
        (capability.check_smooth_gradient, "smooth_gradient"),
        (capability.check_hessian_product, "hessian_product"),
    ],
)
@pytest.mark.parametrize("n", [1, 2 * N // 3, N])
def test_each_size_of_batches_is_looked_at(check, method, n):
    found = said(check, fit(with_method(**{method: on_rows(n)}), l1=0.1))
    assert "entries differ, at the start of seed 0" in found
    assert "likely: every entry is 2 times what it must be" in found
    assert (f"over the rows 0 to {n - 1}" in found) is (n < N)


def test_a_curvature_that_is_off_by_the_direction_says_so():
    wrong = with_method(hessian_product=lambda self, right, point, direction, *rows: {
        name: value + 0.25 * direction[name] for name, value in right.items()
    })  # fmt: skip
    found = said(capability.check_hessian_product, fit(wrong))
    assert "weight is off by 0.25 times the direction: a penalty" in found


def test_what_a_problem_does_not_have_is_not_checked():
    for check, words in (
        (capability.check_smooth_gradient, "the problem has no proximal operator"),
        (capability.check_proximal, "the problem has no proximal operator"),
        (capability.check_hessian_product, "the problem has no products with the Hessian"),
        (capability.check_residuals, "the loss is no mean of squared residuals"),
        (capability.check_least_squares, "the problem is no linear least-squares system"),
        (capability.check_lipschitz, "the problem has no known Lipschitz constant"),
        (capability.check_constant_fit, "the problem has no best constant prediction"),
    ):
        assert said(check, NoGradient()) == words


def test_the_bound_of_a_curvature_has_what_float32_loses():
    lossy = with_method(hessian_product=lambda self, right, *_: {
        name: value + 2.0**-10 * (value.dtype == F32) for name, value in right.items()
    })  # fmt: skip
    subject = subject_of(fit(lossy))
    place = capability.places(subject.at, 0)[0]
    direction = {"weight": vector(1.0, 0.0), "bias": torch.tensor(0.0).double()}
    expected = {"weight": vector(4.0, -8.0), "bias": torch.tensor(1.0).double()}
    # What float32 loses of the right product is far less than 2^-10; it is of another one here.
    right = fit().hessian_product(place.point, direction)
    found = capability._curvature_bound(subject, place, direction, right)
    unit, largest = 2 * (N + 3 + 8) * EPS, max(float(v.abs().max()) for v in right.values())
    for name, value in found.items():
        assert value.shape == right[name].shape
        assert value.flatten()[0] == pytest.approx(
            unit * (largest + 2.0**-10 * 2**23), rel=1e-3, abs=0
        )
    exact = capability._curvature_bound(subject_of(fit()), place, direction, right)
    assert unit * largest <= exact["bias"] <= 4 * unit * largest
    far = capability._curvature_bound(subject_of(fit()), place, direction, expected)
    assert float(far["bias"]) > unit * 2**23 * 0.01


@pytest.mark.parametrize(("by", "is_right"), [(1e-9, False), (4e-16, True)])
def test_a_least_squares_system_is_held_to_its_solver(by, is_right):
    def moved(self, right):
        return right._replace(b=right.b * (1 + by))

    found = said(capability.check_least_squares, fit(with_method(as_least_squares=moved)))
    assert bool(found) is not is_right
    if found:
        A, b, to_parameters = fit().as_least_squares()
        w = torch.linalg.lstsq(A, b[:, None] * (1 + by), driver="gelsd").solution[:, 0]
        size = float(A.norm() * (A.norm() * w.norm() + b.norm())) / N
        best = to_parameters(w)
        bounds = subject_of(fit()).gradients.bound_at(best, None).gradient
        own = max(float(value.abs().max()) for value in bounds.values())
        tolerance = float(found.partition("tolerance: ")[2].partition(" ")[0])
        assert tolerance == pytest.approx(8 * (2 * (N + 3 + 8) * EPS * size + own), rel=0.05, abs=0)


def proximal(change):
    return fit(with_method(proximal=change), l1=0.1)


@pytest.mark.parametrize(
    "change",
    [
        lambda self, right, point, step: right if step != 0.0 else near(point, 1, 1e-4),
        lambda self, right, point, step: right if step != 0.1 else near(right, 1, 1e-4),
        lambda self, right, point, step: right if step != 1.0 else near(right, 1, 1e-4),
        lambda self, right, point, step: right if step != 10.0 else near(right, 1, 0.1),
        lambda self, right, point, step: right | {"weight": right["weight"] * (1 - 1e-4)},
        lambda self, right, point, step: right | {"bias": right["bias"] + 1e-4},
    ],
)
def test_a_proximal_step_is_the_minimiser_for_each_size_of_it(change):
    found = said(capability.check_proximal, proximal(change))
    assert "minimises |v - x|**2 / 2 + t h(v)" in found
    distance = float(found.partition("at the distance ")[2].partition(" ")[0])
    least = float(found.partition("not by at least ")[2].partition(";")[0])
    assert least == pytest.approx(distance**2 / 2, rel=0.02)  # the distance has three digits


def test_a_right_proximal_step_is_not_blamed():
    for seed in range(2):
        assert said(capability.check_proximal, fit(l1=0.1), seed) == ""


def test_a_proximal_objective_is_half_the_square_and_the_step_of_the_kink():
    problem = fit(l1=0.5)
    one = {"weight": vector(1.0, 2.0), "bias": torch.tensor(0.5).double()}
    other = {"weight": vector(0.0, -1.0), "bias": torch.tensor(0.0).double()}
    # (1 + 9 + 1/4) / 2, and 0.25 times 0.5 times |w| of 1.
    assert capability._proximal_objective(problem, one, 0.25, other) == pytest.approx(5.125 + 0.125)


@pytest.mark.parametrize(
    ("factor", "is_right"), [(1 - 1e-9, False), (1.0, True), (1 + 1e-9, True), (3.0, True)]
)
def test_a_lipschitz_constant_is_reached_by_the_power_iteration(factor, is_right):
    # Columns so that the largest curvature, 2 / n |x|^2, is 16 times the others.
    X = torch.tensor(
        [[4.0, 0, 0], [-4.0, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
    ).double()
    cls = with_method(lipschitz=lambda self, right: factor * 2 * 32 / 6)
    problem = cls(X, X.sum(1), fit_intercept=False)
    assert ol.LinearRegression(X, X.sum(1), fit_intercept=False).lipschitz() == pytest.approx(
        64 / 6
    )
    found = said(capability.check_lipschitz, problem)
    assert bool(found) is not is_right
    if found:
        ratio = float(found.partition("seen: ")[2].partition(" times")[0])
        assert ratio == pytest.approx(64 / 6, rel=1e-9)


@pytest.mark.parametrize(
    ("constant", "is_right"), [(0.0, False), (-1.0, False), (1, False), (math.nan, False)]
)
def test_a_lipschitz_constant_is_a_number_of_at_least_0(constant, is_right):
    found = said(capability.check_lipschitz, fit(with_method(lipschitz=lambda *_: constant)))
    assert bool(found) is not is_right
    assert ("lipschitz() is a number of at least 0" in found) is (constant != 0.0)


class WithConstant(NoGradient):
    """Mean squared error that says its largest curvature, and no proximal operator."""

    share = 1.0

    def lipschitz(self):
        return self.share * 2 / N * float(torch.linalg.eigvalsh(self.X.T @ self.X)[-1])


def test_a_constant_is_of_the_smooth_part():
    assert said(capability.check_lipschitz, WithConstant()) == ""
    half = type("Half", (WithConstant,), {"share": 0.5})()
    assert "gradients differ by at most lipschitz()" in said(capability.check_lipschitz, half)
    for seed in range(3):  # beyond a kink of 100 the slope is another by 200
        assert said(capability.check_lipschitz, fit(l1=100.0), seed) == ""


def test_a_flat_loss_has_the_constant_0():
    flat = with_method(lipschitz=lambda *_: 0.0)(torch.zeros(4, 2).double(), DATA[1][:4],
                                                  fit_intercept=False)  # fmt: skip
    assert said(capability.check_lipschitz, flat) == ""


def claims(loss, **members):
    made = with_method(NoGradient, loss=loss)
    for name, value in members.items():
        setattr(made, name, value)
    return made()


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (claims(lambda self, right, p, *_: right + 1e-3 * p["w"].abs().sum()), "loss is smooth"),
        (claims(lambda self, right, p, *_: right + p["w"].abs().sum(), is_smooth=False), ""),
        (claims(lambda self, right, p, *_: right + p["w"].pow(4).sum()), ""),
        (claims(lambda self, right, p, *_: right + 1e-3 * p["w"].pow(4).sum(), is_quadratic=True),
         "g(x) + g(y) - 2 g((x + y) / 2) has w["),
        (claims(lambda self, right, *_: right, is_quadratic=True), ""),
        (claims(lambda self, right, p, *_: right + p["w"].log().sum(), is_smooth=True), ""),
    ],
)  # fmt: skip
def test_what_a_problem_claims_of_its_loss_is_so(problem, words):
    found = said(capability.check_claims, problem)
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize(
    ("by", "is_right"), [(1e-4, False), (-1e-4, False), (0.9, False), (1e-9, True)]
)
def test_a_constant_fit_is_best_from_near_and_far(by, is_right):
    # A bias that is off by b has a loss that is larger by b^2, and one on the other side is less.
    moved = with_method(constant_fit=lambda self, right: right | {"bias": right["bias"] + by})
    found = said(capability.check_constant_fit, fit(moved))
    assert bool(found) is not is_right
    assert said(capability.check_constant_fit, fit(fit_intercept=False)) == ""


def test_a_bias_of_zero_is_best_only_where_the_loss_falls_for_ever():
    counts = ol.PoissonRegression(DATA[0], torch.zeros(N), l2=0.1)
    found = said(capability.check_constant_fit, counts)
    assert found == "no finite constant prediction is best"
    zero = with_method(constant_fit=lambda self, right: {k: 0 * v for k, v in right.items()})
    found = said(capability.check_constant_fit, fit(zero))
    assert "no constant prediction is better than constant_fit" in found
    # The least loss is as far off as the check looks, and beyond it the loss rises.
    move = random_direction({"bias": torch.tensor(0.0).double()}, 0)["bias"]
    y = torch.full((N,), 2.0**20).double() * move + DATA[1]
    found = said(capability.check_constant_fit, zero(DATA[0], y))
    assert "no constant prediction is better than constant_fit" in found


# protocol_checks


def judged_by(**changes):
    """Linear regression whose evaluation has some other parts, as functions of it."""
    return with_method(evaluate=lambda self, right, point: right._replace(
        **{name: change(right, point) for name, change in changes.items()}
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"loss": lambda e, p: e.loss * (1 + 1e-9)}, "an evaluation's loss is that of the problem"),
        ({"loss": lambda e, p: e.loss * (1 + 4e-16)}, ""),
        ({"loss": lambda e, p: e.loss * (1 + 1e-9 * (p["weight"].dtype == F64))}, "loss is that"),
        ({"loss": lambda e, p: e.loss * (1 + 1e-9 * (p["weight"].dtype == F32))}, "loss is that"),
        ({"gradient_norm": lambda e, p: e.gradient_norm * (1 + 1e-9)}, "gradient norm is that"),
        ({"gradient_norm": lambda e, p: e.gradient_norm * (1 + 4e-16)}, ""),
        ({"gradient_norm": lambda e, p: math.nan}, ""),
        ({"loss": lambda e, p: math.nan}, "an evaluation's loss is that of the problem"),
    ],
)
def test_an_evaluation_is_held_to_rounding_in_each_dtype(changes, words):
    found = said(protocol.check_evaluation, fit(judged_by(**changes)))
    assert words in found
    assert bool(words) == bool(found)


def test_evaluations_that_have_nan_alike_are_one():
    for part in range(4):
        parts_ = [0.5] * 4
        parts_[part] = math.nan
        assert protocol._has_nan(ol.Evaluation(*parts_))
    assert not protocol._has_nan(ol.Evaluation(*[0.5] * 4))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": vector(1.0)}, {"a": vector(1.0)}, True),
        ({"a": vector(1.0)}, {"a": vector(1.5)}, False),
        ({"a": vector(1.0)}, {"a": vector(1.0).float()}, False),
        ({"a": vector(1.0), "b": vector(1.0)}, {"a": vector(1.0), "b": vector(2.0)}, False),
    ],
)
def test_tensors_are_equal_in_numbers_and_dtype(one, other, same):
    assert protocol._equal(one, other) is same


@pytest.mark.parametrize("off", [0.0, 0.9, 1.1, -1.1])
def test_the_mean_of_weights_is_1_to_n_eps(off):
    weight = torch.ones(8).double() * (1 + off * 8 * EPS)

    class Weighted(NoGradient):
        @property
        def data(self):
            return ol.Batch(self.X, self.y, weight)

    problem = Weighted(*(part[:8] for part in DATA))
    if abs(off) > 1:
        with pytest.raises(CheckFailedError, match="the mean of the rows' weights over all rows"):
            protocol.check_protocol(problem)
    else:
        protocol.check_protocol(problem)


def test_a_start_in_each_dtype_is_that_of_the_other_to_rounding():
    drifts = with_method(start=lambda self, right, *_: {
        k: v + 1e-3 * (v.dtype == F32) for k, v in right.items()
    })  # fmt: skip
    found = said(protocol.check_start, fit(drifts))
    assert "another weight in float32 than in float64" in found


class OtherTargets(ol.LinearRegression):
    """Its targets are of another dtype, whatever that of the features is."""

    dtype = torch.int64

    @property
    def data(self):
        return ol.Batch(self.X, self.y.to(self.dtype))


def test_copies_have_all_that_has_fractions_in_their_dtype():
    assert said(protocol.check_copies, fit(OtherTargets)) == ""
    half = fit(type("Half", (OtherTargets,), {"dtype": torch.float16}))
    assert "seen: data y in torch.float16\n" in said(protocol.check_copies, half)
    assert said(protocol.check_copies, fit()) == ""


class KeepsItsDtype(NoGradient):
    def to(self, device, dtype, *, copy=False):
        return super().to(device, self.X.dtype, copy=copy)


def test_a_copy_of_another_dtype_and_a_constant_of_the_default_one_are_told():
    found = said(protocol.check_copies, KeepsItsDtype())
    assert found.startswith("to of problem 'own' left X on cpu in torch.float64")
    found = said(protocol.check_defaults, DefaultDtype())
    assert "torch's default dtype makes no difference\n  seen: losses [" in found
    assert said(protocol.check_defaults, NoGradient()) == ""


def test_a_measure_that_is_said_is_there():
    class Measures(NoGradient):
        measures = ("depth",)

        def evaluate(self, parameters):
            return super().evaluate(parameters)._replace(more={"depth": 1.0})

    assert said(protocol.check_evaluation, Measures()) == ""
    Measures.measures = ("depth", "width")
    assert "has the measures ('depth', 'width'), as the problem says" in said(
        protocol.check_evaluation, Measures()
    )


class CountsCalls(NoGradient):
    """Writes to its data in one of its methods."""

    where = ""

    def note(self, name):
        if name == self.where:
            self.X[0, 0] += 1

    def loss(self, parameters, batch=None):
        self.note("loss")
        return super().loss(parameters, batch)

    def reference(self):
        self.note("reference")

    def gradient(self, parameters, batch=None):
        self.note("gradient")
        return {"w": 2 / len(self.y) * self.X.T @ self.errors(parameters, batch)}


@pytest.mark.parametrize("name", ["loss", "reference", "gradient"])
def test_each_call_leaves_the_data_as_they_are(name):
    problem = CountsCalls(DATA[0].clone(), DATA[1].clone())
    assert said(protocol.check_immutable, problem) == ""
    problem.where = name
    found = said(protocol.check_immutable, problem)
    assert f"{name} leaves the data as they are\n  seen: other values in ['data X']" in found
    seed = "" if name == "reference" else "problem.start(torch.Generator().manual_seed(0))"
    assert f"problem.{name}({seed})\n" in found


# reference_checks


def with_reference(**changes):
    """Linear regression with another reference, by functions of the right one."""
    return with_method(reference=lambda self, right: dataclasses.replace(
        right, **{name: change(right) for name, change in changes.items()}
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"kind": lambda r: "best known"}, ""),
        ({"kind": lambda r: "known"}, "a reference is one of certified, computed, best known"),
        ({"message": lambda r: ""}, "a reference says how it was found, in message"),
        ({"parameters": lambda r: None}, ""),
        ({"loss": lambda r: r.loss + 1e-9}, "the reference's loss is that of its parameters"),
        ({"loss": lambda r: r.loss + 1e-9, "bound": lambda r: 1e-8}, ""),
        ({"loss": lambda r: r.loss + 1e-9, "bound": lambda r: math.nan}, "its parameters"),
        ({"loss": lambda r: r.loss + 1e-9, "parameters": lambda r: None}, ""),
        (
            {"loss": lambda r: r.loss + 10, "parameters": lambda r: None},
            "no point has a loss below",
        ),
        ({"loss": lambda r: r.loss + 1e-9, "trusted": lambda r: False}, "is not trusted: "),
    ],
)
def test_a_reference_is_what_it_says(changes, words):
    found = said(reference.check_reference, fit(with_reference(**changes)))
    assert words in found
    assert bool(words) == bool(found)


def test_points_are_starts_and_near_the_reference():
    subject = subject_of(fit(), seed=4)
    best = fit().reference()
    found = reference._points(subject, best)
    starts = [subject.start(seed=seed) for seed in range(4, 4 + reference.STARTS)]
    expected = [*starts, best.parameters]
    for radius in (1e-1, 1e-4):
        expected += [near(best.parameters, seed, radius) for seed in range(4, 4 + len(starts))]
    assert len(found) == len(expected)
    names = {"problem": subject.problem, "torch": torch}
    for (point, code), right in zip(found, expected, strict=True):
        exec(code, names)
        for name, value in point.items():
            assert torch.equal(value, right[name])
            assert torch.equal(names["point"][name], value)
    assert len(reference._points(subject, dataclasses.replace(best, parameters=None))) == len(
        starts
    )


def test_a_point_is_written_in_four_numbers_a_parameter():
    point = {"a": torch.arange(5.0) / 3, "b": torch.tensor(2.0), "c": torch.ones(2, 2)}
    assert reference._short(point) == (
        "a = [0, 0.333333, 0.666667, 1, ...]; b = [2]; c = [1, 1, 1, 1]"
    )


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (lambda e: e.suboptimality, ""),
        (lambda e: e.suboptimality * (1 + 1e-8), "the suboptimality is the loss less"),
        (lambda e: e.suboptimality * (1 - 1e-8), "the suboptimality is the loss less"),
        (lambda e: e.suboptimality * (1 + 1e-15), ""),
        (lambda e: -1e-6, "the suboptimality is the loss less"),
        (lambda e: e.suboptimality if e.suboptimality > 1e-3 else 0.0, "the losses differ by"),
    ],
)
def test_a_suboptimality_is_held_to_rounding(gap, words):
    found = said(reference.check_suboptimality, fit(judged_by(suboptimality=lambda e, p: gap(e))))
    assert words in found
    assert bool(words) == bool(found)


def test_an_exact_fit_has_the_rounding_of_its_residuals(monkeypatch):
    X = torch.tensor([[1.0, 0.5], [0.25, 1.0]]).double()
    exact, other = ol.LinearRegression(X, X.sum(1), fit_intercept=False), fit()
    best = exact.reference()
    subject = subject_of(exact)
    monkeypatch.setattr(type(subject.gradients), "bound_at", lambda *_: SimpleNamespace(loss=1e-20))
    for loss, least in ((4.0, 1e-20), (4.0, 0.0), (1e-4, 1e-22)):
        found = reference._of_exact_fit(subject, dataclasses.replace(best, loss=least), loss)
        root = math.sqrt(least)
        assert found == 2 * root * (math.sqrt(loss) + root)
    above = dataclasses.replace(best, loss=1.1e-20)  # no exact fit
    assert reference._of_exact_fit(subject, above, 4.0) == 0.0
    monkeypatch.undo()
    assert reference._of_exact_fit(subject_of(other), other.reference(), 4.0) == 0.0
    none = dataclasses.replace(best, parameters=None)
    assert reference._of_exact_fit(subject_of(exact), none, 4.0) == 0.0


def test_a_problem_without_a_reference_has_no_suboptimality():
    assert said(reference.check_suboptimality, NoGradient()) == ""
    assert said(reference.check_reference, NoGradient()) == "the problem has no reference"
    guess = with_method(NoGradient, evaluate=lambda self, e, p: e._replace(suboptimality=1.0))
    assert "without a reference the suboptimality is NaN\n  seen: 1.0" in said(
        reference.check_suboptimality, guess()
    )
