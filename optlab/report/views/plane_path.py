"""The view of the path in the plane: iterates of a function of two variables, over its contours."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL
from optlab.lab import ProblemSummary
from optlab.report.views.accuracy import median_trials
from optlab.report.views.cache import cached
from optlab.report.views.view import Axis, View

MOST_ITERATES = 400
"""Of a trial's recorded iterates at most so many are drawn, evenly spread; the last always."""

X1, X2 = "x1", "x2"
"""The measures that hold the two variables of a problem with contours."""


@cached
def path_view(results: ResultTables) -> View:
    """Return the view of the iterates in the plane of a function of two variables."""
    drawn = {name: facts for name, facts in results.problems.items() if facts.contours}
    return View(
        key="path",
        title="Path in the plane",
        question="Which way do the iterates go?",
        how="The recorded iterates of each setting's trial of median loss, of those that finished "
        "or converged, from the start on, over contours of the suboptimality, which are a constant "
        "factor apart; the cross is the minimum.",
        kind="lines",
        table=_iterates(results, list(drawn)),
        x=(Axis(X1, X1),),
        y=(Axis(X2, X2),),
        missing="A path in the plane needs a function of two variables, such as optlab.Rosenbrock, "
        "and a trial of it that finished or converged.",
        extra={"contours": _contours(drawn), "minimum": _minima(drawn)},
    )


def _iterates(results: ResultTables, problems: list[str]) -> pd.DataFrame:
    """Return the two variables along each cell's median trial, with the cell and the epoch."""
    trials = results.trials[results.trials["problem"].isin(problems)]
    columns = [*CELL, "epoch", X1, X2]
    if trials.empty or X1 not in results.traces:
        return pd.DataFrame(columns=columns)
    chosen = median_trials(trials)[[*CELL, "trial"]]
    rows = chosen.merge(results.traces[["trial", "epoch", X1, X2]], on="trial")
    groups = rows.groupby("trial")["epoch"]
    place, last = groups.cumcount(), groups.transform("size") - 1
    step = np.ceil((last + 1) / MOST_ITERATES)
    kept: pd.DataFrame = rows[(place % step == 0) | (place == last)]
    kept = kept.dropna(subset=[X1, X2])
    return kept[columns].reset_index(drop=True)


def _contours(problems: dict[str, ProblemSummary]) -> pd.DataFrame:
    """Return the suboptimality over each problem's grid, a row each point."""
    parts = []
    for name, facts in problems.items():
        x1, x2 = np.meshgrid(facts.contours[X1], facts.contours[X2], indexing="ij")
        gap = np.ravel(facts.contours["suboptimality"])
        grid = {"problem": name, X1: np.ravel(x1), X2: np.ravel(x2), "suboptimality": gap}
        parts.append(pd.DataFrame(grid))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["problem", X1, X2])


def _minima(problems: dict[str, ProblemSummary]) -> pd.DataFrame:
    """Return the reference's place of each problem."""
    rows = [
        {"problem": name, X1: float(place[0]), X2: float(place[1])}
        for name, facts in problems.items()
        if len(place := np.ravel(facts.parameters.get("x", ()))) == 2
    ]
    return pd.DataFrame(rows, columns=["problem", X1, X2])
