"""The conformance check itself: wrong optimizers are caught by name, right ones are not blamed."""

import importlib
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

import optlab as ol
from optlab.app.cli import app
from optlab.app.conformance_table import print_report
from optlab.app.exit_status import call
from optlab.optimizers.optimizer import optimizer_name
from optlab.problems import loss_and_gradient
from optlab.testing import (
    as_optimizer,
    check_optimizer,
    known_failures,
    parametrize_with_checks,
    signature,
)
from optlab.testing.conformance import theory_conformance
from optlab.testing.conformance.check import LEVELS, all_checks, checks_of
from optlab.testing.known_rules import known_rule
from optlab.testing.load_target import load_target
from optlab.testing.plain_rules import sgd
from optlab.testing.pytest_plugin import OptimizerCollector
from optlab.testing.run_checks import CheckFailedError
from optlab.text import shown_path
from tests.commands import program
from tests.faulty_optimizers import SGD, ZOO, Descent, right_descent


def test_every_check_has_a_fault_that_it_catches():
    caught = {fault.check for fault in ZOO.values()}
    needs_a_device = {"a cuda device makes the same iterates"}
    assert {one.name for one in all_checks()} - caught == needs_a_device


def test_each_fault_has_a_test_file_that_tries_it():
    """Those of invariances are tried by their names, the others by the module of their check."""
    tried = set()
    for file in sorted(Path(__file__).parent.glob("test_*_conformance.py")):
        if "@each_fault(checks)" in file.read_text(encoding="utf-8"):
            module = f"optlab.testing.conformance.{file.stem.removeprefix('test_')}"
            tried |= {name.replace("_", " ") for name in vars(importlib.import_module(module))}
    others = {fault.check for fault in ZOO.values()} - tried
    assert all(check.startswith("invariance to ") for check in others), others


def test_the_descent_that_faults_are_put_into_is_right():
    report = check_optimizer(right_descent(), level="full", reference=SGD)
    assert report.ok, report
    assert sum(result.outcome == "passed" for result in report.checks) > 40


def test_a_rule_of_ones_own_is_held_against_its_formula():
    assert check_optimizer(right_descent(), reference=sgd(0.1), only=["follows its rule"]).ok
    wrong = check_optimizer(right_descent(), reference=sgd(0.05), only=["follows its rule"])
    assert "a step twice as long" in wrong.failures[0].message


def test_checks_are_sentences_with_a_name_of_their_own():
    names = [one.name for one in all_checks()]
    assert len(names) == len(set(names)) > 45
    assert all(one.sentence.endswith(".") for one in all_checks())


@pytest.mark.parametrize(
    ("name", "shows"),
    [
        ("the wrong sign", "tensor(1.1894, dtype=torch.float64)"),
        ("no zero_", "weight"),
        ("the loss after the update", "tensor("),
        ("a closed form with a small ridge", None),
        ("a torch optimizer that climbs", "weight"),
        ("takes any learning rate", None),
    ],
)
def test_the_example_of_a_failure_runs_and_shows_it(name, shows, capsys):
    fault = ZOO[name]
    report = check_optimizer(fault.make(), reference=fault.reference, only=[fault.check])
    _, _, code = report.failures[0].message.partition("to see it again:\n")
    if shows is None:  # an object that no code is known for, and one that was not run
        assert "optimizer = ...  # yours: " in code or not code
        return
    exec("\n".join(line.removeprefix("    ") for line in code.splitlines()), {})
    assert shows in capsys.readouterr().out


def test_an_expected_failure_is_reported_with_its_reason_and_one_that_passes_fails():
    reasons = {"the first step descends": "it is meant to climb"}
    make = ZOO["the wrong sign"].make
    report = check_optimizer(make(), only=list(reasons), expected_failures=reasons)
    assert report.ok
    assert report.checks[0].message == "it is meant to climb"
    passed = check_optimizer(right_descent(), only=list(reasons), expected_failures=reasons)
    assert "no longer expect it to" in passed.failures[0].message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "slow"}, "level must be one of quick, full, statistical, not 'slow'"),
        ({"expected_failures": {"the first step descents": "?"}},
         "expected_failures names the check 'the first step descents', which does not exist"),
        ({"only": ["all"]}, "only names the check 'all', which does not exist"),
        ({"reference": 3}, "int is no optimizer"),
        ({"optimizer": ol.SGD("auto")}, "the learning rate of SGD must be a number, or a schedule"),
        ({"seed": "1"}, "seed must be a whole number of at least 0, not '1'"),
        ({"seed": 1.5}, "seed must be a whole number of at least 0, not 1.5"),
        ({"only": "all"}, "only names the check 'all', which does not exist"),
        ({"expected_failures": ["every row counts"]}, "expected_failures must be a dict"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match="^" + message.replace("?", r"\?")):
        check_optimizer(**{"optimizer": ol.SGD(), **arguments})


