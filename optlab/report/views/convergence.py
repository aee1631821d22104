"""The convergence view: suboptimality along the trials of each cell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, cell_numbers
from optlab.lab.trial.record import LEARNING_RATE, TRACE_NUMBERS
from optlab.report.views.cache import cached
from optlab.report.views.view import Axis, View
from optlab.report.words import describe_references, reference_kind
from optlab.text import DIRECT

FLOOR = 1e-16
"""A suboptimality below this share of the start's is drawn at this share: it is rounding."""

MOST_EPOCHS = 150
"""Of a cell's recorded epochs at most so many are drawn, evenly spread; the last always."""


def _medians(results: ResultTables) -> pd.DataFrame:
    """Return the medians over seeds and repeats of each cell's recorded iterates.

    A trial that has ended counts on with its last iterate, so that a median is always over all of
    the cell's trials. Columns: the cell's, ``direct`` (whether the method uses no batches),
    ``epoch, samples, seconds``, ``suboptimality`` relative to the start's, at least `FLOOR`, with
    ``low`` and ``high``, the least and the most over the trials; likewise each further measure,
    with ``<measure>_low`` and ``<measure>_high``; what `counted_costs` names; and ``predicted``,
    the median of what theory says, where it says anything.
    """
    trials, measures = results.trials, further_measures(results.traces)
    cell = cell_numbers(trials)
    rows = _relative(results.traces).merge(trials[["trial"]].assign(cell=cell), on="trial")
    if rows.empty:
        bands = [*_BAND, *(column for name in measures for column in _band(name))]
        spent = ["epoch", "samples", "seconds", *counted_costs(results.traces)]
        return pd.DataFrame(columns=[*CELL, "direct", *spent, *bands])
    groups = _filled(rows).groupby(["cell", "epoch"])
    costs = counted_costs(results.traces)
    theory = [name for name in ("predicted",) if name in rows]
    view = groups[["samples", "seconds", *costs, "suboptimality", *measures, *theory]].median()
    view[["low", "high"]] = groups["suboptimality"].agg(["min", "max"])
    for name in measures:
        view[[*_band(name)[1:]]] = groups[name].agg(["min", "max"])
    names = trials[CELL].assign(cell=cell)[~cell.duplicated()]
    table = names.merge(view[np.isfinite(view["suboptimality"])].reset_index(), on="cell")
    table = _without_best_known(table, results).reset_index(drop=True)
    return table.assign(direct=table["batch"] == DIRECT).drop(columns="cell")


_BAND = ["suboptimality", "low", "high"]


def _band(measure: str) -> tuple[str, str, str]:
    """Return the columns of a further measure: its median, and its ends."""
    return measure, f"{measure}_low", f"{measure}_high"


def further_measures(traces: pd.DataFrame) -> list[str]:
    """Return the measures that only some problems have: the last columns of the traces."""
    others = {"trial", *TRACE_NUMBERS, LEARNING_RATE}  # a rate is no loss that falls
    return [name for name in map(str, traces) if name not in others]


def counted_costs(traces: pd.DataFrame) -> list[str]:
    """Return ``["gradient_evaluations"]`` where some method makes more or fewer than one a pass."""
    if "gradient_evaluations" not in traces:
        return []
    made = traces["gradient_evaluations"]
    several = (made.notna() & (made != traces["epoch"])).any()
    return ["gradient_evaluations"] if several else []


def _relative(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the traces with the suboptimality as a share of the start's."""
    start = traces[traces["epoch"] == 0].set_index("trial")["suboptimality"]
    share = traces["suboptimality"] / traces["trial"].map(start).clip(lower=1e-300)
    columns = ["trial", "epoch", "samples", "seconds", *counted_costs(traces)]
    columns += further_measures(traces)
    rows = traces[columns].assign(suboptimality=share.fillna(np.inf).clip(lower=FLOOR))
    if "predicted_suboptimality" in traces and traces["predicted_suboptimality"].notna().any():
        predicted = traces["predicted_suboptimality"] / traces["trial"].map(start).clip(
            lower=1e-300
        )
        rows = rows.assign(predicted=predicted.clip(lower=FLOOR))
    judged: pd.DataFrame = rows[np.isfinite(traces["trial"].map(start))]
    return judged


def _without_best_known(table: pd.DataFrame, results: ResultTables) -> pd.DataFrame:
    """Return the medians, without those of iterates that are themselves the best known loss.

    Their suboptimality is 0 by definition, which a logarithmic axis would show as if it had been
    reached; where only the least over the trials is, the band ends at the median.
    """
    facts = results.problems
    names = [name for name in facts if reference_kind(facts[name]) == "best known"]
    known = table["problem"].isin(names)
    low = table["low"].mask(known & (table["low"] <= FLOOR), table["suboptimality"])
    return table.assign(low=low)[~known | (table["suboptimality"] > FLOOR)]


def _filled(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial at each epoch its cell has, the last recorded carried on."""
    epochs = rows[["cell", "epoch"]].drop_duplicates().sort_values(["cell", "epoch"])
    place = epochs.groupby("cell").cumcount()
    last = epochs.groupby("cell")["epoch"].transform("size") - 1
    step = np.ceil((last + 1) / MOST_EPOCHS)
    epochs = epochs[(place % step == 0) | (place == last)]
    wanted = rows[["cell", "trial"]].drop_duplicates().merge(epochs, on="cell")
    recorded = rows.drop(columns="cell").sort_values("epoch")
    return pd.merge_asof(wanted.sort_values("epoch"), recorded, on="epoch", by="trial")


@cached
def convergence_view(results: ResultTables) -> View:
    """Return the view of the suboptimality over epochs, samples and seconds."""
    return View(
        key="convergence",
        title="Convergence",
        question="How does the loss fall?",
        how="Loss minus the reference's loss, as a share of what it was at the start; 1e-16 stands "
        "for anything below, and an iterate that is itself the best known loss is left out. Lines "
        "are medians over seeds and repeats, bands reach from the least to the most. Direct "
        "methods are horizontal lines." + describe_references(results.problems),
        kind="lines",
        table=_medians(results),
        x=(
            Axis("epoch", "epochs", scale="log", other="linear"),
            Axis("samples", "samples touched", scale="log", other="linear"),
            Axis("seconds", "seconds of work", "s", scale="log", other="linear"),
            *(
                Axis(name, "gradient evaluations, in passes", scale="log", other="linear")
                for name in counted_costs(results.traces)
            ),
        ),
        y=(
            Axis(
                "suboptimality",
                "suboptimality (share of the start's)",
                scale="log",
                other="linear",
                low="low",
                high="high",
            ),
            *(
                Axis(name, name.replace("_", " "), other="log", low=low, high=high)
                for name, low, high in map(_band, further_measures(results.traces))
            ),
        ),
        missing="No trial recorded a finite loss.",
    )
