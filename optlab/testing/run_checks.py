"""Run named checks of one subject, and collect their outcomes in a report."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping

from optlab.checks import did_you_mean
from optlab.raised_at import raised_at
from optlab.testing.report import CheckResult, Report


class CheckFailedError(AssertionError):
    """Failure of a check, with its message."""


class CheckSkipped(Exception):  # noqa: N818 - no error, as pytest's own Skipped is none
    """Reason for which a check does not apply to its subject."""


def run_checks(
    subject: str,
    checks: Mapping[str, Callable[[], object]],
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Run checks one by one, each to its end, and report their outcomes.

    A check returns where it passed, with a note if it returns text; it raises `CheckFailedError`
    where it failed and `CheckSkipped` where it does not apply; any other exception is a failure
    too, and its message has the lines that raised it.

    Parameters
    ----------
    subject
        The optimizer, problem or function in words.
    checks
        A function without arguments for each check's name.
    expected_failures
        A reason for each check that is known to fail. One that passes is a failure: the reason no
        longer holds.

    Returns
    -------
    Report
        With an outcome for each check.

    Raises
    ------
    ValueError
        If a failure is expected of a check that is not among these, or without a reason.

    See Also
    --------
    Report : What is returned.
    check_optimizer, check_problem : What calls it.

    Examples
    --------
    >>> def fails():
    ...     raise CheckFailedError("2 was expected, 3 seen")
    >>> print(run_checks("a sum", {"order": lambda: None, "value": fails}))
    a sum: 1 of 2 checks failed (1 passed)
    FAILED value: 2 was expected, 3 seen
    >>> print(run_checks("a sum", {"value": fails}, expected_failures={"value": "it is rounded"}))
    a sum: ok (0 passed)
    expected failure value: it is rounded
    """
    expected = _checked(dict(expected_failures or {}), checks)
    return Report(
        subject, tuple(_run(name, check, expected.get(name)) for name, check in checks.items())
    )


def _checked(expected: dict[str, str], checks: Mapping[str, object]) -> dict[str, str]:
    for name, reason in expected.items():
        if name not in checks:
            hint = did_you_mean(str(name), checks)
            raise ValueError(
                f"expected_failures names the check {name!r}, which does not exist; {hint}"
                f"there are: {', '.join(checks)}"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(
                f"expected_failures must give a reason for {name!r}, in words, not {reason!r}"
            )
    return expected


def _run(name: str, check: Callable[[], object], expected: str | None) -> CheckResult:
    try:
        note = check()
    except CheckSkipped as reason:
        return CheckResult(name, "skipped", str(reason))
    except CheckFailedError as failure:
        message = str(failure)
        place = "" if failure.__cause__ is None else raised_at(failure.__cause__)
    except Exception as error:
        place = raised_at(error)
        raised = "".join(traceback.format_exception(error)[-3:]).rstrip()
        message = f"raised {type(error).__name__}: {error}\n{raised}"
    else:
        if expected is None:
            return CheckResult(name, "passed", note if isinstance(note, str) else "")
        message = f"was expected to fail ({expected}), but passes: no longer expect it to"
        return CheckResult(name, "failed", message)
    if expected is not None:
        return CheckResult(name, "expected failure", expected)
    return CheckResult(name, "failed", message, place)
