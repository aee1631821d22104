"""The method that an optimizer's label names, and its hyperparameters in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

import optlab
from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.optimizers.rate_text import RATE_FIELDS
from optlab.text import LABEL, method_name, number

PLACE = ["problem", "optimizer", "batch"]
"""The columns by which hyperparameters may differ."""

Place: TypeAlias = tuple[str, str, str]


def hyperparameter_texts(results: ResultTables) -> dict[Place, str]:
    """Return each setting's `hyperparameter_values` in words, by its place."""
    return {
        place: ", ".join(f"{name}={value}" for name, value in own.items())
        for place, own in hyperparameter_values(results).items()
    }


def hyperparameter_values(results: ResultTables) -> dict[Place, dict[str, str]]:
    """Return the names and values of each setting's hyperparameters as texts, by its place.

    The place is the problem, the optimizer and the batch size: a tuned optimizer, and a rate that
    follows the batch size, has others on another problem and at another batch size.

    Those that are not the defaults of its class, where that is one of optlab's, its learning rate,
    and those in which it differs from its namesakes.
    """
    trials = results.measured.trials
    own = [str(name) for name in trials if str(name).startswith("hp_")]
    rows = trials.drop_duplicates(PLACE)[[*PLACE, *own]].to_dict("records")
    classes = optimizer_classes(results.definition)
    return {
        place_of(row): _texts(str(row["optimizer"]), {name: row[name] for name in own}, classes)
        for row in rows
    }


def place_of(row: Mapping[Any, Any]) -> Place:
    """Return the place of a row of a table: its problem, optimizer and batch size."""
    problem, optimizer, batch = (str(row[name]) for name in PLACE)
    return problem, optimizer, batch


def optimizer_classes(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of each optimizer's class, by its label, as far as they are known."""
    settings = optimizer_settings(definition).items()
    return {label: str(own.get("class", "")) for label, own in settings}


def _texts(label: str, values: Mapping[Any, Any], classes: Mapping[str, str]) -> dict[str, str]:
    defaults = _defaults(classes.get(label, ""))
    found = LABEL.fullmatch(label)
    parts = {}
    for column, value in values.items():
        name = str(column).removeprefix("hp_")
        if np.ndim(value) == 0 and pd.isna(value):
            continue
        named = name in RATE_FIELDS or (found and f"{name}=" in found.group(2))
        if not named and str(value) in method_name(label):  # scipy BFGS
            continue
        if named or name not in defaults or defaults[name] != _plain(value):
            parts[name] = _short(value)
    return parts


def _defaults(name: str) -> dict[str, Any]:
    """Return the defaults of the fields of optlab's optimizers and schedules; of others none."""
    places = (optlab, optlab.schedules)
    own = next((getattr(place, name) for place in places if name and hasattr(place, name)), None)
    if not is_dataclass(own):
        return {}
    found = {}
    for field in fields(own):
        made = field.default_factory
        value = field.default if made is MISSING else made()
        if value is not MISSING:
            found[field.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Return a value as it can be compared: texts of what is no number."""
    return float(value) if isinstance(value, bool | int | float) else str(value)


def _short(value: Any) -> str:
    """Return a value in words: numbers in 4 digits, a nested rule or schedule as a call."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, 4)
    text = str(value)
    if text.startswith("{"):
        with suppress(ValueError):
            value = json.loads(text)
    if not isinstance(value, Mapping) or "class" not in value:
        return text
    own = {k: v for k, v in value.items() if k != "class"}
    defaults = _defaults(str(value["class"]))
    parts = [f"{k}={_short(v)}" for k, v in own.items() if defaults.get(k, "") != _plain(v)]
    return f"{value['class']}({', '.join(parts)})"
