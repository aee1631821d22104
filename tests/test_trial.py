import dataclasses
import gc
from typing import ClassVar

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.lab import Budget, Trial, run_trial
from optlab.lab.measure.clock import use_clock


@dataclasses.dataclass(frozen=True)
class Scripted:
    """Descends; after `epochs` passes it does what `then` says, and only then."""

    then: object = None
    epochs: int = 3
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        for _ in range(self.epochs):
            gradient = problem.gradient(start)
            start = {name: value - 0.1 * gradient[name] for name, value in start.items()}
            yield ol.Iterate(start)
        if isinstance(self.then, BaseException):
            raise self.then
        if self.then is not None:
            yield self.then


def run(problem, optimizer, *, epochs=10, batch_size="full", device="cpu", dtype="float64",
        seed=0, stop_at=None, recorded_epochs=1, **options):  # fmt: skip
    trial = Trial(0, "problem", "optimizer", batch_size, device, dtype, seed)
    budget = Budget(epochs=epochs, stop_at=stop_at, recorded_epochs=recorded_epochs)
    return run_trial(trial, problem, optimizer, budget, **options)


def epochs_of(record):
    return [row.epoch for row in record.trace]


NAN = {"weight": torch.full((2,), torch.nan), "bias": torch.tensor(0.0)}


class Picky(Scripted):
    def unsupported(self, problem, device):
        return f"not on {device.type}s"


@pytest.mark.parametrize(
    ("optimizer", "options", "status", "message", "last"),
    [
        (ol.ManualSGD(), {"epochs": 7}, "finished", "budget spent after epoch 7", 7),
        (ol.ManualSGD(), {"epochs": 2, "stop_at": 1e-9}, "finished",
         "budget spent after epoch 2; stop_at=1e-09 not reached", 2),
        (ol.Lstsq(), {}, "finished", "answered in one pass", 1),
        (ol.Lstsq(), {"stop_at": 1e-6}, "converged", "stop_at=1e-06 reached after epoch 1", 1),
        (Scripted(), {"recorded_epochs": [1, 2]}, "finished", "stopped by itself after 3 epochs",
         3),
        (Scripted(then=ol.Iterate(NAN)), {}, "diverged",
         "the loss is nan after epoch 4: try another start", 4),
        (Scripted(then=ZeroDivisionError("on purpose")), {}, "failed",
         "ZeroDivisionError: on purpose", 3),
        (Scripted(then=KeyboardInterrupt()), {}, "interrupted", "stopped by Ctrl-C or SIGTERM", 3),
        (Picky(), {}, "skipped", "not on cpus", None),
        (ol.ManualSGD(), {"recorded_epochs": [10], "time_limit": 1e-9}, "timed out",
         "the time limit ran out after epoch 1", 1),
    ],
)  # fmt: skip
def test_a_trial_has_a_status_a_message_and_all_that_was_recorded(
    problem, optimizer, options, status, message, last
):
    record = run(problem, optimizer, **options)
    assert record.status == status
    assert record.message.startswith(message)
    assert epochs_of(record) == ([] if last is None else list(range(last + 1)))


def test_the_first_epoch_that_reaches_the_target_ends_the_trial_as_converged(problem):
    record = run(problem, ol.ManualSGD(0.1), epochs=1000, stop_at=1e-3)
    gaps = [row.suboptimality for row in record.trace]
    assert record.status == "converged"
    assert gaps[-1] <= 1e-3 * record.stop_scale < gaps[-2]
    assert record.stop_scale == min(gaps[0], problem.evaluate(problem.constant_fit()).suboptimality)
    assert record.trace[-1].epoch < 1000


def test_the_trace_starts_at_the_start_which_costs_nothing(problem):
    record = run(problem, ol.ManualSGD())
    start = problem.evaluate(problem.start(torch.Generator().manual_seed(0)))
    first = record.trace[0]
    assert (first.epoch, first.samples, first.seconds) == (0, 0, 0.0)
    assert (first.loss, first.suboptimality) == (start.loss, start.suboptimality)
    assert np.isnan(first.batch_loss)


