"""The method that an optimizer's label names, and its hyperparameters in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import pandas as pd

import optlab
from optlab.analysis.result_tables import ResultTables
from optlab.text import LABEL, method_name, number

RATES = ("learning_rate", "lr")
"""Hyperparameters that are always named."""


def hyperparameter_texts(results: ResultTables) -> dict[str, str]:
    """Return each optimizer's hyperparameters in words, by its label.

    Those that are not the defaults of its class, where that is one of optlab's, its learning rate,
    and those in which it differs from its namesakes.
    """
    trials = results.trials
    own = [str(name) for name in trials if str(name).startswith("hp_")]
    rows = trials.drop_duplicates("optimizer").set_index("optimizer")[own].to_dict("index")
    classes = _classes(results.definition)
    return {str(label): _text(str(label), values, classes) for label, values in rows.items()}


def _classes(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of each optimizer's class, by its label, as far as they are known."""
    parts = [definition, *definition.get("files", {}).values()]
    settings = [part.get("optimizers") for part in parts]
    return {
        str(label): str(own.get("class", ""))
        for several in settings
        if isinstance(several, Mapping)
        for label, own in several.items()
        if isinstance(own, Mapping)
    }


def _text(label: str, values: Mapping[Any, Any], classes: Mapping[str, str]) -> str:
    defaults = _defaults(classes.get(label, ""))
    found = LABEL.fullmatch(label)
    parts = []
    for column, value in values.items():
        name = str(column).removeprefix("hp_")
        if np.ndim(value) == 0 and pd.isna(value):
            continue
        named = name in RATES or (found and f"{name}=" in found.group(2))
        if not named and str(value) in method_name(label):  # scipy BFGS
            continue
        if named or name not in defaults or defaults[name] != _plain(value):
            parts.append(f"{name}={_short(value)}")
    return ", ".join(parts)


def _defaults(name: str) -> dict[str, Any]:
    """Return the defaults of the fields of one of optlab's optimizers, by name; of others none."""
    if not hasattr(optlab, name):
        return {}
    found = {}
    for field in fields(getattr(optlab, name)):
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