@dataclass(frozen=True)
class ThreePasses:
    """A right descent whose iterates stand for three passes each."""

    uses_batches = True

    def iterates(self, problem, batches, start):
        drawn = iter(batches)
        while True:
            for _ in range(3):
                for batch in next(drawn):
                    slope = ol.gradient(problem, start, batch)
                    start = {name: value - 0.1 * slope[name] for name, value in start.items()}
            yield ol.Iterate(start, epochs=3)


def test_iterates_of_several_passes_are_not_blamed():
    report = check_optimizer(ThreePasses(), level="full")
    assert report.ok, report


@dataclass(frozen=True)
class Scheduled:
    """Descent at a rate for each pass: right, with a bias, or with a weight that freezes."""

    learning_rate: Any
    bias: float = 0.0
    moving: int = 1000
    uses_batches = True

    def iterates(self, problem, batches, start):
        for number, epoch in enumerate(batches):
            rate = self.learning_rate(number)
            for batch in epoch:
                slope = ol.gradient(problem, start, batch)
                step = {name: rate * (value + self.bias) for name, value in slope.items()}
                step["weight"] *= number < self.moving
                start = {name: value - step[name] for name, value in start.items()}
            yield ol.Iterate(start)


ALONG = "iterates reach the reference or still descend"
LATE = "every parameter is updated late in the run too"
TO_ZERO = partial(torch.optim.lr_scheduler.LinearLR, start_factor=1, end_factor=0, total_iters=30)
ONE_CYCLE = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.2, total_steps=60)


@pytest.mark.parametrize(
    "optimizer",
    [
        ol.Adam(ol.schedules.Cosine(0.05, epochs=40)),
        ol.Averaged(ol.SGD(ol.schedules.Cosine(0.2, epochs=20))),
        Scheduled(lambda epoch: 0.2 * max(0, 1 - epoch / 5)),
        ol.SGD(lambda epoch: 0.2 * (epoch < 2)),
        ol.SGD(ol.schedules.Step(0.2, every=10)),
        ol.SGD(ol.schedules.WarmUp(0.2, epochs=4, first=0)),
        ol.TorchOptimizer(torch.optim.SGD, lr=0.2, scheduler=TO_ZERO),
        ol.TorchOptimizer(torch.optim.SGD, lr=0.2, scheduler=ONE_CYCLE),
    ],
)
def test_a_schedule_that_ends_or_begins_at_zero_is_not_blamed(optimizer):
    names = [ALONG, LATE, "the first step descends", "every row counts"]
    report = check_optimizer(optimizer, only=names)
    assert report.ok, report


def test_faults_under_a_schedule_that_ends_are_caught_before_its_end():
    ends = ol.schedules.Cosine(0.2, epochs=400)
    for wrong, check in ((Scheduled(ends, bias=1.0), ALONG), (Scheduled(ends, moving=30), LATE)):
        assert not check_optimizer(wrong, only=[check]).ok


@dataclass(frozen=True)
class LowersItself(Descent):
    """An SGD whose rate ends at 0 after 20 passes, though no field says so."""

    def step(self, w, g, state, t, batch, batches):
        return w - ENDS((t - 1) / batches.steps) * g


ENDS = ol.schedules.Cosine(0.2, epochs=20)


def test_the_schedule_of_a_reference_that_it_follows_is_its_own():
    def outcome(reference):
        return check_optimizer(LowersItself(), reference=reference, only=[ALONG])

    assert "if its learning rate ends at 0" in outcome(None).failures[0].message
    assert outcome(ol.SGD(ENDS)).ok
    assert outcome(sgd(ENDS)).ok
    assert not outcome(ol.SGD(ol.schedules.Cosine(0.1, epochs=20))).ok


