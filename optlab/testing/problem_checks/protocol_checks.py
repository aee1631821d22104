"""Checks of the problem protocol: members, start, copies, evaluation, global state."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable

import torch

from optlab.lab.keys.object_hash import UnknownValueError, object_hash
from optlab.lab.store.problem_summary import ProblemSummary
from optlab.lab.workers.pickling import dumps_by_value
from optlab.problems.capabilities import HasGradient, has
from optlab.problems.problem import Evaluation, Parameters, Problem
from optlab.problems.require_problem import require_moved, require_problem
from optlab.testing.gradients.input_checks import tensors
from optlab.testing.problem_checks.problem_subject import (
    DOUBLE,
    HEAD,
    ProblemSubject,
    frozen,
    reference_rounding,
    require,
    start_code,
)
from optlab.testing.run_checks import CheckFailedError

DTYPES = (torch.float32, torch.float64)


def check_protocol(problem: Problem) -> None:
    """Require the members of a problem, and that they return what the protocol says."""
    try:
        require_problem(problem)
    except ValueError as error:
        raise CheckFailedError(str(error)) from error
    _, y, weight = problem.data
    if weight is not None:
        mean = float(weight.double().mean())
        unit = len(y) * torch.finfo(weight.dtype).eps
        require(
            abs(mean - 1) <= unit,
            "the mean of the rows' weights over all rows is 1",
            repr(mean),
            tolerance=f"{unit:.2g} = n eps, each weight rounded to its dtype",
            example=f"{HEAD}print(problem.data.weight.mean())",
        )


def check_start(subject: ProblemSubject) -> None:
    """Require that a start is drawn from its generator alone, alike in every dtype."""
    generators = [torch.Generator().manual_seed(subject.seed) for _ in DTYPES]
    before = torch.get_rng_state()
    starts = [
        subject.problem.to("cpu", dtype, copy=True).start(generator)
        for dtype, generator in zip(DTYPES, generators, strict=True)
    ]
    example = (
        f"{HEAD}for dtype in (torch.float32, torch.float64):\n    local = "
        f"problem.to('cpu', dtype, copy=True)\n    print({start_code('local', subject.seed)})"
    )
    require(
        torch.equal(torch.get_rng_state(), before),
        "a start is drawn from the generator that is given, and from no other",
        "torch's global generator was used",
        hint="torch.randn without generator=",
        example=example,
    )
    for name, value in starts[1].items():
        again = subject.start(subject.double)[name]
        theory, seen = "one seed gives one start, to the last bit", f"another {name} at each call"
        require(torch.equal(value, again), theory, seen, example=example)
        _same_for_dtypes(value.float(), starts[0][name].float(), name, example)
    states = [generator.get_state() for generator in generators]
    _same_for_dtypes(
        states[0], states[1], "state of the generator, which draws the batches next", example
    )
    _check_own_start(subject, example)


def _same_for_dtypes(one: torch.Tensor, other: torch.Tensor, name: str, example: str) -> None:
    require(
        torch.equal(one, other),
        "one seed gives one start in every dtype, rounded to it",
        f"another {name} in float32 than in float64",
        hint="draw in float32 for every dtype, then convert",
        example=example,
    )


def _check_own_start(subject: ProblemSubject, example: str) -> None:
    """Require that a start is the caller's own to change."""
    first = subject.start(subject.double)
    kept = {name: value.clone() for name, value in first.items()}
    for value in first.values():
        value.add_(1.0)
    again = subject.start(subject.double)
    changed = [name for name, value in again.items() if not torch.equal(value, kept[name])]
    require(
        not changed,
        "a start is the optimizer's own to change",
        f"{changed} of the next start changed with the last one's tensors",
        hint="return a clone of what is kept",
        example=example,
    )


