"""Checks of the protocol: members, iterates, and passes."""

from __future__ import annotations

from itertools import islice
from typing import Any

import cloudpickle
import torch

from optlab.optimizers import Iterate, Optimizer
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail
from optlab.testing.conformance.single_run import DTYPES, Run, copied, same_bits
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped

LONG = 45
"""Passes after which a method has left its beginning behind: many count to 40."""


@check()
def has_the_members_of_the_protocol(subject: Subject) -> None:
    """An optimizer has `uses_batches`, True or False, a method `iterates`, and `needs` if any."""
    optimizer: Any = subject.optimizer
    uses = getattr(optimizer, "uses_batches", None)
    if not isinstance(optimizer, Optimizer) or not isinstance(uses, bool):
        fail(
            subject,
            theory="the runner asks for uses_batches (one trial for each batch size, or one) and "
            "calls iterates(problem, batches, start)",
            seen=f"uses_batches={uses!r}, iterates={getattr(optimizer, 'iterates', None)!r}",
        )
    needs: Any = getattr(optimizer, "needs", ())
    if not isinstance(needs, tuple) or not all(isinstance(one, type) for one in needs):
        fail(
            subject,
            theory="needs is a tuple of capabilities, protocols of optlab.problems.capabilities",
            seen=f"needs={needs!r}",
        )


@check()
def yields_parameters_like_the_start(subject: Subject) -> None:
    """Each iterate has the start's parameters, in shape and dtype, and a loss without a graph."""
    for dtype in DTYPES:
        run = subject.setting(batch_size=2, dtype=dtype, count=2)
        problem = run.problem()
        like = problem.start(torch.Generator())
        expected = {k: (tuple(v.shape), v.dtype) for k, v in like.items()}
        found = subject.optimizer.iterates(problem, run.batches(problem), run.begin(problem))
        for iterate in islice(found, run.count):
            wrong = _wrong(iterate, expected)
            if wrong:
                fail(
                    subject,
                    theory=f"an Iterate of parameters {expected}, and a batch loss that is None or "
                    "a 0-dimensional tensor without a graph",
                    seen=wrong,
                    runs=[run],
                    show=["print(run[0])"],
                )


def _wrong(iterate: Any, expected: dict[str, Any]) -> str:
    """Return what of an iterate is not as the protocol says, or an empty text."""
    if not isinstance(iterate, Iterate):
        return f"a {type(iterate).__name__}"
    seen = {k: (tuple(v.shape), v.dtype) for k, v in iterate.parameters.items()}
    if seen != expected:
        return f"parameters {seen}"
    loss: Any = iterate.batch_loss
    if loss is None or (
        isinstance(loss, torch.Tensor) and not loss.ndim and not loss.requires_grad
    ):
        return ""
    if not isinstance(loss, torch.Tensor):
        return f"a batch loss that is a {type(loss).__name__}"
    return f"a batch loss of shape {tuple(loss.shape)}, requires_grad={loss.requires_grad}"


@check()
def yields_as_often_as_it_says(subject: Subject) -> None:
    """A direct method yields once; one that uses mini-batches goes on for ever."""
    run = subject.setting(batch_size=4, count=2 if not subject.uses_batches else LONG)
    count = len(subject.run(run))
    expected = {1} if subject.is_direct else {1, 2}
    expected = {LONG} if subject.uses_batches else expected
    if count not in expected:
        fail(
            subject,
            theory="a direct method yields its answer once, one with mini-batches a point after "
            "each pass for ever: budget and target end a trial, not the method",
            seen=f"{count} iterates of {run.count} asked for",
            runs=[run],
            show=["print(len(run))"],
        )


@check()
def yields_after_each_pass_and_counts_it(subject: Subject) -> None:
    """Each iterate stands for as many passes over the batches as its `epochs` say."""
    subject.require(uses_batches=True)
    run = subject.setting(batch_size=3, count=4)
    problem = run.problem()
    batches = run.batches(problem)
    found = subject.optimizer.iterates(problem, batches, run.begin(problem))
    epochs = 0
    for i, iterate in enumerate(islice(found, run.count)):
        epochs += iterate.epochs
        point = copied(iterate, batches)
        if batches.taken == 0 and not i:
            _blame_start(subject, run, problem, point)
        if batches.taken == 0 and i == 3:
            raise CheckSkipped("it draws its mini-batches by itself")
        if batches.taken == 0 and type(iterate.epochs) is int:
            continue
        if type(iterate.epochs) is not int or batches.taken != epochs * batches.steps:
            passes = batches.taken / batches.steps
            fail(
                subject,
                theory=f"iterate {i + 1} stands for {epochs!r} passes of {batches.steps} batches",
                seen=f"{batches.taken} batches taken ({passes:.3g} passes) when it was yielded, "
                f"epochs={iterate.epochs!r}",
                tolerance="none: batches are counted",
                runs=[run],
                show=["print([iterate.epochs for iterate in run], batches.steps)"],
            )


def _blame_start(subject: Subject, run: Run, problem: Any, point: Any) -> None:
    """Blame a method that took no batch and yields the start."""
    start = run.begin(problem)
    if all(torch.equal(point.parameters[name], start[name]) for name in start):
        fail(
            subject,
            theory="the first iterate is the point after the first pass",
            seen="the first iterate is the start, yielded before any batch was taken",
            runs=[run],
            show=["print(start, run[0].parameters)"],
        )


@check()
def fits_without_an_intercept(subject: Subject) -> None:
    """A problem without intercept has no bias, and the method needs none."""
    run = subject.setting(batch_size=3, options={"fit_intercept": False})
    names = set(subject.run(run)[0].parameters)
    if names != {"weight"}:
        fail(
            subject,
            theory="fit_intercept=False leaves one parameter, the weight",
            seen=f"parameters {sorted(names)}",
            runs=[run],
        )


@check()
def is_the_same_after_pickling(subject: Subject) -> None:
    """A pickled copy, as isolated trials get one, makes the same iterates."""
    run = subject.setting(batch_size=3, count=2)
    try:
        again = cloudpickle.loads(cloudpickle.dumps(subject.optimizer))
    except Exception as error:
        fail(
            subject,
            theory="isolated trials send the optimizer to another process by cloudpickle",
            seen=f"{type(error).__name__}: {error}",
        )
    one, other = subject.run(run), Subject(again).run(run)
    if not same_bits(one, other):
        fail(subject, theory="the copy does what the optimizer does", seen="other numbers")
