"""Checks of gradients: their sign, their scale, and every parameter's share in the step."""

from __future__ import annotations

import torch
from torch import Tensor

from optlab.optimizers import Batches
from optlab.problems import Batch
from optlab.problems.capabilities import gradient
from optlab.problems.vector import flatten
from optlab.testing.conformance.check import check
from optlab.testing.conformance.declared_rates import first_pass, last_pass
from optlab.testing.conformance.failing import differ, fail, shown
from optlab.testing.conformance.protocol_conformance import LONG
from optlab.testing.conformance.rounding_of_runs import rounding
from optlab.testing.conformance.single_run import Run, follow
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped


def _start(run: Run) -> Tensor:
    return flatten(run.begin(run.problem())).double()


def _slope(run: Run, at: Tensor | None = None) -> Tensor:
    """Return the gradient of the loss on all rows at the start, or at a point, by autograd."""
    problem = run.problem()
    point = run.begin(problem)
    if at is not None:
        parts = at.split([value.numel() for value in point.values()])
        point = {
            name: part.reshape(value.shape).to(value)
            for (name, value), part in zip(point.items(), parts, strict=True)
        }
    return flatten(gradient(problem, point)).detach()


@check()
def the_first_step_descends(subject: Subject) -> None:
    """The first step on all rows goes against the gradient at the start."""
    if subject.is_direct:
        raise CheckSkipped("it is a direct method")
    run = subject.setting(count=first_pass(subject))
    points = [_start(run), *(point.vector for point in subject.run(run))]
    slope = _slope(run, points[-2])
    step = points[-1] - points[-2]
    along = float(step @ slope)
    if not along < 0:
        fail(
            subject,
            theory="a step downhill has a negative product with the gradient "
            f"{shown(slope)} of the loss on all rows",
            seen=f"the step {shown(step)}, whose product with it is {along:.6g}",
            tolerance="none: the sign",
            runs=[run],
            show=["print(start, run[-1].parameters)"],
        )


@check()
def gradients_are_means_not_sums(subject: Subject) -> None:
    """The loss is a mean: the same rows twice, in batches of twice the size, change nothing."""
    run = subject.setting(batch_size=7, shuffle=False, count=2)
    twice = run.but(X=run.X.repeat(2, 1), y=run.y.repeat(2), batch_size=14)
    one, other = subject.run(run)[-1].vector, subject.run(twice)[-1].vector
    gap, bound = differ(other, one), rounding(twice)
    if gap > bound:
        fail(
            subject,
            theory=f"the mean over rows and over the same rows twice are equal: {shown(one)}",
            seen=f"{shown(other)} with each row twice, a difference of {gap:.2e}",
            tolerance=f"{bound:.1e} of the largest parameter, for rounding",
            runs=[run, twice],
            show=["print(run[-1].parameters, other[-1].parameters)"],
        )


@check()
def gradients_are_reset_between_steps(subject: Subject) -> None:
    """A backward pass adds to `.grad`, so what an earlier step left there is zeroed first."""
    run = subject.setting(batch_size=3, count=2)
    _, calls = subject.record(run)
    left = [call.leftover for call in calls if call.differentiated and call.leftover]
    if left:
        fail(
            subject,
            theory="backward() adds the new gradient to .grad, so .grad is zero or None before",
            seen=f"the .grad of {', '.join(left[0])} still held an earlier step's gradient in "
            f"{len(left)} of {len(calls)} evaluations",
            tolerance="none: zero",
            runs=[run],
        )


@check()
def each_step_uses_the_gradient_at_its_own_point(subject: Subject) -> None:
    """The second step depends on the gradient at the second point, not on an earlier one."""
    subject.require(uses_batches=True)
    run = subject.setting(count=2)
    usual = subject.run(run)
    problem = run.problem()
    batches = run.batches(problem)
    found = subject.optimizer.iterates(problem, batches, run.begin(problem))
    next(iter_ := iter(found))
    problem.X.mul_(-1.5)
    second = torch.cat([v.detach().double().reshape(-1) for v in next(iter_).parameters.values()])
    if torch.equal(second, usual[1].vector):
        fail(
            subject,
            theory="where all rows of X are others from the second pass on, so is the gradient of "
            "the second step, and the second iterate",
            seen=f"the same bits, {shown(second)}: the second step was made of an older gradient",
            runs=[run],
            show=["print(run[1].parameters)  # unchanged by problem.X.mul_(-1.5) after run[0]"],
        )


