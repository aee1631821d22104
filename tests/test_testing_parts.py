"""Invariances, known rules and failures, signatures and reports, on values worked out by hand."""

import math
import sys
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from sklearn.linear_model import Lasso, LogisticRegression, SGDClassifier, SGDRegressor

import optlab as ol
from optlab.testing import signature
from optlab.testing.as_optimizer import as_optimizer
from optlab.testing.check_optimizer import _with_reason, subject_of
from optlab.testing.claimed_invariances import claimed_invariances
from optlab.testing.conformance.single_run import Run
from optlab.testing.conformance.small_data import FAMILIES, small_data
from optlab.testing.expected_failures import ExpectedFailure, parsed_failures, reasons_of
from optlab.testing.failure_message import failure_message
from optlab.testing.invariances import INVARIANCES, Invariance, _gap, _order, _rotation
from optlab.testing.known_failures import BY_CHANCE, known_failures
from optlab.testing.known_rules import known_rule
from optlab.testing.load_target import _own_names, load_classes, load_target
from optlab.testing.report import CheckResult, Report
from optlab.testing.signature import Signature
from tests.faulty_optimizers import Descent

X, y = small_data(0)


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


# invariances


@pytest.mark.parametrize(
    ("expected", "found", "gap"),
    [
        ([2.0, -4.0], [2.0, -3.0], 0.25), ([0.5], [0.25], 0.5), ([1.0], [1.0], 0.0),
        ([1.0, 2.0], [math.nan, 2.0], math.inf), ([0.0], [1.0], 1e300),
    ],
)  # fmt: skip
def test_a_gap_is_relative_to_the_largest_parameter(expected, found, gap):
    assert _gap(vector(*expected), vector(*found)) == pytest.approx(gap)


def test_columns_are_put_into_another_order_and_turned():
    for seed in range(20):
        for d in (2, 3):
            order = _order(d, seed).tolist()
            assert sorted(order) == list(range(d))
            assert order != list(range(d))
            turn = _rotation(d, seed)
            assert torch.allclose(turn.T @ turn, torch.eye(d).double(), atol=1e-14)
            assert turn.dtype == torch.float64
            assert not torch.allclose(turn.abs(), torch.eye(d).double(), atol=1e-2)


FACTORS = {"sign": -1, "scale of the target": 4, "scale of the loss": 2}


@pytest.mark.parametrize("one", INVARIANCES, ids=lambda one: one.name)
@pytest.mark.parametrize("d", [2, 3])
def test_a_change_of_data_and_of_the_weight_changes_the_residuals_by_a_factor(one, d):
    w, rest = vector(0.5, -1.5, 2.0)[:d], X[:, :d] @ vector(0.5, -1.5, 2.0)[:d] - y
    changed, targets = one.change(X[:, :d], y, 3)
    moved = one.carry(w, 3)
    factor = FACTORS.get(one.name, 1)
    assert torch.allclose(changed @ moved - targets, factor * rest, rtol=1e-13, atol=1e-13)
    if one.name in {"order of columns", "rotation", "scale of columns"}:
        assert torch.equal(targets, y)
        assert not torch.allclose(changed, X[:, :d])
    if one.name == "translation":
        assert torch.equal(changed, X[:, :d])
        assert (moved - w).tolist() == [2.0, -1.0, 0.5][:d]
    if one.name == "scale of columns":
        assert (w / moved).tolist() == [2.0, 0.5, 1.0][:d]


@dataclass(frozen=True)
class Says:
    """Yields a weight of 2, or one off it by shares where the target is another."""

    gaps: tuple
    uses_batches = True

    def iterates(self, problem, batches, start):
        for gap in self.gaps:
            off = 2 * gap if problem.y[0] != y[0] else 0.0
            yield ol.Iterate({"weight": vector(2.0, 1.0 + off, 0.0)})