def test_other_settings_of_a_reference_are_told_as_such():
    report = check_optimizer(Descent(0.1), reference=ol.SGD(0.001), only=["follows its rule"])
    said = "likely: other settings: learning_rate 0.1 here, 0.001 in the reference"
    assert said in report.failures[0].message
    half = ZOO["half the gradient"].make()
    report = check_optimizer(half, reference=ol.SGD(0.001), only=["follows its rule"])
    assert "other settings" not in report.failures[0].message


@dataclass(frozen=True)
class ForNetworks(ThreePasses):
    def unsupported(self, problem, device):
        return None if isinstance(problem, ol.ModuleProblem) else "it fits networks"


def test_a_report_of_which_most_was_skipped_says_so():
    report = check_optimizer(ForNetworks())
    assert report.ok
    assert report.is_mostly_skipped
    assert "do not apply)" in str(report).partition("\n")[0]
    assert not check_optimizer(ol.SGD(), only=["every row counts"]).is_mostly_skipped


def test_a_report_says_that_no_rule_was_followed(capsys):
    only = ["follows its rule", "every row counts"]
    said = "Nothing wrong found in 1 check; its rule was not checked: reference=OPTIMIZER"
    assert str(check_optimizer(Descent(), only=only)).splitlines()[-1] == said
    print_report("mine", check_optimizer(Descent(), only=only))
    assert capsys.readouterr().out.splitlines()[-1] == said.replace(
        "reference=OPTIMIZER", "--reference FILE.py:OBJECT"
    )
    for optimizer, reference in ((Descent(), SGD), (ol.SGD(), None), (ol.Lstsq(), None)):
        report = check_optimizer(optimizer, reference=reference, only=only)
        assert "Nothing wrong" not in str(report)
    wrong = check_optimizer(ZOO["drops the last batch"].make(), only=only)
    assert "Nothing wrong" not in str(wrong)


class Keeps(Descent):
    """A descent whose velocity outlives the run."""

    def begin(self, w):
        return self.__dict__.setdefault("kept", {})

    def step(self, w, g, state, t, batch, batches):
        state["v"] = 0.5 * state.get("v", 0) + g
        return w - self.learning_rate * state["v"]


def test_state_that_outlives_a_run_is_told_first_and_what_follows_from_it_in_short():
    only = ["the order of batches is respected", "no state outlives a run"]
    only += ["gradients are means not sums"]
    report = check_optimizer(Keeps(), only=only)
    assert len(report.failures) == 3
    (text,) = report.shown_failures()
    assert text.startswith("FAILED no state outlives a run: ")
    assert text.endswith(
        "FAILED 2 more, probably its consequences: mend it first, then see\n"
        "  the order of batches is respected; gradients are means not sums"
    )


MINE = shown_path(Path(__file__))


class Raises(ThreePasses):
    def iterates(self, problem, batches, start):
        raise KeyError("momentum")


RAISES_AT = Raises.iterates.__code__.co_firstlineno + 1


def test_an_error_that_every_check_meets_is_shown_once():
    report = check_optimizer(Raises())
    raised = [one for one in report.checks if one.raised]
    assert len(raised) > 20
    assert {one.raised.partition(":")[0] for one in raised} == {f"KeyError at {MINE}"}
    head, shared, *_ = report.shown_failures()[0].splitlines()
    place = f"KeyError at {MINE}:{RAISES_AT} in iterates:"
    assert head == f"FAILED {len(raised)} checks, all by the same error, {place}"
    assert shared.startswith("  yields parameters like the start; ")
    assert f"; and {len(raised) - 8} more\n" in report.shown_failures()[0]
    assert report.shown_failures()[0].count("KeyError: 'momentum'") == 2


def test_a_known_failure_that_passes_has_a_note():
    name = "gradients are means not sums"
    # Which seeds pass is a matter of the processor's last digits.
    found = [check_optimizer(ol.BarzilaiBorwein(), only=[name], seed=s).checks[0] for s in range(9)]
    assert {one.outcome for one in found} == {"expected failure", "passed"}
    passed = next(one for one in found if one.outcome == "passed")
    assert "remove the reason" in passed.message


