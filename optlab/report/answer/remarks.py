"""The remarks below the ranked tables, each told once: not run, slow, at an edge, of defaults."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch

from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import ENDED_WELL
from optlab.report.answer.default_rates import default_rates
from optlab.report.answer.grid_edge import at_edges
from optlab.report.answer.slow_remarks import slow_remarks
from optlab.report.views.cache import cached
from optlab.report.words import join_names, listed
from optlab.text import DIRECT, method_name, number, pluralize

SEVERAL = 1.05
"""From so many gradient evaluations an epoch on, an epoch is more than one look at each row."""


def remarks(results: ResultTables) -> list[str]:
    """Return the remarks, a sentence each."""
    return list(_of_measured(results))


@cached
def _of_measured(results: ResultTables) -> list[str]:
    """Return the remarks on the trials that did not tune an optimizer."""
    return [
        *_skipped(results.trials),
        *default_rates(results),
        *slow_remarks(results),
        *at_edges(results),
        *_other_functions(results),
        *_costly_epochs(results.trials),
    ]


def _skipped(trials: pd.DataFrame) -> Iterator[str]:
    """Yield a line on the settings that did not run, for each reason."""
    skipped = trials[trials["status"] == "skipped"]
    for message, rows in skipped.groupby("message", sort=False):
        yield f"skipped: {message} ({_where(rows, trials)})"


def _where(rows: pd.DataFrame, trials: pd.DataFrame) -> str:
    """Return in words which settings some skipped trials are of: whole devices, else optimizers."""
    devices = list(dict.fromkeys(map(str, rows["device"])))
    every = trials[trials["device"].isin(devices)]
    count = pluralize(len(rows), "trial")
    if len(every) == len(rows) and trials["device"].nunique() > len(devices):
        return f"all {count} on {join_names(devices)}"
    names = join_names(list(dict.fromkeys(map(str, rows["optimizer"]))))
    on = f" on {join_names(devices)}" if len(set(trials["device"])) > 1 else ""
    return f"{count} of {names}{on}"


def _other_functions(results: ResultTables) -> Iterator[str]:
    """Yield the sentence on the methods that minimise another function than the problem's loss."""
    decays: dict[str, set[float]] = {}
    settings = optimizer_settings(results.definition)
    ended = results.trials["status"].isin(ENDED_WELL)
    for label in results.trials.loc[ended, "optimizer"].unique():
        if decay := weight_decay(settings.get(str(label), {})):
            decays.setdefault(method_name(str(label)), set()).add(decay)
    if decays:
        named = [
            f"{name} (weight decay {', '.join(number(value) for value in sorted(values))})"
            for name, values in decays.items()
        ]
        verb = "minimises" if len(named) == 1 else "minimise"
        yield (
            f"{listed(named)} {verb} another function: decay pulls the parameters towards 0, "
            "away from the minimum of the loss"
        )


def weight_decay(settings: Any) -> float:
    """Return the weight decay of an optimizer, also of one that it wraps; 0 where it has none.

    Where an optimizer of torch is not told, it is the default of its class.

    Examples
    --------
    >>> weight_decay({"class": "Averaged", "rule": {"class": "AdamW", "weight_decay": 0.1}})
    0.1
    >>> weight_decay({"class": "TorchOptimizer", "cls": "torch.optim.adamw.AdamW", "options": {}})
    0.01
    """
    if not isinstance(settings, Mapping):
        return 0.0
    own = settings.get("weight_decay")
    if isinstance(own, int | float):
        return float(own)
    inner = max((weight_decay(value) for value in settings.values()), default=0.0)
    if inner or "weight_decay" in (settings.get("options") or {}):
        return inner
    cls = getattr(torch.optim, str(settings.get("cls", "")).rpartition(".")[2], None)
    usual = inspect.signature(cls).parameters.get("weight_decay") if cls is not None else None
    return float(usual.default) if usual is not None else 0.0


def _costly_epochs(trials: pd.DataFrame) -> Iterator[str]:
    """Yield the sentence on the methods whose epoch is several evaluations of all rows."""
    if "gradient_evaluations" not in trials:
        return
    rows = trials[trials["status"].isin(ENDED_WELL) & (trials["batch"] != DIRECT)]
    rows = rows[(rows["epochs"] > 0) & rows["gradient_evaluations"].notna()]
    each = rows[["gradient_evaluations", "hessian_products"]].div(rows["epochs"], axis=0)
    costs = each.groupby(rows["optimizer"].map(method_name), sort=False).median()
    named = []
    for name, cost in costs.iterrows():
        gradients, products = cost["gradient_evaluations"], cost["hessian_products"]
        if gradients < SEVERAL and not products > 0:
            continue
        parts = [pluralize(float(number(gradients)), "gradient")]
        parts += [pluralize(float(number(products)), "Hessian product")] if products > 0 else []
        named.append(f"{name} ({', '.join(parts)})")
    if named:
        yield (
            f"An epoch takes more than one gradient of all rows in {listed(named)}: compare these "
            "by gradient evaluations, not by epochs"
        )
