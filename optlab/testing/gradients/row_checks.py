"""Checks that a loss is a mean over rows: mean, batch average and broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from optlab.problems.problem import Batch, Parameters
from optlab.testing.failure_message import failure_message
from optlab.testing.gradients.differentiable import some
from optlab.testing.gradients.entry_difference import entry_difference
from optlab.testing.gradients.gradient_subject import GradientSubject
from optlab.testing.gradients.line import EPS
from optlab.testing.gradients.place import Place, places
from optlab.testing.gradients.rounding_bound import DERIVATION
from optlab.testing.run_checks import CheckFailedError


def check_mean(subject: GradientSubject) -> None:
    """Require that rows given twice have the loss and the gradient of the rows."""
    rows = subject.rows()
    twice = Batch(*(None if part is None else torch.cat([part, part]) for part in rows))  # type: ignore[arg-type]  # X and y are never None
    _compare(
        subject,
        [(twice, 1.0)],
        slice(0, len(rows.y)),
        "the loss is a mean: rows given twice have the loss and gradient of the rows",
        "the rows given twice",
    )


def check_batch_average(subject: GradientSubject) -> None:
    """Require that batches, weighted by their rows, have the loss and gradient of all their rows.

    The last batch is short, as n is no multiple of the batch size.
    """
    rows = subject.rows()
    n = len(rows.y)
    size = next((b for b in range(n // 2 + 1, 1, -1) if n % b), 1)
    parts = [some(rows, slice(first, first + size)) for first in range(0, n, size)]
    _compare(
        subject,
        [(part, len(part.y) / n) for part in parts],
        slice(0, n),
        "batches, weighted by their numbers of rows, have the mean loss and gradient of all",
        f"batches of {', '.join(str(len(part.y)) for part in parts)} rows",
    )


def check_all_rows(subject: GradientSubject) -> None:
    """Require that a batch of all rows has the loss and the gradient of no batch at all."""
    subject.rows()
    data = subject.double.data
    assert data is not None
    _compare(
        subject,
        [(data, 1.0)],
        None,
        "a batch of all rows has the loss and the gradient of all data",
        "a batch of all rows",
    )


def check_broadcasting(subject: GradientSubject) -> None:
    """Require that each row is compared with its own target, and with no other row's.

    Predictions ``(n,)`` less targets ``(n, 1)`` are n times n differences: their mean is that over
    all pairs of a row and a target.
    """
    rows, at = subject.rows(), subject.double
    n = len(rows.y)
    pairs = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    crossed = rows._replace(X=rows.X[pairs[:, 0]], y=rows.y[pairs[:, 1]])
    if rows.weight is not None:
        crossed = crossed._replace(weight=rows.weight[pairs[:, 0]])
    for place in places(at, subject.seed, batches=False):
        point = place.point
        own = [at.value(point, some(rows, slice(k, k + 1))) for k in range(n)]
        seen, mean = at.value(point, rows), sum(own) / n
        bound = subject.bound(replace(place, rows=slice(0, n)))
        # The rows' losses may cancel: each is rounded in its own size.
        tolerance = 4 * (bound.loss + EPS * n * max(map(abs, own)))
        if abs(seen - mean) <= tolerance:
            continue
        singles = [at.value(point, some(crossed, slice(k, k + 1))) for k in range(n * n)]
        if abs(seen - sum(singles) / n**2) > n * tolerance:
            continue  # anything else is a matter of the batch average
        raise CheckFailedError(
            failure_message(
                "a row's prediction is compared with its own target",
                f"{seen!r}, the mean over all {n * n} pairs of a row and a target, at {place}; "
                f"the mean over the {n} rows is {mean!r}",
                hint="predictions of shape (n,) and targets of shape (n, 1), or the reverse, "
                "broadcast to (n, n): reshape one of them",
                tolerance=f"{tolerance:.2g} = 2 of {DERIVATION}",
                example=_example(place, n, 1),
            )
        )


def _compare(
    subject: GradientSubject,
    parts: Sequence[tuple[Batch, float]],
    which: slice | None,
    theory: str,
    words: str,
) -> None:
    """Compare the loss and gradients of weighted batches with those of some rows (or all)."""
    at = subject.double
    for place in places(at, subject.seed, batches=False):
        whole = replace(place, rows=which)
        point, rows = whole.point, whole.batch
        bounds = [(subject.bound_at(point, part), share) for part, share in parts]
        bounds.append((subject.bound(whole), 1.0))
        tolerance = sum(share * bound.loss for bound, share in bounds)
        seen = sum(share * at.value(point, part) for part, share in parts)
        expected = at.value(point, rows)
        n = len(next(part for part in (rows, at.data) if part is not None).y)
        example = _example(place, n, len(parts[0][0].y), twice="twice" in words)
        if abs(seen - expected) > tolerance:
            raise CheckFailedError(
                failure_message(
                    theory,
                    f"a loss of {seen!r} for {words}, {expected!r} for the rows, at {place}",
                    hint=_cause(seen, expected),
                    tolerance=f"{tolerance:.2g}, each {DERIVATION}",
                    example=example,
                )
            )
        limits = {k: sum(share * bound.gradient[k] for bound, share in bounds) for k in point}
        for name, slopes in _kinds(subject):
            one = {k: sum(s * slopes(point, part)[k] for part, s in parts) for k in point}
            difference = entry_difference(one, slopes(point, rows), limits, point)  # type: ignore[arg-type]  # sums of tensors
            if difference is not None:
                raise CheckFailedError(
                    failure_message(
                        theory,
                        f"{difference}, by {name}, for {words}, at {place}",
                        hint=difference.cause,
                        tolerance=f"{difference.tolerance:.2g}, each {DERIVATION}",
                        example=example,
                    )
                )


Gradient = Callable[[Parameters, Batch | None], Parameters]


def _kinds(subject: GradientSubject) -> list[tuple[str, Gradient]]:
    at = subject.double
    found: list[tuple[str, Gradient]] = [("autograd", at.autograd)] if at.has_autograd else []
    return [*found, ("the closed form", at.closed_form)] if at.closed is not None else found


def _cause(seen: float, expected: float) -> str:
    ratio = seen / expected if expected else 0.0
    return (
        "a sum over the rows, or a division by another number than the batch's rows"
        if (abs(ratio - 1) > 1e-3)
        else ""
    )


def _example(place: Place, n: int, size: int, *, twice: bool = False) -> str:
    """Return code that prints the loss and the gradient of n rows and of batches of some size."""
    gradient = "" if place.at.closed is None else f", gradient({place.arguments})"
    call = f"loss({place.arguments}).item(){gradient}"
    if twice:
        return f"""{place.code()}
rows = Batch(*(None if part is None else part[:{n}] for part in rows))
print("rows", {call})
rows = Batch(*(None if part is None else torch.cat([part, part]) for part in rows))
print("twice", {call})"""
    return f"""{place.code()}
every = Batch(*(None if part is None else part[:{n}] for part in rows))
parts = [slice(first, first + {size}) for first in range(0, {n}, {size})]
for which in [slice(0, {n}), *parts]:
    rows = Batch(*(None if part is None else part[which] for part in every))
    print(len(rows.y), "rows", {call})"""