@pytest.mark.parametrize(
    ("gaps", "digits"),
    [
        ((0.01,), 2.0), ((0.0,), 15.0), ((1e-12,), 12.0), ((1e-16,), 15.0), ((3.0,), 0.0),
        ((1e-9, 1e-4, 1e-8), 4.0), ((1e-4, math.nan), 0.0), ((math.inf,), 0.0), ((0.0, 0.0), 15.0),
    ],
)  # fmt: skip
def test_digits_are_the_least_over_the_iterates_from_0_to_15(gaps, digits):
    change = Invariance("target", "y + 1", lambda X, y, seed: (X, y + 1), lambda w, seed: w)
    run = Run(FAMILIES["linear"], X, y, options={"fit_intercept": False}, count=3)
    assert change.digits(Says(gaps), run) == pytest.approx(digits, abs=1e-3)


# signature


def test_a_signature_holds_from_ten_digits_on():
    digits = {"rotation": 10.0, "sign": 9.99, "translation": 15.0}
    one = Signature("Mine", digits)
    assert one.holds == ("rotation", "translation")
    assert str(one).splitlines() == [
        "Mine: invariances of the iterates",
        "  rotation             holds  10.0 digits  X Q, w0 to Q'w0: iterates Q'w",
        "  sign                 -      10.0 digits  -y, -w0: iterates -w",
        "  translation          holds  15.0 digits  y + X t, w0 + t: iterates w + t",
    ]


@dataclass(frozen=True)
class Only(Descent):
    """A descent for some problems."""

    accepts: object = None

    def unsupported(self, problem, device):
        return None if self.accepts(problem) else "not this one"


@pytest.mark.parametrize(
    ("accepts", "is_measured"),
    [
        (lambda p: True, True),
        (lambda p: isinstance(p, ol.LinearRegression) and not p.l1, True),
        (lambda p: isinstance(p, ol.LinearRegression) and not p.fit_intercept, True),
        (lambda p: isinstance(p, ol.LinearRegression) and p.fit_intercept, False),
        (lambda p: getattr(p, "l1", 0) > 0, False),
        (lambda p: isinstance(p, ol.LogisticRegression), False),
        (lambda p: False, False),
    ],
)
def test_invariances_are_measured_on_least_squares_alone(accepts, is_measured):
    if is_measured:
        found = signature(Only(accepts=accepts), iterates=1)
        assert list(found.digits) == [one.name for one in INVARIANCES]
        assert found.digits["sign"] == 15.0
        return
    with pytest.raises(ValueError, match="Only does not solve linear least squares, on which"):
        signature(Only(accepts=accepts))


def test_iterates_of_a_signature_are_as_many_as_are_asked_for():
    @dataclass(frozen=True)
    class Late(Descent):
        def step(self, w, g, state, t, batch, batches):
            return w - self.learning_rate * (g + (t == 3))

    assert signature(Late(), iterates=2).digits["sign"] == 15.0
    assert signature(Late()).digits["sign"] < 2


# claimed_invariances


LINEAR = ("order of columns", "rotation", "translation", "sign", "scale of the target")
BY_ENTRY = ("order of columns", "translation", "sign")


@pytest.mark.parametrize(
    ("optimizer", "claims"),
    [
        (ol.SGD(0.1), LINEAR), (ol.HeavyBall(0.1), LINEAR), (ol.Nesterov(0.1), LINEAR),
        (ol.SGD(ol.schedules.Step(0.1, every=5)), LINEAR),
        (ol.TorchSGD(0.1, weight_decay=0.1), tuple(n for n in LINEAR if n != "translation")),
        (ol.Adam(0.1), BY_ENTRY), (ol.AdaGrad(0.1), BY_ENTRY), (ol.RMSprop(0.1), BY_ENTRY),
        (ol.AdamW(0.1, weight_decay=0.1), ("order of columns", "sign")),
        (ol.AdamW(0.1, weight_decay=0.0), BY_ENTRY),
        (ol.Lion(0.1), (*BY_ENTRY, "scale of the loss")),
        (ol.Lion(0.1, weight_decay=0.1), ("order of columns", "sign", "scale of the loss")),
        (ol.Clipped(ol.SGD(0.1)), LINEAR[:-1]), (ol.Clipped(ol.Nesterov(0.1)), LINEAR[:-1]),
        (ol.Clipped(ol.HeavyBall(0.1)), LINEAR[:-1]), (ol.Clipped(ol.Adam(0.1)), ()),
        (ol.SAGA(), (*LINEAR, "scale of the loss")), (ol.SAGA(0.1), LINEAR), (ol.SVRG(), LINEAR),
        (ol.Lstsq(), (*LINEAR, "scale of the loss", "scale of columns")),
        (Descent(), None),
    ],
)  # fmt: skip
def test_claims_follow_from_the_formula(optimizer, claims):
    assert claimed_invariances(optimizer) == claims


