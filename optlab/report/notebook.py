"""Results as HTML for notebooks."""

from __future__ import annotations

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import summary
from optlab.html_templates import table_html
from optlab.text import format_seconds, number


def results_html(results: ResultTables) -> str:
    """Return the summary as a small table: a row each cell, at most 20."""
    table = summary(results.trials)
    axes = [c for c in ("problem", "dtype") if len(set(table[c])) > 1]
    columns = [*axes, "optimizer", "batch size", "device", "status", "seconds", "epochs"]
    rows = [
        [
            *(row[axis] for axis in axes),
            row["optimizer"],
            row["batch"],
            row["device"],
            row["status"],
            format_seconds(row["seconds"]),
            number(row["epochs"]),
            number(row["suboptimality"]),
            number(row["parameter_error"]),
        ]
        for _, row in table.iterrows()
    ]
    counts = ", ".join(f"{n} {s}" for s, n in results.trials["status"].value_counts().items())
    title = f"{results.name}: {len(results.trials)} trials, {counts}"
    return table_html(title, [*columns, "suboptimality", "parameter error"], rows)
