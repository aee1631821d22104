"""`check_gradient` finds planted faults by the check that names them, and blames nothing right."""

import contextlib
import io

import pytest

from optlab.testing import check_gradient
from tests.wrong_problems import GRADIENTS, NoGradient, Right, linear

planted = pytest.mark.parametrize("fault", GRADIENTS, ids=lambda fault: fault.cls.__name__)


def message(report, check):
    return next(failure.message for failure in report.failures if failure.check == check)


@planted
def test_a_planted_fault_is_caught_by_the_check_that_names_it(fault):
    problem = fault.problem()
    report = check_gradient(problem)
    assert not report.ok
    seen = message(report, fault.check)
    assert fault.words in seen
    assert "to see it again:" in seen
    # The code to paste runs, with nothing but the problem at hand.
    for failure in report.failures:
        _, found, code = failure.message.partition("to see it again:\n")
        if not found:
            continue
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            try:
                exec(dedented(code), {"problem": fault.problem()})
            except RuntimeError as error:
                shown.write(str(error))
        assert shown.getvalue().strip()


def dedented(code):
    return "\n".join(line.removeprefix("    ") for line in code.splitlines())


@pytest.mark.parametrize("make", [NoGradient, lambda: linear(Right)])
@pytest.mark.parametrize("seed", range(3))
def test_what_the_faults_are_made_of_is_right(make, seed):
    check_gradient(make(), seed=seed).raise_if_failed()
