"""How right the answers are: digits, parameters, and the fitted line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.statistics import CELL, by_cell
from optlab.lab import ProblemSummary
from optlab.report.views.view import Axis, Outcome, View, answered, one_feature

MOST_DIGITS = 15.95
"""-log10 of float64's eps: no distance below it is told apart from none."""

MOST_PARAMETERS = 30
"""Of a problem's parameters the view shows at most so many, those largest at the optimum."""


def digits(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's correct digits, -log10 of the relative distance to the optimum.

    The median over seeds and repeats, with the least and the most, between 0 and `MOST_DIGITS`.
    """
    with np.errstate(divide="ignore"):
        right = -np.log10(answered(trials)["parameter_error"].astype(float))
    right = right.clip(0, MOST_DIGITS)
    groups = answered(trials)[CELL].assign(digits=right).dropna(subset=["digits"])
    return by_cell(groups, "digits", digits="median", low="min", high="max", trials="size")


def digits_view(trials: pd.DataFrame) -> View:
    """Return the view of digits."""
    return View(
        key="digits",
        title="Accuracy in digits",
        question="Who was right?",
        how="-log10 of the distance to the optimum's parameters, relative to their norm, at the "
        "end of each trial that finished or converged; float64 holds 15.95 digits, float32 7.2. "
        "Medians over seeds and repeats, bars from the least to the most.",
        kind="points",
        table=digits(trials),
        x=(Axis("batch", "batch size", scale="category"),),
        y=(Axis("digits", "correct digits of the parameters", low="low", high="high"),),
        missing="No trial ended with an answer.",
    )


def best_trials(trials: pd.DataFrame, problem: str) -> pd.DataFrame:
    """Return each optimizer's trial of least loss, of those that finished or converged."""
    chosen = answered(trials[(trials["problem"] == problem) & (trials["loss"].abs() < np.inf)])
    best = chosen.groupby("optimizer", sort=False)["loss"].idxmin()
    return chosen[chosen.index.isin(best)]


def middle_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's trial of median loss, the lower of two, of those that had an answer."""
    chosen = answered(trials[np.isfinite(trials["loss"].astype(float))])
    chosen = chosen.sort_values("loss", kind="stable")
    groups = chosen.groupby(CELL, sort=False, observed=True)
    place, size = groups.cumcount(), groups["loss"].transform("size")
    return chosen[place == (size - 1) // 2].sort_index()


def found_parameters(results: Outcome) -> list[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Return the cell and the final parameters of each cell's middle trial."""
    found: list[tuple[dict[str, Any], Mapping[str, Any]]] = []
    middle = middle_trials(results.trials)
    for values in middle.itertuples(index=False, name=None):
        row = dict(zip(map(str, middle.columns), values, strict=True))
        try:
            found.append((row, results.parameters(int(row["trial"]))))
        except (KeyError, ValueError):  # kept by none: an interrupted trial, or a thinned file
            continue
    return found


def parameters_view(
    results: Outcome, found: list[tuple[dict[str, Any], Mapping[str, Any]]]
) -> View:
    """Return the view of the final parameters beside the optimum's."""
    shown = {name: _parameter_names(facts) for name, facts in results.problems.items()}
    rows, optimum = [], []
    for name, known in results.problems.items():
        optimum += [
            {"problem": name, "parameter": label, "value": float(np.ravel(known.optimum[key])[j])}
            for label, key, j in shown[name]
        ]
    for cell, parameters in found:
        facts = results.problems.get(cell["problem"])
        for label, key, j in shown.get(cell["problem"], []):
            value = np.ravel(parameters.get(key, ()))
            if facts is not None and j < len(value):
                right = float(np.ravel(facts.optimum[key])[j])
                rows.append(
                    {column: cell[column] for column in CELL}
                    | {"parameter": label, "value": float(value[j])}
                    | {"error": abs(float(value[j]) - right), "optimum": right}
                )
    columns = [*CELL, "parameter", "value", "error", "optimum"]
    return View(
        key="parameters",
        title="Final parameters",
        question="Are they the optimum's?",
        how="The parameters each setting ended with (of its trials that finished or converged, the "
        "one of median loss) beside the optimum's, which are the thin lines. At most "
        f"{MOST_PARAMETERS} parameters are shown, the largest at the optimum.",
        kind="points",
        table=pd.DataFrame(rows, columns=columns),
        x=(Axis("parameter", "parameter", scale="category"),),
        y=(
            Axis("value", "value"),
            Axis("error", "distance from the optimum's value", scale="log", other="linear"),
        ),
        missing="No trial that finished or converged kept its parameters.",
        extra={"optimum": pd.DataFrame(optimum, columns=["problem", "parameter", "value"])},
    )


def _parameter_names(facts: ProblemSummary) -> list[tuple[str, str, int]]:
    """Return label, key and place of the parameters that are shown."""
    names = [
        (label, key, place)
        for key, values in facts.optimum.items()
        for place, label in enumerate(facts.parameter_names(key, np.size(values)))
    ]
    size = [abs(float(np.ravel(facts.optimum[key])[j])) for _, key, j in names]
    largest = set(np.argsort(size)[::-1][:MOST_PARAMETERS].tolist())
    return [name for place, name in enumerate(names) if place in largest]


def fit_view(results: Outcome, found: list[tuple[dict[str, Any], Mapping[str, Any]]]) -> View:
    """Return the view of the lines fitted to one-feature problems."""
    points, lines = [], []
    facts_of = {name: facts for name, facts in results.problems.items() if one_feature(facts)}
    for name, facts in facts_of.items():
        points.append(pd.DataFrame({"problem": name, "x": facts.x, "y": facts.y}))
    for cell, parameters in found:
        if cell["problem"] not in facts_of or np.size(parameters.get("weight", ())) != 1:
            continue
        x = facts_of[cell["problem"]].x
        slope = float(np.ravel(parameters["weight"])[0])
        intercept = float(np.ravel(parameters.get("bias", 0.0))[0])
        for end in (float(x.min()), float(x.max())):
            row = {column: cell[column] for column in CELL}
            lines.append(row | {"x": end, "y": slope * end + intercept, "slope": slope}
                         | {"intercept": intercept})  # fmt: skip
    names = {facts.feature_names[0] for facts in facts_of.values() if facts.feature_names}
    targets = {facts.target_name for facts in facts_of.values()}
    return View(
        key="fit",
        title="Fitted line",
        question="What does the answer look like?",
        how="The points of the problem, and the line each setting ended with (of its trials that "
        "finished or converged, the one of median loss).",
        kind="fit",
        table=pd.DataFrame(lines, columns=[*CELL, "x", "y", "slope", "intercept"]),
        x=(Axis("x", names.pop() if len(names) == 1 else "x"),),
        y=(Axis("y", targets.pop() if len(targets) == 1 else "y"),),
        missing="A line needs a problem with one feature, and a trial that finished or converged.",
        extra={"points": pd.concat(points) if points else pd.DataFrame(columns=["problem", "x"])},
    )