def check_copies(subject: ProblemSubject) -> None:
    """Require that `to` makes another problem of the dtype asked for, over data of its own."""
    problem, cpu = subject.problem, torch.device("cpu")
    for dtype in DTYPES:
        example = f"{HEAD}moved = problem.to('cpu', {dtype}, copy=True)\nprint(moved, moved.data)"
        theory = f"to('cpu', {dtype}, copy=True) returns the same problem over data of its own"
        moved = problem.to("cpu", dtype, copy=True)
        require(moved is not problem, theory, "the problem itself", example=example)
        require(type(moved) is type(problem), theory, f"a {type(moved).__name__}", example=example)
        require(moved.name == problem.name, theory, f"the name {moved.name!r}", example=example)
        try:
            require_moved(problem, moved, cpu, dtype)
        except ValueError as error:
            raise CheckFailedError(str(error)) from error
        for name, part in tensors(moved.data, "data").items():
            shares = (
                part.numel() and part.data_ptr() == tensors(problem.data, "data")[name].data_ptr()
            )
            require(
                not shares,
                theory,
                f"{name} in the memory of the problem's own",
                hint="pass copy on to Tensor.to",
                example=example,
            )
            right = not part.is_floating_point() or part.dtype == dtype
            require(right, theory, f"{name} in {part.dtype}", example=example)
        start = subject.start(moved)
        wrong = {name: value.dtype for name, value in start.items() if value.dtype != dtype}
        require(not wrong, theory, f"a start in {wrong}", example=example)
        same = _equal(frozen(problem.data), subject.given)
        require(
            same,
            "to() leaves the problem as it is: problems are immutable",
            "other data in it",
            example=f"{HEAD}problem.to('cpu', torch.float32)\nprint(problem.data)",
        )


