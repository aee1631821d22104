"""The remark on methods whose best setting is at an edge of the values that were tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from optlab.analysis.optimizer_settings import settings_left_out
from optlab.analysis.result_tables import ResultTables
from optlab.lab.tables import given_rates
from optlab.optimizers.rate_text import RATE_FIELDS, common_name
from optlab.report.answer.ranking import NO_ANSWER, NOT_TIMED, ranked_settings
from optlab.report.words import join_names, listed
from optlab.text import number

ENOUGH = 3
"""From so many values of a hyperparameter on, the best should have one on either side."""

_FIXED = ["batch", "device", "dtype"]


def at_edges(results: ResultTables) -> Iterator[str]:
    """Yield a sentence for each hyperparameter whose best value is the largest or least tried.

    Values are compared where all other hyperparameters, the batch size, device and dtype are those
    of the method's best setting. One that diverged or failed was tried: inside it is no edge. Nor
    is a best value where another took as few epochs to the target: seconds alone tell them apart.
    Nor one beyond which a value was tried whose trials were left out of these results.
    """
    settings, values = ranked_settings(results), _values(results.trials)
    several = len(set(settings["problem"])) > 1
    left_out = settings_left_out(results.definition, set(results.trials["optimizer"].map(str)))
    found: dict[tuple[str, str, bool], dict[str, float]] = {}
    for (problem, method), rows in settings.groupby(["problem", "method"], sort=False):
        for name, value, largest in _edges(rows, values):
            others = [_of_name(own, name) for own in left_out.get(str(method), [])]
            if not any(v > value if largest else v < value for v in others if v is not None):
                found.setdefault((str(problem), name, largest), {})[str(method)] = value
    for (problem, name, largest), best in found.items():
        where = f" on {problem}" if several else ""
        tried = listed(list(dict.fromkeys(number(value, 6) for value in best.values())))
        end, more = ("largest", "larger") if largest else ("least", "smaller")
        yield (
            f"the best {name.replace('_', ' ')} of {join_names(list(best))}{where} is the {end} "
            f"that was tried ({tried}): try {more} ones"
        )


def _values(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the hyperparameters of each optimizer by its label; torch's ``lr`` as the rate."""
    own = trials.drop_duplicates("optimizer").set_index("optimizer")
    table = own[[name for name in own if str(name).startswith("hp_")]]
    table.columns = table.columns.str.removeprefix("hp_")
    rate, *others = RATE_FIELDS
    table = table.assign(**{rate: given_rates(own)})
    return table.drop(columns=others, errors="ignore")


def _edges(rows: pd.DataFrame, values: pd.DataFrame) -> Iterator[tuple[str, float, bool]]:
    """Yield the hyperparameters of one method's best setting that are an edge, and which."""
    best = rows.iloc[0]
    if len(rows) < ENOUGH or best["tier"] >= NO_ANSWER:
        return
    rows = rows[(rows[_FIXED] == best[_FIXED]).all(axis=1)]
    table = values.loc[rows["optimizer"]].astype(object)
    texts = table.map(repr)  # missing values have no truth
    same = texts == texts.iloc[0]
    for name in table:
        alike = same.drop(columns=name).all(axis=1)
        numbers = table[name][alike].map(_number).astype(float)
        least, most, value = numbers.min(), numbers.max(), numbers.iloc[0]
        if numbers.nunique() < ENOUGH or value not in {least, most}:
            continue
        if _as_few_epochs(rows[alike.to_numpy()]):
            continue
        if value == most or value != 0:  # nothing is less than no momentum, no decay
            yield str(name), float(value), bool(value == most)


def _as_few_epochs(rows: pd.DataFrame) -> bool:
    """Return whether the first setting is ranked by a target that another reached as early."""
    best, others = rows.iloc[0], rows.iloc[1:]
    rivals = others[(others["tier"] == best["tier"]) & (others["epochs"] <= best["epochs"])]
    return bool(best["tier"] <= NOT_TIMED and len(rivals))


def _of_name(settings: Mapping[str, Any], name: str) -> float | None:
    """Return an optimizer's hyperparameter by its common name, where it is a number."""
    return next((_number(own) for key, own in settings.items() if common_name(key) == name), None)


def _number(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain else None
