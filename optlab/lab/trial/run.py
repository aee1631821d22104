"""Run one trial: start and stop the clock around its work, and record the iterates."""

from __future__ import annotations

import gc
import math
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from optlab.lab.measure.clock import Stopwatch, current_clock
from optlab.lab.measure.devices import unavailable
from optlab.lab.measure.machine import machine_label
from optlab.lab.measure.machine_load import MACHINE_LOAD
from optlab.lab.measure.threads import set_threads
from optlab.lab.measure.torch_settings import torch_settings_for
from optlab.lab.trial.budget import Budget, Looks
from optlab.lab.trial.record import LEARNING_RATE, Trial, TrialRecord, Watcher
from optlab.lab.trial.recorder import Recorder
from optlab.lab.trial.status import Status
from optlab.lab.trial.stopping import End
from optlab.lab.trial.validate import data_are_untouched, passes_of
from optlab.lab.trial.working_copy import WorkingCopy
from optlab.optimizers import Batches, Iterate, Optimizer, is_direct, optimizer_name, unsupported
from optlab.optimizers.curvature import UnknownCurvatureError
from optlab.optimizers.resolve_rates import has_rate_text, resolve_rates
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import begin_run
from optlab.raised_at import own_line
from optlab.text import encodable

STOPPED = "stopped by Ctrl-C or SIGTERM"


def run_trial(
    trial: Trial,
    problem: Problem,
    optimizer: Optimizer,
    budget: Budget,
    *,
    start: Parameters | None = None,
    shuffle: bool = True,
    watch: Watcher | None = None,
    warm_up: bool = True,
    threads: int | None = None,
    time_limit: float | None = None,
    copy: WorkingCopy | None = None,
    catch: tuple[type[BaseException], ...] = (BaseException,),
) -> TrialRecord:
    """Run one trial under the clock and return its record; it never raises.

    The clock runs while the optimizer works. It stands still while an iterate is evaluated, which
    touches neither the optimizer's state nor its generator.

    Parameters
    ----------
    trial, problem, optimizer, budget
        The trial, and what it takes.
    start
        Parameters to start from; drawn from the trial's seed where left out.
    shuffle
        Whether batches are drawn in a new order each epoch.
    watch
        Called at each recorded iterate, off the clock.
    warm_up
        Whether one pass is made and timed first (``first_pass_seconds``), then thrown away, so
        that ``seconds`` holds no first-time costs.
    threads
        How many threads torch, BLAS and OpenMP may use; as many as torch does now where left out.
    time_limit
        Seconds of wall time, everything included, after which the trial ends as timed out. It is
        looked at between iterates: an optimizer that yields none is not stopped by it.
    copy
        The copy of the data that trials share as long as none changes it; its own where left out.
    catch
        The exceptions that become statuses.
    """
    record = TrialRecord(trial, started=time.time(), machine=machine_label())
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    process = os.getpid()
    MACHINE_LOAD.begin()
    copy = copy or WorkingCopy()
    run = _Run(record, problem, optimizer, budget, deadline, start, shuffle, watch, copy)
    try:
        count = set_threads(threads)
        # The caller's own torch.no_grad() or inference_mode() is no part of the experiment.
        with quiet(run.device), torch.inference_mode(False), torch.enable_grad():
            run.go(warm_up=warm_up)
        record.cores_short = MACHINE_LOAD.cores_short(count)
    except catch as error:
        if isinstance(error, KeyboardInterrupt):
            record.status, record.message = Status.INTERRUPTED, STOPPED
        else:
            record.status = Status.FAILED
            record.message, record.traceback = describe_exception(error)
    finally:
        if os.getpid() != process:  # a child that the optimizer forked: its trial is its parent's
            os._exit(0)
    return record


def describe_exception(error: BaseException) -> tuple[str, str]:
    """Return an exception's message and traceback; its own text may raise another.

    The message has the line of the author's own file that it passed through last.
    """
    kind = type(error).__name__
    try:
        lines = "".join(traceback.format_exception(error))
        place = own_line(error)
        where = f" ({place})" if place else ""
        return encodable(f"{kind}: {error}{where}"), encodable(lines)
    except Exception as another:
        return f"{kind}, whose text raises {type(another).__name__}", ""


