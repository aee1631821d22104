"""Checks of state: runs leave nothing behind, neither in the optimizer nor in data or problem."""

from __future__ import annotations

import copy
from itertools import accumulate, islice
from typing import Any

import torch
from torch import Tensor

from optlab.optimizers import hyperparameters
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail, shown
from optlab.testing.conformance.single_run import Point, Run, copied, follow, iterates, same_bits
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped


def _held(problem: Any) -> dict[str, Any]:
    """Return copies of what a problem holds."""
    return {
        name: value.clone() if isinstance(value, Tensor) else copy.copy(value)
        for name, value in vars(problem).items()
        if not callable(value)
    }


def _changed(problem: Any, held: dict[str, Any]) -> list[str]:
    """Return the names of what a problem no longer holds as it did."""
    now = vars(problem)
    return [
        name
        for name, value in held.items()
        if name not in now
        or (isinstance(value, Tensor) and not _same(value, now[name]))
        or (isinstance(value, bool | int | float | str | tuple) and value != now[name])
    ]


def _same(a: Tensor, b: Any) -> bool:
    return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)


@check()
def data_and_problem_are_left_as_they_are(subject: Subject) -> None:
    """A run changes neither the data nor a batch nor the problem, which other trials share."""
    for size in ("full", 3):
        run = subject.setting(batch_size=size, count=3)
        problem = run.problem()
        held, batches = _held(problem), run.batches(problem)
        follow(subject.optimizer, run, problem, batches)
        changed = _changed(problem, held)
        if changed or batches.changed:
            named = [f"problem.{name}" for name in changed]
            fail(
                subject,
                theory="other trials have the same data: copy what you change",
                seen=f"changed in place: {', '.join([*named, *['a batch'] * batches.changed])}",
                runs=[run],
                show=["print(problem.X, problem.y)"],
            )


@check()
def hyperparameters_are_left_as_they_are(subject: Subject) -> None:
    """A run does not change the optimizer's own fields, which stand in the tables."""
    before = copy.deepcopy(hyperparameters(subject.optimizer))
    run = subject.setting(batch_size=3, count=3)
    subject.run(run)
    after = hyperparameters(subject.optimizer)
    if repr(after) != repr(before):
        fail(
            subject,
            theory=f"an optimizer's fields are its settings: {before}",
            seen=f"after a run they are {after}",
            runs=[run],
            show=["print(optimizer)"],
        )


def _blame(subject: Subject, run: Run, theory: str, one: list[Point], other: list[Point]) -> None:
    pairs = [same_bits([a], [b]) for a, b in zip(one, other, strict=False)]
    i = [*pairs, False].index(False)
    values = [shown(points[i].vector) if i < len(points) else "none" for points in (one, other)]
    fail(
        subject,
        theory=theory,
        seen=f"iterate {i + 1} is {values[0]} the first time and {values[1]} the second",
        runs=[run, run],
        show=["print(run[-1].parameters, other[-1].parameters)"],
    )


@check()
def the_same_seed_gives_the_same_bits(subject: Subject) -> None:
    """Two copies of the optimizer make the same iterates from the same seed, to the bit."""
    run = subject.setting(batch_size=3, count=3)
    one, other = (iterates(subject.fresh(), run) for _ in range(2))
    if not same_bits(one, other):
        _blame(subject, run, "all randomness comes from the trial's generator", one, other)


@check()
def no_state_outlives_a_run(subject: Subject) -> None:
    """The second run of an optimizer makes the iterates of the first, whatever ran between."""
    run = subject.setting(batch_size=3, count=3)
    first = subject.run(run)
    subject.run(subject.setting(batch_size=2, count=2).but(X=run.X.flip(1), seed=run.seed + 1))
    second = subject.run(run)
    if not same_bits(first, second):
        theory = "velocities, moments and counters belong to a run: they are made in iterates()"
        _blame(subject, run, theory, first, second)


@check()
def interleaved_runs_do_not_disturb_each_other(subject: Subject) -> None:
    """Two runs whose iterates are asked for in turn make those that each makes alone."""
    run = subject.setting(batch_size=3, count=3)
    another = run.but(seed=run.seed + 1, X=run.X.flip(1))
    alone = iterates(subject.fresh(), run)
    optimizer = subject.fresh()
    problems = [run.problem(), another.problem()]
    batches = [one.batches(problem) for one, problem in zip((run, another), problems, strict=True)]
    found, beside = (
        iter(optimizer.iterates(problem, drawn, one.begin(problem)))
        for one, problem, drawn in zip((run, another), problems, batches, strict=True)
    )
    points = []
    for iterate in islice(found, run.count):
        points.append(copied(iterate, batches[0]))
        next(beside, None)
    if not same_bits(alone, points):
        theory = "two trials of one optimizer object may run in turn"
        _blame(subject, run, theory, alone, points)


@check()
def recording_changes_nothing(subject: Subject) -> None:
    """An iterate is the same whether others are looked at, kept and evaluated, or not."""
    run = subject.setting(batch_size=3, count=6)
    each = subject.run(run)
    ends = list(accumulate(point.epochs for point in each))
    problem = run.problem()
    few = run.but(looks=(3, 6))
    batches = few.batches(problem)
    found = subject.optimizer.iterates(problem, batches, run.begin(problem))
    by_epoch, epoch = {}, 0
    for iterate in found:
        epoch += iterate.epochs
        by_epoch[epoch] = copied(iterate, batches)
        problem.evaluate(iterate.parameters)
        if epoch >= ends[-1]:
            break
    for i, point in zip(ends, each, strict=True):
        if i in by_epoch and not torch.equal(point.vector, by_epoch[i].vector):
            fail(
                subject,
                theory="batches.looks says when the runner looks, and must change no number",
                seen=f"after pass {i} it is {shown(point.vector)} where each is looked at, and "
                f"{shown(by_epoch[i].vector)} where only 3 and 6 are",
                runs=[run],
                show=["print(run[2].parameters)  # and with Batches(..., looks=(3, 6))"],
            )


@check()
def begins_at_the_start(subject: Subject) -> None:
    """The start decides where an iterative method begins; a direct one does not need it."""
    run = subject.setting()
    problem = run.problem()
    other = run.but(start={name: value + 1 for name, value in run.begin(problem).items()})
    one, two = subject.run(run)[0].vector, subject.run(other)[0].vector
    if torch.equal(one, two) != subject.is_direct:
        fail(
            subject,
            theory="a direct method's answer does not depend on the start"
            if subject.is_direct
            else "all methods of one seed begin at one point: the start that they are given",
            seen=f"{shown(one)} from one start, and {shown(two)} from another by 1 in each entry",
            runs=[run, other],
            show=["print(run[0].parameters, other[0].parameters)"],
        )


@check()
def another_order_of_batches_gives_another_iterate(subject: Subject) -> None:
    """The seed's order decides the iterates of a method with mini-batches, and of no other."""
    run = subject.setting(batch_size=2)
    problem = run.problem()
    start = run.begin(problem)
    one, two = (subject.run(run.but(seed=seed, start=start))[0].vector for seed in (1, 2))
    if subject.uses_batches and torch.equal(one, two):
        fail(
            subject,
            theory="seeds 1 and 2 visit the rows in other orders",
            seen=f"the same bits for both: {shown(one)}",
            runs=[run.but(seed=1, start=start), run.but(seed=2, start=start)],
        )
    if not subject.uses_batches and not torch.equal(one, two):
        raise CheckSkipped("it draws from the trial's seed, and uses no mini-batches")
