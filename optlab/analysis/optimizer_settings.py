"""Look up the settings of optimizers in an experiment's definition."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from optlab.text import method_name


def optimizer_settings(definition: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return each optimizer's class and hyperparameters by its label, as far as they are known.

    Of results of several files, the definition of each file has its own.

    Examples
    --------
    >>> optimizer_settings({"files": {"a.db": {"optimizers": {"SGD": {"class": "SGD"}}}}})
    {'SGD': {'class': 'SGD'}}
    """
    parts = [definition, *definition.get("files", {}).values()]
    return {
        str(label): own
        for part in reversed(parts)  # of a label in several, the first one's
        for label, own in (part.get("optimizers") or {}).items()
        if isinstance(own, Mapping)
    }


def settings_left_out(
    definition: Mapping[str, Any], kept: Collection[str]
) -> dict[str, list[Mapping[str, Any]]]:
    """Return by method the settings of an experiment that are not among the labels kept.

    They were asked for, though `Results.filter` or `Results.best` left their trials out.

    Examples
    --------
    >>> own = {f"SGD(learning_rate={rate})": {"learning_rate": rate} for rate in (0.1, 1.0)}
    >>> settings_left_out({"optimizers": own}, ["SGD(learning_rate=0.1)"])
    {'SGD': [{'learning_rate': 1.0}]}
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for label, own in optimizer_settings(definition).items():
        if label not in kept:
            found.setdefault(method_name(label), []).append(own)
    return found