def test_a_class_of_ones_own_claims_by_its_member_alone():
    mine = type("Lstsq", (Descent,), {})()
    assert claimed_invariances(mine) is None
    claiming = type("Mine", (Descent,), {"invariances": ["sign"]})()
    assert claimed_invariances(claiming) == ("sign",)


# known_rules


T = torch.optim


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        (ol.SGD(0.1), "SGD(0.1)"),
        (ol.HeavyBall(0.1, momentum=0.5), "heavy ball(0.1, momentum=0.5)"),
        (ol.Nesterov(0.1, momentum=0.5), "nesterov(0.1, momentum=0.5)"),
        (ol.TorchSGD(0.1, weight_decay=0.2), "SGD(0.1), weight_decay=0.2"),
        (ol.AdaGrad(0.1, epsilon=0.25), "AdaGrad(0.1, epsilon=0.25)"),
        (ol.RMSprop(0.1, decay=0.5, epsilon=0.25), "RMSprop(0.1, decay=0.5, epsilon=0.25)"),
        (ol.Adam(0.1, 0.5, 0.25, 0.125), "Adam(0.1, 0.5, 0.25, epsilon=0.125)"),
        (ol.FusedAdam(0.1, 0.5, 0.25, 0.125), "Adam(0.1, 0.5, 0.25, epsilon=0.125)"),
        (ol.AdamW(0.1, 0.5, 0.25, 0.125, weight_decay=0.2),
         "Adam(0.1, 0.5, 0.25, epsilon=0.125, weight_decay=0.2)"),
        (ol.Lion(0.1, 0.5, 0.25, weight_decay=0.2), "Lion(0.1, 0.5, 0.25, weight_decay=0.2)"),
        (ol.Clipped(ol.SGD(0.1), max_norm=3.0), "clipped SGD(0.1), max_norm=3"),
        (ol.TorchOptimizer(T.Adam), "Adam(0.001, 0.9, 0.999, epsilon=1e-08)"),
        (ol.TorchOptimizer(T.Adam, lr=0.1, betas=(0.5, 0.25), eps=0.125, weight_decay=0.2),
         "Adam(0.1, 0.5, 0.25, epsilon=0.125, weight_decay=0.2)"),
        (ol.TorchOptimizer(T.AdamW), "Adam(0.001, 0.9, 0.999, epsilon=1e-08, weight_decay=0.01)"),
        (ol.TorchOptimizer(T.AdamW, weight_decay=0.0), "Adam(0.001, 0.9, 0.999, epsilon=1e-08)"),
        (ol.TorchOptimizer(T.Adam, amsgrad=True), None),
        (ol.TorchOptimizer(T.Adam, amsgrad=False, foreach=False),
         "Adam(0.001, 0.9, 0.999, epsilon=1e-08)"),
        (ol.TorchOptimizer(T.RMSprop), "RMSprop(0.01, decay=0.99, epsilon=1e-08)"),
        (ol.TorchOptimizer(T.RMSprop, lr=0.1, alpha=0.5, eps=0.25, weight_decay=0.2),
         "RMSprop(0.1, decay=0.5, epsilon=0.25), weight_decay=0.2"),
        (ol.TorchOptimizer(T.RMSprop, momentum=0.5), None),
        (ol.TorchOptimizer(T.RMSprop, centered=True), None),
        (ol.TorchOptimizer(T.Adagrad), "AdaGrad(0.01, epsilon=1e-10)"),
        (ol.TorchOptimizer(T.Adagrad, lr=0.1, eps=0.25), "AdaGrad(0.1, epsilon=0.25)"),
        (ol.TorchOptimizer(T.Adagrad, lr_decay=0.1), None),
        (ol.TorchOptimizer(T.Adagrad, initial_accumulator_value=0.1), None),
        (ol.TorchOptimizer(T.NAdam), None),
        (ol.TorchOptimizer(T.Adam, scheduler=partial(T.lr_scheduler.StepLR, step_size=5)), None),
        (ol.Lstsq(), None),
        (type("Adam", (Descent,), {})(), None),
    ],
)  # fmt: skip
def test_a_known_rule_has_the_settings_of_the_optimizer(optimizer, name):
    found = known_rule(optimizer)
    assert (None if found is None else found.name) == name