def test_what_is_no_optimizer_is_refused_in_words():
    with pytest.raises(ValueError, match="Clipped is not made without arguments"):
        as_optimizer(ol.Clipped)
    with pytest.raises(ValueError, match="returned 3, which is no optimizer"):
        as_optimizer(lambda: 3)
    with pytest.raises(ValueError, match=r"must make an optimizer.*ZeroDivisionError"):
        as_optimizer(lambda params: 1 / 0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (ol.SGD, ol.SGD()),
        ("heavy-ball", ol.HeavyBall()),
        (partial(ol.SGD, 0.5), None),
        (torch.optim.Adam, ol.TorchOptimizer(torch.optim.Adam)),
        (partial(torch.optim.SGD, lr=0.1), ol.TorchOptimizer(torch.optim.SGD, lr=0.1)),
        (Ridge(solver="svd"), ol.SklearnEstimator(Ridge(solver="svd"))),
        (LinearRegression(), ol.SklearnLinearRegression()),
    ],
)
def test_all_kinds_of_optimizers_are_taken(given, expected):
    made = as_optimizer(given)
    assert made == expected if expected is not None else made == ol.SGD(0.5)


def test_an_optimizer_of_torch_and_a_function_that_makes_one_keep_their_settings():
    def make(params):
        return torch.optim.SGD(params, lr=0.25, momentum=0.5)

    for given in (make, make([torch.zeros(1, requires_grad=True)])):
        made = as_optimizer(given)
        assert (made.cls, made.options["lr"], made.options["momentum"]) == (
            torch.optim.SGD, 0.25, 0.5,
        )  # fmt: skip


def test_a_known_rule_is_that_of_the_settings():
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.1, betas=(0.5, 0.9))
    assert known_rule(adam).name == "Adam(0.1, 0.5, 0.9, epsilon=1e-08)"
    assert known_rule(ol.TorchOptimizer(torch.optim.Adam, amsgrad=True)) is None
    assert known_rule(ol.Newton()) is None
    assert known_rule(right_descent()) is None


def test_known_failures_are_of_the_lab_alone_and_have_reasons():
    assert known_failures(right_descent()) == {}
    assert "75" not in known_failures(ol.BarzilaiBorwein())
    assert all(known_failures(ol.BarzilaiBorwein()).values())
    assert known_failures(ol.SAGA(0.1)) == {}


def test_the_signature_tells_methods_apart():
    sgd, newton = signature(ol.SGD(0.1)), signature(ol.Newton())
    assert sgd.holds == (
        "order of columns", "rotation", "translation", "sign", "scale of the target",
    )  # fmt: skip
    assert len(newton.holds) == 7
    assert sgd.digits["scale of the loss"] < 2
    assert "rotation" not in signature(ol.Adam(0.1)).holds
    assert "rotation             holds" in str(sgd)
    with pytest.raises(ValueError, match="does not solve linear least squares"):
        signature(ol.CUDAGraph())


def test_the_mean_loss_of_many_runs_is_the_exact_expectation(monkeypatch):
    monkeypatch.setattr(theory_conformance, "_RUNS", 75)
    report = check_optimizer(ol.SGD(0.2), only=["the mean loss is the exact expectation"])
    assert report.outcome("the mean loss is the exact expectation") == "passed"


