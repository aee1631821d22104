"""Results as HTML for notebooks."""

from __future__ import annotations

from optlab.analysis.result_tables import ResultTables
from optlab.html_templates import ENVIRONMENT
from optlab.report.answer.html import answer_html
from optlab.report.trial_counts import trial_counts

_TITLE = ENVIRONMENT.from_string("<p><b>{{ name }}</b>: {{ counts }}</p>\n")


def results_html(results: ResultTables) -> str:
    """Return the answer: the verdict, and the ranked table with at most 20 rows a problem."""
    title = _TITLE.render(name=results.name, counts=trial_counts(results.trials))
    return title + answer_html(results)