def _still(before: Tensor, after: Tensor, slope: Tensor, first: Tensor) -> list[int]:
    """Return the numbers of the parameters that did not move though the loss has a slope there.

    A slope below a thousandth of the largest at the start is none: a method may have converged.
    """
    large = slope.abs() > 1e-3 * float(first.abs().max())
    return [i for i in range(len(before)) if before[i] == after[i] and large[i]]


def _named(run: Run, numbers: list[int]) -> str:
    names = [
        f"{name}[{i}]" if value.ndim else name
        for name, value in run.problem().start(torch.Generator()).items()
        for i in range(value.numel())
    ]
    return ", ".join(names[i] for i in numbers)


@check()
def every_parameter_is_updated(subject: Subject) -> None:
    """A pass moves each parameter along which the loss has a slope."""
    if subject.is_direct:
        raise CheckSkipped("it is a direct method")
    run = subject.setting(batch_size=3)
    start = _start(run)
    (point,) = subject.run(run)
    if still := _still(start, point.vector, _slope(run), _slope(run)):
        fail(
            subject,
            theory=f"the gradient at the start is {shown(_slope(run))}: no entry is 0",
            seen=f"{_named(run, still)} did not move in the first pass",
            tolerance="none: the same bits",
            runs=[run],
            show=["print(start, run[0].parameters)"],
        )


@check()
def every_parameter_is_updated_late_in_the_run_too(subject: Subject) -> None:
    """After 40 passes and more each parameter along which the loss has a slope still moves."""
    subject.require(uses_batches=True)
    passes = last_pass(subject, LONG, share=1e-3)
    run = subject.setting(batch_size="full", count=passes)
    points = subject.run(run)
    if len(points) < passes:
        raise CheckSkipped(f"it stopped by itself after {len(points)} passes")
    before, after = points[-4].vector, points[-1].vector
    slope = _slope(run, before)
    if still := _still(before, after, slope, _slope(run)):
        fail(
            subject,
            theory=f"the gradient after {passes - 3} passes is {shown(slope)}",
            seen=f"{_named(run, still)} did not move in the passes {passes - 2} to {passes}",
            runs=[run],
            show=["print(run[-1].parameters)", "print(start)"],
        )


@check()
def the_batch_loss_is_the_loss_before_the_update(subject: Subject) -> None:
    """The loss of an iterate is that of the last mini-batch, at the point before its step."""
    run = subject.setting()
    problem = run.problem()
    batches = run.batches(problem)
    points = follow(subject.optimizer, run, problem, batches)
    if points[0].batch_loss is None:
        if subject.uses_batches:
            raise CheckSkipped("it yields no batch loss")
        raise CheckSkipped("it uses no mini-batches")
    before = float(run.problem().loss(run.begin(problem)))
    bound = rounding(run) * max(1.0, abs(before))
    seen = points[0].batch_loss
    if not abs(seen - before) <= bound:
        after = float(run.problem().loss(points[0].parameters))
        is_after = abs(seen - after) <= bound
        fail(
            subject,
            theory=f"with one batch a pass it is the loss at the start, {before:.12g}",
            seen=f"{seen:.12g}",
            hint="that is the loss after the update" if is_after else "",
            tolerance=f"{bound:.1e}, for sums in another order",
            runs=[run],
            show=["print(run[0].batch_loss)"],
        )


@check()
def the_batch_loss_is_that_of_the_last_batch(subject: Subject) -> None:
    """The loss of an iterate is the mean over the last mini-batch, not a sum, nor over others."""
    subject.require(uses_batches=True, is_batch_local=True)
    # One short step makes the pass: 5 of 7 rows, the others dropped.
    run = subject.setting(batch_size=5, drop_last=True)
    problem = run.problem()
    seen = subject.run(run)[0].batch_loss
    if seen is None:
        raise CheckSkipped("it yields no batch loss")
    generator = torch.Generator().manual_seed(run.seed)
    drawn = Batches(problem.X, problem.y, 5, generator, weight=problem.row_weight)
    batch: Batch = next(next(iter(drawn)))
    expected = float(problem.loss(run.begin(problem), batch))
    bound = rounding(run) * max(1.0, abs(expected))
    if not abs(seen - expected) <= bound:
        fail(
            subject,
            theory=f"the mean loss over the 5 rows of the pass's one batch is {expected:.12g}",
            seen=f"{seen:.12g}",
            tolerance=f"{bound:.1e}, for sums in another order",
            runs=[run],
            show=["print(run[0].batch_loss)"],
        )
