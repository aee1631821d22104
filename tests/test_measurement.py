import gc
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.analysis import ratios
from optlab.lab import Budget, Trial, run_trial
from optlab.lab.grid import Grid
from optlab.lab.measure.clock import current_clock, use_clock
from optlab.lab.runner import run_grid
from optlab.lab.tables import trials_table
from optlab.lab.trial.record import TRACE_NUMBERS
from optlab.optimizers import registry
from tests.plain_problem import plain_problem


class FakeClock:
    """A clock that moves only when it is told to, in steps of so many nanoseconds."""

    def __init__(self, step=1):
        self.nanoseconds, self.step = 0.0, step

    @property
    def resolution(self):
        return self.step / 1e9

    def read(self):
        return int(self.nanoseconds // self.step) * self.step


@pytest.fixture
def clock():
    with use_clock(FakeClock()) as clock:
        yield clock


class NoisyMachine:
    """A machine on which work takes noise of 3 % longer or shorter, and with moods where asked."""

    def __init__(self, clock, seed, drift):
        self.clock, self.random = clock, np.random.default_rng(seed)
        self.drift, self.mood = drift, 0.0

    def work(self, nanoseconds):
        self.mood += self.drift * self.random.standard_normal()
        noise = math.exp(self.mood + 0.03 * self.random.standard_normal())
        self.clock.nanoseconds += nanoseconds * noise


@dataclass(frozen=True)
class Works:
    """Takes so many times a millisecond for its only pass."""

    machine: NoisyMachine = field(repr=False)
    times: float = 1.0
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        self.machine.work(self.times * 1e6)
        yield ol.Iterate(start)


def verdicts(problem, clock, times, drift, experiments):
    """The verdicts of experiments of 5 repeats on A and a B that takes so many times as long."""
    records = []
    for seed in range(experiments):
        machine = NoisyMachine(clock, seed, drift)
        both = {"A": Works(machine), "B": Works(machine, times)}
        records += run_grid(Grid.of(problem, both, repeats=5), Budget(epochs=1))
    # One table of all: what is compared is compared within each problem alone.
    trials = trials_table(records, {})
    # Ten trials an experiment.
    rows = ratios(trials.assign(problem=[str(row // 10) for row in range(len(trials))]), "A")
    assert rows["pairs"].tolist() == [5] * experiments
    return Counter(rows["verdict"])


# 36 of 40; of A/A three times as many. The noise is planted, so that the answer is known and the
# test is the same on every machine (benchmarks/same_and_slower.py does it with real seconds): each
# trial's are log-normal with sigma 3 %, and in the second case all drift by a random walk of 3 % a
# run, which a lab that ran all of A before B would see as a difference. The interval covers 95 %,
# so of 120 A/A experiments 6 are called different on average, and binomially at most 12 with
# probability 0.994. (At most 4 of 40 has probability 0.95 only: one set in twenty fails by chance,
# of the seeds 0 to 39, 40 to 79, ... the first does. Of the seeds 0 to 1199, 6.0 % are called
# different without drift and 4.3 % with it, 5.1 % together; the standard error of each is 0.6 %.) A
# factor of 1.3 is log 1.3 = 0.26: more than six standard deviations (0.042) of a pair's logarithm.
# It is found in 99.6 % (98 % with drift, which differs within pairs too).
MACHINES = pytest.mark.parametrize("drift", [0.0, 0.03], ids=["noise", "drift"])


@MACHINES
def test_of_a_and_a_no_difference_is_shown(tutorial, clock, drift):
    found = verdicts(tutorial, clock, 1.0, drift, experiments=120)
    assert found["no difference shown"] >= 108


@MACHINES
def test_of_a_and_b_that_is_slower_b_is_called_slower(tutorial, clock, drift):
    found = verdicts(tutorial, clock, 1.3, drift, experiments=40)
    assert found["slower"] >= 36
    assert found["faster"] == 0


DATA = ol.datasets.synthetic(40, 3, condition=3, seed=1)


@pytest.fixture(scope="module")
def problem():
    return ol.LinearRegression.from_dataset(DATA)


def run(
    problem,
    optimizer,
    batch_size="full",
    *,
    recorded_epochs=1,
    epochs=60,
    dtype="float64",
    **options,
):
    trial = Trial(0, "p", "o", batch_size, "cpu", dtype, seed=3)
    return run_trial(
        trial, problem, optimizer, Budget(epochs=epochs, recorded_epochs=recorded_epochs), **options
    )


METHODS = {name: cls() for name, cls in registry.items()} | {
    "torch-lbfgs": ol.TorchOptimizer(torch.optim.LBFGS, max_iter=4, history_size=5),
    "momentum": ol.TorchSGD(0.05, momentum=0.9),
}


@pytest.mark.parametrize("optimizer", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(("batch_size", "dtype"), [(7, "float32"), ("full", "float64")])
def test_recording_changes_no_bit(optimizer, batch_size, dtype):
    problem, seen = plain_problem(optimizer, DATA), []

    def nosy(trial, row):
        # What a watcher may do off the clock: compute, collect, seed and draw from the global
        # generator.
        torch.manual_seed(0)
        seen.append(torch.randn(5) @ torch.randn(5))
        gc.collect(1)  # all generations take a tenth of a second, a thousand times

    def bits(record):
        return {name: value.tobytes() for name, value in record.parameters.items()}

    options = {"dtype": dtype, "epochs": 20}
    every = run(problem, optimizer, batch_size, **options, watch=nosy)
    growing = run(problem, optimizer, batch_size, **options, recorded_epochs="growing")
    last = run(problem, optimizer, batch_size, **options, recorded_epochs=[20], warm_up=False)
    assert seen
    assert bits(every) == bits(growing) == bits(last) != {}
    of_every = {row.epoch: numbers(row) for row in every.trace}
    for row in [*growing.trace, *last.trace]:
        assert numbers(row) == of_every[row.epoch]


def numbers(row):
    """The bytes of all that is recorded of an iterate, the seconds left out."""
    return np.array([getattr(row, name) for name in TRACE_NUMBERS if name != "seconds"]).tobytes()


def test_recording_changes_nothing_against_a_loop_without_a_lab(problem, trajectory):
    points = trajectory(problem, ol.ManualSGD(0.01), 60, batch_size=7, seed=3)
    record = run(problem, ol.ManualSGD(0.01), 7, dtype=str(problem.X.dtype).removeprefix("torch."))
    flat = np.concatenate([value.ravel() for value in record.parameters.values()])
    assert points[-1].numpy().tobytes() == flat.tobytes()


class Instant:
    """A direct method that takes so many nanoseconds."""

    uses_batches = False

    def __init__(self, clock, nanoseconds):
        self.clock, self.nanoseconds, self.runs = clock, nanoseconds, 0

    def iterates(self, problem, batches, start):
        self.runs += 1
        self.clock.nanoseconds += self.nanoseconds
        yield ol.Iterate(start)


@pytest.mark.parametrize("nanoseconds", [150, 999, 5_003, 77_777, 99_999])
def test_direct_methods_are_timed_in_blocks_to_a_thousandth(tutorial, clock, nanoseconds):
    clock.step = 100
    optimizer = Instant(clock, nanoseconds)
    record = run(tutorial, optimizer, None)
    cold_and_solve = 2
    block = (optimizer.runs - cold_and_solve) * nanoseconds
    # A first reading of a few steps is short by up to one of them, so the block is no shorter than
    # a thousand steps, and both its ends are read to one.
    assert block >= 1000 * clock.step
    assert record.seconds == pytest.approx(nanoseconds / 1e9, rel=1e-3, abs=0)
    # The start and the answer are recorded as before: blocks are timed, not traced.
    assert [row.epoch for row in record.trace] == [0, 1]


def test_a_direct_method_that_the_clock_can_read_is_run_once_more_only_for_its_cold_pass(
    tutorial, clock
):
    clock.step = 100
    optimizer = Instant(clock, 123_456_789)
    assert run(tutorial, optimizer, None).seconds == pytest.approx(0.1234567, rel=1e-6)
    assert optimizer.runs == 2


def test_the_block_of_a_real_direct_method_is_a_thousand_steps_of_the_real_clock(problem):
    counted = Counting()
    record = run(problem, counted, None)
    assert record.seconds > 0
    # Whatever the machine: either one solve was long enough, or a block was made.
    assert record.trace[-1].seconds >= 1000 * current_clock().resolution or counted.runs > 2


class Counting:
    uses_batches = False

    def __init__(self):
        self.runs = 0

    def iterates(self, problem, batches, start):
        self.runs += 1
        yield from ol.Lstsq().iterates(problem, batches, start)
