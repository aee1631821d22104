"""Lines on an experiment: its definition, and the tracebacks of failed trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from optlab.analysis.result_tables import ResultTables
from optlab.report.words import format_value

_LEFT_OUT = {"dtypes": "the data's own", "stop_at": "none: each trial spends its budget"}
"""The meaning of a part of the definition that is not given."""

MOST_TRACEBACKS = 10


class ExperimentLines(NamedTuple):
    """The definition in lines; a line's value is a text, or names and texts.

    ``file`` names the file where the results are of several; ``command`` repeats the experiment.
    """

    file: str
    lines: list[tuple[str, str | list[tuple[str, str]]]]
    command: str


def experiment_lines(definition: Mapping[str, Any], file: str = "") -> list[ExperimentLines]:
    """Return the definition in lines; of several files, each one's."""
    if "files" in definition:
        files = definition["files"].items()
        return [part for name, own in files for part in experiment_lines(own, str(name))]
    lines = [
        (str(key).replace("_", " "), _value(key, value))
        for key, value in definition.items()
        if key != "command"
    ]
    return [ExperimentLines(file, lines, str(definition.get("command") or ""))]


def _value(key: str, value: Any) -> str | list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [(str(name), settings_text(part)) for name, part in value.items()]
    if value in (None, [None], (None,)):
        return _LEFT_OUT.get(key, "-")
    return format_value(value)


def settings_text(value: Any) -> str:
    """Return an optimizer's class and hyperparameters as a call, as one writes it.

    Examples
    --------
    >>> adapter = {"class": "TorchOptimizer", "cls": "torch.optim.adam.Adam", "options": {"lr": 1}}
    >>> settings_text(adapter)
    'TorchOptimizer(torch.optim.adam.Adam, lr=1)'
    >>> settings_text({"class": "Tuned", "optimizer": {"class": "SGD"}, "space": {"lr": [1, 2]}})
    'Tuned(optimizer=SGD(), space={lr: [1, 2]})'
    >>> settings_text({"SGD": 0.5}), settings_text("LinearRegression(...)")
    ('SGD=0.5', 'LinearRegression(...)')
    """
    if isinstance(value, Mapping) and "class" not in value:
        return ", ".join(f"{name}={_part(own)}" for name, own in value.items())
    return _part(value) if isinstance(value, Mapping) else str(value)


def _part(value: Any) -> str:
    if not isinstance(value, Mapping):
        return repr(value)
    if "class" not in value:
        return f"{{{', '.join(f'{name}: {_part(own)}' for name, own in value.items())}}}"
    named = {k: own for k, own in value.items() if k not in {"class", "cls", "options"}}
    named |= value.get("options") or {}
    parts = [str(value["cls"])] if "cls" in value else []
    parts += [f"{name}={_part(own)}" for name, own in named.items()]
    return f"{value['class']}({', '.join(parts)})"


def tracebacks(results: ResultTables) -> list[tuple[str, str]]:
    """Return a title and a traceback for each message of failed and crashed trials, at most 10."""
    failed = results.trials[results.trials["status"].isin(["failed", "crashed"])]
    first = failed.drop_duplicates("message").head(MOST_TRACEBACKS)
    found = [
        (f"Trial {trial}, {optimizer}", results.tracebacks.get(int(trial), ""))
        for trial, optimizer in zip(first["trial"], first["optimizer"], strict=True)
    ]
    return [(title, text) for title, text in found if text]
