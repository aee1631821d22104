"""What was found, in words made from the numbers."""

from __future__ import annotations

from optlab.report.findings.accuracy_findings import who_was_right
from optlab.report.findings.device_findings import fastest_devices
from optlab.report.findings.ratio_findings import beside_baseline
from optlab.report.findings.sentence import Sentence
from optlab.report.findings.target_findings import who_got_there, who_was_first
from optlab.report.views import Outcome, View, headline
from optlab.report.views.view import answered

MOST_PROBLEMS = 3
"""Each of so many problems gets its own sentences; of more, the first ones do."""


def findings(results: Outcome, views: dict[str, View]) -> list[Sentence]:
    """Return what was found: who was right, who got there, who was first, on what."""
    if answered(results.trials).empty:
        return [Sentence("nothing", "No trial ended with an answer: there is nothing to compare.")]
    said: list[Sentence] = []
    problems = list(results.problems)
    own = results.definition.get("stop_at")
    target = headline(views["target"].table, own)
    for name in problems[:MOST_PROBLEMS]:
        said += who_was_right(views, name)
        said += who_got_there(results, views, name, target, own=own)
        said += who_was_first(results, views, name, target)
        said += beside_baseline(views, name)
        said += fastest_devices(views, name)
    if len(problems) > MOST_PROBLEMS:
        text = f"{len(problems)} problems in all: the filters show each one's charts and tables."
        said.append(Sentence("more", text))
    return said
