import math
import os
import subprocess
import sys
import time

import pandas as pd
import pytest

import optlab as ol
from optlab.lab.measure import machine_load as crowding
from optlab.lab.measure.machine_load import MachineLoad, Reading

CORES = os.cpu_count()


@pytest.fixture
def clock(monkeypatch):
    """Readings that a test makes: seconds by the clock, of all work, of this process's own."""

    class Clock:
        at, all, own = 100.0, 5.0, 1.0

        def passes(self, seconds, *, everyone, own):
            self.at, self.all, self.own = self.at + seconds, self.all + everyone, self.own + own

    made = Clock()
    reading = classmethod(lambda _: Reading(made.at, made.all, made.own))
    monkeypatch.setattr(Reading, "now", reading)
    monkeypatch.setattr(crowding.time, "monotonic", lambda: made.at)
    return made


def test_cores_are_short_by_what_others_use_beyond_those_that_are_left(clock):
    meter = MachineLoad()
    clock.passes(2.0, everyone=5.0, own=2.0)  # the others: 1.5 cores
    assert meter.cores_short(threads=CORES) == pytest.approx(1.5)
    assert meter.cores_short(threads=CORES + 1) == pytest.approx(2.5)  # the same window
    clock.passes(1.0, everyone=1.0, own=0.9)
    assert meter.cores_short(threads=CORES) == pytest.approx(0.1)


def test_threads_that_find_cores_of_their_own_are_short_of_none(clock):
    meter = MachineLoad()
    clock.passes(1.0, everyone=1.5, own=1.0)
    assert meter.cores_short(threads=CORES - 1 or 1) == (0 if CORES > 1 else 0.5)


def test_before_the_first_window_nothing_is_known(clock):
    meter = MachineLoad()
    clock.passes(0.4, everyone=0.4, own=0.0)
    assert math.isnan(meter.cores_short(threads=CORES))


def test_what_is_long_over_does_not_count(clock):
    meter = MachineLoad()
    clock.passes(60.0, everyone=60.0 * CORES, own=0.0)
    meter.begin()
    assert math.isnan(meter.cores_short(threads=CORES))
    clock.passes(1.0, everyone=1.0, own=1.0)
    assert meter.cores_short(threads=CORES) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_a_busy_neighbour_is_seen_and_told(tutorial, tmp_path):
    burn = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    experiment = ol.Experiment(
        problems=tutorial, optimizers=ol.ManualSGD(), epochs=20_000, recorded_epochs=[1]
    )
    with subprocess.Popen([sys.executable, "-c", burn]) as neighbour:
        time.sleep(1)
        results = experiment.run(store=tmp_path / "s.db", execution=ol.Execution(threads=CORES))
        neighbour.kill()
    if results.trials["seconds"].iloc[0] < 0.5:
        pytest.skip("this machine is too fast for the trial to be a window")
    assert results.trials["cores_short"].iloc[0] > 0.3
    assert results.summary()["cores_short"].iloc[0] == results.trials["cores_short"].iloc[0]
    loaded = ol.Results.load(tmp_path / "s.db")
    pd.testing.assert_frame_equal(loaded.trials, results.trials)