def _equal(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return all(
        value.dtype == others[name].dtype and torch.equal(value, others[name])
        for name, value in some.items()
    )


def check_evaluation(subject: ProblemSubject) -> None:
    """Require that an evaluation is the loss in float64, whatever the dtype of the point."""
    problem, at = subject.problem, subject.at
    for dtype in DTYPES:
        point = {name: value.to(dtype) for name, value in subject.start().items()}
        kept = {name: value.clone() for name, value in point.items()}
        judged = problem.evaluate(point)
        example = (
            f"{HEAD}{DOUBLE}point = {{name: value.to({dtype}) for name, value in "
            f"{start_code('problem', subject.seed)}.items()}}\nprint(problem.evaluate(point))\n"
            "print(double.loss({name: value.double() for name, value in point.items()}))"
        )
        require(
            _equal(point, kept),
            "an evaluation leaves the parameters as they are",
            "others after it",
            example=example,
        )
        exact = {name: value.double() for name, value in point.items()}
        _check_loss_of(subject, judged, exact, example)
        require(
            judged == problem.evaluate(point) or _has_nan(judged),
            "one point has one evaluation",
            f"{judged} and {problem.evaluate(point)}",
            example=example,
        )
        names = tuple(judged.more)
        claimed = tuple(getattr(problem, "measures", names))
        require(
            names == claimed,
            f"an evaluation has the measures {claimed}, as the problem says",
            str(names),
            example=example,
        )
        if not math.isnan(judged.gradient_norm) and at.has_autograd and not at.is_random:
            _check_norm(subject, judged, exact, example)


def _has_nan(judged: Evaluation) -> bool:
    return any(math.isnan(value) for value in judged[:4])


def _check_loss_of(
    subject: ProblemSubject, judged: Evaluation, exact: Parameters, example: str
) -> None:
    if not subject.at.has_steady_loss:
        return  # in train mode the loss is another than in eval mode
    loss = subject.at.value(exact)
    bound = 4 * subject.gradients.bound_at(exact, None).loss + reference_rounding(subject, exact)
    require(
        abs(judged.loss - loss) <= bound or loss == judged.loss,
        "an evaluation's loss is that of the problem in float64, whatever the point's dtype",
        f"{judged.loss!r}, where the loss in float64 is {loss!r}",
        hint="evaluate converts the point or the data to float32, or leaves out the penalty",
        tolerance=f"{bound:.2g}, 4 times the rounding of the loss as measured in float32, and that "
        "of distances from the reference",
        example=example,
    )


def _check_norm(
    subject: ProblemSubject, judged: Evaluation, exact: Parameters, example: str
) -> None:
    if not (subject.at.has_steady_loss and subject.at.is_smooth):
        return

    def norm_at(point: Parameters) -> float:
        slopes = subject.at.autograd(point).values()
        return math.sqrt(sum(float(value.square().sum()) for value in slopes))

    norm = norm_at(exact)
    bounds = subject.gradients.bound_at(exact, None).gradient.values()
    bound = 4 * math.sqrt(sum(float(value.square().sum()) for value in bounds))
    bound += reference_rounding(subject, exact, norm_at)
    require(
        abs(judged.gradient_norm - norm) <= bound,
        "an evaluation's gradient norm is that of the loss in float64",
        f"{judged.gradient_norm!r}, where autograd's gradient has {norm!r}",
        tolerance=f"{bound:.2g}, 4 times the rounding of the gradient as measured in float32, and "
        "that of distances from the reference",
        example=example,
    )


def check_immutable(subject: ProblemSubject) -> None:
    """Require that no call changes the data, and none depends on what torch's defaults are."""
    problem = subject.problem
    calls: dict[str, Callable[[Parameters], object]] = {
        "loss": problem.loss,
        "evaluate": problem.evaluate,
        "reference": lambda _point: problem.reference(),
    }
    if has(problem, HasGradient):
        calls["gradient"] = problem.gradient
    before = frozen(problem.data)
    for name, call in calls.items():
        state = torch.get_rng_state()
        point = subject.start()
        kept = {key: value.clone() for key, value in point.items()}
        call(point)
        argument = "" if name == "reference" else start_code("problem", subject.seed)
        example = f"{HEAD}print(problem.data)\nproblem.{name}({argument})\nprint(problem.data)"
        changed = [
            k for k, v in tensors(problem.data, "data").items() if not torch.equal(v, before[k])
        ]
        require(
            not changed,
            f"{name} leaves the data as they are",
            f"other values in {changed}",
            hint="an operation in place: +=, *=, sub_, out=",
            example=example,
        )
        require(
            _equal(point, kept),
            f"{name} leaves the parameters as they are",
            "others after it",
            hint="an operation in place",
            example=example,
        )
        require(
            torch.equal(torch.get_rng_state(), state),
            f"{name} does not draw from torch's global generator",
            "it was used",
            example=example,
        )


def check_defaults(subject: ProblemSubject) -> None:
    """Require that losses and starts are the same bits whatever torch's default dtype is."""
    problem, was = subject.problem, torch.get_default_dtype()
    found = []
    for dtype in DTYPES:
        torch.set_default_dtype(dtype)
        try:
            local = problem.to("cpu", torch.float64, copy=True)
            start = subject.start(local)
            found.append((start, float(local.loss(start)), local.evaluate(start).loss))
        finally:
            torch.set_default_dtype(was)
    (one, *losses), (other, *others) = found
    seen = f"losses {losses} by default float32 and {others} by default float64"
    require(
        _equal(one, other) and repr(losses) == repr(others),
        "torch's default dtype makes no difference",
        seen,
        hint="a tensor that is made without dtype=",
        example=f"{HEAD}for dtype in (torch.float32, torch.float64):\n"
        f"    torch.set_default_dtype(dtype)\n    {DOUBLE}"
        f"    print(double.loss({start_code('double', subject.seed)}).item())",
    )


def check_pickle(subject: ProblemSubject) -> None:
    """Require that a problem is the same after a copy and a pickle, also after it was used."""
    problem, point = subject.problem, subject.start()
    key = _key(problem)
    problem.loss(point)
    judged = problem.evaluate(point)
    example = (
        f"{HEAD}import copy, cloudpickle\npoint = {start_code('problem', subject.seed)}\n"
        "print(problem.evaluate(point))\nprint(copy.deepcopy(problem).evaluate(point))\n"
        "print(cloudpickle.loads(cloudpickle.dumps(problem)).evaluate(point))"
    )
    require(
        _key(problem) == key,
        "a problem that was used is known again as the same problem",
        "another content hash after loss and evaluate",
        hint="a cache among its members: leave it out in __getstate__",
        example=example,
    )
    again = {
        "a copy": copy.deepcopy(problem),
        "a pickled problem": pickle.loads(dumps_by_value(problem)),
    }
    for name, one in again.items():
        seen = one.evaluate(point)
        same = repr(seen) == repr(judged)
        require(
            same,
            f"{name} judges a point alike",
            f"{seen}, {judged} by the problem",
            example=example,
        )
        require(
            _key(one) == key,
            f"{name} is known again as the same problem",
            "another content hash",
            hint="a member that changes with each process or call",
            example=example,
        )


def _key(problem: Problem) -> str | None:
    """Return the content hash of a problem, None where it holds what has none."""
    try:
        return object_hash(problem)
    except UnknownValueError:
        return None


def check_summary(subject: ProblemSubject) -> None:
    """Require that the problem has a summary, as results files and pages hold it."""
    summary = ProblemSummary.of(subject.problem.name, subject.problem)
    n = len(subject.problem.data.y)
    require(summary.n == n, "a summary has the problem's rows", f"{summary.n} of {n}")
