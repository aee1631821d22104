"""One mutant's trial: the tests that run the changed line, in a process forked from a warm one."""

import gc
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WALL_LIMIT = 1200  # seconds; for tests that wait without computing
TEST_LIMIT = 60  # seconds of processor time beyond the budget, which no test of ours takes
OWN_FAULT = 99  # an exit code that pytest does not use
OPTIONS = [
    "-x", "-q", "--no-header", "--tb=line", "-m", "not alone",
    "-p", "no:cacheprovider", "-p", "no:xdist",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",  # plugins are imported before the fork
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """Whether tests failed, and by which test, or else "time", "crash" or an exit code."""

    killed: bool
    by: str = ""


class _FirstFailure:
    """A plugin of pytest that writes down the first test that fails, and stops at a budget."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.end = path, seconds
        self.is_spent = False

    def pytest_runtestloop(self) -> None:
        """Begin the budget where tests begin: what they import does not count."""
        self.end += time.process_time()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Begin no test more when the budget is spent."""
        done = yield
        if time.process_time() > self.end:
            self.is_spent, item.session.shouldstop = True, "the budget is spent"
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.path.write_text(report.nodeid, encoding="utf-8")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.path.write_text(report.nodeid, encoding="utf-8")


def compile_tests(root: Path) -> list[str]:
    """Return all tests; pytest writes down their bytecode, so that no trial compiles them."""
    gc.collect()
    gc.freeze()  # pytest collects garbage often, and need not look at what is imported here
    child = os.fork()
    if not child:
        sys.dont_write_bytecode = False
        _run_in_child(root, ["--collect-only", "tests", "optlab"], 3600, root / "first_failure.txt")
    status, log = os.waitpid(child, 0)[1], (root / "trial.log").read_text(encoding="utf-8")
    assert status == 0, log
    sys.dont_write_bytecode = True
    return [line for line in log.splitlines() if "::" in line]


def run_tests(root: Path, tests: list[str], seconds: float) -> Outcome:
    """Run tests in a fork of this process, until a budget of processor time is spent.

    Doctests come last: pytest loads a second copy of a module that it looks through first, of
    which other modules' classes are no subclasses.
    """
    tests = sorted(tests, key=lambda test: not test.startswith("tests/"))
    note = root / "first_failure.txt"
    note.write_text("", encoding="utf-8")
    child = os.fork()
    if not child:
        _run_in_child(root, tests, seconds, note)
    status = _wait(child)
    failed = note.read_text(encoding="utf-8")
    if os.WIFSIGNALED(status):
        by = {signal.SIGXCPU: "time", signal.SIGKILL: "time"}.get(os.WTERMSIG(status), "crash")
        return Outcome(killed=True, by=failed or by)
    code = os.WEXITSTATUS(status)
    if code == pytest.ExitCode.USAGE_ERROR and any("[" in test for test in tests):
        # A mutant that changes the names of parameters: their tests are run at all of them.
        functions = dict.fromkeys(test.partition("[")[0] for test in tests)
        return run_tests(root, list(functions), seconds)
    if code in (OWN_FAULT, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError((root / "trial.log").read_text(encoding="utf-8"))
    return Outcome(killed=code != 0, by=failed or (f"exit code {code}" if code else ""))


def _run_in_child(root: Path, tests: list[str], seconds: float, note: Path) -> None:
    os.setsid()
    limit = int(time.process_time() + seconds) + TEST_LIMIT
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 20))
    log = os.open(root / "trial.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(root)
    sys.path.insert(0, str(root))
    os.environ |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    code = OWN_FAULT
    try:
        watch = _FirstFailure(note, seconds)
        code = int(pytest.main([*OPTIONS, *tests], plugins=[watch]))
        code = 0 if code == pytest.ExitCode.INTERRUPTED and watch.is_spent else code
    except BaseException:  # nothing may return into the parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int) -> int:
    """Wait for a child, and end it and its children after the limit."""
    limit = time.monotonic() + WALL_LIMIT
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > limit:
            os.killpg(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            break
        time.sleep(0.02)
    return status
