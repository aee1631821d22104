"""Messages of the conformance check: code to paste, refusals, and what breaks the protocol."""

from dataclasses import dataclass

import pytest
import torch

import optlab as ol
from optlab.optimizers.examples import examples
from optlab.testing import check_optimizer
from optlab.testing.conformance.spelling import spelling
from optlab.testing.load_target import load_target
from tests.faulty_optimizers import Descent

EXAMPLES = examples()


@pytest.mark.parametrize("label", EXAMPLES)
def test_the_code_to_paste_makes_the_optimizer(label):
    optimizer = EXAMPLES[label]
    imports, expression = spelling(optimizer)
    names = {"ol": ol, "torch": torch}
    exec("\n".join(imports), names)
    made = eval(expression, names)
    assert spelling(made) == (imports, expression)
    if not hasattr(optimizer, "torch_class"):  # those are spelled as torch's class, adapted
        assert type(made) is type(optimizer)
        assert repr(made) == repr(optimizer)


@dataclass(frozen=True)
class Listed(Descent):
    steps: tuple = (1, [None, 2.0], {"a": True})
    rule: type = ol.SGD


def test_lists_dicts_and_classes_are_spelled_and_local_classes_are_named_in_a_comment():
    imports, expression = spelling(Listed())
    assert imports == [f"from {__name__} import Listed"]
    steps = "(1, [None, 2.0], {'a': True},)"
    assert expression == f"Listed(learning_rate=0.1, steps={steps}, rule=ol.SGD)"

    class Local(Descent):
        pass

    assert spelling(Local()) == ([], f"...  # yours: {Local()!r}")


class Refuses(Descent):
    error = ValueError("it must be positive")

    def __post_init__(self):
        if not 0 < self.learning_rate < 1e9:
            raise self.error


class Breaks(Refuses):
    error = ZeroDivisionError("by zero")


class NoDataclass:
    uses_batches = True

    def iterates(self, problem, batches, start):
        yield from Descent().iterates(problem, batches, start)


@pytest.mark.parametrize(
    ("optimizer", "outcome", "says"),
    [
        (Refuses(), "failed", "it must be positive, which does not name learning_rate"),
        (Breaks(), "failed", "ZeroDivisionError: by zero"),
        (NoDataclass(), "skipped", "it is no dataclass"),
        (ol.NormalEquations(), "skipped", "it has no hyperparameter of a usual name"),
        (ol.TorchOptimizer(torch.optim.SGD, lr=0.1), "passed", ""),
    ],
)
def test_bad_hyperparameters_must_be_refused_by_name(optimizer, outcome, says):
    report = check_optimizer(optimizer, only=["refuses bad hyperparameters"])
    assert report.outcome("refuses bad hyperparameters") == outcome
    assert says in report.checks[0].message


def _reporting(change):
    class Odd(Descent):
        def report(self, parameters, loss, epoch, problem, batch):
            yield change(parameters, loss)

    return Odd()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p, loss: (p, loss), "a tuple"),
        (lambda p, loss: ol.Iterate({"weight": p["weight"]}, loss), "parameters {'weight'"),
        (lambda p, loss: ol.Iterate(p, float(loss)), "a batch loss that is a float"),
        (lambda p, loss: ol.Iterate(p, loss.reshape(1)), "a batch loss of shape (1,)"),
        (lambda p, loss: ol.Iterate(p, loss.clone().requires_grad_()), "requires_grad=True"),
    ],
)
def test_what_an_iterate_lacks_is_said(change, says):
    name = "yields parameters like the start"
    report = check_optimizer(_reporting(change), only=[name])
    assert report.outcome(name) == "failed"
    assert says in report.checks[0].message
    assert check_optimizer(_reporting(lambda p, loss: ol.Iterate(p)), only=[name]).ok


def test_a_file_may_hold_a_dict_and_one_that_fails_is_quoted(tmp_path):
    (tmp_path / "mine.py").write_text("import optlab as ol\nboth = {'a': ol.SGD(), 'b': ol.Adam()}")
    target = f"{tmp_path / 'mine.py'}:both"
    assert load_target(target) == {f"{target}['a']": ol.SGD(), f"{target}['b']": ol.Adam()}
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(ValueError, match=r"bad\.py cannot be loaded: ZeroDivisionError"):
        load_target(f"{tmp_path / 'bad.py'}:x")


def test_a_report_names_the_checks_that_ran():
    report = check_optimizer(ol.SGD(0.1), only=["refuses bad hyperparameters"])
    with pytest.raises(KeyError, match="no check 'descends' ran; there are: refuses bad"):
        report.outcome("descends")


class OwnGradient(Descent):
    """Right, by a formula of its own, for unweighted rows: the problem is never asked."""

    def slope(self, problem, parameters, batch):
        rest = batch.X @ parameters["weight"] + parameters["bias"] - batch.y
        gradient = {"weight": 2 * batch.X.T @ rest / len(rest), "bias": 2 * rest.mean()}
        return rest.square().mean(), {name: gradient[name] for name in parameters}

    def unsupported(self, problem, device):
        return "rows have weights" if problem.sample_weight is not None else None


class WithBias(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate({**parameters, "bias": torch.zeros(()).double()}, loss)


class Slower(Descent):
    def __reduce__(self):
        return Descent, (self.learning_rate / 2,)

    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize(
    ("optimizer", "name", "outcome", "says"),
    [
        (OwnGradient(), "every row of a pass is used once", "skipped", "does not ask the problem"),
        (OwnGradient(), "weights of rows count", "skipped", "does not support weights of rows"),
        (WithBias(), "fits without an intercept", "failed", "parameters ['bias', 'weight']"),
        (Slower(), "is the same after pickling", "failed", "other numbers"),
        (ol.NormalEquations(), "the cost counts every evaluation", "skipped", "does not ask"),
        (ol.Adam(), "each mode contracts as theory says", "skipped", "no linear recurrence"),
    ],
)  # fmt: skip
def test_what_does_not_apply_is_skipped_and_what_is_wrong_is_said(optimizer, name, outcome, says):
    report = check_optimizer(optimizer, level="full", only=[name])
    assert report.outcome(name) == outcome
    assert says in report.checks[0].message
