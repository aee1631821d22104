"""Checks are run one by one, each to its end, and their outcomes reported."""

import pytest

from optlab.testing import CheckResult, Failure, Report, run_checks
from optlab.testing.run_checks import CheckFailedError, CheckSkipped


def fails():
    raise CheckFailedError("two, not three")


def skips():
    raise CheckSkipped("there is nothing to check")


def breaks():
    return {}["key"]


CHECKS = {"right": lambda: None, "noted": lambda: "a note", "wrong": fails, "none": skips,
          "broken": breaks}  # fmt: skip


def test_each_check_has_its_outcome_whatever_the_others_did():
    report = run_checks("it", CHECKS)
    outcomes = [(result.check, result.outcome) for result in report.checks]
    assert outcomes == [
        ("right", "passed"),
        ("noted", "passed"),
        ("wrong", "failed"),
        ("none", "skipped"),
        ("broken", "failed"),
    ]
    assert report.failures[0] == Failure("wrong", "two, not three")
    assert report.failures[1].message.startswith("raised KeyError: 'key'\n")
    assert 'return {}["key"]' in report.failures[1].message
    assert not report.ok
    text = str(report)
    assert text.splitlines()[0] == "it: 2 of 5 checks failed (2 passed)"
    assert "FAILED wrong: two, not three" in text
    assert "skipped none: there is nothing to check" in text
    assert text.endswith("note noted: a note")
    with pytest.raises(AssertionError, match="2 of 5 checks failed"):
        report.raise_if_failed()


def test_a_failure_that_is_expected_has_its_reason_and_one_that_is_mended_is_told():
    reasons = {"wrong": "it is rounded", "broken": "no key", "none": "not reached"}
    report = run_checks("it", CHECKS, reasons)
    assert report.ok
    report.raise_if_failed()
    assert report.outcome("wrong") == "expected failure"
    assert report.outcome("none") == "skipped"
    mended = run_checks("it", CHECKS, reasons | {"right": "it was wrong"})
    assert [failure.check for failure in mended.failures] == ["right"]


def test_interrupts_are_no_failures():
    def stops():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_checks("it", {"stops": stops})


@pytest.mark.parametrize("reason", ["", " ", None, True])
def test_an_expected_failure_needs_a_reason(reason):
    with pytest.raises(ValueError, match="must give a reason for 'right', in words"):
        run_checks("it", CHECKS, {"right": reason})


def test_an_unknown_check_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="the check 'rihgt', which does not exist; did you mean"):
        run_checks("it", CHECKS, {"rihgt": "it is wrong"})
    with pytest.raises(KeyError, match="no check 'left' ran; there are: right"):
        Report("it", (CheckResult("right", "passed"),)).outcome("left")
