"""The pytest option ``--optlab MODULE:OBJECT``, which adds a test for each check of an optimizer.

The module imports nothing of optlab before the option is used: pytest loads it in every session.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("optlab", "optlab: checks of optimizers")
    group.addoption(
        "--optlab",
        action="append",
        default=[],
        metavar="MODULE:OBJECT",
        help="add the checks of an optimizer (also FILE.py:OBJECT, or a registered name)",
    )
    group.addoption(
        "--optlab-level",
        default="quick",
        choices=["quick", "full", "statistical"],
        help="which checks: quick, full or statistical",
    )
    group.addoption(
        "--optlab-expect-failure",
        action="append",
        default=[],
        metavar="[OBJECT:]CHECK=REASON",
        help="a check that is known to fail (of one of several objects), and why",
    )


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a test for each check of each optimizer that the option names."""
    options = {
        "level": config.getoption("--optlab-level"),
        "expected": config.getoption("--optlab-expect-failure"),
    }
    for target in config.getoption("--optlab"):
        collector = OptimizerCollector.from_parent(
            session, name=f"optlab {target}", nodeid=f"optlab::{target}", target=target, **options
        )
        items.extend(collector.collect())


class OptimizerCollector(pytest.Collector):
    """Collect the checks of the optimizers that a text names."""

    def __init__(
        self, *, target: str, level: str, expected: Sequence[str] = (), **options: Any
    ) -> None:
        super().__init__(**options)
        self.target, self.level, self.expected = target, level, expected

    def collect(self) -> Iterator[CheckItem]:
        """Yield a test for each check."""
        from optlab.testing.check_optimizer import subject_of  # noqa: PLC0415 - see the module
        from optlab.testing.conformance.check import checks_of  # noqa: PLC0415 - as above
        from optlab.testing.expected_failures import (  # noqa: PLC0415 - as above
            parsed_failures,
            reasons_of,
        )
        from optlab.testing.load_target import load_target  # noqa: PLC0415 - as above

        try:
            expected = parsed_failures("--optlab-expect-failure", self.expected)
            found = load_target(self.target)
            subjects = {label: subject_of(optimizer) for label, optimizer in found.items()}
        except ValueError as error:
            raise pytest.UsageError(f"--optlab {self.target}: {error}") from error
        for label, subject in subjects.items():
            reasons = reasons_of(label, expected)
            for check in checks_of(self.level):  # type: ignore[arg-type]  # one of the choices
                name = f"{label}: {check.name}"
                yield CheckItem.from_parent(
                    self,
                    name=name,
                    check=check,
                    subject=subject,
                    reasons=reasons,
                )


class CheckItem(pytest.Item):
    """One check of one optimizer, as a test."""

    def __init__(self, *, check: Any, subject: Any, reasons: Any, **options: Any) -> None:
        super().__init__(**options)
        self.check, self.subject, self.reasons = check, subject, reasons

    def runtest(self) -> None:
        """Run the check."""
        from optlab.testing.parametrize import run_in_pytest  # noqa: PLC0415 - see the module

        run_in_pytest(self.check, self.subject, self.reasons)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show the check's message alone, without optlab's own traceback."""
        from optlab.testing.run_checks import CheckFailedError  # noqa: PLC0415 - see the module

        if isinstance(excinfo.value, CheckFailedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return where the test comes from, for pytest's lines."""
        return self.path, None, self.name
