"""A plugin of pytest, for `nox -s coverage`: notes which test runs which line, and its seconds.

The contexts of `.coverage` are tests, one for each parameter, so that a mutant is tried on those
that run its line; `.coverage-seconds.json` has the processor time of those that passed.
`nox -s mutants` reads both.
"""

import fcntl
import json
import time
from collections import defaultdict
from pathlib import Path

import coverage
import pytest

SECONDS = Path(__file__).parents[2] / ".coverage-seconds.json"
seconds: dict[str, float] = defaultdict(float)
failed: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Make the test the context of the lines it runs, and time it."""
    name = item.nodeid
    if measuring := coverage.Coverage.current():
        measuring.switch_context(name)
    begin = time.process_time()
    done = yield
    seconds[name] += time.process_time() - begin
    return done


def pytest_runtest_logreport(report):
    """Note a test that failed."""
    if report.failed:
        failed.add(report.nodeid)


def pytest_sessionfinish():
    """Add the seconds of the tests that passed to those of other processes."""
    with SECONDS.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
        file.seek(0)
        known = json.loads(file.read() or "{}")
        known |= {name: spent for name, spent in seconds.items() if name not in failed}
        file.truncate(0)
        json.dump(known, file)
