"""Make the text of all findings; the sentences are written in the `..._findings.py` beside it."""

from __future__ import annotations

from collections.abc import Iterator

from optlab.analysis.result_tables import ResultTables
from optlab.report.findings.accuracy_findings import accuracy_findings
from optlab.report.findings.batch_size_findings import batch_size_findings
from optlab.report.findings.device_findings import device_findings
from optlab.report.findings.ratio_findings import ratio_findings
from optlab.report.findings.sentence import Sentence
from optlab.report.findings.target_findings import fastest_findings, reached_findings
from optlab.report.views import View, headline
from optlab.report.views.cache import measured_trials, unchanged_tables
from optlab.report.views.view import answered
from optlab.report.words import MINIMISERS, reference_kind

MOST_PROBLEMS = 3
"""Each of so many problems gets its own sentences; of more, the first ones do."""


@unchanged_tables()
def findings(results: ResultTables, views: dict[str, View]) -> list[Sentence]:
    """Return the findings: accuracy, targets reached and how fast, ratios, devices."""
    results = measured_trials(results)
    if answered(results.trials).empty:
        return [Sentence("nothing", "No trial ended with an answer: there is nothing to compare.")]
    problems = list(results.problems)
    target = headline(results)
    found = [
        sentence
        for name in problems[:MOST_PROBLEMS]
        for sentence in problem_findings(results, views, name, target)
    ]
    if len(problems) > MOST_PROBLEMS:
        text = f"{len(problems)} problems in all: the filters show each one's charts and tables."
        found.append(Sentence("more", text))
    return found


def problem_findings(
    results: ResultTables, views: dict[str, View], problem: str, target: str
) -> Iterator[Sentence]:
    """Yield the findings on one problem."""
    kind = reference_kind(results.problems[problem])
    yield from accuracy_findings(views, problem, MINIMISERS.get(kind, "the optimum"))
    yield from reached_findings(results, views, problem, target)
    yield from fastest_findings(results, views, problem, target)
    yield from batch_size_findings(views, problem, target)
    yield from ratio_findings(views, problem)
    yield from device_findings(views, problem)
