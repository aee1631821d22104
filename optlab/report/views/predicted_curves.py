"""The view of theory beside measurement: predicted and measured suboptimality over epochs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL
from optlab.analysis.theory_tables import SETTING, theory
from optlab.report.views.cache import cached
from optlab.report.views.convergence import FLOOR, convergence_view
from optlab.report.views.view import Axis, View

_COLUMNS = [*CELL, "direct", "epoch", "suboptimality", "low", "high", "predicted", "floor"]


def _curves(results: ResultTables) -> pd.DataFrame:
    """Return the rows of the convergence view that have a prediction, with the noise floor.

    ``floor`` is a share of the start's suboptimality too, NaN where it is zero, infinite or not
    known.
    """
    table = convergence_view(results).table
    if "predicted" not in table or table["predicted"].isna().all():
        return pd.DataFrame(columns=_COLUMNS)
    rows = table[table["predicted"].notna()]
    starts = results.traces[results.traces["epoch"] == 0].set_index("trial")["suboptimality"]
    start = results.trials.assign(start=results.trials["trial"].map(starts))
    scale = start.groupby(SETTING, observed=True)["start"].median()
    floors = theory(results).set_index(SETTING)["noise_floor"] / scale
    floors = floors.where(np.isfinite(floors) & (floors > FLOOR)).rename("floor")
    return rows.join(floors, on=SETTING)[_COLUMNS]


@cached
def theory_view(results: ResultTables) -> View:
    """Return the view of predicted and measured suboptimality."""
    return View(
        key="theory",
        panels=("batch", "device", "dtype"),
        title="Theory beside measurement",
        question="Is it as fast as theory says, and where must it end?",
        how="Measured suboptimality as in the chart of convergence (pale, with its band), and what "
        "theory predicts (dashed): exactly for full batches; for mini-batches the expectation over "
        "batches drawn independently, each without replacement, which ends at the noise floor "
        "(dotted). The batches of a shuffled epoch share no row, so that measured noise is less in "
        "the long run. Drawn for gradient descent at a constant rate, with or without momentum, on "
        "quadratics of a size that theory is cheap for.",
        kind="lines",
        table=_curves(results),
        x=(Axis("epoch", "epochs", scale="log", other="linear"),),
        y=(
            Axis(
                "suboptimality",
                "suboptimality (share of the start's)",
                scale="log",
                other="linear",
                low="low",
                high="high",
                predicted="predicted",
                floor="floor",
            ),
        ),
        missing="No trial was gradient descent at a constant rate on a quadratic that theory is "
        "cheap for.",
    )