def test_a_decay_of_torchs_adam_is_coupled_and_of_adamw_it_is_not():
    for cls, is_coupled in ((T.Adam, True), (T.AdamW, False)):
        rule = known_rule(ol.TorchOptimizer(cls, weight_decay=0.5))
        names = [name for name, _ in rule.mistakes]
        assert ("decoupled decay" in names) is is_coupled
        assert ("coupled decay" in names) is not is_coupled
    scheduled = known_rule(ol.SGD(ol.schedules.Step(0.1, every=5, factor=0.5)))
    assert (scheduled.rate(0.0), scheduled.rate(5.0)) == (0.1, 0.05)


# known_failures


ORDER, WEIGHTS = "a full batch is indifferent to row order", "weights of rows count"
MEANS, START = "gradients are means not sums", "begins at the start"
DOUBLE, SINGLE = "float64 is float64", "float32 agrees with float64"
DIFFERENCES, OPTIMUM = {ORDER, WEIGHTS, MEANS, DOUBLE}, "stays at the optimum"
STOCHASTIC = {ORDER, WEIGHTS, MEANS, START, OPTIMUM}
REST = "iterates reach the reference or still descend"
DTYPE = "the default dtype makes no difference"


def sklearn(estimator):
    return ol.SklearnEstimator(estimator)


@pytest.mark.parametrize(
    ("optimizer", "checks"),
    [
        (ol.SGD(0.1), set()), (ol.SAGA(), {WEIGHTS}), (ol.SAGA(0.1), set()),
        (ol.SDCA(), {WEIGHTS}), (ol.Lstsq(), set()),
        (ol.BarzilaiBorwein(), DIFFERENCES | {"invariance to rotation",
                                              "invariance to translation"}),
        (ol.ScipyMinimize("TNC"), DIFFERENCES | {SINGLE}), (ol.ScipyMinimize("BFGS"), set()),
        (ol.ScipyMinimize("trust-constr"), {"every row counts", "the first step descends",
                                            "every parameter is updated"}),
        (ol.ScipyLeastSquares(jacobian="exact"), set()),
        (ol.ScipyLeastSquares(jacobian="2-point"), DIFFERENCES | {SINGLE}),
        (sklearn(SGDRegressor()), STOCHASTIC),
        (sklearn(SGDRegressor(learning_rate="constant")), STOCHASTIC | {REST}),
        (sklearn(SGDClassifier()), STOCHASTIC), (sklearn(Lasso()), {START}),
        (sklearn(LogisticRegression()), set()),
        (sklearn(LogisticRegression(solver="newton-cholesky")), {START}),
        (ol.TorchOptimizer(T.NAdam), {DTYPE}), (ol.TorchOptimizer(T.ASGD), {DTYPE, OPTIMUM}),
        (ol.TorchOptimizer(T.LBFGS), {"refuses bad hyperparameters", SINGLE, DOUBLE}),
        (ol.TorchOptimizer(T.LBFGS, line_search_fn="strong_wolfe"),
         {"refuses bad hyperparameters"}),
        (type("SAGA", (Descent,), {"learning_rate": None})(), set()),
    ],
)  # fmt: skip
def test_known_failures_are_of_the_settings(optimizer, checks):
    found = known_failures(optimizer)
    assert set(found) == checks
    assert all(reason.strip() and "{}" not in reason for reason in found.values())


