"""Look up the settings of optimizers in an experiment's definition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
