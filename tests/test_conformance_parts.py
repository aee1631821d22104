"""The parts that checks of optimizers are made of, on values worked out by hand."""

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR

import optlab as ol
from optlab.problems import Batch
from optlab.testing.conformance.check import Check, checks_of
from optlab.testing.conformance.declared_rates import first_pass, last_pass
from optlab.testing.conformance.failing import code, differ, fail, shown
from optlab.testing.conformance.kinds_of_problem import LossAlone, odd_problems, usual_problems
from optlab.testing.conformance.recorded_problem import (
    Call,
    EvaluationFailedError,
    _leftover,
    recorded,
)
from optlab.testing.conformance.rounding_of_runs import rounding
from optlab.testing.conformance.single_run import Point, Run, follow, iterates, same_bits
from optlab.testing.conformance.small_data import FAMILIES, small_data, small_start
from optlab.testing.conformance.spelling import spelling
from optlab.testing.conformance.subject import Subject
from optlab.testing.conformance.watched_batches import WatchedBatches
from optlab.testing.run_checks import CheckFailedError, CheckSkipped
from tests.faulty_optimizers import Descent

NAN, INF = math.nan, math.inf
X, y = small_data(0)


def vector(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


# small_data, small_start, FAMILIES


def test_data_are_those_that_messages_show():
    assert (8 * X).tolist() == [
        [-3, 7, 5], [-4, -5, -4], [5, 6, 7], [-5, -3, 4], [8, 3, -5], [8, 2, -1], [3, 8, -2],
    ]  # fmt: skip
    assert (8 * y).tolist() == [-11, 2, 3, -3, 13, 19, -2]
    start = small_start(0, FAMILIES["linear"].make(X, y))
    assert start["weight"].tolist() == [-1.17, -0.39, 0.53]
    assert (start["bias"].item(), start["bias"].dtype) == (1.11, torch.float64)


def test_data_are_distinct_eighths_of_full_rank_that_the_caller_may_change():
    for seed in range(40):
        X, y = small_data(seed)
        assert (X.shape, y.shape) == ((7, 3), (7,))
        assert 0 < X.abs().min() <= X.abs().max() <= 1
        assert torch.equal((8 * X).round(), 8 * X)
        assert torch.equal((8 * y).round(), 8 * y)
        assert len(y.unique()) == 7
        assert torch.linalg.svdvals(X - X.mean(0))[-1] > 0.5
        kept = X.clone(), y.clone()
        X.zero_(), y.zero_()
        again = small_data(seed)
        assert all(torch.equal(a, b) for a, b in zip(again, kept, strict=True))


def test_each_kind_of_problem_has_its_targets():
    y = vector(-1.6, 0.25, 0.5, 2.0, 3.0, 7.0, 9.0)
    made = {name: family.make(X, y) for name, family in FAMILIES.items()}
    assert {name: (p.l1, p.l2) for name, p in made.items()} == {
        "linear": (0, 0), "ridge": (0, 0.5), "lasso": (0.05, 0),
        "logistic": (0, 0.1), "poisson": (0, 0.1), "quantile": (0, 0),
    }  # fmt: skip
    assert not made["ridge"].fit_intercept
    assert made["logistic"].y.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert made["poisson"].y.tolist() == [2, 0, 0, 2, 3, 7, 9]
    assert FAMILIES["ridge"].make(X, y, l2=0.25).l2 == 0.25


# failing


@pytest.mark.parametrize(
    ("found", "expected", "gap"),
    [
        ([1.5], [1.0], 0.5),
        ([0.75], [0.5], 0.25),  # of sizes below 1 the difference itself
        ([-12.0], [-10.0], 0.2),
        ([-1.0], [1.0], 2.0),
        ([3.0, 2.0], [2.0, 4.0], 0.5),
        ([NAN, 1.0], [1.0, 1.0], INF),
    ],
)
def test_a_difference_is_relative_to_the_largest_entry_and_to_1_at_least(found, expected, gap):
    assert differ(vector(*found), vector(*expected)) == gap


def test_a_vector_is_shown_in_six_digits():
    assert shown(vector(1 / 3, -2e-7, 12345678.0)) == "[0.333333, -2e-07, 1.23457e+07]"


def test_a_failure_has_its_parts_and_code_for_one_run_or_two():
    subject, run = Subject(ol.SGD(0.1)), Run(FAMILIES["linear"], X, y, count=2)
    with pytest.raises(CheckFailedError) as plain:
        fail(subject, theory="a is b", seen="c")
    assert str(plain.value) == "  theory: a is b\n  seen: c\n  tolerance: none: the same bits"
    parts = {"theory": "a", "seen": "c", "tolerance": "1", "hint": "d", "runs": [run]}
    with pytest.raises(CheckFailedError) as whole:
        fail(subject, **parts, show=["print(7)"])
    head, _, pasted = str(whole.value).partition("\n  to see it again:\n")
    assert head == "  theory: a\n  seen: c\n  likely: d\n  tolerance: 1"
    assert pasted.splitlines()[-1] == "    print(7)"
    lines = code(ol.SGD(0.1), [run, run.but(seed=1)], ["shown"])
    assert lines[:4] == [
        "from itertools import islice", "import torch", "import optlab as ol",
        "optimizer = ol.SGD(learning_rate=0.1)",
    ]  # fmt: skip
    assert [line for line in lines if "islice(" in line] == [
        f"{name} = list(islice(optimizer.iterates(problem, batches, start), 2))"
        for name in ("run", "other")
    ]
    assert lines[-1] == "shown"


# rounding_of_runs


def test_rounding_is_a_thousand_eps_for_each_entry_of_the_data():
    run = Run(FAMILIES["linear"], X, y)
    assert rounding(run) == 1000 * (21 + 7) * 2.0**-52
    assert rounding(run.but(dtype="float32")) == 1000 * (21 + 7) * 2.0**-23


# single_run


def test_a_run_has_these_settings_where_none_are_given():
    run = Run(FAMILIES["linear"], X, y)
    assert (run.batch_size, run.shuffle, run.drop_last, run.seed) == ("full", True, False, 0)
    assert (run.start, run.count, run.dtype, run.looks, run.options) == (None, 1, "float64", (), {})


def test_a_start_that_is_given_is_copied_in_the_problems_dtype():
    start = {"weight": vector(1.0, 2.0, 3.0), "bias": torch.tensor(4.0)}
    run = Run(FAMILIES["linear"], X, y, start=start)
    begun = run.begin(run.problem())
    begun["weight"].zero_()
    assert start["weight"].tolist() == [1, 2, 3]
    assert begun["bias"].dtype == torch.float64
    single = run.but(dtype="float32")
    assert single.begin(single.problem())["weight"].dtype == torch.float32


SETTINGS = [
    {},
    {"batch_size": 2, "seed": 3},
    {"batch_size": 2, "shuffle": False},
    {"batch_size": 3, "drop_last": True, "dtype": "float32"},
    {"batch_size": 3, "options": {"sample_weight": vector(2, 0, 1, 1, 1, 1, 1)}},
    {"options": {"fit_intercept": False}},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_code_of_a_run_repeats_it_to_the_bit(settings):
    run = Run(FAMILIES["linear"], X, y, count=2).but(**settings)
    names = {"ol": ol, "torch": torch, "optimizer": ol.SGD(0.1)}
    exec("from itertools import islice\n" + "\n".join(run.code("other")), names)
    assert len(names["other"]) == 2
    for name, value in iterates(ol.SGD(0.1), run)[-1].parameters.items():
        assert torch.equal(names["other"][-1].parameters[name], value)
        assert names["other"][-1].parameters[name].dtype == value.dtype
    batches = names["batches"]
    assert batches.drop_last == run.drop_last
    assert batches.generator.initial_seed() == run.seed


def test_code_says_only_what_is_not_the_default():
    run = Run(FAMILIES["ridge"], X[:1], y[:1], batch_size=1)
    problem, _, batches, start, last = run.code()
    assert problem == (
        "problem = ol.LinearRegression(torch.tensor([[-0.375, 0.875, 0.625]], dtype=torch.float64),"
        " torch.tensor([-1.375], dtype=torch.float64), l2=0.5, fit_intercept=False)"
    )
    assert batches == "batches = ol.Batches(problem.X, problem.y, 1, generator)"
    assert start == "start = {'weight': torch.tensor([-1.17, -0.39, 0.53], dtype=torch.float64)}"
    assert last == "run = list(islice(optimizer.iterates(problem, batches, start), 1))"
    batches = run.but(batch_size="full", shuffle=False, drop_last=True).code()[2]
    assert batches == (
        "batches = ol.Batches(problem.X, problem.y, 'full', generator, shuffle=False, "
        "drop_last=True)"
    )


def test_a_run_has_as_many_points_as_it_says_and_at_least_one():
    run = Run(FAMILIES["linear"], X, y, batch_size=3, count=2)
    points = iterates(ol.SGD(0.1), run)
    assert [point.taken for point in points] == [3, 6]
    assert [point.epochs for point in points] == [1, 1]
    assert points[0].vector.shape == (4,)
    problem = run.problem()
    with pytest.raises(CheckFailedError, match="a run has at least one iterate\n  seen: none\n"):
        follow(ol.SGD(0.1), run.but(count=0), problem, run.batches(problem))


def point(weight=(1.0, 2.0), loss=None, name="weight", dtype=torch.float64):
    return Point({name: vector(*weight, dtype=dtype)}, loss, 1, None, 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([point()], [point()], True),
        ([], [], True),
        ([point()], [point(), point()], False),
        ([point(), point()], [point(), point((1, 3))], False),
        ([point()], [point((1, 2 + 2**-51))], False),
        ([point()], [point(name="w")], False),
        ([point()], [point(dtype=torch.float32)], False),
        ([point((NAN, 1))], [point((NAN, 1))], True),
        ([point((NAN, 1))], [point((0, 1))], False),
        ([point(loss=1.5)], [point(loss=3.0 / float("2"))], True),
        ([point(loss=1.0)], [point(loss=1.5)], False),
        ([point(loss=1.0)], [point()], False),
        ([point()], [point(loss=0.0)], False),
        ([point(loss=NAN)], [point(loss=NAN)], True),
        ([point(loss=NAN)], [point(loss=1.0)], False),
        ([point(loss=1.0)], [point(loss=NAN)], False),
    ],
)
def test_runs_are_the_same_where_all_their_bits_are(one, other, same):
    assert same_bits(one, other) is same


# watched_batches


def test_batches_that_are_taken_are_counted_and_those_changed_are_noted():
    def watched(weight=None, **options):
        generator = torch.Generator().manual_seed(0)
        return WatchedBatches(X.clone(), y.clone(), 3, generator, weight=weight, **options)

    left, changed, weighed = watched(), watched(), watched(torch.ones(7))
    assert (left.taken, left.changed) == (0, False)
    assert len(list(next(iter(left)))) == 3
    assert (left.taken, left.changed) == (3, False)
    for k, batch in enumerate(next(iter(changed))):
        if k == 0:
            batch.y[0] += 1
    assert changed.changed
    for batch in next(iter(weighed)):
        batch.weight[0] = 2
    assert weighed.changed
    compiled = watched(shuffle=False)
    assert compiled.orders(2) is None
    compiled.orders(1)
    assert (compiled.taken, compiled.changed) == (9, False)


# recorded_problem


def test_evaluations_are_recorded_with_their_rows():
    problem, calls = recorded(ol.LinearRegression(X, y))
    start = problem.start(torch.Generator())
    batch = Batch(X[[4, 1]], y[[4, 1]])
    problem.loss(start, batch)
    problem.gradient(start)
    problem.hessian_product(start, start, batch)
    problem.linear_predictor(start, X[[2]])
    problem.loss(start, Batch(X[:2] + 2, y[:2]))
    assert [(call.kind, call.rows) for call in calls] == [
        ("loss", [4, 1]), ("gradient", list(range(7))), ("product", [4, 1]), ("prediction", [2]),
        ("loss", [-1, -1]),
    ]  # fmt: skip
    assert [call.is_gradient for call in calls] == [False, True, False, False, False]
    assert all(not call.leftover for call in calls)
    start["weight"] += 1
    assert not torch.equal(calls[0].parameters["weight"], start["weight"])


def test_a_loss_whose_gradient_is_asked_for_is_a_gradient_and_what_it_adds_to_is_told():
    problem, calls = recorded(ol.LinearRegression(X, y))
    leaves = {k: v.requires_grad_() for k, v in problem.start(torch.Generator()).items()}
    for _ in range(2):
        problem.loss(leaves).backward()
    with torch.no_grad():
        problem.loss(leaves)
    assert [call.differentiated for call in calls] == [True, True, False]
    assert [call.is_gradient for call in calls] == [True, True, False]
    assert [call.leftover for call in calls] == [[], ["weight", "bias"], []]
    leaves["bias"].grad = None
    leaves["weight"].grad[1:] = 0
    problem.loss(leaves)
    leaves["weight"].grad.zero_()
    problem.loss(leaves)
    assert [call.leftover for call in calls[3:]] == [["weight"], []]
    held = torch.ones(2)
    held.grad = torch.ones(2)
    assert _leftover({"held": held}) == []  # no backward pass adds to it


def test_evaluations_fail_from_a_number_on():
    problem, calls = recorded(ol.LinearRegression(X, y), fails_from=1)
    start = problem.start(torch.Generator())
    problem.loss(start)
    for number in (2, 3):
        with pytest.raises(EvaluationFailedError, match=f"^evaluation {number + 1} fails$"):
            problem.loss(start)
    assert [call.kind for call in calls] == ["loss", "refused", "refused"]
    assert not Call("loss", [], {}, []).differentiated


def test_a_recorded_problem_works_after_an_evaluation_that_raises():
    problem, calls = recorded(ol.LinearRegression(X, y))
    with pytest.raises(KeyError):
        problem.loss({})
    start = problem.start(torch.Generator())
    problem.loss(start)
    problem.hessian_product(start, start)
    assert [call.rows for call in calls] == 2 * [list(range(7))]
    own = ol.LinearRegression(X, y)
    assert recorded(own)[0].X.data_ptr() != own.X.data_ptr()


# kinds_of_problem


def test_the_problem_with_a_loss_alone_is_the_mean_of_squared_sines():
    problem = LossAlone(vector(1.0, 2.0).reshape(1, 2), vector(0.5))
    point = {
        "matrix": vector(0.1, 0.2, 0.3, -0.1).reshape(2, 2),
        "level": vector(0.1, 0.2, 0.3, 0.4),
    }
    eta = 1 * 0.3 + 2 * 0.2 + 0.25
    loss, slope = (math.sin(eta) - 0.5) ** 2, 2 * (math.sin(eta) - 0.5) * math.cos(eta)
    assert problem.loss(point).item() == pytest.approx(loss, rel=1e-14, abs=0)
    # Of the matrix 1, 1, 2 and 2 times the slope; of each of 4 levels a quarter of it.
    judged = problem.evaluate(point)
    norm = abs(slope) * math.sqrt(1 + 1 + 4 + 4 + 4 / 16)
    assert judged.loss == pytest.approx(loss, rel=1e-14, abs=0)
    assert judged.gradient_norm == pytest.approx(norm, rel=1e-12)
    assert math.isnan(judged.suboptimality)
    assert math.isnan(judged.parameter_error)
    start = problem.start(torch.Generator())
    assert {name: tuple(value.shape) for name, value in start.items()} == {
        "matrix": (2, 2), "level": (4,),
    }  # fmt: skip
    assert not start["level"].any()
    assert problem.reference() is None


def test_problems_that_methods_forget_are_of_every_kind():
    odd = odd_problems()
    shapes = [tuple(problem.data.X.shape) for problem in odd.values()]
    assert shapes == [(7, 3), (7, 3), (7, 3), (3, 7), (1, 3)]
    assert [len(problem.data.y) for problem in odd.values()] == [7, 7, 7, 3, 1]
    penalties = [(p.l1, p.l2) for p in list(odd.values())[1:]]
    assert penalties == [(0.1, 0), (0, 0.1), (0, 0), (0, 0)]
    usual = usual_problems()
    assert 0 in usual["weighted rows"].sample_weight
    assert usual["an elastic net"].l1 > 0 < usual["an elastic net"].l2
    assert usual["a logistic regression with l1"].l1 > 0
    assert set(usual["a softmax regression"].y.tolist()) == {0, 1, 2}
    assert set(usual["a logistic regression"].y.tolist()) == {0, 1}
    assert (usual["a Poisson regression"].y >= 0).all()
    assert usual["a network"].data.y.shape == (7, 1)


# subject


def test_the_data_of_a_subject_are_of_its_seed_and_draw():
    subject = Subject(ol.SGD(0.1), seed=2)
    assert subject.data_seed == 2 * 7919
    other = subject.on_other_data(1)
    assert (other.data_seed, other.seed, other.draw) == (2 * 7919 + 104729, 2, 1)
    assert not torch.equal(other.data[0], subject.data[0])
    assert subject.setting(count=3).seed == 2 * 7919 % 1000
    assert subject.setting(count=3).count == 3
    assert torch.equal(subject.setting().X, subject.data[0])


@dataclass(frozen=True)
class Only(Descent):
    """A descent for some kinds of problem."""

    kinds: tuple = ()

    def unsupported(self, problem, device):
        kind = type(problem).__name__
        return None if kind in self.kinds else f"no {kind}"


def test_a_subject_is_checked_on_the_plainest_problem_that_it_takes():
    assert Subject(ol.SGD(0.1)).is_linear
    logistic = Subject(Only(kinds=("LogisticRegression", "QuantileRegression")))
    assert logistic.family is FAMILIES["logistic"]
    assert not logistic.is_linear
    assert logistic.is_least_squares is False
    assert Subject(ol.SGD(0.1)).is_least_squares is True
    nothing = Subject(Only())
    with pytest.raises(CheckSkipped, match=r"it supports none of .* made on: no LinearRegression$"):
        _ = nothing.family


@dataclass(frozen=True)
class Costs(Descent):
    gradients: float = 1.0

    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate(parameters, loss, cost=ol.Cost(losses=1, gradients=self.gradients))


@pytest.mark.parametrize(
    ("optimizer", "is_local"),
    [
        (Descent(), True), (Costs(), True), (Costs(gradients=0.5), True),
        (Costs(gradients=1.01), False), (Costs(gradients=2), False), (ol.Lstsq(), False),
    ],
)  # fmt: skip
def test_a_method_is_batch_local_unless_its_cost_has_more_gradients_than_rows(optimizer, is_local):
    assert Subject(optimizer).is_batch_local is is_local


def test_what_a_check_requires_is_told_where_it_is_missing():
    sgd, direct = Subject(ol.SGD(0.1)), Subject(ol.Lstsq())
    logistic, costly = Subject(Only(kinds=("LogisticRegression",))), Subject(Costs(gradients=2))
    sgd.require(uses_batches=True, is_direct=False, is_linear=True, is_batch_local=True)
    direct.require(uses_batches=False, is_direct=True)
    logistic.require(is_linear=False)
    costly.require(is_batch_local=False)
    for subject, name, value, words in (
        (direct, "uses_batches", True, "it uses no mini-batches"),
        (sgd, "uses_batches", False, "it uses mini-batches"),
        (sgd, "is_direct", True, "it is no direct method"),
        (direct, "is_direct", False, "it is a direct method"),
        (logistic, "is_linear", True, "it does not minimise plain linear regression"),
        (sgd, "is_linear", False, "it is checked on plain linear regression"),
        (costly, "is_batch_local", True, "its cost says that it takes gradients of other rows too"),
        (sgd, "is_batch_local", False, "it takes gradients of the batch's rows only"),
    ):
        with pytest.raises(CheckSkipped, match=f"^{words}$"):
            subject.require(**{name: value})


class Keeps(Descent):
    """Counts its runs in a list of its own."""

    def __init__(self):
        object.__setattr__(self, "runs", [])

    def begin(self, w):
        self.runs.append(1)
        return {}


def test_each_check_has_a_copy_that_has_never_run():
    subject = Subject(Keeps())
    begun = subject.begin()
    begun.run(begun.setting())
    assert len(begun.optimizer.runs) > 0
    assert not subject.optimizer.runs
    for other in (begun.begin(), begun.on_other_data(2), Subject(begun.fresh())):
        assert not other.optimizer.runs


class CannotBeCopied(Descent):
    def __deepcopy__(self, memo):
        raise TypeError("a lock")


def test_what_cannot_be_copied_is_checked_itself():
    optimizer = CannotBeCopied()
    assert Subject(optimizer).fresh() is optimizer
    assert Subject(optimizer).begin().optimizer is optimizer
    assert Subject(ol.SGD()).fresh() == ol.SGD()


@dataclass(frozen=True)
class LooksOnceMore:
    """Evaluates a loss after its last iterate."""

    uses_batches = False

    def iterates(self, problem, batches, start):
        problem.gradient(start)
        yield ol.Iterate(start)
        problem.loss(start)


def test_what_is_evaluated_after_the_last_iterate_is_not_recorded():
    subject = Subject(LooksOnceMore())
    points, calls = subject.record(subject.setting(count=2))
    assert len(points) == 1
    assert [call.kind for call in calls] == ["gradient"]
    with pytest.raises(CheckSkipped, match=r"^it does not ask the problem for losses "):
        Subject(ol.Lstsq()).record(subject.setting())


def test_a_problem_is_taken_unless_it_is_refused():
    subject = Subject(Only(kinds=("LogisticRegression",)))
    assert subject.takes(subject.setting())
    assert not subject.takes(Run(FAMILIES["linear"], X, y))


# check


def counted(fails_on=(), error=None):
    """A check that fails on some draws of the data, and the draws that it saw."""
    seen = []

    def the_sum_is_right(subject):
        """A sum is right."""
        seen.append(subject.draw)
        if error is not None:
            raise error
        if subject.draw in fails_on:
            raise CheckFailedError(f"  seen: draw {subject.draw}")

    return Check("the sum is right", "quick", the_sum_is_right), seen


@pytest.mark.parametrize(
    ("fails_on", "draws"),
    [((), [0]), ((0,), [0, 1]), ((0, 1), [0, 1, 2]), ((1, 2), [0])],
)
def test_a_failure_must_repeat_on_each_draw_of_the_data(fails_on, draws):
    check, seen = counted(fails_on)
    check.run(Subject(ol.SGD()))
    assert seen == draws


def test_a_failure_on_each_draw_is_told_as_on_the_first():
    check, seen = counted((0, 1, 2))
    with pytest.raises(CheckFailedError, match=r"^A sum is right.\n  seen: draw 0$") as failed:
        check.run(Subject(ol.SGD()))
    assert seen == [0, 1, 2]
    assert failed.value.__cause__ is None


def test_a_check_that_does_not_apply_or_raises_is_run_once():
    check, seen = counted(error=CheckSkipped("no"))
    with pytest.raises(CheckSkipped, match=r"^no$"):
        check.run(Subject(ol.SGD()))
    error = ZeroDivisionError("by zero")
    check, seen_too = counted(error=error)
    with pytest.raises(CheckFailedError) as failed:
        check.run(Subject(ol.SGD()))
    assert seen == seen_too == [0]
    assert failed.value.__cause__ is error
    words = str(failed.value).splitlines()
    assert words[:4] == [
        "A sum is right.",
        "  theory: on a problem that is not refused nothing is raised",
        "  seen: ZeroDivisionError: by zero",
        "  tolerance: none",
    ]
    assert words[-1] == "ZeroDivisionError: by zero"
    assert [line.strip() for line in words[4:-1] if "line" in line or "raise" in line]


def test_checks_of_a_level_are_in_the_order_of_their_modules():
    names = [one.name for one in checks_of("quick")]
    assert names[:2] == ["has the members of the protocol", "yields parameters like the start"]
    assert names.index("every row counts") < names.index("the first step descends")
    assert names.index("no state outlives a run") < names.index("float64 is float64")
    for level in ("slow", "quick "):
        with pytest.raises(ValueError, match="level must be one of quick, full, statistical, not"):
            checks_of(level)


# declared_rates


@pytest.mark.parametrize(
    ("rates", "first", "last"),
    [
        ([0.1], 1, 10), ([0.0, 0.1], 2, 10), ([0.0, 0.0, 0.5, 0.5, 0.5, 0.005], 3, 10),
        ([1, 1, 1, 1, 0.0], 1, 4), ([1, 1, 1, 1, 0.5, 0.01, 0.0099], 1, 6), ([0.0], 1, 10),
    ],
)  # fmt: skip
def test_checks_of_the_way_down_end_where_the_rate_does(rates, first, last):
    subject = Subject(ol.SGD(lambda epoch: rates[min(int(epoch), len(rates) - 1)]))
    assert first_pass(subject, 10) == first
    assert last_pass(subject, 10, share=0.01) == last


def test_a_schedule_of_three_passes_shows_no_way_down():
    subject = Subject(ol.SGD(lambda epoch: 0.1 * (epoch < 3)))
    with pytest.raises(CheckSkipped, match=r"^its learning rate is next to 0 from pass 4 on$"):
        last_pass(subject, 10, share=0.01)


def of_torch(scheduler, **options):
    made = ol.TorchOptimizer(torch.optim.SGD, lr=0.1, scheduler=partial(scheduler, **options))
    return Subject(made)


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step")
def test_the_rates_of_torchs_schedulers_are_theirs():
    assert last_pass(of_torch(StepLR, step_size=5, gamma=1e-3), 10, share=0.01) == 5
    assert last_pass(of_torch(ReduceLROnPlateau, patience=0), 10, share=0.01) == 10
    assert last_pass(of_torch(OneCycleLR, max_lr=0.2, total_steps=8), 30, share=1e-9) == 9
    assert last_pass(Subject(ol.TorchOptimizer(torch.optim.SGD, lr=0.1)), 30, share=0.01) == 30
    averaged = Subject(ol.Averaged(ol.SGD(lambda epoch: 0.1 * (epoch < 5))))
    assert last_pass(averaged, 30, share=0.01) == 5


ENDS = ol.schedules.Step(0.2, every=5, factor=1e-3)


@dataclass(frozen=True)
class LowersItself(Descent):
    """A descent whose rate is lowered after 5 passes, though no field says so."""

    def step(self, w, g, state, t, batch, batches):
        return w - ENDS((t - 1) / batches.steps) * g


@pytest.mark.parametrize(
    ("optimizer", "reference", "last"),
    [
        (LowersItself(), None, 20),
        (LowersItself(), ol.SGD(ENDS), 5),
        (LowersItself(), ol.SGD(0.2), 20),  # of a constant rate
        (Descent(0.2), ol.SGD(ENDS), 20),  # that it does not follow
        (ol.SGD(ENDS), ol.SGD(lambda epoch: 0.1 * (epoch < 9)), 5),  # its own is declared
    ],
)
def test_the_rates_of_a_reference_are_those_of_what_follows_it(optimizer, reference, last):
    assert last_pass(Subject(optimizer, reference=reference), 20, share=0.01) == last


# spelling


@dataclass(frozen=True)
class Holds(Descent):
    value: object = None


@pytest.mark.parametrize(
    ("value", "text", "more"),
    [
        ((), "(,)", []),
        ([1, "a"], "[1, 'a']", []),
        ({"a": (True,)}, "{'a': (True,)}", []),
        (partial(ol.SGD, 0.5, nesterov=True), "partial(ol.SGD, 0.5, nesterov=True)",
         ["from functools import partial"]),
        (torch.optim.Adam, "torch.optim.Adam", []),
        (StepLR, "StepLR", ["from torch.optim.lr_scheduler import StepLR"]),
        (math.sqrt, "sqrt", ["from math import sqrt"]),
        (ol.Averaged(ol.SGD(0.1)), None, []),
    ],
)  # fmt: skip
def test_values_are_spelled_as_code(value, text, more):
    imports, expression = spelling(Holds(0.1, value))
    own = f"from {__name__} import Holds"
    assert sorted(imports) == sorted([own, *more])
    if text is not None:
        assert expression == f"Holds(learning_rate=0.1, value={text})"
    else:
        assert expression.startswith("Holds(learning_rate=0.1, value=ol.Averaged(")


def test_each_import_is_written_once():
    twice = Holds(0.1, [math.sqrt, math.sqrt, Holds()])
    assert sorted(spelling(twice)[0]) == ["from math import sqrt", f"from {__name__} import Holds"]


class Plain:
    uses_batches = False


def test_an_object_with_members_of_its_own_is_named_in_a_comment():
    one = Plain()
    assert spelling(one) == ([f"from {__name__} import Plain"], "Plain()")
    one.rate = 2
    for other in (one, Holds(0.1, torch.float64), Holds(0.1, {1})):
        assert spelling(other) == ([], f"...  # yours: {other!r}")
    scheduled = ol.TorchOptimizer(torch.optim.SGD, lr=0.1, scheduler=partial(StepLR, step_size=5))
    assert spelling(scheduled) == (
        ["from torch.optim.lr_scheduler import StepLR", "from functools import partial"][::-1],
        "ol.TorchOptimizer(torch.optim.SGD, lr=0.1, scheduler=partial(StepLR, step_size=5))",
    )
