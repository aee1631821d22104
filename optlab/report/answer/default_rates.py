"""The sentence on the methods that ran at their default learning rate alone."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from optlab.analysis.optimizer_settings import optimizer_settings, settings_left_out
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import ENDED_WELL
from optlab.optimizers import registry
from optlab.optimizers.rate_text import RATE_FIELDS
from optlab.report.words import listed
from optlab.text import method_name, number


def default_rates(results: ResultTables) -> Iterator[str]:
    """Yield the sentence: a default is a guess, which the problem has no part in.

    Of a method whose other settings were left out of the results nothing is said.
    """
    rates: dict[str, set[float | None]] = {}
    settings = optimizer_settings(results.definition)
    ended = results.trials["status"].isin(ENDED_WELL)
    for label in results.trials.loc[ended, "optimizer"].unique():
        rate = default_rate(settings.get(str(label), {}))
        rates.setdefault(method_name(str(label)), set()).add(rate)
    left_out = settings_left_out(results.definition, set(results.trials["optimizer"].map(str)))
    found = {
        name: rate
        for name, (rate, *others) in rates.items()
        if rate is not None and not others and name not in left_out
    }
    if not found:
        return
    same = len(set(found.values())) == 1
    names = list(found) if same else [f"{name} ({number(rate)})" for name, rate in found.items()]
    one = f", {number(next(iter(found.values())))}" if same else ""
    their = "its" if len(found) == 1 else "their"
    yield (
        f"{listed(names)} ran at {their} default learning rate{one}: others, or tuning, may do "
        "better (--lr, --tune; in Python Tuned)"
    )


def default_rate(settings: Mapping[str, Any]) -> float | None:
    """Return the learning rate of an optimizer where it is its class's default, else None.

    Of a class that is not registered the default is not known.

    Examples
    --------
    >>> default_rate({"class": "Adam", "learning_rate": 0.001})
    0.001
    >>> default_rate({"class": "Adam", "learning_rate": 0.1}) is None
    True
    >>> default_rate({"class": "TorchOptimizer", "cls": "torch.optim.adam.Adam", "options": {}})
    0.001
    """
    path = str(settings.get("cls", ""))
    own_class = path.startswith("torch.optim.")  # others may have a name of torch's
    adapted = getattr(torch.optim, path.rpartition(".")[2], None) if own_class else None
    if adapted is not None:
        usual = inspect.signature(adapted).parameters["lr"].default
        own = (settings.get("options") or {}).get("lr", usual)
    else:
        name = next((key for key in RATE_FIELDS if key in settings), None)
        usual = None if name is None else _default(str(settings.get("class")), name)
        own = None if name is None else settings[name]
    is_number = isinstance(usual, int | float) and isinstance(own, int | float)
    return float(own) if is_number and own == usual else None


def _default(kind: str, field: str) -> Any:
    """Return the default of a field of a registered class, by the class's name."""
    known = [name for name in registry.names() if name.replace("-", "") == kind.lower()]
    cls = registry.get(known[0]) if known else None
    fields = dataclasses.fields(cls) if cls is not None and dataclasses.is_dataclass(cls) else ()
    return next((one.default for one in fields if one.name == field), None)