def test_samples_count_the_rows_touched(problem):
    record = run(problem, ol.ManualSGD(), batch_size=3, epochs=4)
    assert [row.samples for row in record.trace] == [0, 20, 40, 60, 80]


@pytest.mark.parametrize("record", [1, [400]])  # caught on the way up, and as inf or nan
def test_divergence_is_a_status(problem, record):
    found = run(problem, ol.ManualSGD(1e3), epochs=400, recorded_epochs=record)
    assert found.status == "diverged"
    assert "the loss is" in found.message
    assert not found.trace[-1].loss <= 1e6 * found.trace[0].loss


def test_an_optimizer_that_raises_keeps_its_traceback_and_its_last_parameters(problem):
    record = run(problem, Scripted(then=ZeroDivisionError("on purpose")))
    assert "in iterates" in record.traceback
    assert record.parameters.keys() == {"weight", "bias"}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"weight": torch.zeros(2)}, "must yield Iterate, not dict"),
        (ol.Iterate({"weight": torch.zeros(2)}), "epoch 4 has parameters of shapes"),
        (ol.Iterate({"weight": torch.zeros(3), "bias": torch.zeros(())}), "were expected"),
    ],
)
def test_what_is_no_iterate_of_this_problem_has_failed(problem, found, sentence):
    record = run(problem, Scripted(then=found))
    assert record.status == "failed"
    assert sentence in record.message


def test_an_optimizer_that_yields_nothing_has_failed(problem):
    record = run(problem, Scripted(epochs=0))
    assert record.status == "failed"
    assert "yielded no iterate" in record.message


def test_an_optimizer_that_changes_the_data_has_failed_and_harms_nobody(problem):
    @dataclasses.dataclass(frozen=True)
    class Vandal:
        uses_batches: ClassVar[bool] = True

        def iterates(self, problem, batches, start):
            while True:
                problem.X.zero_()
                yield ol.Iterate(start)

    before = problem.X.clone()
    record = run(problem, Vandal())
    assert record.status == "failed"
    assert "changed the problem's data" in record.message
    assert torch.equal(problem.X, before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_skipped_with_the_reason(problem):
    record = run(problem, ol.ManualSGD(), device="cuda")
    assert record.status == "skipped"
    assert "no CUDA device" in record.message or "no cuda device" in record.message


def test_final_parameters_are_arrays_in_the_trials_dtype(problem):
    record = run(problem, ol.ManualSGD(0.1), dtype="float32")
    assert record.parameters["weight"].dtype == np.float32
    assert record.parameters["bias"].shape == ()


class Ticks:
    """A clock that moves only when told to, by whole seconds."""

    now, resolution = 0, 1e-9

    def pass_by(self, seconds):
        self.now += seconds * 10**9

    def read(self):
        return self.now


@pytest.fixture
def ticks():
    with use_clock(Ticks()) as clock:
        yield clock


@dataclasses.dataclass(frozen=True)
class Ticking:
    """Works 3 seconds an epoch."""

    ticks: object
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        while True:
            self.ticks.pass_by(3)
            yield ol.Iterate(start)


class SlowlyJudged(ol.LinearRegression):
    """Judging takes 1000 seconds, and moving 50."""

    def evaluate(self, parameters):
        self.ticks.pass_by(1000)
        return super().evaluate(parameters)

    def to(self, device, dtype, *, copy=False):
        moved = super().to(device, dtype, copy=copy)
        moved.ticks = self.ticks
        if copy:
            self.ticks.pass_by(50)
        return moved


@pytest.mark.parametrize("recorded", [1, [4], "growing"])
def test_the_clock_stands_still_while_an_iterate_is_judged_and_watched(ticks, recorded):
    problem = SlowlyJudged(np.eye(2), np.ones(2))
    problem.ticks = ticks
    record = run(
        problem,
        Ticking(ticks),
        recorded_epochs=recorded,
        watch=lambda *_: ticks.pass_by(10**6),
        epochs=5,
    )
    assert record.seconds == 15
    assert [(row.epoch, row.seconds) for row in record.trace] == [
        (epoch, 3 * epoch) for epoch in epochs_of(record)
    ]


def test_moving_the_first_pass_and_the_solve_are_timed_apart(ticks):
    problem = SlowlyJudged(np.eye(2), np.ones(2))
    problem.ticks = ticks
    record = run(problem, Ticking(ticks), epochs=5)
    assert (record.transfer_seconds, record.first_pass_seconds, record.seconds) == (50, 3, 15)


def test_without_warm_up_there_is_no_first_pass(problem):
    assert np.isnan(run(problem, ol.ManualSGD(), warm_up=False).first_pass_seconds)


@pytest.mark.parametrize("then", [None, ValueError("x"), KeyboardInterrupt()])
def test_garbage_collection_is_off_inside_and_on_again_after(problem, then):
    inside = []
    run(problem, Scripted(then=then), watch=lambda *_: inside.append(gc.isenabled()))
    assert inside
    assert not any(inside)
    assert gc.isenabled()


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


class Worse(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UnspeakableError(), "UnspeakableError, whose text raises RuntimeError"),
        (Worse("base"), "Worse: base"),
    ],
)
def test_whatever_an_optimizer_raises_the_others_go_on(tutorial, error, message):
    class Bad:
        uses_batches = False

        def iterates(self, problem, batches, start):
            raise error
            yield

    trials = ol.compare(tutorial, {"bad": Bad(), "good": ol.Lstsq()}).trials
    assert list(trials["status"]) == ["failed", "finished"]
    assert trials["message"][0].startswith(message)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_iterates_that_are_no_real_numbers_fail(tutorial, dtype):
    class Odd:
        uses_batches = False

        def iterates(self, problem, batches, start):
            yield ol.Iterate({name: value.to(dtype) for name, value in start.items()})

    row = ol.compare(tutorial, Odd()).trials.iloc[0]
    assert row["status"] == "failed"
    assert "not of real numbers" in row["message"]