def prepare(
    trial: Trial,
    local: Problem,
    budget: Budget,
    start: Parameters | None = None,
    shuffle: bool = True,
) -> tuple[Batches, Parameters]:
    """Return a trial's batches and its start, made from its seed; the start may be changed."""
    generator = torch.Generator().manual_seed(trial.seed)
    drawn = begin_run(local, generator)  # in any case, before the order
    if start is not None:
        drawn = {k: start[k].to(v, copy=True) for k, v in drawn.items()}
    return _batches(trial, local, budget, generator, shuffle), drawn


def _batches(
    trial: Trial, local: Problem, budget: Budget, generator: torch.Generator, shuffle: bool
) -> Batches:
    X, y, weight = local.data
    return Batches(
        X, y, trial.batch_size or "full", generator, shuffle=shuffle, weight=weight,
        looks=budget.looks, order=trial.order,
    )  # fmt: skip


@dataclass
class _Run:
    """One run of a trial: its data on the device, its iterates, its clock."""

    record: TrialRecord
    problem: Problem
    optimizer: Optimizer
    budget: Budget
    deadline: float
    start: Parameters | None
    shuffle: bool
    watch: Watcher | None
    copy: WorkingCopy
    _rate_seconds: float = 0.0
    _rates: str = ""  # a sentence on the learning rates that were text
    _more: Mapping[str, float] = field(default_factory=dict)

    @property
    def trial(self) -> Trial:
        return self.record.trial

    @property
    def device(self) -> torch.device:
        return torch.device(self.trial.device)

    def go(self, *, warm_up: bool) -> None:
        """Run the trial and write its outcome into the record."""
        record, dtype = self.record, getattr(torch, self.trial.dtype)
        if reason := unavailable(self.trial.device, dtype):
            record.status, record.message = Status.SKIPPED, reason
            return
        # A copy, so that an optimizer that changes its data changes no other trial's.
        self.local, record.transfer_seconds = self.copy.take(self.problem, self.device, dtype)
        # Asked of the data as this trial has them: in float32 a design can lose its rank.
        if reason := unsupported(self.optimizer, self.local, self.device):
            record.status, record.message = Status.SKIPPED, reason
            return
        if reason := self._resolve_rates(warm_up=warm_up):
            record.status, record.message = Status.SKIPPED, reason
            return
        if callable(prepare := getattr(self.optimizer, "compile", None)):
            unused = torch.Generator()  # of the kind of the trial's, which no start is drawn from
            batches = _batches(self.trial, self.local, self.budget, unused, self.shuffle)
            clock = Stopwatch(self.device)
            clock.start()
            prepare(self.local, batches)
            record.compile_seconds = clock.stop()
        if warm_up:
            record.first_pass_seconds = self._rate_seconds + self._timed_passes(1)
        status, message = self._solve()
        if record.trace[-1].epoch == 1 and is_direct(self.optimizer):
            self._time_in_blocks()
        if remark := self._remark():
            message += f"; {remark}"
        if not data_are_untouched(self.problem, self.local):
            raise RuntimeError(f"{self.trial.optimizer} changed the problem's data")
        record.status, record.message = status, message
        self.copy.give_back(self.local.data)

    def _resolve_rates(self, *, warm_up: bool) -> str | None:
        """Put numbers in the place of learning rates that are text, or return why there is none.

        The seconds count as the trial's. What the loss draws or changes meanwhile is set back when
        the trial begins.
        """
        if not has_rate_text(self.optimizer):
            return None
        for _ in range(1 + warm_up):
            batches, start, _ = self._prepare()
            clock = Stopwatch(self.device)
            clock.start()
            try:
                resolved = resolve_rates(self.optimizer, self.local, batches, start)
            except UnknownCurvatureError as error:
                return f"{optimizer_name(self.optimizer)} has no learning rate: {error}"
            self._rate_seconds = clock.stop()
        self.optimizer, self._rates = resolved.optimizer, resolved.sentence
        self._more = {LEARNING_RATE: resolved.learning_rate}
        return None

    def _remark(self) -> str:
        ask = getattr(self.optimizer, "remark", None)
        own = ask(self.local, self.device) if callable(ask) else None
        return "; ".join(part for part in (own, self._rates) if part)

    def _prepare(self) -> tuple[Batches, Parameters, Callable[[], Iterator[Iterate]]]:
        """Return the batches, a copy of the start, and a function that begins to iterate.

        The function is called on the clock: an `iterates` that
        is no generator may do all its work there.
        """
        batches, start = prepare(self.trial, self.local, self.budget, self.start, self.shuffle)
        kept = {name: value.clone() for name, value in start.items()}
        return batches, kept, lambda: iter(self.optimizer.iterates(self.local, batches, start))

    def _timed_passes(self, count: int) -> float:
        """Return the seconds that the first passes of so many fresh starts take together."""
        fresh = [self._prepare()[2] for _ in range(count)]
        clock = Stopwatch(self.device)
        clock.start()
        for begin in fresh:
            next(begin(), None)
        return clock.stop()

    def _time_in_blocks(self) -> None:
        """Time a direct method too short for the clock in blocks, until the clock reads 0.1 %."""
        # A reading can be short by one step of the clock at its ends.
        resolution = current_clock().resolution
        enough = 1001 * resolution
        count, total = 1, self.record.seconds
        while total < enough and time.monotonic() < self.deadline:
            needed = math.ceil(count * enough / max(total, resolution))
            count = max(2 * count, needed)
            total = self._timed_passes(count)
        self.record.seconds = total / count

    def _solve(self) -> End:
        """Ask for iterates until the trial ends, and return its end."""
        batches, start, begin = self._prepare()
        recorder = Recorder(
            self.record, self.problem, self.local, self.optimizer, self.budget, batches, start,
            self.watch, more=self._more,
        )  # fmt: skip
        if end := recorder.end_at_start():
            return end
        return self._advance(recorder, begin)

    def _advance(self, recorder: Recorder, begin: Callable[[], Iterator[Iterate]]) -> End:
        clock = Stopwatch(self.device)
        looks, epoch, seconds = Looks(self.budget.looks), 0, self._rate_seconds
        seen = epoch, seconds  # at the last look
        iterate: Iterate | None = None
        clock.start()
        for iterate in begin():
            epoch += passes_of(iterate)
            late = time.monotonic() > self.deadline
            if epoch >= looks.next or late:
                seconds = self._rate_seconds + clock.stop()
                if end := self._look(recorder, iterate, looks, seen, (epoch, seconds)):
                    return end
                if late:
                    return recorder.timed_out()
                seen = epoch, seconds
                gc.collect(0)  # what the optimizer left behind, off the clock
                clock.start()
        seconds = self._rate_seconds + clock.stop()
        if iterate is None:
            raise RuntimeError(f"{self.trial.optimizer} yielded no iterate")
        return recorder.stopped_by_itself(epoch, seconds, iterate)

    def _look(
        self,
        recorder: Recorder,
        iterate: Iterate,
        looks: Looks,
        before: tuple[int, float],
        now: tuple[int, float],
    ) -> End | None:
        """Record an iterate, and its snapshots where the runner looks, between two readings.

        Epochs take alike, so that a snapshot's seconds are known from its epoch.
        """
        (first, begun), (last, seconds) = before, now
        taken = iterate.snapshots
        ends = [last - iterate.epochs + passes for passes in taken.epochs] if taken else [last]
        kept = [place for place, end in enumerate(ends) if looks.reached(end)]
        epochs = [ends[place] for place in kept]
        if taken is None or epochs in ([], [last]) or not recorder.takes_snapshots:
            return recorder.look(last, seconds, iterate)
        each = (seconds - begun) / (last - first)
        times = [seconds - (last - epoch) * each for epoch in epochs]
        return recorder.look_at_snapshots(epochs, times, iterate, kept)


@contextmanager
def quiet(device: torch.device) -> Iterator[None]:
    """Turn garbage collection off, and restore it and torch's settings after the trial."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        with torch_settings_for(device):
            yield
    finally:
        if was_on:
            gc.enable()
