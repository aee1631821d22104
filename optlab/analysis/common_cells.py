"""Match the cells of two results by what the user wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.same_problems import different_problems
from optlab.analysis.statistics import CELL, measured
from optlab.text import DIRECT, as_float

SETTING = [*CELL, "order"]
"""The columns that a cell of one results has in common with one of another."""


class CommonCells(NamedTuple):
    """The trials of two results, cell by cell, under the optimizers' names of the new one.

    ``old`` and ``new`` are the measured trials of the cells that both have, with the number of
    their ``cell``; ``cells`` has a row for each, in the order of the new results. ``only_old`` and
    ``only_new`` have a row for each other cell; ``problems`` says why some of one name are not
    compared.
    """

    cells: pd.DataFrame
    old: pd.DataFrame
    new: pd.DataFrame
    only_old: pd.DataFrame
    only_new: pd.DataFrame
    problems: dict[str, str]


def common_cells(old: ResultTables, new: ResultTables) -> CommonCells:
    """Match the cells of two results, whatever their code: by problem, optimizer, and the others.

    Optimizers are the same where their names are, and the hyperparameters that both have: one that
    the class has gained since is no difference. An optimizer whose name has changed with its
    company (``SGD`` alone, ``SGD(learning_rate=0.1)`` beside others) is known by its class and all
    its hyperparameters, where only one has these.
    """
    different = different_problems(old, new)
    names = same_optimizers(written_optimizers(old), written_optimizers(new))
    tables = [_plain(old).assign(written=lambda t: t["optimizer"]), _plain(new)]
    tables[0]["optimizer"] = [
        names.get(name, f"{name}\0") for name in tables[0]["optimizer"]
    ]  # one of the old results alone must not meet a namesake
    tables = [table[~table["problem"].isin(different)] for table in tables]
    cells = [table[SETTING].drop_duplicates() for table in tables]
    both = cells[1].merge(cells[0], on=SETTING).reset_index(names="cell")
    alone = [
        one.merge(both, on=SETTING, how="left").loc[lambda t: t["cell"].isna(), SETTING]
        for one in cells
    ]
    alone[0]["optimizer"] = alone[0]["optimizer"].str.rstrip("\0")
    rows = [table.merge(both, on=SETTING) for table in tables]
    return CommonCells(both, rows[0], rows[1], alone[0], alone[1], different)


def _plain(results: ResultTables) -> pd.DataFrame:
    """Return the measured trials with batches and orders as text."""
    trials = measured(results.trials)
    order = trials["order"].astype(str) if "order" in trials else "dataloader"
    table = trials.assign(batch=trials["batch"].astype(str), order=order)
    table["order"] = table["order"].where(table["batch"] != DIRECT, "")
    return table


def written_optimizers(results: ResultTables) -> dict[str, dict[str, str]]:
    """Return each optimizer's class and hyperparameters as the user wrote them, by its name.

    Their values are JSON, an integer as the float that equals it. Where the definition does not say
    them they are those of the trials.
    """
    found = {
        name: {str(k): json.dumps(as_float(v), default=str) for k, v in own.items()}
        for name, own in optimizer_settings(results.definition).items()
    }
    trials = measured(results.trials).drop_duplicates("optimizer").set_index("optimizer")
    own = [column for column in trials if str(column).startswith("hp_")]
    for name, values in trials[own].to_dict("index").items():
        texts = {
            str(k).removeprefix("hp_"): str(as_float(v)) for k, v in values.items() if pd.notna(v)
        }
        found.setdefault(str(name), texts)
    return found


def same_optimizers(
    old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Return the new name of each old optimizer that is in both.

    Examples
    --------
    >>> one = {"SGD": {"class": "SGD", "learning_rate": "0.1"}}
    >>> two = {f"SGD({r})": {"class": "SGD", "learning_rate": r} for r in ("0.1", "0.2")}
    >>> same_optimizers(one, two), same_optimizers(one, {"SGD": two["SGD(0.2)"]})
    ({'SGD': 'SGD(0.1)'}, {})
    """
    found = {name: name for name in old if name in new and _agree(old[name], new[name])}
    for name, values in new.items():
        if name in found:
            continue
        alike = [n for n, own in old.items() if n not in found and own == values]
        twins = [n for n, own in new.items() if n not in found and own == values]
        if "class" in values and len(alike) == len(twins) == 1:
            found[alike[0]] = name
    return found


def _agree(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the hyperparameters that both have are equal."""
    return all(old[key] == new[key] for key in old.keys() & new.keys() - {"class"})
