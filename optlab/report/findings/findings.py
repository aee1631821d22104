"""All findings of an experiment: sentences made from the numbers of the views."""

from __future__ import annotations

from optlab.report.findings.accuracy_findings import accuracy_findings
from optlab.report.findings.device_findings import device_findings
from optlab.report.findings.ratio_findings import ratio_findings
from optlab.report.findings.sentence import Sentence
from optlab.report.findings.target_findings import fastest_findings, reached_findings
from optlab.report.views import Outcome, View, headline
from optlab.report.views.view import answered

MOST_PROBLEMS = 3
"""Each of so many problems gets its own sentences; of more, the first ones do."""


def findings(results: Outcome, views: dict[str, View]) -> list[Sentence]:
    """Return the findings: accuracy, targets reached and how fast, ratios, devices."""
    if answered(results.trials).empty:
        return [Sentence("nothing", "No trial ended with an answer: there is nothing to compare.")]
    found: list[Sentence] = []
    problems = list(results.problems)
    own = results.definition.get("stop_at")
    target = headline(views["target"].table, own)
    for name in problems[:MOST_PROBLEMS]:
        found += accuracy_findings(views, name)
        found += reached_findings(results, views, name, target, own=own)
        found += fastest_findings(results, views, name, target)
        found += ratio_findings(views, name)
        found += device_findings(views, name)
    if len(problems) > MOST_PROBLEMS:
        text = f"{len(problems)} problems in all: the filters show each one's charts and tables."
        found.append(Sentence("more", text))
    return found