def test_with_pivots_that_are_not_initialised_any_check_may_fail():
    found = known_failures(ol.Lstsq(driver="gelsy"))
    assert set(found.values()) == {BY_CHANCE}
    assert len(found) > 45


# check_optimizer


@pytest.mark.parametrize(
    ("outcome", "reason", "after", "message"),
    [
        ("failed", "it rounds", "expected failure", "it rounds"),
        ("failed", None, "failed", "said"),
        ("failed", BY_CHANCE, "expected failure", BY_CHANCE),
        ("passed", "it rounds", "passed", ("passes on these data, though it is known to fail: "
         "remove the reason (it rounds) if it passes for every seed")),
        ("passed", None, "passed", "said"), ("passed", BY_CHANCE, "passed", "said"),
        ("skipped", "it rounds", "skipped", "said"),
    ],
)  # fmt: skip
def test_a_known_failure_has_its_reason_or_a_note(outcome, reason, after, message):
    found = _with_reason(CheckResult("one", outcome, "said"), reason)
    assert (found.outcome, found.message) == (after, message)


@pytest.mark.parametrize("seed", [True, -1, 1.0, "0", None])
def test_a_seed_is_a_whole_number_of_at_least_0(seed):
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, not"):
        subject_of(ol.SGD(), seed=seed)
    assert subject_of(ol.SGD(), seed=0).seed == 0


def test_a_subject_has_its_reference_as_an_optimizer_or_a_rule():
    rule = known_rule(ol.SGD(0.1))
    assert subject_of(ol.SGD(), reference=rule).reference is rule
    assert subject_of(ol.SGD(), reference="lstsq").reference == ol.Lstsq()
    assert subject_of("lstsq").optimizer == ol.Lstsq()
    assert subject_of("lstsq").seed == 0
    assert subject_of(ol.SGD()).reference is None


# report


def results(*outcomes, message="why", raised=""):
    return tuple(CheckResult(f"c{i}", one, message, raised) for i, one in enumerate(outcomes))


@pytest.mark.parametrize(
    ("passed", "skipped", "is_mostly"), [(1, 1, False), (1, 2, True), (2, 1, False), (0, 1, True)]
)
def test_a_report_is_mostly_skipped_where_more_were_skipped_than_ran(passed, skipped, is_mostly):
    report = Report("it", results(*["passed"] * passed, *["skipped"] * skipped, message=""))
    assert report.is_mostly_skipped is is_mostly
    few = f", most checks ({skipped}) do not apply" if is_mostly else ""
    assert str(report).splitlines()[0] == f"it: ok ({passed} passed{few})"


def test_an_outcome_is_that_of_the_check_of_a_name():
    report = Report("it", results("passed", "failed", "skipped"))
    assert [report.outcome(f"c{i}") for i in range(3)] == ["passed", "failed", "skipped"]
    with pytest.raises(KeyError, match="no check 'c3' ran; there are: c0, c1, c2"):
        report.outcome("c3")


def test_names_of_checks_are_not_broken_at_hyphens():
    names = ["a" * 60, "mini-batches " + "b" * 16 + " row-wise"]
    failed = tuple(CheckResult(name, "failed", "no", "KeyError at a.py:3") for name in names)
    (text,) = Report("it", failed).shown_failures()
    assert text.splitlines()[1:3] == [f"  {names[0]}; mini-batches {'b' * 16}", "  row-wise"]


