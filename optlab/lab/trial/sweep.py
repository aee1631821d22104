"""Run several trials together, in one pass over the data, under one clock."""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from optlab.lab.measure.clock import Stopwatch
from optlab.lab.measure.devices import unavailable
from optlab.lab.measure.machine import machine_label
from optlab.lab.measure.machine_load import MACHINE_LOAD
from optlab.lab.measure.threads import set_threads
from optlab.lab.trial.baseline import TrivialFits
from optlab.lab.trial.budget import Looks
from optlab.lab.trial.record import TrialRecord, Watcher
from optlab.lab.trial.recorder import Recorder
from optlab.lab.trial.run import STOPPED, describe_exception, prepare, quiet
from optlab.lab.trial.status import Status
from optlab.lab.trial.stopping import End
from optlab.lab.trial.task import Task
from optlab.lab.trial.validate import data_are_untouched, passes_of
from optlab.lab.trial.working_copy import WorkingCopy
from optlab.optimizers import Batches, unsupported
from optlab.optimizers.together import JointIterate, JointIterates, iterates_together, restricted
from optlab.problems import Parameters
from optlab.problems.joint_evaluation import evaluate_together
from optlab.text import pluralize


def one_by_one(trials: int, why: str) -> str:
    """Return a sentence on the trials of a sweep that are run by themselves."""
    return f"one by one, not in a sweep: {pluralize(trials, 'trial')}, as {why}"


