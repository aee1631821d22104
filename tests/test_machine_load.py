import math
import os
import subprocess
import sys
import time

import pandas as pd
import pytest

import optlab as ol
from optlab.lab.measure.machine_load import MachineLoad, Reading
from optlab.lab.trial import run

CORES = os.cpu_count()


class Machine:
    """Counts that a test makes: seconds by the clock, of all work, of this process's own."""

    clock, all, own = 100.0, 5.0, 1.0

    def passes(self, seconds, *, everyone, own):
        self.clock, self.all, self.own = self.clock + seconds, self.all + everyone, self.own + own

    def read(self):
        return Reading(self.clock, self.all, self.own)


@pytest.fixture
def machine():
    return Machine()


def test_cores_are_short_by_what_others_use_beyond_those_that_are_left(machine):
    load = MachineLoad(machine.read, lambda: machine.clock)
    machine.passes(2.0, everyone=5.0, own=2.0)  # the others: 1.5 cores
    assert load.cores_short(threads=CORES) == pytest.approx(1.5)
    assert load.cores_short(threads=CORES + 1) == pytest.approx(2.5)  # the same window
    machine.passes(1.0, everyone=1.0, own=0.9)
    assert load.cores_short(threads=CORES) == pytest.approx(0.1)


def test_threads_that_find_cores_of_their_own_are_short_of_none(machine):
    load = MachineLoad(machine.read, lambda: machine.clock)
    machine.passes(1.0, everyone=1.5, own=1.0)
    assert load.cores_short(threads=CORES - 1 or 1) == (0 if CORES > 1 else 0.5)


def test_before_the_first_window_the_load_is_not_known(machine):
    load = MachineLoad(machine.read, lambda: machine.clock)
    machine.passes(0.4, everyone=0.4, own=0.0)
    assert math.isnan(load.cores_short(threads=CORES))


def test_short_trials_do_not_read_the_systems_counts(machine):
    readings = []
    load = MachineLoad(lambda: readings.append(1) or machine.read(), lambda: machine.clock)
    for _ in range(10):
        load.begin()
        machine.passes(0.01, everyone=0.01, own=0.01)
        load.cores_short(threads=1)
    assert len(readings) == 1
    machine.passes(0.5, everyone=0.5, own=0.5)
    assert load.cores_short(threads=CORES) == 0
    assert len(readings) == 2


def test_a_load_of_long_ago_does_not_count(machine):
    load = MachineLoad(machine.read, lambda: machine.clock)
    machine.passes(60.0, everyone=60.0 * CORES, own=0.0)
    load.begin()
    assert math.isnan(load.cores_short(threads=CORES))
    machine.passes(1.0, everyone=1.0, own=1.0)
    assert load.cores_short(threads=CORES) == 0


def test_a_reading_counts_this_process_among_all():
    before = Reading.now()
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    after = Reading.now()
    assert after.own - before.own >= 0.3
    # Systems count in hundredths of a second, each end by up to one too few or too many.
    assert after.all - before.all >= after.own - before.own - 0.02 * CORES


class Lasts:
    """Takes long enough for the machine's load to be known, without a core of its own."""

    uses_batches = False

    def iterates(self, problem, batches, start):
        time.sleep(0.7)
        yield ol.Iterate(start)


def test_a_busy_neighbour_is_seen_and_recorded(tutorial, tmp_path, monkeypatch):
    burn = "print('burns', flush=True)\nwhile True: pass"
    experiment = ol.Experiment(problems=tutorial, optimizers=Lasts())
    with subprocess.Popen([sys.executable, "-c", burn], stdout=subprocess.PIPE) as neighbour:
        assert neighbour.stdout.readline() == b"burns\n"
        # A window that began with an earlier test's trial would have had no neighbour at first.
        monkeypatch.setattr(run, "MACHINE_LOAD", MachineLoad())
        results = experiment.run(store=tmp_path / "s.db", execution=ol.Execution(threads=CORES))
        neighbour.kill()
    assert results.trials["cores_short"].iloc[0] > 0.3
    assert results.summary()["cores_short"].iloc[0] == results.trials["cores_short"].iloc[0]
    loaded = ol.Results.load(tmp_path / "s.db")
    pd.testing.assert_frame_equal(loaded.trials, results.trials)
