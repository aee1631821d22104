"""The method that an optimizer's label names, and its hyperparameters in words."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch

import optlab
from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.optimizers.rate_text import RATE_FIELDS
from optlab.text import LABEL, method_name, number

PLACE = ["problem", "optimizer", "batch"]
"""The columns by which hyperparameters may differ."""

Place: TypeAlias = tuple[str, str, str]


def hyperparameter_texts(results: ResultTables) -> dict[Place, str]:
    """Return each setting's `hyperparameter_values` in words, by its place; those tuned as such."""
    tuned = tuned_labels(results.definition)
    found = {}
    for place, own in hyperparameter_values(results).items():
        text = ", ".join(f"{name}={value}" for name, value in own.items())
        said = text and place[1] in tuned and not place[1].startswith("tuned ")
        found[place] = f"tuned: {text}" if said else text
    return found


def hyperparameter_values(results: ResultTables) -> dict[Place, dict[str, str]]:
    """Return the names and values of each setting's hyperparameters as texts, by its place.

    The place is the problem, the optimizer and the batch size: a tuned optimizer, and a rate that
    follows the batch size, has others on another problem and at another batch size.

    Those that are not the defaults of its class, where that is one of optlab's or torch's, its
    learning rate, those that were tuned, and those in which it differs from its namesakes. An
    adapter's options stand for themselves.
    """
    trials = results.measured.trials
    own = [str(name) for name in trials if str(name).startswith("hp_")]
    rows = trials.drop_duplicates(PLACE)[[*PLACE, *own]].to_dict("records")
    settings = optimizer_settings(results.definition)
    return {
        place_of(row): _texts(
            str(row["optimizer"]),
            {name.removeprefix("hp_"): row[name] for name in own},
            settings.get(str(row["optimizer"]), {}),
        )
        for row in rows
    }


def place_of(row: Mapping[Any, Any]) -> Place:
    """Return the place of a row of a table: its problem, optimizer and batch size."""
    problem, optimizer, batch = (str(row[name]) for name in PLACE)
    return problem, optimizer, batch


def tuned_labels(definition: Mapping[str, Any]) -> list[str]:
    """Return the labels of the optimizers whose hyperparameters were tuned."""
    settings = optimizer_settings(definition)
    return [label for label, own in settings.items() if own.get("class") == "Tuned"]


def _texts(label: str, values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the hyperparameters of a setting that are shown, as texts."""
    tuned = settings.get("space") if settings.get("class") == "Tuned" else None
    inner = settings.get("optimizer") if tuned else settings
    defaults = _defaults(str(inner.get("class", ""))) if isinstance(inner, Mapping) else {}
    found = LABEL.fullmatch(label)
    parts = {}
    for name, value in _with_options(values).items():
        named = name in {*RATE_FIELDS, *(tuned or ())}
        named |= bool(found and f"{name}=" in found.group(2))
        word = str(value).rpartition(".")[2]
        if not named and word.isidentifier() and word in method_name(label):  # scipy BFGS
            continue
        if named or name not in defaults or defaults[name] != _plain(value):
            parts[name] = _short(value)
    return parts


def _with_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that there are, an adapter's options each for itself."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        options = _parsed(value) if name == "options" else None
        found |= options if isinstance(options, Mapping) else {}
        if not isinstance(options, Mapping) and not (np.ndim(value) == 0 and pd.isna(value)):
            found[name] = value
    return found


def _defaults(name: str) -> dict[str, Any]:
    """Return the defaults of the arguments of a class of optlab, or of one made of torch's."""
    own = next((getattr(place, name) for place in _PLACES if hasattr(place, name)), None)
    if own is None and hasattr(torch.optim, name.removeprefix("Torch")):
        own = getattr(torch.optim, name.removeprefix("Torch"))
    if not inspect.isclass(own):
        return {}
    found = {
        argument.name: _plain(argument.default)
        for argument in inspect.signature(own).parameters.values()
        if argument.default is not argument.empty
    }
    for field in fields(own) if is_dataclass(own) else ():
        if field.default_factory is not MISSING:
            found[field.name] = _plain(field.default_factory())
    return found


_PLACES = (optlab, optlab.schedules)


def _plain(value: Any) -> Any:
    """Return a value as it can be compared: texts of what is no number."""
    return float(value) if isinstance(value, bool | int | float) else str(value)


_PARTIAL = re.compile(r"functools\.partial\(<class '(?:\w+\.)*(\w+)'>, (.*)\)")


def _short(value: Any) -> str:
    """Return a value in words: numbers in 4 digits, a nested rule or schedule as a call."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, 4)
    text, value = str(value), _parsed(value)
    if not isinstance(value, Mapping) or "class" not in value:
        return _PARTIAL.sub(r"\1(\2)", text)
    own = {k: v for k, v in value.items() if k != "class"}
    defaults = _defaults(str(value["class"]))
    parts = [f"{k}={_short(v)}" for k, v in own.items() if defaults.get(k, "") != _plain(v)]
    return f"{value['class']}({', '.join(parts)})"


def _parsed(value: Any) -> Any:
    """Return a mapping that is stored as JSON; anything else as it is."""
    if isinstance(value, str) and value.startswith("{"):
        with suppress(ValueError):
            return json.loads(value)
    return value