FILE = """
from functools import partial

import torch

right = partial(torch.optim.SGD, lr=0.1)
two = {"a": right, "b": torch.optim.Adam}


class Climbs(torch.optim.SGD):
    def step(self, closure=None):
        self.param_groups[0]["lr"] = -0.1
        return super().step(closure)
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path / "mine.py"


def test_the_command_checks_a_file_and_says_by_its_status_if_all_is_well(file, capsys):
    assert call(app, ["check", f"{file}:right"]) == 0
    assert "the first step descends" in capsys.readouterr().out
    assert call(app, ["check", f"{file}:Climbs"]) == 1
    assert "FAILED the first step descends: " in capsys.readouterr().out


def test_the_command_overwrites_only_its_own_table(file, capsys):
    table = file.with_name("table.md")
    checked = ["check", f"{file}:right", "--markdown", str(table)]
    assert call(app, ["check", f"{file}:two", "--markdown", str(table)]) == 0
    assert "| all 2 |" in table.read_text()
    assert call(app, checked) == 0
    assert "| all 1 |" in table.read_text()
    table.write_text("mine")
    assert call(app, checked) == 2
    assert "optlab did not write it" in capsys.readouterr().err
    assert table.read_text() == "mine"


def test_the_command_is_told_which_failures_are_expected(file, capsys):
    checked = ["check", f"{file}:Climbs", "--expect-failure"]
    reason = "the first step descends = it climbs"
    assert call(app, [*checked, reason]) == 1
    shown = capsys.readouterr().out
    assert re.search("the first step descends  +fails as expected  +it climbs\n", shown)
    assert "FAILED the first step descends" not in shown
    assert call(app, ["check", f"{file}:right", "--expect-failure", reason]) == 1
    assert "was expected to fail (it climbs), but passes" in capsys.readouterr().out
    several = ["check", f"{file}:right", f"{file}:Climbs", "--expect-failure"]
    assert call(app, [*several, f"Climbs:{reason}"]) == 1
    assert "but passes" not in capsys.readouterr().out
    for wrong, words in (
        ("the first step descends", "takes CHECK=REASON"),
        ("a=b", "names the c"),
        (f"Other:{reason}", "names 'Other', which is none of "),
    ):
        assert call(app, [*checked, wrong]) == 2
        assert f"--expect-failure {words}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name an optimizer, MODULE:OBJECT or FILE.py:OBJECT, or take --all"),
        (["adm"], "did you mean 'adam'?"),
        (["nowhere:"], "'nowhere:' must be MODULE:OBJECT or FILE.py:OBJECT"),
        (["nowhere.py:x"], "there is no file nowhere.py"),
        (["nowhere:x"], "nowhere cannot be imported: ModuleNotFoundError"),
        (["optlab:SDG"], "optlab has no SDG: did you mean 'SGD'?"),
        (["adam", "--seed", "-1"], "seed must be a whole number of at least 0"),
        (["mine"], "one of your own is FILE.py:OBJECT or MODULE:OBJECT"),
        (["optlab:Batch"], "Batch is not made without arguments"),
        (["adam", "--markdown", "table.txt"], "--markdown must name a file that ends in .md"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_target(arguments, message, capsys):
    assert call(app, ["check", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_file_without_an_object_is_asked_for_one(file):
    with pytest.raises(ValueError, match=r"say which of its objects, of .*mine.py:right, \S*:two"):
        load_target(str(file))
    with pytest.raises(ValueError, match=r"did you mean 'right'\? it has right, two, Climbs$"):
        load_target(f"{file}:rihgt")


def test_a_file_that_exits_is_told_and_ends_nothing(tmp_path):
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(ValueError, match=r"^exits.py cannot be loaded: SystemExit: 3"):
        load_target(f"{tmp_path}/exits.py:x")


def test_pytest_has_an_option_that_adds_the_checks_of_an_optimizer(file):
    plugin = ["-p", "no:optlab", "-p", "optlab.testing.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [program("python"), "-c", "import pytest, sys; sys.exit(pytest.main())", *plugin,
         "--optlab", "mine.py:Climbs", "-q", "-k", "descends or yields", "mine.py"],
        check=False, cwd=file.parent, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "theory: a step downhill has a negative product with the gradient" in done.stdout
    assert "1 failed, 3 passed" in done.stdout


SEVERAL = "import optlab as ol\nboth = [ol.SGD(0.1), ol.Lstsq()]\nnamed = {'a': ol.Nesterov(0.1)}\n"


def test_a_list_and_a_dict_of_optimizers_are_loaded_by_their_places(tmp_path, monkeypatch):
    (tmp_path / "several_optimizers.py").write_text(SEVERAL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    found = load_target("several_optimizers:both")
    assert found == {
        "several_optimizers:both[0]": ol.SGD(0.1),
        "several_optimizers:both[1]": ol.Lstsq(),
    }
    assert sys.path[0] == str(tmp_path)
    assert load_target("several_optimizers:named") == {
        "several_optimizers:named['a']": ol.Nesterov(0.1)
    }


def test_a_partial_of_an_optimizer_of_ours_is_called():
    assert as_optimizer(partial(ol.SGD, learning_rate=0.25)) == ol.SGD(0.25)


@dataclass(frozen=True)
class Climber:
    """Goes uphill."""

    needs = ()
    uses_batches = True

    def iterates(self, problem, batches, start):
        point = {name: value.clone() for name, value in start.items()}
        for _ in batches:
            _, slopes = loss_and_gradient(problem, point)
            point = {name: value + 0.01 * slopes[name] for name, value in point.items()}
            yield ol.Iterate(point)


def cases(optimizers, **options):
    """The cases of the decorator by name: functions without arguments."""
    found = parametrize_with_checks(optimizers, **options).args[1]
    return {case.id: partial(case.values[1], case.values[0]) for case in found}


DESCENDS = "the first step descends"


def test_pytest_sees_checks_pass_fail_be_skipped_and_fail_as_expected():
    plain = cases({"up": Climber, "exact": ol.Lstsq(), "good": ol.SGD(0.1)})
    plain[f"good-{DESCENDS}"]()
    with pytest.raises(CheckFailedError, match="downhill"):
        plain[f"up-{DESCENDS}"]()
    with pytest.raises(pytest.skip.Exception):
        plain["exact-every row of a pass is used once"]()
    expected = cases([Climber], expected_failures=lambda one: {DESCENDS: "it climbs"})
    with pytest.raises(pytest.xfail.Exception, match="it climbs"):
        expected[f"{optimizer_name(Climber())}-0-{DESCENDS}"]()
    wrong = cases([ol.SGD(0.1)], expected_failures=lambda one: {DESCENDS: "it climbs"})
    with pytest.raises(CheckFailedError, match="was expected to fail"):
        wrong[f"SGD-0-{DESCENDS}"]()


def test_the_option_of_pytest_yields_an_item_for_each_check(file, pytestconfig, request):
    collector = OptimizerCollector.from_parent(
        request.session, name="optlab", nodeid="optlab", target=f"{file}:Climbs", level="quick",
        expected=[f"{DESCENDS}=it climbs"],
    )  # fmt: skip
    items = {item.name.rpartition(": ")[2]: item for item in collector.collect()}
    assert len(items) == len(checks_of("quick"))
    with pytest.raises(pytest.xfail.Exception, match="it climbs"):
        items[DESCENDS].runtest()
    failing = items["iterates go down"]
    with pytest.raises(CheckFailedError) as failed:
        failing.runtest()
    assert failing.repr_failure(failed) == str(failed.value)
    assert "lowers the loss on all rows" in failing.repr_failure(failed)
    with pytest.raises(ZeroDivisionError) as other:
        1 / 0  # noqa: B018 - the error is what is wanted
    assert "ZeroDivisionError" in str(failing.repr_failure(other))
    assert failing.reportinfo()[2] == failing.name
    nothing = OptimizerCollector.from_parent(
        request.session, name="optlab", nodeid="none", target="no_such_module:x", level="quick"
    )
    with pytest.raises(pytest.UsageError, match="--optlab no_such_module:x"):
        next(nothing.collect())
    (file.parent / "named.py").write_text("import optlab as ol\nrate = ol.SGD('auto')\n")
    text = OptimizerCollector.from_parent(
        request.session, name="optlab", nodeid="text", level="quick",
        target=f"{file.parent / 'named.py'}:rate",
    )  # fmt: skip
    with pytest.raises(pytest.UsageError, match=r"named\.py:rate: "):
        next(text.collect())


def test_a_level_has_its_own_checks_and_those_of_the_lower_ones():
    levels = {level: {one.level for one in checks_of(level)} for level in LEVELS}
    quick, full, statistical = LEVELS
    assert levels == {quick: {quick}, full: {quick, full}, statistical: set(LEVELS)}


class HalfTheGradients(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate(parameters, loss, cost=ol.Cost(losses=0.5, gradients=0.5))


class OwnSlopes(Descent):
    """Asks the problem for losses, and computes gradients of rows by itself."""

    def slope(self, problem, parameters, batch):
        gaps = batch.X @ parameters["weight"] + parameters["bias"] - batch.y
        slopes = {"weight": 2 * batch.X.T @ gaps / len(gaps), "bias": 2 * gaps.mean()}
        return problem.loss(parameters, batch), slopes


class Wanders:
    """Takes no mini-batches, and draws its steps from the trial's generator."""

    uses_batches = False

    def iterates(self, problem, batches, start):
        draw = torch.randn(len(start["weight"]), generator=batches.generator).double()
        yield ol.Iterate(start | {"weight": start["weight"] + draw})


