"""The learning rates that an optimizer declares by a schedule, pass by pass on all rows.

Rates whose sum is finite go a finite way: a schedule that ends at 0 leaves the iterate where it is,
wherever the minimum lies (Robbins and Monro, A Stochastic Approximation Method, 1951, condition 5).
So checks of where iterates go, and whether they still move, end where a schedule's rate does. What
declares none itself, and follows a reference that does, is held to the reference's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from optlab.optimizers.adapters.torch_optimizer import TorchOptimizer
from optlab.testing.conformance.rule_conformance import follows_its_rule
from optlab.testing.conformance.subject import Subject
from optlab.testing.plain_rules import PlainRule
from optlab.testing.run_checks import CheckFailedError, CheckSkipped

LEAST = 4
"""Passes that a schedule must have for a check of the way down."""


def first_pass(subject: Subject, most: int = 100) -> int:
    """Return the number of the first pass, from 1, whose rate is above 0: of a warm-up from 0.

    Examples
    --------
    >>> import optlab as ol
    >>> warm_up = ol.schedules.WarmUp(0.1, epochs=4, first=0)
    >>> first_pass(Subject(ol.SGD(warm_up))), first_pass(Subject(ol.SGD(0.1)))
    (2, 1)
    """
    rates = _declared(subject, most)
    return next((number for number, rate in enumerate(rates, start=1) if rate > 0), 1)


def last_pass(subject: Subject, most: int, share: float) -> int:
    """Return the number of the last pass, at most so many, above a share of the largest rate.

    Raises
    ------
    CheckSkipped
        Where it is one of the first passes, which show no way down.

    Examples
    --------
    >>> import optlab as ol
    >>> last_pass(Subject(ol.SGD(ol.schedules.Cosine(0.1, epochs=50))), 600, share=0.01)
    47
    >>> last_pass(Subject(ol.SGD(0.1)), 600, share=0.01)
    600
    """
    rates = _declared(subject, most)
    least = share * max(rates)
    last = max(number for number, rate in enumerate(rates, start=1) if rate >= least)
    if last < LEAST:
        raise CheckSkipped(f"its learning rate is next to 0 from pass {last + 1} on")
    return last


def _declared(subject: Subject, passes: int) -> list[float]:
    """Return the rates that a subject declares, or those of the reference that it follows."""
    own = _rates(subject.optimizer, passes)
    if subject.reference is None or len(set(own)) > 1:
        return own
    of_reference = _rates(subject.reference, passes)
    if len(set(of_reference)) == 1:
        return own
    try:
        follows_its_rule.function(subject.begin())
    except (CheckFailedError, CheckSkipped):
        return own
    return of_reference


def _rates(optimizer: Any, passes: int) -> list[float]:
    """Return the rate of each pass in one batch; 1 where no schedule is declared."""
    if isinstance(optimizer, TorchOptimizer) and optimizer.scheduler is not None:
        return _of_torch(optimizer, passes)
    while hasattr(optimizer, "rule"):  # of a wrapper
        optimizer = optimizer.rule
    is_rule = isinstance(optimizer, PlainRule)
    schedule = optimizer.rate if is_rule else getattr(optimizer, "learning_rate", None)
    if not callable(schedule):
        return [1.0] * passes
    return [float(schedule(float(epoch))) for epoch in range(passes)]


def _of_torch(optimizer: TorchOptimizer, passes: int) -> list[float]:
    """Return the rates of a scheduler of torch; fewer than the passes where it ends by an error."""
    assert optimizer.scheduler is not None
    made = optimizer.cls([torch.zeros((1, 1), requires_grad=True)], **optimizer.options)
    scheduler = optimizer.scheduler(made)
    if isinstance(scheduler, ReduceLROnPlateau):  # its rates follow the losses
        return [1.0] * passes
    rates = []
    for _ in range(passes):
        rates.append(float(made.param_groups[0]["lr"]))
        try:
            scheduler.step()
        except ValueError:  # such as OneCycleLR's, after its total_steps
            break
    return rates
