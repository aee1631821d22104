"""Each check of numbers catches an error of a millionth or less, and blames no rounding."""

import dataclasses
import itertools
import re

import pytest
import torch

import optlab as ol
from optlab.problems import Batch
from optlab.testing import strategies
from optlab.testing.check_problem import PROTOCOL_CHECKS
from optlab.testing.gradients.check_gradient import CHECKS as GRADIENT_CHECKS
from optlab.testing.problem_checks.problem_subject import ProblemSubject, frozen
from optlab.testing.problem_checks.protocol_checks import check_protocol
from optlab.testing.run_checks import CheckFailedError, CheckSkipped
from tests.wrong_problems import WEIGHT, N, NoGradient, X, linear, y

SMALL = 1e-6


def larger(found, by=SMALL):
    """The answer of a method, with all its numbers larger by a share."""
    if isinstance(found, dict):
        return {name: (1 + by) * value for name, value in found.items()}
    return (1 + by) * found


def with_fault(method, change):
    """Return linear regression whose one method returns something else."""

    def changed(self, *args, **options):
        return change(getattr(ol.LinearRegression, method)(self, *args, **options))

    return type("Faulty", (ol.LinearRegression,), {method: changed})


def moved_bias(found):
    return found | {"bias": found["bias"] + 1e-3}


FAULTS = {
    "closed form": ("gradient", lambda found: larger(found, 1e-10)),
    "smooth gradient": ("smooth_gradient", lambda found: larger(found, 1e-10)),
    "Hessian product": ("hessian_product", lambda found: larger(found, 1e-8)),
    "residuals": ("residuals", lambda found: larger(found, 1e-10)),
    "residuals of the Jacobian": ("jacobian", lambda found: larger(found, 1e-8)),
    "least squares": ("as_least_squares", lambda found: found._replace(b=larger(found.b, 1e-10))),
    "proximal": ("proximal", larger),
    "Lipschitz constant": ("lipschitz", lambda found: 0.999 * found),
    "constant fit": ("constant_fit", moved_bias),
    "evaluation": ("evaluate", lambda found: found._replace(loss=larger(found.loss, 1e-10))),
    "evaluation of the norm": (
        "evaluate", lambda found: found._replace(gradient_norm=larger(found.gradient_norm, 1e-9)),
    ),
    "suboptimality": (
        "evaluate", lambda found: found._replace(suboptimality=larger(found.suboptimality)),
    ),
    "reference": (
        "reference", lambda found: dataclasses.replace(found, loss=larger(found.loss, 1e-9)),
    ),
}  # fmt: skip


def problem_of(cls, seed=0):
    # Curvatures of 1, 1/8 and 1/64: the first alone is left after 20 products with them.
    design = strategies.Design(n=8, d=3, rank=3, condition=8.0, seed=seed)
    y = design.X @ [3.0, -2.0, 1.0] + design.draws().normal(size=8) + 1.0
    return cls(design.X, y, l1=0.01)


def run(name, problem):
    if name == "protocol":
        check_protocol(problem)
    elif check := GRADIENT_CHECKS.get(name):
        check(ProblemSubject(problem, 0, frozen(problem.data)).gradients)
    else:
        PROTOCOL_CHECKS[name](ProblemSubject(problem, 0, frozen(problem.data)))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_small_error_is_caught_and_none_is_seen_where_there_is_none(fault):
    method, change = FAULTS[fault]
    name = fault.partition(" of the ")[0]
    for cls, is_right in ((ol.LinearRegression, True), (with_fault(method, change), False)):
        problem = problem_of(cls)
        if name in {"residuals", "least squares", "evaluation"}:  # not of a loss with a kink
            problem = cls(problem.X, problem.y, l2=0.1)
        if is_right:
            run(name, problem)
            continue
        with pytest.raises(CheckFailedError):
            run(name, problem)


def on_each_call(change):
    """A method's changed result, by how often it was called before."""
    calls = itertools.count()
    return lambda found: change(found, next(calls))


def in_place(parameters):
    parameters["weight"].add_(1.0)


def of_linear(method, change=None, before=None):
    """Return linear regression whose one method does something before, or returns another."""

    def changed(self, *args, **options):
        found = getattr(ol.LinearRegression, method)(self, *args, **options)
        if before is not None:
            before(*args)
        return found if change is None else change(found)

    return type("Faulty", (ol.LinearRegression,), {method: changed})(X, y, l2=0.1)


class Data(NoGradient):
    """A problem whose data are others than the loss's."""

    rows = Batch(torch.as_tensor(X), torch.as_tensor(y))

    @property
    def data(self):
        return self.rows


class HeavyRows(Data):
    rows = Data.rows._replace(weight=torch.full((N,), 2.0).double())


class LightRows(Data):
    rows = Data.rows._replace(weight=torch.full((N,), 0.5).double())


class WeightMissing(Data):
    rows = Data.rows._replace(weight=torch.ones(N - 1).double())


class DrawsMore(NoGradient):
    """Draws once more in float64, so that the batches have another order there."""

    def start(self, generator):
        found = super().start(generator)
        if self.X.dtype == torch.float64:
            torch.randn(1, generator=generator)
        return found