def test_a_memory_pass_that_exits_costs_neither_its_trial_nor_the_next(tutorial):
    class ExitsLater:
        uses_batches = False
        runs = 0

        def iterates(self, problem, batches, start):
            ExitsLater.runs += 1
            if ExitsLater.runs > 2:  # the cold pass and the solve have been
                raise SystemExit(7)
            yield ol.Iterate(start)
            yield ol.Iterate(start)

    optimizers = {"exits": ExitsLater(), "good": ol.Lstsq()}
    experiment = ol.Experiment(problems=tutorial, optimizers=optimizers)
    trials = experiment.run(execution=ol.Execution(measure_memory=True)).trials
    assert ExitsLater.runs == 3
    assert list(trials["status"]) == ["finished"] * 2
    assert trials["peak_bytes"].isna()[0]


def test_a_name_that_no_file_can_hold_is_refused_at_once(tutorial):
    with pytest.raises(ValueError, match="cannot be described"):
        ol.Experiment(problems=tutorial, optimizers={"caf\udce9": ol.Lstsq()})


def test_the_trivial_fits_of_a_problem_are_evaluated_once_for_all_its_trials(monkeypatch):
    problem = ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 4.0])
    calls = []
    evaluate = type(problem).evaluate

    def counted(self, parameters):
        calls.append(parameters)
        return evaluate(self, parameters)

    monkeypatch.setattr(type(problem), "evaluate", counted)
    first = ol.minimize(problem, ol.ManualSGD(0.1), epochs=1)
    assert len(calls) == 4  # the start, zero, the best constant, and the only epoch
    again = ol.minimize(problem, ol.ManualSGD(0.1), epochs=1, dtype="float64")
    assert len(calls) == 6
    assert again.record.stop_scale == first.record.stop_scale
