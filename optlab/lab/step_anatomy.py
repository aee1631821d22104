"""Measure where the time of an optimizer's step goes, part by part.

Three kinds of runs of whole epochs take turns, of the same optimizer from the same seed:

1. Plain ones: the seconds of a step, S, the least of fifteen rounds.
2. Timed ones, in which a clock is read where the optimizer asks for a batch or an order
   (`Batches`, or a `DataLoader`), evaluates the loss, takes a gradient in closed form, or calls
   autograd's backward pass. They give the seconds of each phase, the least of fifteen rounds, less
   what the clock itself takes; what is left is the update's. All are scaled so that they sum to S.
3. A profiled one (`torch.autograd.profiler`), of some hundred steps: the share R_k of each phase's
   time that lies inside torch's operations.

``order and gather`` is the whole of its phase's seconds T_k, all that it takes to have the next
batch. The other parts are ``T_k R_k``, and ``Python`` is the rest of theirs,
``sum T_k (1 - R_k)``: the interpreter, and libraries other than torch. The parts sum to S. Of an
optimizer that is compiled (it has a member ``compile``) the rest is the ``compiled loop``, and
nothing is told apart from Python. The profiler makes everything slower, operations and Python about
alike, which is why only shares are taken from it. An operation's time holds what torch does around
the arithmetic: its dispatch, and where autograd records, the graph.
"""

from __future__ import annotations

import copy
import gc
import os
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol
from unittest.mock import patch

import torch
from torch.utils.data import dataloader

from optlab.lab.measure.clock import current_clock
from optlab.lab.measure.phase_timer import PhaseTimer
from optlab.optimizers import Batches, BatchSize, Optimizer
from optlab.optimizers.resolve_rates import has_rate_text, resolve_rates
from optlab.problems import Batch, Problem
from optlab.problems.capabilities import begin_run

ORDER, FORWARD, BACKWARD = "order and gather", "forward", "backward"
GRADIENT, UPDATE, COMPILED, PYTHON = "closed-form gradient", "update", "compiled loop", "Python"
PARTS = (ORDER, FORWARD, BACKWARD, GRADIENT, UPDATE, COMPILED, PYTHON)
"""The parts of a step, in the order in which they come."""

_PHASES = {
    "loss": FORWARD,
    "smooth_loss": FORWARD,
    "residuals": FORWARD,
    "linear_predictor": FORWARD,
    "gradient": GRADIENT,
    "smooth_gradient": GRADIENT,
    "hessian_product": GRADIENT,
    "jacobian": GRADIENT,
}
"""The phase of each method of a problem that optimizers call."""

_PROFILED_STEPS = 300
_PROFILED_SECONDS = 1.0
_RUN_SECONDS = 0.02  # of one run, where an epoch is no longer
_LONG_EPOCH = 1.0  # seconds: of such each kind of run makes one
_ROUNDS = 15


@dataclass(frozen=True)
class StepParts:
    """The seconds of a step by part, and what measuring them cost.

    Parameters
    ----------
    seconds
        Of each part, a step; they sum to ``step``.
    step
        Seconds of a step in the plain runs: the least, as what else the machine does only adds.
    spread
        ``(most - least) / least`` of these.
    clock_overhead, profiler_overhead
        By what share the timed and the profiled runs took longer than the plain ones.
    """

    seconds: Mapping[str, float]
    step: float
    spread: float
    clock_overhead: float
    profiler_overhead: float


def step_parts(
    problem: Problem, optimizer: Optimizer, batch_size: BatchSize, seed: int
) -> StepParts:
    """Measure the parts of a step of an optimizer that iterates, on the CPU.

    ``problem`` is in the dtype to compute in; it is neither copied nor changed. Learning rates that
    are text get their numbers before anything is timed.

    Raises
    ------
    UnknownCurvatureError
        Where the problem gives a text no number.
    """
    setting = _with_rates(_Setting(problem, optimizer, batch_size, seed))
    optimizer = setting.optimizer
    prepare = getattr(optimizer, "compile", None)
    if callable(prepare):
        prepare(problem, setting.batches())
    with _undisturbed():
        setting.plain(1)  # cold
        epoch = setting.plain(1)
        epochs = max(1, int(_RUN_SECONDS / max(epoch, 1e-9)))
        plain, timed = [], []
        for _ in range(1 if epoch > _LONG_EPOCH else _ROUNDS):
            plain.append(setting.plain(epochs))
            timed.append(setting.timed(epochs))
        shares, profiled = _profile(setting)
    count = setting.batches().steps
    step, clocked = min(plain) / count, min(seconds for _, seconds in timed)
    phases = {p: min(run.get(p, 0.0) for run, _ in timed) for p in timed[0][0]}
    found = _split(phases, step, shares, is_compiled=callable(prepare))
    spread = (max(plain) - min(plain)) / min(plain)
    return StepParts(found, step, spread, clocked / min(plain) - 1, profiled / step - 1)