class AnotherEachTime(NoGradient):
    calls = itertools.count()

    def start(self, generator):
        return {"w": super().start(generator)["w"] + next(self.calls)}


class ItsOwnCopy(NoGradient):
    def to(self, device, dtype, *, copy=False):
        return self if dtype == self.X.dtype else super().to(device, dtype, copy=copy)


class CopyOfAnotherClass(NoGradient):
    def to(self, device, dtype, *, copy=False):
        return NoGradient(*(v.to(device, dtype, copy=copy) for v in (self.X, self.y)), self.name)


class GapWithoutReference(NoGradient):
    def evaluate(self, parameters):
        return super().evaluate(parameters)._replace(suboptimality=0.0)


class CopyJudgesOtherwise(NoGradient):
    def __setstate__(self, state):
        vars(self).update(state | {"y": state["y"] + 1})


class CopyIsAnother(NoGradient):
    def __setstate__(self, state):
        vars(self).update(state | {"name": "copy"})


def replaced(**changes):
    return lambda found: dataclasses.replace(found, **changes)


def in_single(found):
    return dataclasses.replace(
        found, parameters={k: v.float() for k, v in found.parameters.items()}
    )


def without_bias(found):
    return dataclasses.replace(found, parameters={"weight": found.parameters["weight"]})


BROKEN = {
    "the weights' mean is 2": ("protocol", HeavyRows, "the mean of the rows' weights"),
    "the weights' mean is 1/2": ("protocol", LightRows, "the mean of the rows' weights"),
    "a weight is missing": ("protocol", WeightMissing, "with a row for each observation"),
    "draws more in float64": ("start", DrawsMore, "another state of the generator"),
    "another start each time": ("start", AnotherEachTime, "another w at each call"),
    "no copy": ("copies", ItsOwnCopy, "the problem itself"),
    "a copy of another class": ("copies", CopyOfAnotherClass, "a NoGradient"),
    "a gap without a reference": ("suboptimality", GapWithoutReference, "suboptimality is NaN"),
    "a copy judges otherwise": ("pickle", CopyJudgesOtherwise, "a copy judges a point alike"),
    "a copy is another": ("pickle", CopyIsAnother, "a copy is known again as the same problem"),
    "a start in float64": (
        "copies",
        lambda: of_linear("start", lambda found: {k: v.double() for k, v in found.items()}),
        "a start in {",
    ),
    "an evaluation moves the point": (
        "evaluation", lambda: of_linear("evaluate", before=in_place), "others after it",
    ),
    "an evaluation a call": (
        "evaluation",
        lambda: of_linear("evaluate", on_each_call(lambda e, k: e._replace(parameter_error=k))),
        "one point has one evaluation",
    ),
    "a loss moves the point": (
        "immutable", lambda: of_linear("loss", before=lambda point, *_: in_place(point)),
        "loss leaves the parameters as they are",
    ),
    "a loss draws": (
        "immutable", lambda: of_linear("loss", before=lambda *_: torch.rand(1)),
        "loss does not draw from torch's global generator",
    ),
    "a reference of no kind": (
        "reference", lambda: of_linear("reference", replaced(kind="guess")), "is one of certified",
    ),
    "a reference without words": (
        "reference", lambda: of_linear("reference", replaced(message="")), "how it was found",
    ),
    "a reference without its bias": (
        "reference", lambda: of_linear("reference", without_bias), "{'weight': (2,), 'bias': ()}",
    ),
    "a reference in float32": (
        "reference", lambda: of_linear("reference", in_single), "weight in torch.float32 on cpu",
    ),
    "a reference's loss of another point": (
        "reference", lambda: of_linear("reference", lambda r: replaced(loss=r.loss - 1e-9)(r)),
        "the reference's loss is that of its parameters",
    ),
    "a negative gap": (
        "suboptimality",
        lambda: of_linear("evaluate", lambda e: e._replace(suboptimality=-e.suboptimality)),
        "where the losses differ by",
    ),
    "a negative constant": (
        "Lipschitz constant", lambda: of_linear("lipschitz", lambda _: -0.5),
        "lipschitz() is a number of at least 0",
    ),
    "a constant that is a tensor": (
        "Lipschitz constant", lambda: of_linear("lipschitz", torch.tensor),
        "lipschitz() is a number of at least 0",
    ),
    "a transposed Jacobian": (
        "residuals", lambda: of_linear("jacobian", lambda found: found.T), "shape (3, 10)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_each_rule_of_a_check_is_held(fault):
    name, make, words = BROKEN[fault]
    with pytest.raises(CheckFailedError, match=re.escape(words)):
        run(name, make())


def test_what_the_checks_do_not_judge_is_passed_over():
    untrusted = of_linear("reference", replaced(trusted=False, message="a guess", loss=1e6))
    for name in ("reference", "suboptimality"):
        with pytest.raises(CheckSkipped, match="the reference is not trusted: a guess"):
            run(name, untrusted)
    run("suboptimality", NoGradient())
    check_protocol(linear(sample_weight=WEIGHT))