def test_failures_by_one_error_are_told_once_the_most_first():
    many = results(*["failed"] * 10, message="seen 1", raised="KeyError at a.py:3")
    few = results("failed", "failed", message="seen 2", raised="ValueError at b.py:1")
    alone = (CheckResult("sum", "failed", "seen 3"),)
    first, second, third = Report("it", (*alone, *few, *many)).shown_failures()
    assert first.splitlines() == [
        "FAILED 10 checks, all by the same error, KeyError at a.py:3:",
        "  c0; c1; c2; c3; c4; c5; c6; c7; and 2 more",
        "the first of them: seen 1",
    ]
    assert second.splitlines()[1] == "  c0; c1"
    assert third == "FAILED sum: seen 3"
    eight = results(*["failed"] * 8, raised="KeyError at a.py:3")
    assert "more" not in Report("it", eight).shown_failures()[0]


STATE = CheckResult("no state outlives a run", "failed", "it has")


def test_state_that_outlives_a_run_is_told_first_unless_it_is_alone_or_an_error():
    others = results(*["failed"] * 9)
    (text,) = Report("it", (*others, STATE)).shown_failures()
    assert text.splitlines() == [
        "FAILED no state outlives a run: it has", "",
        "FAILED 9 more, probably its consequences: mend it first, then see",
        "  c0; c1; c2; c3; c4; c5; c6; c7; c8",
    ]  # fmt: skip
    assert Report("it", (STATE,)).shown_failures() == ["FAILED no state outlives a run: it has"]
    raised = CheckResult("a", "failed", "no", "KeyError at a.py:3")
    assert Report("it", (raised, STATE, others[0])).shown_failures() == [
        (
            "FAILED no state outlives a run: it has\n\nFAILED 1 more, probably its consequences: "
            "mend it first, then see\n  c0"
        ),
        "FAILED a: no",
    ]
    ended = CheckResult(STATE.check, "failed", "it has", "KeyError at a.py:3")
    assert Report("it", (ended, others[0])).shown_failures() == [
        "FAILED no state outlives a run: it has", "FAILED c0: why",
    ]  # fmt: skip


def test_a_report_says_where_no_rule_was_followed():
    unchecked = CheckResult("rule", "skipped", "it claims no known rule: name one")
    said = "Nothing wrong found in 1 check; its rule was not checked: here"
    assert Report("it", (*results("passed"), unchecked)).conclusion("here") == said
    assert Report("it", (*results("failed"), unchecked)).conclusion("here") == ""
    assert Report("it", results("passed", "skipped")).conclusion("here") == ""
    other = CheckResult("rule", "passed", "it claims no known rule: name one")
    assert Report("it", (other,)).conclusion() == ""
    text = str(Report("it", (*results("passed", "skipped", "expected failure"), unchecked)))
    assert text.splitlines() == [
        "it: ok (1 passed)", "expected failure c2: why", "skipped c1: why",
        "skipped rule: it claims no known rule: name one", "note c0: why",
        "Nothing wrong found in 1 check; its rule was not checked: reference=OPTIMIZER",
    ]  # fmt: skip


def test_empty_parts_of_a_message_are_left_out():
    assert failure_message("a", "b") == "a\n  seen: b"
    whole = failure_message("a", "b", tolerance="c", hint="d", example="e\n  f\n")
    assert whole.splitlines() == [
        "a", "  seen: b", "  likely: d", "  tolerance: c", "  to see it again:", "    e", "      f",
    ]  # fmt: skip


# expected_failures


def test_expected_failures_are_read_from_texts():
    check = "stays at the optimum"
    found = parsed_failures("--x", [f"a.py:Mine : {check} = it = decays", f"{check}=so"])
    assert found == [
        ExpectedFailure("a.py:Mine", check, "it = decays"), ExpectedFailure("", check, "so"),
    ]  # fmt: skip
    for wrong in (check, f"{check}=", "=so", "Mine:=so"):
        with pytest.raises(ValueError, match="--x takes CHECK=REASON, such as"):
            parsed_failures("--x", [wrong])
    assert reasons_of("b/a.py:Mine", found) == {check: "so"}
    mine = ExpectedFailure("Mine", check, "its own")
    assert reasons_of("a.py:Mine", [mine]) == {check: "its own"} == reasons_of("Mine", [mine])
    assert reasons_of("a.py:NotMine", [mine]) == {}


# as_optimizer, load_target


