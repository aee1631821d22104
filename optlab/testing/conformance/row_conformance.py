"""Checks of the rows: each is used once, in the given order, and counts as much as the others."""

from __future__ import annotations

import torch
from torch import Tensor

from optlab.optimizers import Batches
from optlab.testing.conformance.check import check
from optlab.testing.conformance.declared_rates import first_pass
from optlab.testing.conformance.failing import differ, fail, shown
from optlab.testing.conformance.rounding_of_runs import rounding
from optlab.testing.conformance.single_run import Run
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped

_GAP = "print(run[-1].parameters, other[-1].parameters)"


def _moved(run: Run, row: int, factor: float = 0.5) -> Run:
    """Return the run with another row of features in one place."""
    X = run.X.clone()
    X[row] = X[row].flip(0) * factor + 0.375
    return run.but(X=X)


def _counts(subject: Subject, run: Run, row: int, base: Tensor) -> bool:
    """Return whether another row changes the iterate; a method of signs sees large changes only."""
    return any(
        not torch.equal(subject.run(_moved(run, row, factor))[-1].vector, base)
        for factor in (0.5, -8.0, 64.0, -64.0)
    )


@check()
def every_row_counts(subject: Subject) -> None:
    """A pass visits every row, the last and short batch included: each one changes the iterate."""
    run = subject.setting(batch_size=3, count=first_pass(subject))
    base = subject.run(run)[-1].vector
    unseen = [row for row in range(len(run.y)) if not _counts(subject, run, row, base)]
    if unseen:
        fail(
            subject,
            theory=f"after a pass over {len(run.y)} rows in batches of 3 the iterate depends on "
            "each row",
            seen=f"the same bits whatever stands in row {', '.join(map(str, unseen))} of X",
            runs=[run, _moved(run, unseen[0])],
            show=[_GAP],
        )


@check()
def every_row_of_a_pass_is_used_once(subject: Subject) -> None:
    """In a pass the gradient of each row is taken once, for a method that says no other cost."""
    subject.require(uses_batches=True, is_batch_local=True)
    for size in (1, 2, 3, "full"):
        run = subject.setting(batch_size=size, count=2)
        points, calls = subject.record(run)
        if points[0].cost is not None and points[0].cost.gradients < 1:
            raise CheckSkipped("its cost says that it takes fewer gradients than rows")
        rows = [row for call in calls if call.is_gradient for row in call.rows]
        if not rows:
            raise CheckSkipped("its gradients are not the problem's")
        passes = sum(point.epochs for point in points)
        counts = [rows.count(row) for row in range(len(run.y))]
        if set(counts) != {passes}:
            fail(
                subject,
                theory=f"{passes} passes in batches of {size} take {passes} gradients of each row",
                seen=f"gradients by row: {counts}",
                tolerance="none: rows are counted",
                runs=[run],
                show=["print([iterate.cost for iterate in run])"],
            )


@check()
def the_order_of_batches_is_respected(subject: Subject) -> None:
    """The rows are visited in the order of the batches: shuffled, or laid out so, is the same."""
    subject.require(uses_batches=True)
    run = subject.setting(batch_size=2)
    if subject.run(run)[0].epochs != 1:
        raise CheckSkipped("its iterates stand for several passes, each in an order of its own")
    problem = run.problem()
    order = _order(run)
    laid = run.but(X=run.X[order], y=run.y[order], shuffle=False, start=run.begin(problem))
    shuffled, plain = subject.run(run)[0].vector, subject.run(laid)[0].vector
    reversed_ = subject.run(laid.but(X=laid.X.flip(0), y=laid.y.flip(0)))[0].vector
    gap, bound = differ(plain, shuffled), rounding(run)
    if gap > bound or torch.equal(reversed_, plain):
        fail(
            subject,
            theory=f"the generator of seed {run.seed} gives the order {order.tolist()}; the rows "
            "laid out in it and not shuffled make the same steps, and reversed make others",
            seen=f"shuffled {shown(shuffled)}, laid out {shown(plain)}, "
            f"reversed {shown(reversed_)}",
            tolerance=f"{bound:.1e} of the largest parameter, for sums in another order",
            runs=[run, laid],
            show=[_GAP],
        )


