"""Report of the checks of one optimizer, problem or gradient."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal, TypeAlias

from optlab.text import pluralize

_NAMED = 8
"""Checks of one error that are named in a report's text."""

STATE = "no state outlives a run"
"""The check whose failure makes those fail that compare two runs of an optimizer."""

NO_RULE = "it claims no known rule"
"""The reason for which an optimizer was held against no rule, in short."""

Outcome: TypeAlias = Literal["passed", "failed", "skipped", "expected failure"]
"""The end of one check; a failure that was expected has its reason, and makes no report bad."""


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check.

    Parameters
    ----------
    check
        The check's name, such as ``"batch average"``.
    outcome
        ``"passed"``, ``"failed"``, ``"skipped"`` or ``"expected failure"``.
    message
        Of a failure: the theory, the numbers seen, the tolerance and its origin, and a minimal
        example. Of a check that was skipped or expected to fail: the reason. Of one that passed: a
        note, mostly empty.
    raised
        Of a check that an error ended: the type of the error, and the file and line that raised it.

    See Also
    --------
    Report : What holds it.
    """

    check: str
    outcome: Outcome
    message: str = ""
    raised: str = ""


@dataclass(frozen=True)
class Failure:
    """Failure of one check: its name, and the theory, the numbers seen, tolerance and example.

    See Also
    --------
    Report : What holds it.
    """

    check: str
    message: str


@dataclass(frozen=True)
class Report:
    """Report of the checks that ran on one subject.

    Parameters
    ----------
    subject
        The optimizer, problem or function in words, as it stands in the report's first line.
    checks
        The outcome of each check, in the order in which they ran.

    See Also
    --------
    Failure, CheckResult : Its parts.
    check_optimizer, check_problem, check_gradient : What return it.

    Examples
    --------
    >>> passed, failed = CheckResult("descent", "passed"), CheckResult("rows", "failed", "one lost")
    >>> report = Report("MySGD", (passed, failed))
    >>> report.ok, report.failures
    (False, (Failure(check='rows', message='one lost'),))
    >>> print(report)
    MySGD: 1 of 2 checks failed (1 passed)
    FAILED rows: one lost
    """

    subject: str
    checks: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed, but for those that were expected to."""
        return not self.failures

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The checks that failed and were not expected to."""
        return tuple(Failure(result.check, result.message) for result in self._failed)

    @property
    def _failed(self) -> list[CheckResult]:
        return [result for result in self.checks if result.outcome == "failed"]

    @property
    def is_mostly_skipped(self) -> bool:
        """Whether more checks were skipped than ran: little was proven."""
        skipped = sum(result.outcome == "skipped" for result in self.checks)
        return 2 * skipped > len(self.checks)

    def conclusion(self, how: str = "reference=OPTIMIZER") -> str:
        """Return the sentence that a report without failures ends with if no rule was followed.

        Parameters
        ----------
        how
            The spelling of the argument that names a rule.
        """
        unchecked = any(
            one.outcome == "skipped" and one.message.startswith(NO_RULE) for one in self.checks
        )
        if not self.ok or not unchecked:
            return ""
        passed = sum(one.outcome == "passed" for one in self.checks)
        return (
            f"Nothing wrong found in {pluralize(passed, 'check')}; its rule was not checked: {how}"
        )

    def shown_failures(self) -> list[str]:
        """Return a text for each failure; checks that one error ended have one, the first.

        State that outlives a run is told first: other checks, which compare two runs, fail by it.
        These are named alone, until it is mended.
        """
        failed = self._failed
        state = [result for result in failed if result.check == STATE and not result.raised]
        others = [result for result in failed if result not in state and not result.raised]
        texts = []
        if state and others:
            texts.append(f"{_shown(state)}\n\n{_consequences(others)}")
            failed = [result for result in failed if result.raised]
        groups: dict[str, list[CheckResult]] = {}
        for result in failed:
            groups.setdefault(result.raised or result.check, []).append(result)
        texts += [_shown(group) for group in sorted(groups.values(), key=len, reverse=True)]
        return texts

    def outcome(self, check: str) -> Outcome:
        """Return the outcome of a check by its name.

        Raises
        ------
        KeyError
            If no check of this name ran; the error lists those that did.
        """
        found = next((result for result in self.checks if result.check == check), None)
        if found is None:
            names = ", ".join(result.check for result in self.checks)
            raise KeyError(f"no check {check!r} ran; there are: {names}")
        return found.outcome

    def raise_if_failed(self) -> None:
        """Raise an AssertionError with the whole report where a check failed."""
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        by_outcome: dict[str, list[CheckResult]] = {}
        for result in self.checks:
            by_outcome.setdefault(result.outcome, []).append(result)
        passed = len(by_outcome.get("passed", []))
        failed = self._failed
        head = f"{len(failed)} of {len(self.checks)} checks failed" if failed else "ok"
        skipped = by_outcome.get("skipped", [])
        few = f", most checks ({len(skipped)}) do not apply" if self.is_mostly_skipped else ""
        lines = [f"{self.subject}: {head} ({passed} passed{few})"]
        lines += self.shown_failures()
        for outcome in ("expected failure", "skipped"):
            lines += [f"{outcome} {r.check}: {r.message}" for r in by_outcome.get(outcome, [])]
        lines += [f"note {r.check}: {r.message}" for r in by_outcome.get("passed", []) if r.message]
        return "\n".join([*lines, *filter(None, [self.conclusion()])])


def _shown(failures: list[CheckResult]) -> str:
    """Return the text of one failure, or of several that one error ended: it is told once."""
    first, *others = failures
    if not others:
        return f"FAILED {first.check}: {first.message}"
    return (
        f"FAILED {len(failures)} checks, all by the same error, {first.raised}:\n"
        f"{_names(failures, _NAMED)}\nthe first of them: {first.message}"
    )


def _consequences(failures: list[CheckResult]) -> str:
    """Return the text of the failures beside state that outlives a run: their names."""
    head = f"FAILED {len(failures)} more, probably its consequences: mend it first, then see"
    return f"{head}\n{_names(failures, len(failures))}"


def _names(failures: list[CheckResult], most: int) -> str:
    told = [one.check for one in failures[:most]]
    more = f"; and {len(failures) - most} more" if len(failures) > most else ""
    names = textwrap.fill("; ".join(told) + more, 98, break_on_hyphens=False)
    return textwrap.indent(names, "  ")