class LogisticOnly(Descent):
    def unsupported(self, problem, device):
        return None if isinstance(problem, ol.LogisticRegression) else "for classes only"


ONCE, ORDER = (
    "every row of a pass is used once", "the batches of a pass are visited one after the other"
)  # fmt: skip
REST = ("iterates reach the reference or still descend", "stays at the optimum")
MOVED = "its weight decay moves the minimum"
SKIPPED = [
    (HalfTheGradients(), ONCE, "its cost says that it takes fewer gradients than rows"),
    (OwnSlopes(), ONCE, "its gradients are not the problem's"),
    (OwnSlopes(), ORDER, "its gradients are not the problem's"),
    (OwnSlopes(), "invariance to sign", "it claims none: optlab.testing.signature measures them"),
    (ol.Adam(), "invariance to rotation", "it does not claim it"),
    (ZOO["ends after 10 passes"].make(), "every parameter is updated late in the run too",
     "it stopped by itself after 10 passes"),
    (Wanders(), "another order of batches gives another iterate",
     "it draws from the trial's seed, and uses no mini-batches"),
    (ol.Lstsq(), "the cost counts every evaluation",
     "it does not ask the problem for losses or gradients"),
    (ol.Lstsq(), "iterates go down", "it is a direct method"),
    (ol.Lstsq(), ONCE, "it uses no mini-batches"),
    (ol.SGD(), "a direct method solves the problem", "it is no direct method"),
    (ol.SVRG(), ONCE, "its cost says that it takes gradients of other rows too"),
    (ol.Lion(), "float64 is float64",
     "small changes of the data change nothing: it takes signs or classes"),
    (LogisticOnly(), "stays at the optimum",
     "it does not minimise plain linear regression, where rows fit exactly"),
    (LogisticOnly(), "each mode contracts as theory says",
     "it says no linear recurrence of its error: linear_descent()"),
    (ol.TorchSGD(0.1, weight_decay=0.1), "each mode contracts as theory says",
     "it says no linear recurrence of its error: linear_descent()"),
    (ol.SGD(), "a cuda device makes the same iterates", "there is no such device"),
    *((one, check, MOVED) for check in REST for one in (
        ol.TorchSGD(0.1, weight_decay=0.1), ol.Averaged(ol.AdamW(0.1)),
        ol.TorchOptimizer(torch.optim.SGD, lr=0.1, weight_decay=0.1),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("optimizer", "check", "reason"), SKIPPED)
def test_a_check_that_does_not_apply_says_why(optimizer, check, reason):
    (result,) = check_optimizer(optimizer, level="statistical", only=[check]).checks
    if check == "a cuda device makes the same iterates":
        assert result.outcome == ("passed" if torch.cuda.is_available() else "skipped")
    else:
        assert (result.outcome, result.message) == ("skipped", reason)


class Retells(Descent):
    """Tells the problem's error in words of its own."""

    def slope(self, problem, parameters, batch):
        try:
            return super().slope(problem, parameters, batch)
        except RuntimeError:
            raise ValueError("the loss could not be computed")  # noqa: B904 - its context tells it


class FailsByItself(Descent):
    """Swallows the problem's error, and fails later of something else."""

    def slope(self, problem, parameters, batch):
        try:
            return super().slope(problem, parameters, batch)
        except RuntimeError:
            pass
        raise ZeroDivisionError("of its own")


def test_an_error_in_other_words_is_passed_on_and_another_error_is_told():
    only = ["an error of the problem is passed on"]
    assert check_optimizer(Retells(), only=only).ok
    failure = check_optimizer(FailsByItself(), only=only).failures[0]
    assert "ZeroDivisionError: of its own" in failure.message


def test_a_rule_is_held_without_a_reference_and_a_reference_without_a_rule():
    def follows(optimizer, reference=None):
        return check_optimizer(optimizer, reference=reference, only=["follows its rule"]).checks[0]

    assert follows(ol.SGD(0.1)).outcome == "passed"
    assert follows(right_descent(), right_descent()).outcome == "passed"
    wrong = follows(ZOO["half the gradient"].make(), right_descent())
    assert wrong.outcome == "failed"
    assert f"theory: {optimizer_name(right_descent())} is at [" in wrong.message
    unknown = follows(right_descent())
    assert unknown.outcome == "skipped"
    assert unknown.message == "it claims no known rule: name one by reference="
