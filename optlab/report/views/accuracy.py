"""The views of accuracy: correct digits, final parameters, and the fitted line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, by_cell
from optlab.lab import ProblemSummary
from optlab.problems.coefficients import INTERCEPT
from optlab.report.views.cache import cached
from optlab.report.views.view import Axis, View, answered, one_feature
from optlab.report.words import describe_references, join_names
from optlab.text import capitalized

MOST_DIGITS = 15.95
"""-log10 of float64's eps: no distance below it is told apart from none."""

MOST_PARAMETERS = 30
"""Of a problem's parameters the view shows at most so many, those largest in the reference."""


def _digits(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's correct digits, -log10 of the relative distance to the reference.

    The median over seeds and repeats, with the least and the most, between 0 and `MOST_DIGITS`.
    """
    ended = answered(trials)
    with np.errstate(divide="ignore"):
        right = -np.log10(ended["parameter_error"].astype(float))
    rows = ended[CELL].assign(digits=right.clip(0, MOST_DIGITS)).dropna(subset=["digits"])
    return by_cell(rows, "digits", digits="median", low="min", high="max", trials="size")


@cached
def digits_view(results: ResultTables) -> View:
    """Return the view of correct digits."""
    return View(
        key="digits",
        title="Accuracy in digits",
        question="Which answers are right?",
        how="-log10 of the distance to the reference's parameters, relative to their norm, at the "
        "end of each trial that finished or converged; float64 holds 15.95 digits, float32 7.2. "
        "Medians over seeds and repeats, bars from the least to the most.",
        kind="points",
        table=_digits(results.trials),
        x=(Axis("batch", "batch size", scale="category"),),
        y=(Axis("digits", "correct digits of the parameters", low="low", high="high"),),
        missing=_why_no_digits(results),
    )


def _why_no_digits(results: ResultTables) -> str:
    """Return the reasons why no digits are shown, by problem."""
    several = [name for name, facts in results.problems.items() if _is_one_of_many(facts)]
    reasons = [f"the minimiser of {join_names(several)} is not unique"] if several else []
    return _why_nothing(results, reasons, several, "no trial ended with an answer")


def _is_one_of_many(facts: ProblemSummary) -> bool:
    unique = None if facts.reference is None else facts.reference.unique
    return bool(facts.parameters) and unique is False


def _why_nothing(
    results: ResultTables, reasons: list[str], named: list[str], otherwise: str
) -> str:
    """Return a sentence of the reasons: parameters that are not known, others, and the usual."""
    unknown = [name for name, facts in results.problems.items() if not facts.parameters]
    if unknown:
        reasons = [f"of {join_names(unknown)} no parameters to compare with are known", *reasons]
    if len(unknown) + len(named) < len(results.problems) or not reasons:
        reasons = [*reasons, f"of the others {otherwise}" if reasons else otherwise]
    text = "; ".join(reasons)
    return f"{capitalized(text)}."


def median_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's trial of median loss, the lower of two, of those that had an answer.

    It stands for the cell in every view of parameters and fits: the trial of least loss would show
    what a cell can do at best, not what it usually does.
    """
    chosen = answered(trials[np.isfinite(trials["loss"].astype(float))])
    chosen = chosen.sort_values("loss", kind="stable")
    groups = chosen.groupby(CELL, sort=False, observed=True)
    place, size = groups.cumcount(), groups["loss"].transform("size")
    return chosen[place == (size - 1) // 2].sort_index()


@cached
def _median_parameters(
    results: ResultTables,
) -> list[tuple[dict[str, Any], Mapping[str, Any], ProblemSummary]]:
    """Return the cell, final parameters and problem of each cell's median trial.

    Without those of which no parameters are kept.
    """
    rows = median_trials(results.trials)[[*CELL, "trial"]]
    return [
        (
            {str(column): row[column] for column in CELL},
            results.final_parameters[row["trial"]],
            results.problems[row["problem"]],
        )
        for row in rows.to_dict("records")
        if row["trial"] in results.final_parameters
    ]


@cached
def parameters_view(results: ResultTables) -> View:
    """Return the view of the final parameters beside the reference's."""
    shown = {name: _parameter_names(facts) for name, facts in results.problems.items()}
    reference = [
        {"problem": name, "parameter": label, "value": float(np.ravel(facts.parameters[key])[j])}
        for name, facts in results.problems.items()
        for label, key, j in shown[name]
    ]
    rows = []
    for cell, parameters, facts in _median_parameters(results):
        for label, key, j in shown[cell["problem"]]:
            value = np.ravel(parameters.get(key, ()))
            if key == "bias" and is_softmax(facts):
                value = value - value.mean()
            if j < len(value):
                right = float(np.ravel(facts.parameters[key])[j])
                error = abs(float(value[j]) - right)
                own = {"parameter": label, "value": float(value[j]), "error": error}
                rows.append(cell | own | {"reference": right})
    columns = [*CELL, "parameter", "value", "error", "reference"]
    return View(
        key="parameters",
        title="Final parameters",
        question="Are they those of the reference?",
        how="The parameters each setting ended with (of its trials that finished or converged, the "
        "one of median loss) beside the reference's, which are the thin lines. At most "
        f"{MOST_PARAMETERS} parameters are shown, the largest in the reference."
        + (SHIFTED if any(map(is_softmax, results.problems.values())) else "")
        + describe_references(results.problems),
        kind="points",
        table=_typed(rows, columns, results),
        x=(Axis("parameter", "parameter", scale="category"),),
        y=(
            Axis("value", "value"),
            Axis("error", "distance from the reference's value", scale="log", other="linear"),
        ),
        missing=_why_nothing(
            results, [], [], "no trial that finished or converged kept its parameters"
        ),
        extra={"reference": pd.DataFrame(reference, columns=["problem", "parameter", "value"])},
    )


SHIFTED = (
    " The loss of softmax regression does not change when one number is added to the biases of all "
    "classes: they are shown less their mean. Without a penalty the same holds of each feature's "
    "weights, which are shown as they are."
)


def is_softmax(facts: ProblemSummary) -> bool:
    """Return whether a problem is softmax regression, with a score for each class."""
    return facts.kind == "SoftmaxRegression"


def _typed(rows: list[dict[str, Any]], columns: list[str], results: ResultTables) -> pd.DataFrame:
    """Return rows as a table whose batch sizes are in order, as in the table of trials."""
    return pd.DataFrame(rows, columns=columns).astype({"batch": results.trials["batch"].dtype})


def _parameter_names(facts: ProblemSummary) -> list[tuple[str, str, int]]:
    """Return label, key and place of the parameters that are shown."""
    names = [
        (_as_in_coefficients(label, facts), key, place)
        for key, values in facts.parameters.items()
        for place, label in enumerate(facts.parameter_names(key, np.size(values)))
    ]
    size = [abs(float(np.ravel(facts.parameters[key])[j])) for _, key, j in names]
    largest = set(np.argsort(size)[::-1][:MOST_PARAMETERS].tolist())
    return [name for place, name in enumerate(names) if place in largest]


def _as_in_coefficients(label: str, facts: ProblemSummary) -> str:
    """Return a parameter's name; a linear model's bias is called as among its coefficients."""
    return INTERCEPT if label == "bias" and facts.coefficients else label


@cached
def fit_view(results: ResultTables) -> View:
    """Return the view of the lines fitted to one-feature problems."""
    facts_of = {name: facts for name, facts in results.problems.items() if one_feature(facts)}
    points = [
        pd.DataFrame({"problem": name, "x": facts.x, "y": facts.y})
        for name, facts in facts_of.items()
    ]
    lines = []
    for cell, parameters, facts in _median_parameters(results):
        if cell["problem"] not in facts_of or np.size(parameters.get("weight", ())) != 1:
            continue
        slope = float(np.ravel(parameters["weight"])[0])
        intercept = float(np.ravel(parameters.get("bias", 0.0))[0])
        for x in (float(facts.x.min()), float(facts.x.max())):
            line = {"slope": slope, "intercept": intercept}
            lines.append(cell | {"x": x, "y": slope * x + intercept} | line)
    names = {facts.feature_names[0] for facts in facts_of.values() if facts.feature_names}
    targets = {facts.target_name for facts in facts_of.values()}
    return View(
        key="fit",
        title="Fitted line",
        question="What does the answer look like?",
        how="The points of the problem, and the line each setting ended with (of its trials that "
        "finished or converged, the one of median loss).",
        kind="fit",
        table=_typed(lines, [*CELL, "x", "y", "slope", "intercept"], results),
        x=(Axis("x", names.pop() if len(names) == 1 else "x"),),
        y=(Axis("y", targets.pop() if len(targets) == 1 else "y"),),
        missing="A line needs linear regression on one feature, and a trial that finished or "
        "converged.",
        extra={"points": pd.concat(points) if points else pd.DataFrame(columns=["problem", "x"])},
    )