class Sweep:
    """Trials that differ in hyperparameters or seed only, advanced together epoch by epoch.

    Each keeps a record, a trace and a status of its own, and leaves where it ends. The clock runs
    while all are advanced; each trial's seconds are its share, equal among those that were in. A
    sweep that cannot go on (its optimizer raised, memory ran out) has a ``failure``, and its
    unfinished trials are to be run by themselves, which shows whose fault it is.

    Parameters
    ----------
    tasks
        Two trials or more that go together: see `optlab.lab.sweeps`.
    watch
        Called at each recorded iterate of each trial, off the clock.
    threads
        How many threads torch, BLAS and OpenMP may use; as many as torch does now where left out.
    time_limit
        Seconds of wall time a trial: the sweep has as many times this as it has trials.
    copy
        The copy of the data that trials share; its own where left out.

    Attributes
    ----------
    tasks, records
        Those of the trials that have not ended.
    failure
        Why the sweep cannot go on, or an empty string.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        watch: Watcher | None = None,
        threads: int | None = None,
        time_limit: float | None = None,
        copy: WorkingCopy | None = None,
    ) -> None:
        self.tasks, self.failure = list(tasks), ""
        self._watch, self._threads = watch, threads
        self._copy = copy or WorkingCopy()
        limit = math.inf if time_limit is None else time_limit * len(tasks)
        self._left = self._deadline = limit
        self.records = [
            TrialRecord(task.trial, started=time.time(), machine=machine_label(), shared=True)
            for task in tasks
        ]
        self._device = torch.device(tasks[0].trial.device)
        self._recorders: list[Recorder] = []
        self._looks = Looks(tasks[0].budget.looks)
        self._clock, self._share, self._epoch = Stopwatch(self._device), 0.0, 0
        self._ends: dict[int, End] = {}  # at the present epoch, by the trials' places
        self._kept: list[int] | None = None  # where some have left: the places of the others
        MACHINE_LOAD.begin()

    def advance(self) -> list[TrialRecord]:
        """Go on until some trials end; return their records, none where all have, or it failed.

        After Ctrl-C all that had not ended are interrupted, with their partial traces.
        """
        process = os.getpid()
        # What is done between two calls is not the trials'.
        self._deadline = time.monotonic() + self._left
        try:
            with self._measuring():
                while self.tasks:
                    if ended := self._go() if self._recorders else self._begin():
                        return ended
        except KeyboardInterrupt:
            return self.interrupt()
        except BaseException as error:
            self.failure = describe_exception(error)[0]
        finally:
            if os.getpid() != process:  # a child that the optimizer forked
                os._exit(0)
            self._left = self._deadline - time.monotonic()
        return []

    def interrupt(self) -> list[TrialRecord]:
        """Return the records of the trials that had not ended, as interrupted."""
        for recorder in self._recorders:
            recorder.keep_parameters()
        records, self.records, self.tasks = self.records, [], []
        stopped = End(Status.INTERRUPTED, STOPPED)
        for k, record in enumerate(records):  # some may have ended at the present epoch
            record.status, record.message = self._ends.get(k, stopped)
        return records

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        self._cores = set_threads(self._threads)
        # The caller's own torch.no_grad() or inference_mode() is no part of the experiment.
        with quiet(self._device), torch.inference_mode(False), torch.enable_grad():
            yield

    def _begin(self) -> list[TrialRecord]:
        """Make all ready; return the records of the trials that end before the first epoch."""
        trial, problem = self.tasks[0].trial, self.tasks[0].problem
        dtype = getattr(torch, trial.dtype)
        if reason := unavailable(trial.device, dtype):
            return self._leave({k: End(Status.SKIPPED, reason) for k in range(len(self.tasks))})
        self._local, seconds = self._copy.take(problem, self._device, dtype)
        reasons = [unsupported(own.optimizer, self._local, self._device) for own in self.tasks]
        if skipped := {k: End(Status.SKIPPED, why) for k, why in enumerate(reasons) if why}:
            return self._leave(skipped)
        compiling, first_pass = self._warm_up()
        for record in self.records:
            record.transfer_seconds = seconds / len(self.tasks)
            record.compile_seconds = compiling / len(self.tasks)
            record.first_pass_seconds = first_pass / len(self.tasks)
        begun = self._prepared()
        fits = TrivialFits.of(problem, begun[0][1])
        self._recorders = [
            Recorder(
                record, own.problem, self._local, own.optimizer, own.budget, batches,
                {name: value.clone() for name, value in start.items()}, self._watch, fits,
            )
            for record, own, (batches, start) in zip(self.records, self.tasks, begun, strict=True)
        ]  # fmt: skip
        at_start = {k: recorder.end_at_start() for k, recorder in enumerate(self._recorders)}
        ended = self._leave({k: end for k, end in at_start.items() if end})
        if self.tasks:
            self._iterates = self._iterated(restricted(begun, self._kept or range(len(begun))))
        self._kept = None
        gc.collect(0)
        return ended

    def _warm_up(self) -> tuple[float, float]:
        """Compile, and make one pass that is thrown away; return the seconds of both."""
        optimizers = [own.optimizer for own in self.tasks]
        compiling = math.nan
        clock = Stopwatch(self._device)
        if callable(compile_loops := getattr(optimizers[0], "compile_together", None)):
            batches, starts = zip(*self._prepared(), strict=True)
            clock.start()
            compile_loops(optimizers, self._local, batches, starts)
            compiling = clock.stop()
        begun, clock = self._prepared(), Stopwatch(self._device)
        clock.start()
        next(self._iterated(begun))
        return compiling, clock.stop()

    def _prepared(self) -> list[tuple[Batches, Parameters]]:
        return [prepare(own.trial, self._local, own.budget) for own in self.tasks]

    def _iterated(self, begun: Sequence[tuple[Batches, Parameters]]) -> JointIterates:
        """Return the joint iterates of the present trials; nothing is computed yet."""
        together = iterates_together(self.tasks[0].optimizer)
        assert together is not None
        optimizers = [own.optimizer for own in self.tasks]
        batches, starts = zip(*begun, strict=True)
        return together(optimizers, self._local, batches, starts)

    def _go(self) -> list[TrialRecord]:
        """Go on to the next epoch to be recorded; return the records of trials that end there."""
        before, late = self._clock.seconds, False
        self._clock.start()
        while self._epoch < self._looks.next and not late:
            joint, self._kept = self._iterates.send(self._kept), None
            self._epoch += passes_of(joint)
            late = time.monotonic() > self._deadline
        self._share += (self._clock.stop() - before) / len(self.tasks)
        self._looks.reached(self._epoch)
        self._look(joint, late=late)
        gc.collect(0)  # what the optimizer left behind, off the clock
        ends, self._ends = self._ends, {}
        return self._leave(ends)

    def _look(self, joint: JointIterate, *, late: bool) -> None:
        """Evaluate and record the trials' iterates, and keep the ends of those that end here."""
        self._recorders[0].check(joint[0], self._epoch)
        points = joint.parameters()
        found = evaluate_together(self.tasks[0].problem, points)
        each = zip(self._recorders, found, joint.batch_losses.tolist(), strict=True)
        for k, (recorder, point, loss) in enumerate(each):
            if end := recorder.write(self._epoch, self._share, points, loss, point, k):
                self._ends[k] = end
            elif late:
                self._ends[k] = recorder.timed_out()

    def _leave(self, ends: Mapping[int, End]) -> list[TrialRecord]:
        """Let the trials at some places leave, and return their records."""
        if not ends:
            return []
        if self._recorders and not data_are_untouched(self.tasks[0].problem, self._local):
            raise RuntimeError(f"{self.tasks[0].trial.optimizer} changed the problem's data")
        for k, end in ends.items():
            if self._recorders:
                self._recorders[k].keep_parameters()
            record, remark = self.records[k], getattr(self.tasks[k].optimizer, "remark", None)
            more = remark(self._local, self._device) if callable(remark) and record.trace else ""
            record.status = end.status
            record.message = f"{end.message}; {more}" if more else end.message
            record.cores_short = MACHINE_LOAD.cores_short(self._cores)
        left = [self.records[k] for k in ends]
        self._kept = kept = [k for k in range(len(self.tasks)) if k not in ends]
        self.tasks, self.records = restricted(self.tasks, kept), restricted(self.records, kept)
        self._recorders = restricted(self._recorders, kept) if self._recorders else []
        if not self.tasks and left[0].trace:
            self._copy.give_back(self._local.data)
        return left