@check()
def the_batches_of_a_pass_are_visited_one_after_the_other(subject: Subject) -> None:
    """The gradients of a pass are asked for in the order of its batches."""
    subject.require(uses_batches=True, is_batch_local=True)
    run = subject.setting(batch_size=2)
    (point,), calls = subject.record(run)
    visits = [call.rows for call in calls if call.is_gradient]
    if not visits:
        raise CheckSkipped("its gradients are not the problem's")
    visits = [rows for rows, before in zip(visits, [None, *visits], strict=False) if rows != before]
    expected = [part.tolist() for part in _order(run).split(2)]
    visits = visits if point.epochs == 1 else visits[: len(expected)]
    if visits != expected:
        fail(
            subject,
            theory=f"the batches of the first pass are the rows {expected}",
            seen=f"gradients of the rows {visits}",
            tolerance="none: rows are counted",
            runs=[run],
        )


def _order(run: Run) -> Tensor:
    """Return the order of the rows in the first pass."""
    numbers = torch.arange(len(run.y))
    generator = torch.Generator().manual_seed(run.seed)
    batches = Batches(numbers[:, None], numbers, run.batch_size, generator)
    return torch.cat([batch.y for batch in next(iter(batches))])


@check()
def only_rows_of_the_batch_count(subject: Subject) -> None:
    """A step takes the gradient of its mini-batch: a row that is in none changes nothing."""
    subject.require(uses_batches=True, is_batch_local=True)
    # With drop_last the last of 7 rows, in order, is in no batch of 2.
    run = subject.setting(batch_size=2, shuffle=False, drop_last=True, count=2)
    last = len(run.y) - 1
    base, other = subject.run(run)[-1].vector, subject.run(_moved(run, last))[-1].vector
    if not torch.equal(base, other):
        fail(
            subject,
            theory=f"row {last} is in no batch (drop_last=True), and the cost of the iterates says "
            "that no other gradients are taken",
            seen=f"{shown(base)} becomes {shown(other)} where row {last} of X is another",
            runs=[run, _moved(run, last)],
            show=[_GAP],
        )


@check()
def the_short_last_batch_counts_by_its_rows(subject: Subject) -> None:
    """The gradient of the short last batch is the mean over the rows that it has."""
    subject.require(uses_batches=True, is_batch_local=True)
    run = subject.setting(batch_size=2, shuffle=False)
    # The last row again fills the last batch, and leaves its mean as it was.
    last = run.X[-1:], run.y[-1:]
    filled = run.but(X=torch.cat([run.X, last[0]]), y=torch.cat([run.y, last[1]]))
    short, whole = subject.run(run)[0].vector, subject.run(filled)[0].vector
    gap, bound = differ(short, whole), rounding(run)
    if gap > bound:
        fail(
            subject,
            theory="a last batch of 1 row and one of the same row twice have the same mean "
            f"gradient: {shown(whole)}",
            seen=f"{shown(short)} with the short batch, a difference of {gap:.2e}",
            tolerance=f"{bound:.1e} of the largest parameter, for rounding",
            runs=[run, filled],
            show=[_GAP],
        )


@check()
def a_full_batch_is_indifferent_to_row_order(subject: Subject) -> None:
    """With all rows in one batch their order makes no difference but rounding."""
    run = subject.setting(count=3)
    turned = run.but(X=run.X.flip(0), y=run.y.flip(0))
    one, other = subject.run(run)[-1].vector, subject.run(turned)[-1].vector
    gap, bound = differ(other, one), rounding(run)
    if gap > bound:
        fail(
            subject,
            theory="the mean over all rows does not know their order",
            seen=f"{shown(one)}, and {shown(other)} with the rows reversed",
            tolerance=f"{bound:.1e} of the largest parameter, for sums in another order",
            runs=[run, turned],
            show=[_GAP],
        )


@check("full")
def weights_of_rows_count(subject: Subject) -> None:
    """A row of weight 2 counts as the same row twice, and one of weight 0 as none."""
    weights = torch.tensor([2.0, 1.0, 1.0, 0.0, 1.0, 2.0, 1.0]).double()
    run = subject.setting(options={"sample_weight": weights}, count=2)
    if not subject.takes(run):
        raise CheckSkipped("it says that it does not support weights of rows")
    again = weights.long()
    repeated = run.but(
        X=run.X.repeat_interleave(again, 0), y=run.y.repeat_interleave(again, 0), options={}
    )
    one, other = subject.run(run)[-1].vector, subject.run(repeated)[-1].vector
    gap, bound = differ(one, other), rounding(run)
    if gap > bound:
        fail(
            subject,
            theory=f"weights {weights.long().tolist()} and rows repeated so often have the same "
            f"mean loss: {shown(other)}",
            seen=f"{shown(one)} with the weights",
            tolerance=f"{bound:.1e} of the largest parameter, for sums in another order",
            runs=[run, repeated],
            show=[_GAP],
        )
