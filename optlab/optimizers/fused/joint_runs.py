"""Run the trials of a sweep by compiled loops: those of one order of rows side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.fused.compiled_loops import compile_loop, loop, rows_and_loss
from optlab.optimizers.fused.fused_run import FusedRun, Loop, Moments
from optlab.optimizers.together import JointIterate, JointIterates, order_leaders, restricted
from optlab.problems import Parameters, Problem

_ROWS_AT_ONCE = 1 << 21
"""Rows x trials visited between two iterates at most, so that a sweep can be stopped meanwhile."""


class Settings(NamedTuple):
    """A trial's hyperparameters: see `FusedRun`."""

    rate: float
    momentum: float = 0.0
    decay: float = 0.0
    nesterov: bool = False
    fastmath: bool = False
    moments: Moments | None = None


class _Group:
    """Trials that share the order of rows and all but learning rate and momentum."""

    def __init__(self, trials: Sequence[int], run: FusedRun, batches: Batches) -> None:
        self.trials, self.run, self.batches = list(trials), run, batches
        self.places = list(range(len(trials)))  # of the trials in the run, which may hold more
        self.advance: Loop = loop(run, batches.rows_a_step, batches.samples)

    def restricted(self, kept: Sequence[int]) -> _Group:
        """Return a group of some of the trials; those that left are computed on as a minority."""
        self.trials, self.places = restricted(self.trials, kept), restricted(self.places, kept)
        # The steps that Adam has made are known to its loop alone.
        if self.run.moments is None and 2 * len(kept) <= len(self.run.theta):
            old, places = self.run, self.places
            theta, rates, momenta = old.theta[places], old.rates[places], old.momenta[places]
            run = FusedRun(
                old.data, old.loss, theta, rates, momenta, old.decay, old.nesterov, old.fastmath
            )
            run.velocity.copy_(old.velocity[places])
            run.losses.copy_(old.losses[places])
            return _Group(self.trials, run, self.batches)
        return self


def advance_together(
    settings: Sequence[Settings],
    problem: Problem,
    batches: Sequence[Batches],
    starts: Sequence[Parameters],
) -> JointIterates:
    """Yield the parameters of several trials where the runner looks, or after some epochs."""
    groups, like = _groups(settings, problem, batches, starts), starts[0]
    most = max(1, _ROWS_AT_ONCE // (batches[0].samples * len(settings)))
    for (epochs,) in batches[0].stretches(most):
        for group in groups:
            group.advance(group.batches.orders(epochs), epochs)
        points, losses = _in_order(groups)
        kept = yield JointIterate(points, like, losses, epochs)
        if kept is not None:
            groups = _restricted(groups, kept)


def compile_together(
    settings: Sequence[Settings],
    problem: Problem,
    batches: Sequence[Batches],
    starts: Sequence[Parameters],
) -> None:
    """Compile the loops of runs that are thrown away, or load them, by an epoch of one row."""
    for group in _groups(settings, problem, batches, starts):
        compile_loop(group.run, group.batches)


def _groups(
    settings: Sequence[Settings],
    problem: Problem,
    batches: Sequence[Batches],
    starts: Sequence[Parameters],
) -> list[_Group]:
    data, loss = rows_and_loss(problem, batches[0])
    entries = [value.reshape(-1) for start in starts for value in start.values()]
    theta = torch.cat(entries).view(len(starts), -1)  # one call: a call a trial takes milliseconds
    members: dict[tuple[object, ...], list[int]] = {}
    for trial, (setting, leader) in enumerate(zip(settings, order_leaders(batches), strict=True)):
        # Momentum is a step of its own in the loop.
        key = (leader, setting._replace(rate=0.0, momentum=float(setting.momentum != 0)))
        members.setdefault(key, []).append(trial)
    groups = []
    for trials in members.values():
        first: Settings = settings[trials[0]]
        own: list[Settings] = restricted(settings, trials)
        rates, momenta = theta.new_tensor([[s.rate for s in own], [s.momentum for s in own]])
        run = FusedRun(
            data, loss, theta[trials], rates, momenta, first.decay, first.nesterov,
            first.fastmath, first.moments,
        )  # fmt: skip
        groups.append(_Group(trials, run, batches[trials[0]]))
    return groups


def _in_order(groups: Sequence[_Group]) -> tuple[Tensor, Tensor]:
    """Return the points and losses of all trials, by their numbers."""
    (first, *others) = groups
    if not others and len(first.places) == len(first.run.theta):
        return first.run.theta, first.run.losses
    numbers = [trial for group in groups for trial in group.trials]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    points = torch.cat([group.run.theta[group.places] for group in groups])
    losses = torch.cat([group.run.losses[group.places] for group in groups])
    return points[order], losses[order]


def _restricted(groups: Sequence[_Group], kept: Sequence[int]) -> list[_Group]:
    """Return the groups of the trials at some places, numbered anew."""
    numbers = sorted(trial for group in groups for trial in group.trials)
    new = {numbers[place]: number for number, place in enumerate(kept)}
    left = []
    for group in groups:
        staying = [place for place, trial in enumerate(group.trials) if trial in new]
        if staying:
            fewer = group.restricted(staying)
            fewer.trials = [new[trial] for trial in fewer.trials]
            left.append(fewer)
    return left