def _split(
    phases: Mapping[str, float], step: float, shares: Mapping[str, float], *, is_compiled: bool
) -> dict[str, float]:
    """Return the parts of a step's seconds, of its phases and the operations' shares in these."""
    scale = step / sum(phases.values())
    found = {phase: seconds * scale for phase, seconds in phases.items()}
    if is_compiled:
        found[COMPILED] = found.pop(UPDATE)
    else:
        inside = dict(shares) | {ORDER: 1.0}
        found = {phase: seconds * inside.get(phase, 0.0) for phase, seconds in found.items()}
        found[PYTHON] = max(0.0, step - sum(found.values()))
    return {part: found[part] for part in PARTS if found.get(part, 0.0) > 0}


class _Enough(BaseException):
    """Ends a profiled run in the middle of an epoch."""


class _Phases(Protocol):
    """The protocol of what records phases: a timer, or scopes of a profiler."""

    def enter(self, phase: str) -> None:
        """Begin a phase."""

    def leave(self) -> None:
        """End the last one begun."""

    def timed(self, phase: str, call: Any) -> Any:
        """Return a function whose calls are phases."""


@dataclass(frozen=True)
class _Setting:
    """An optimizer on a problem, run for some epochs from a seed."""

    problem: Problem
    optimizer: Optimizer
    batch_size: BatchSize
    seed: int

    def batches(self) -> Batches:
        X, y, weight = self.problem.data
        generator = torch.Generator().manual_seed(self.seed)
        return Batches(X, y, self.batch_size, generator, weight=weight)

    def plain(self, epochs: int) -> float:
        """Return the seconds of an epoch of a run."""
        seconds, made = _run(self, self.problem, self.batches(), epochs)
        return seconds / max(1, made)

    def timed(self, epochs: int) -> tuple[dict[str, float], float]:
        """Return the seconds of each phase of an epoch of a run, and of all of it.

        The update is what is in no other phase, and what the timer does not take itself.
        """
        timer = PhaseTimer()
        with _instrumented(self, timer) as (problem, batches):
            seconds, made = _run(self, problem, batches, epochs)
        found = {phase: timer.seconds(phase) for phase in timer.calls}
        found[UPDATE] = max(0.0, seconds - timer.own_seconds() - sum(found.values()))
        made = max(1, made)
        return {phase: value / made for phase, value in found.items()}, seconds / made


def _with_rates(setting: _Setting) -> _Setting:
    """Return a setting whose learning rates are numbers, as those of its trial are."""
    if not has_rate_text(setting.optimizer):
        return setting
    start = begin_run(setting.problem, torch.Generator().manual_seed(setting.seed))
    resolved = resolve_rates(setting.optimizer, setting.problem, setting.batches(), start)
    return replace(setting, optimizer=resolved.optimizer)


def _run(setting: _Setting, problem: Problem, batches: Batches, epochs: int) -> tuple[float, int]:
    """Make some epochs, and return their seconds and number; the start is drawn before."""
    start = begin_run(problem, torch.Generator().manual_seed(setting.seed))
    batches.looks = [epochs]
    iterates = setting.optimizer.iterates(problem, batches, start)
    made, read = 0, current_clock().read
    began = read()
    try:
        while made < epochs and (iterate := next(iterates, None)) is not None:
            made += iterate.epochs
    except _Enough:
        pass
    return (read() - began) / 1e9, made


@contextmanager
def _instrumented(setting: _Setting, phases: _Phases) -> Iterator[tuple[Problem, Batches]]:
    """Give a problem and batches whose calls are phases, as are those of autograd and loaders."""
    problem = copy.copy(setting.problem)
    for name, phase in _PHASES.items():
        if callable(method := getattr(setting.problem, name, None)):
            object.__setattr__(problem, name, phases.timed(phase, method))
    iterator, loader = dataloader._BaseDataLoaderIter, dataloader.DataLoader
    with ExitStack() as stack:
        for owner, name, phase in (
            (torch.Tensor, "backward", BACKWARD),
            (torch.autograd, "backward", BACKWARD),
            (torch.autograd, "grad", BACKWARD),
            (iterator, "__next__", ORDER),
            (loader, "__iter__", ORDER),
        ):
            timed = phases.timed(phase, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, timed))
        yield problem, _TimedBatches(setting.batches(), phases)


class _TimedBatches(Batches):
    """Batches of which each is a phase, as is each call for orders."""

    def __init__(self, batches: Batches, phases: _Phases) -> None:
        self.__dict__.update(batches.__dict__)
        self._phases = phases

    def __iter__(self) -> Iterator[Iterator[Batch]]:
        return map(self._each, super().__iter__())

    def _each(self, epoch: Iterator[Batch]) -> Iterator[Batch]:
        following = self._phases.timed(ORDER, lambda: next(epoch, None))
        while (batch := following()) is not None:
            yield batch

    def orders(self, epochs: int) -> torch.Tensor | None:
        """Return the next orders, as a phase."""
        found: torch.Tensor | None = self._phases.timed(ORDER, super().orders)(epochs)
        return found


