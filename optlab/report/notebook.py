"""Results as HTML for notebooks."""

from __future__ import annotations

from optlab.analysis.result_tables import ResultTables
from optlab.html_templates import ENVIRONMENT
from optlab.report.answer.html import answer_html

_TITLE = ENVIRONMENT.from_string("<p><b>{{ name }}</b>: {{ trials }} trials, {{ counts }}</p>\n")


def results_html(results: ResultTables) -> str:
    """Return the answer: the verdict, and the ranked table with at most 20 rows a problem."""
    counts = ", ".join(f"{n} {s}" for s, n in results.trials["status"].value_counts().items())
    title = _TITLE.render(name=results.name, trials=len(results.trials), counts=counts)
    return title + answer_html(results)
