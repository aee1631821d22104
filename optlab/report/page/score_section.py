"""The page's section on several problems: scores, expected costs, and who beats whom."""

from __future__ import annotations

import pandas as pd

from optlab.analysis.expected_cost import expected_cost
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.scoring import attempts, scores
from optlab.analysis.targets import time_to_target
from optlab.analysis.win_rates import mean_places, of_best_settings, win_rates
from optlab.report.figures.win_rate_matrix import win_rate_matrix
from optlab.report.findings.score_findings import score_findings
from optlab.report.page.section import Section, as_image, as_table
from optlab.report.views import headline
from optlab.report.views.time_to_target import target_rules
from optlab.report.words import share
from optlab.text import method_name

COST = "epochs"
"""The cost by which methods are scored: the same on every machine, and of sweeps too."""

MOST_OPTIMIZERS = 30
"""A matrix of more is not drawn: `Results.win_rates` has the numbers."""


def score_section(results: ResultTables) -> Section | None:
    """Return the section, or None for one problem or method, or where no target was reached."""
    target = headline(results.measured)
    if len(results.problems) < 2 or not target:
        return None
    rule = target_rules(results)[target]
    table = scores(attempts(results.trials, results.traces, rule, COST))
    if len(table) < 2:
        return None
    times = time_to_target(results.trials, results.traces, rule)
    expected = _best_settings(expected_cost(times, COST))
    single = [name for name in ("device", "dtype", "batch") if expected[name].nunique() < 2]
    rounded = table.round({"score": 3, "low": 3, "high": 3})
    cost = f"{COST} to {share(target)}"
    best = f"Expected {cost}, with restarts, of the best setting of each method"
    tables = [
        as_table(f"Scores: 1 is the best on every problem ({cost})", rounded),
        as_table(best, expected, [*single, "seeds"]),
    ]
    return Section(
        results.problems, score_findings(table, COST), _matrix(results, times, target), tables
    )


def _best_settings(expected: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the setting of least expected cost of each method on each problem."""
    ordered = expected.sort_values("expected", kind="stable")
    methods = ordered["optimizer"].map(str).map(method_name)
    first = ~pd.DataFrame({"problem": ordered["problem"], "method": methods}).duplicated()
    return expected.loc[ordered.index[first]].sort_index()


def _matrix(results: ResultTables, times: pd.DataFrame, target: str) -> list[tuple[str, str]]:
    if not 2 <= times["optimizer"].nunique() <= MOST_OPTIMIZERS:
        return []
    wins = of_best_settings(win_rates(times, COST), mean_places(results.trials))
    if wins.empty:
        return []
    title = f"Who beats whom: share of comparisons that a row wins, by {COST} to {share(target)}"
    text = "A square for each pair of optimizers with the share of comparisons that the row wins"
    return [(text, as_image(win_rate_matrix(wins, title)))]
