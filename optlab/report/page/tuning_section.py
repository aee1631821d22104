"""The page's section on tuning: sentences, a figure of each problem, and the table."""

from __future__ import annotations

import base64
import io
from typing import Any, NamedTuple

import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.tuning import tuning, tuning_ranks
from optlab.report.figures.tuning_curves import tuning_curves
from optlab.report.findings.sentence import Sentence
from optlab.report.findings.tuning_findings import tuning_findings
from optlab.report.output_file import SOFTWARE
from optlab.text import format_seconds, number

MOST_FIGURES = 6
"""Each of so many problems gets its figure; `Results.plot_tuning` draws the others."""

_HEADS = {"settings": "settings tried", "near_low": "from", "near_high": "to", "share": "reached",
          "attempts": "attempts to one", "tuning_epochs": "epochs of tuning",
          "tuning_seconds": "seconds of tuning", "measured_epochs": "measured epochs",
          "measured_seconds": "measured seconds", "rank_with_tuning": "rank with tuning",
          "batch": "batch size", "total": "epochs with tuning",
          "tuning_trials": "tuning trials"}  # fmt: skip


class TuningSection(NamedTuple):
    """The parts of the section."""

    sentences: list[Sentence]
    figures: list[tuple[str, str]]  # a text that describes it, and its address as data
    tables: list[tuple[str, list[str], list[list[str]]]]  # title, head, rows


def tuning_section(results: ResultTables) -> TuningSection | None:
    """Return the section, or None where no optimizer was tuned."""
    table = tuning(results)
    if table.empty:
        return None
    figures = []
    for problem in list(results.problems)[:MOST_FIGURES]:
        if figure := tuning_curves(results, problem):
            file = io.BytesIO()
            figure.savefig(file, format="svg", metadata={"Creator": SOFTWARE, "Date": None})
            data = base64.b64encode(file.getvalue()).decode("ascii")
            text = f"Epochs or loss of each setting tried on {problem}, by hyperparameter"
            figures.append((text, f"data:image/svg+xml;base64,{data}"))
    single = [name for name in ("problem", "batch") if table[name].nunique() < 2]
    ranks = tuning_ranks(results)
    tables = [_table("Best settings, and the cost of finding them", table, [*single, "shared"])]
    if not ranks.empty:
        tables.append(_table("Ranks by epochs, without and with those of tuning", ranks, single))
    return TuningSection(tuning_findings(results), figures, tables)


def _table(
    title: str, table: pd.DataFrame, left_out: list[str]
) -> tuple[str, list[str], list[list[str]]]:
    columns = [str(name) for name in table if name not in left_out]
    rows = [[_text(name, row[name]) for name in columns] for row in table.to_dict("records")]
    return title, [_HEADS.get(name, name.replace("_", " ")) for name in columns], rows


def _text(column: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if column.endswith("seconds"):
        return format_seconds(value)
    if column == "share":
        return f"{value:.0%}"
    return "∞" if value == float("inf") else number(value, 4)