def test_functions_make_optimizers_of_no_arguments_or_of_parameters():
    assert as_optimizer(lambda: ol.SGD(0.5)) == ol.SGD(0.5)
    assert as_optimizer(lambda rate=0.5: ol.SGD(rate)) == ol.SGD(0.5)
    assert as_optimizer(lambda *rates: ol.SGD(0.5)) == ol.SGD(0.5)
    assert as_optimizer(lambda params: ol.SGD(0.5)) == ol.SGD(0.5)
    made = as_optimizer(lambda params, lr=0.5: torch.optim.SGD(params, lr=lr))
    assert (made.cls, made.options["lr"]) == (torch.optim.SGD, 0.5)
    kept = as_optimizer(lambda: torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=0.25))
    assert (kept.cls, kept.options["lr"]) == (torch.optim.Adam, 0.25)
    # A partial with arguments in order is called as any function.
    assert as_optimizer(partial(ol.SGD, 0.5)) == ol.SGD(0.5)
    for wrong in (3, None, object()):
        with pytest.raises(ValueError, match="no optimizer"):
            as_optimizer(wrong)


SOURCE = """
from functools import partial
import optlab as ol
import math
SIZE = 3
_hidden = ol.SGD(0.5)
one = ol.SGD(0.5)
several = [one, ol.Lstsq()]
named = {"a": one}
pair = (one, one)
later = partial(ol.SGD, 0.5)
class Mine:
    uses_batches = False
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
def make():
    return one
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "own.py").write_text(SOURCE)
    return tmp_path / "own.py"


def test_what_a_file_has_of_its_own_is_named_and_loaded(file):
    assert load_target(f"{file}:one") == {f"{file}:one": ol.SGD(0.5)}
    assert list(load_target(f"{file}:several")) == [f"{file}:several[0]", f"{file}:several[1]"]
    assert list(load_target(f"{file}:pair")) == [f"{file}:pair[0]", f"{file}:pair[1]"]
    assert load_target(f"{file}:named") == {f"{file}:named['a']": ol.SGD(0.5)}
    assert load_target(f"{file}:make") == {f"{file}:make": ol.SGD(0.5)}
    (mine,) = load_classes(f"{file}:Mine").values()
    assert mine.__name__ == "Mine"
    assert load_classes(f"{file}:one") == {f"{file}:one": ol.SGD(0.5)}
    (loaded,) = load_target(f"{file}:Mine").values()
    assert type(loaded) is mine  # a file is loaded once
    import optlab_file_own

    assert _own_names(optlab_file_own) == [
        "one", "several", "named", "later", "Mine", "make",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"has no Mine\.rate: .*it has one, several, named, later"):
        load_target(f"{file}:Mine.rate")
    for wrong in ("own.py:", ":one"):
        with pytest.raises(ValueError, match=r"must be MODULE:OBJECT or FILE\.py:OBJECT"):
            load_target(wrong)


@pytest.mark.parametrize("error", ["SystemExit: 3", "KeyError: 3"])
def test_a_module_that_ends_or_fails_is_told(tmp_path, monkeypatch, error):
    name = f"module_of_{error.partition(':')[0].lower()}"
    (tmp_path / f"{name}.py").write_text(f"raise {error.partition(':')[0]}(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ValueError, match=f"^{name} cannot be imported: {error}$"):
        load_target(f"{name}:x")


def test_a_file_that_was_moved_is_loaded_anew(file, tmp_path):
    load_target(f"{file}:one")
    other = tmp_path / "other"
    other.mkdir()
    (other / "own.py").write_text("import optlab as ol\none = ol.SGD(0.25)\n")
    assert load_target(f"{other / 'own.py'}:one") == {f"{other / 'own.py'}:one": ol.SGD(0.25)}
    (other / "bad.py").write_text("raise KeyError('no')")
    for _ in range(2):  # what failed is not kept
        with pytest.raises(ValueError, match=r"bad\.py cannot be loaded: KeyError: 'no'"):
            load_target(f"{other / 'bad.py'}:x")
