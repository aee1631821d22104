"""Print the outcomes of checks of optimizers as tables, and write them as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from optlab.report.output_file import SOFTWARE
from optlab.testing.report import CheckResult, Report

_STYLES = {"passed": "green", "failed": "bold red", "expected failure": "yellow", "skipped": "dim"}
_SHOWN = {
    "passed": "passed",
    "failed": "failed",
    "expected failure": "fails as expected",
    "skipped": "does not apply",
}


def print_report(label: str, report: Report) -> None:
    """Print every check of one optimizer, then the messages of those that failed."""
    console = Console(soft_wrap=True)
    console.print(Text(label, style="italic"))
    width = max(len(result.check) for result in report.checks)
    for result in report.checks:  # no table of rich's, which folds reasons into a narrow column
        reason = result.raised if result.outcome == "failed" else result.message
        shown = Text(f"{_SHOWN[result.outcome]:17}", style=_STYLES[result.outcome])
        console.print(Text.assemble(f"{result.check:{width}}  ", shown, f"  {reason}".rstrip()))
    for failure in report.shown_failures():
        console.print(Text(f"\n{failure}"))
    if report.is_mostly_skipped:
        console.print("\nMost checks do not apply to it: little was proven.")
    elif conclusion := report.conclusion("--reference FILE.py:OBJECT"):
        console.print(Text(f"\n{conclusion}"))


def print_counts(reports: Mapping[str, Report]) -> None:
    """Print a line for each optimizer: how many checks passed, failed, and do not apply."""
    console = Console(soft_wrap=True)
    table = Table(box=None, header_style="bold")
    table.add_column("optimizer", overflow="fold")
    for outcome in _SHOWN.values():
        table.add_column(outcome, justify="right", no_wrap=True)
    for label, report in reports.items():
        counts = _counts(report)
        style = "bold red" if counts["failed"] else ""
        table.add_row(Text(label, style=style), *map(str, counts.values()))
    console.print(table)
    for label, report in reports.items():
        for failure in report.shown_failures():
            console.print(Text(f"\n{label}: {failure}"))
    for label, result in _passed_now(reports):
        console.print(Text(f"{label}: {result.check} {result.message}"))
    few = [label for label, report in reports.items() if report.is_mostly_skipped]
    if few:
        console.print(Text(f"\nMost checks do not apply to: {', '.join(few)}"))


def markdown(reports: Mapping[str, Report], level: str, command: str) -> str:
    """Return the counts of each optimizer, and the reasons of expected failures, as Markdown."""
    lines = [
        f"<!-- {SOFTWARE} -->",  # by which the file is known as optlab's own
        "",
        f"# Conformance of optimizers, level {level}",
        "",
        "Each check runs in float64, some in float32 too, on small data drawn from a seed. A check",
        "that does not apply to a method says why in its report. Made by:",
        "",
        f"    {command}",
        "",
        f"| optimizer | {' | '.join(_SHOWN.values())} |",
        "|---|" + "--:|" * len(_SHOWN),
    ]
    for label, report in reports.items():
        lines.append(f"| {_cell(label)} | {' | '.join(map(str, _counts(report).values()))} |")
    totals = [sum(_counts(one)[key] for one in reports.values()) for key in _SHOWN]
    lines += [f"| all {len(reports)} | {' | '.join(map(str, totals))} |", ""]
    lines += ["## Failures that are expected, with the reason", "", *_reasons(reports)]
    passed = [f"- {_cell(label)}: {result.check}" for label, result in _passed_now(reports)]
    lines += ["", "## Failures that were expected, but passed on these data", ""]
    lines += passed or ["None."]
    failed = [
        f"- {_cell(label)}: {failure.check}"
        for label, report in reports.items()
        for failure in report.failures
    ]
    return "\n".join([*lines, "", "## Failures", "", *(failed or ["None."])]) + "\n"


def _counts(report: Report) -> dict[str, int]:
    return {key: sum(one.outcome == key for one in report.checks) for key in _SHOWN}


def _passed_now(reports: Mapping[str, Report]) -> list[tuple[str, CheckResult]]:
    """Return the checks that passed with a note."""
    return [
        (label, result)
        for label, report in reports.items()
        for result in report.checks
        if result.outcome == "passed" and result.message
    ]


def _reasons(reports: Mapping[str, Report]) -> list[str]:
    lines = [
        f"- {_cell(label)}: {result.check} ({result.message})"
        for label, report in reports.items()
        for result in report.checks
        if result.outcome == "expected failure"
    ]
    return lines or ["None."]


def _cell(label: str) -> str:
    return "`" + label.replace("|", "\\|") + "`"
