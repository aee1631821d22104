"""The page's section on tuning: sentences, a figure of each problem, and the table."""

from __future__ import annotations

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.tuning import tuning, tuning_ranks
from optlab.report.figures.tuning_curves import tuning_curves
from optlab.report.findings.tuning_findings import tuning_findings
from optlab.report.page.section import Section, as_image, as_table

MOST_FIGURES = 6
"""Each of so many problems gets its figure; `Results.plot_tuning` draws the others."""

_HEADS = {"settings": "settings tried", "near_low": "from", "near_high": "to", "share": "reached",
          "attempts": "attempts to one", "tuning_epochs": "epochs of tuning",
          "tuning_seconds": "seconds of tuning", "measured_epochs": "measured epochs",
          "measured_seconds": "measured seconds", "rank_with_tuning": "rank with tuning",
          "batch": "batch size", "total": "epochs with tuning",
          "tuning_trials": "tuning trials"}  # fmt: skip


def tuning_section(results: ResultTables) -> Section | None:
    """Return the section, or None where no optimizer was tuned."""
    table = tuning(results)
    if table.empty:
        return None
    figures = []
    for problem in list(results.problems)[:MOST_FIGURES]:
        if figure := tuning_curves(results, problem):
            text = f"Epochs or loss of each setting tried on {problem}, by hyperparameter"
            figures.append((text, as_image(figure)))
    single = [name for name in ("problem", "batch") if table[name].nunique() < 2]
    ranks = tuning_ranks(results)
    best = "Best settings, and the cost of finding them"
    tables = [as_table(best, table, [*single, "shared"], _HEADS)]
    if not ranks.empty:
        title = "Ranks by epochs, without and with those of tuning"
        tables.append(as_table(title, ranks, single, _HEADS))
    return Section(results.problems, tuning_findings(results), figures, tables)