class _ProfilerScopes:
    """Phases as scopes of torch's profiler; a run ends after so many batches, or seconds."""

    def __init__(self, steps: int, seconds: float) -> None:
        self.steps = steps
        self.deadline = time.monotonic() + seconds
        self.begun = 0
        self._open: list[Any] = []

    def enter(self, phase: str) -> None:
        if phase == ORDER and not self._open:
            self.begun += 1
            if self.begun > self.steps or (self.begun > 2 and time.monotonic() > self.deadline):
                raise _Enough
        scope = torch.profiler.record_function(_SCOPE + phase)
        scope.__enter__()
        self._open.append(scope)

    def leave(self) -> None:
        self._open.pop().__exit__(None, None, None)

    def timed(self, phase: str, call: Any) -> Any:
        def timed(*arguments: Any, **keywords: Any) -> Any:
            self.enter(phase)
            try:
                return call(*arguments, **keywords)
            finally:
                self.leave()

        return timed


_SCOPE = "optlab: "


def _profile(setting: _Setting) -> tuple[dict[str, float], float]:
    """Return the share of torch's operations in each phase's time, and seconds a step."""
    scopes = _ProfilerScopes(_PROFILED_STEPS, _PROFILED_SECONDS)
    steps = setting.batches().steps
    epochs = max(1, _PROFILED_STEPS // steps)
    profiler = torch.autograd.profiler.profile(use_kineto=False)
    quiet = patch.dict(os.environ, KINETO_LOG_LEVEL="99")  # it would print when it starts and stops
    with quiet, profiler, _instrumented(setting, scopes) as (problem, batches):
        seconds, made = _run(setting, problem, batches, epochs)
    count = made * steps or min(scopes.begun, _PROFILED_STEPS)
    return _shares(profiler.function_events or []), seconds / max(1, count)


def _shares(events: Any) -> dict[str, float]:
    """Return, by phase, the time inside outermost operations over the phase's time.

    A step begins where an order or a batch is asked for.
    """
    ordered = sorted(events, key=lambda event: event.time_range.start)
    begins = [e.time_range.start for e in ordered if e.name == _SCOPE + ORDER]
    operations: list[Counter[str]] = [Counter() for _ in begins]
    scopes: list[Counter[str]] = [Counter() for _ in begins]
    for event in ordered:
        step = bisect_right(begins, event.time_range.start) - 1
        if step < 0 or (_is_label(event) and not event.name.startswith(_SCOPE)):
            continue
        duration, phase = event.time_range.elapsed_us(), _outer_phase(event)
        if event.name.startswith(_SCOPE):
            scopes[step][event.name.removeprefix(_SCOPE)] += duration
            scopes[step][phase or UPDATE] -= duration if phase else 0
        elif phase is not None:
            operations[step][phase] += duration
    for step, (begin, end) in enumerate(pairwise(begins)):
        scopes[step][UPDATE] = end - begin - sum(scopes[step].values())
    found: dict[str, list[tuple[float, float]]] = {}
    for done, within in zip(operations, scopes, strict=True):
        for phase, duration in within.items():
            if duration > 0:
                found.setdefault(phase, []).append((duration, done[phase]))
    return {phase: _share(pairs) for phase, pairs in found.items()}


def _share(pairs: list[tuple[float, float]]) -> float:
    """Return the time inside operations over the whole, over the faster half of the steps.

    The others were slow to start or disturbed. Where an epoch is a step, half of the calls for a
    batch find its end: what follows these is much shorter, and left out.
    """
    pairs = sorted(pairs)
    usual = pairs[len(pairs) * 3 // 4][0]
    pairs = [pair for pair in pairs if pair[0] >= usual / 5]
    kept = pairs[: (len(pairs) + 1) // 2]
    return min(1.0, sum(done for _, done in kept) / sum(duration for duration, _ in kept))


def _outer_phase(event: Any) -> str | None:
    """Return the phase that an outermost event is part of; None for one inside an operation."""
    outer = event.cpu_parent
    while outer is not None and _is_label(outer) and not outer.name.startswith(_SCOPE):
        outer = outer.cpu_parent
    if outer is None:
        return None if event.name.startswith(_SCOPE) else UPDATE
    return str(outer.name.removeprefix(_SCOPE)) if outer.name.startswith(_SCOPE) else None


def _is_label(event: Any) -> bool:
    """Return whether an event is a stretch that Python code has named, no operation."""
    return bool(event.scope == _USER_SCOPE)


_USER_SCOPE = 7  # at::RecordScope::USER_SCOPE


@contextmanager
def _undisturbed() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        with torch.enable_grad():
            yield
    finally:
        if was_on:
            gc.enable()
