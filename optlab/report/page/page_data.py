"""The data that the page's scripts draw from: tables column-wise, styles and labels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, summary
from optlab.analysis.theory_tables import modes, theory
from optlab.report.answer.ranking import ranked_settings
from optlab.report.glossary import terms_of
from optlab.report.page.filter_groups import filter_groups
from optlab.report.style import Styles
from optlab.report.table_files import PAPER
from optlab.report.views import View, headline
from optlab.report.views.view import Axis
from optlab.report.words import share
from optlab.text import cell_label

DIGITS = 6
"""Significant digits of a view's numbers in the page; tables keep all."""

SECONDS = ("seconds", "seconds_low", "seconds_high", "median", "min", "max", "transfer_seconds",
           "first_pass_seconds")  # fmt: skip
"""The columns that tables show with a unit of time."""

LABELS = {"low": "from", "high": "to", "seconds_low": "from", "seconds_high": "to",
          "median": "seconds", "timed": "trials timed", "batch": "batch size",
          "at": "at batch size",
          "peak_bytes": "peak memory", "stable_rate": "largest stable rate",
          "stable_rate_of": "stable in", "half_life": "half-life, epochs",
          "predicted_epochs": "epochs to stop_at, predicted",
          "measured_epochs": "epochs to stop_at, measured"}  # fmt: skip
"""The headings of columns in tables, where they are not the columns' names."""

CHOSEN = {
    "summary": ["optimizer", "batch", "seconds", "suboptimality", "status", "epochs", "device",
                "dtype", "seconds_low", "seconds_high", "trials", "unstable"],
    "trials": ["optimizer", "batch", "seconds", "suboptimality", "status", "epochs", "seed",
               "repeat", "device", "dtype", "trial", "message"],
    "theory": ["optimizer", "batch", "stable_rate", "stable", "learning_rate", "half_life",
               "noise_floor", "predicted_epochs", "measured_epochs"],
}  # fmt: skip
"""The columns that tables open with, as far as there is room; the last leave first."""

SINGLE = ("problem", "device", "dtype", "machine", "file")
"""The columns that tables show only where trials differ in them; their CSV has them always."""


def page_data(results: ResultTables, views: Mapping[str, View]) -> dict[str, Any]:
    """Return the tables and views of the results, their styles, and the values of the filters."""
    trials, styles = results.trials, Styles.of_results(results)
    tables = {
        "summary": _ordered(_ranked(results, summary(results.trials))),
        "trials": _ordered(trials),
        "optimizers": _optimizers(trials),
        "theory": theory(results),
        "modes": modes(results),
    }
    headings = _headings([*tables.values(), *(view.table for view in views.values())])
    return {
        "name": results.name or "experiment",
        "styles": {
            "optimizers": {name: vars(style) for name, style in styles.by_optimizer.items()},
            "sizes": styles.batches,
        },
        "axes": axes_of(trials, styles.batches),
        "methods": filter_groups(styles.by_optimizer),
        "order": columns_of(drawing_order(results)),
        "target": headline(results),
        "cells": _cell_labels(trials),
        "headings": headings,
        "terms": terms_of(headings.values()),
        "chosen": CHOSEN,
        "seconds": SECONDS,
        "paper": {"summary": PAPER["summary"]},
        "single": [c for c in SINGLE if c in trials and len(set(trials[c])) < 2],
        "tables": {name: columns_of(table, digits=None) for name, table in tables.items()},
        "views": [view_data(view) for view in views.values()],
    }


def drawing_order(results: ResultTables) -> pd.DataFrame:
    """Return the settings in the order in which charts draw them where there are too many.

    The best of each method on a problem come first, then the others, each by its rank.
    """
    settings = ranked_settings(results)
    best = ~settings.duplicated(["problem", "method"])
    return pd.concat([settings[best], settings[~best]])[CELL]


def _ranked(results: ResultTables, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table of settings by rank, those that were skipped last."""
    places = ranked_settings(results)[CELL].assign(place=lambda rows: np.arange(len(rows)))
    rows = table.merge(places, on=CELL, how="left").sort_values("place", kind="stable")
    return rows.drop(columns="place")


def _cell_labels(trials: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return each optimizer's label at each batch size; without one it is the optimizer's name."""
    labels: dict[str, dict[str, str]] = {}
    for row in trials[["optimizer", "batch"]].drop_duplicates().to_dict("records"):
        own = labels.setdefault(row["optimizer"], {"": row["optimizer"]})
        own[row["batch"]] = cell_label(row)
    return labels


def _headings(tables: Iterable[pd.DataFrame]) -> dict[str, str]:
    """Return the heading of every column."""
    names = {str(name) for table in tables for name in table}
    return {name: LABELS.get(name, name.replace("_", " ")) for name in sorted(names)}


def _optimizers(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each optimizer's hyperparameters, and the versions of the packages it calls."""
    own = [name for name in trials if str(name).startswith("hp_")]
    rows = trials[["optimizer", *own, "versions"]].drop_duplicates()
    settings = [
        {str(name).removeprefix("hp_"): value for name, value in row.items() if not pd.isna(value)}
        for row in rows[own].to_dict("records")
    ]
    columns = {"hyperparameters": settings, "versions": map(json.loads, rows["versions"])}
    table = rows[["optimizer"]].copy()
    for column, values in columns.items():
        words = [", ".join(f"{k} = {v}" for k, v in value.items()) for value in values]
        table[column] = [text or None for text in words]
    return table


_ELSEWHERE = ("versions", "batch_size")
"""Columns that are in the table of optimizers, or in ``batch``."""


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the important columns to the left, and the long messages last."""
    first = ["trial", *CELL, "seed", "repeat", "status", "suboptimality", "parameter_error"]
    first += ["epochs", "seconds", "seconds_low", "seconds_high", "unstable", "trials"]
    columns = [name for name in first if name in table]
    others = [name for name in map(str, table) if name not in {*first, "message", *_ELSEWHERE}]
    columns += [name for name in others if not name.startswith("hp_")]
    return table[[*columns, *(["message"] if "message" in table else [])]]


def columns_of(table: pd.DataFrame, *, digits: int | None = DIGITS) -> dict[str, Any]:
    """Return a table column-wise: numbers as they are, text as codes into its levels.

    Examples
    --------
    >>> columns_of(pd.DataFrame({"a": ["x", "y", "x"], "b": [1.0, float("nan"), 2.5]}))["columns"]
    {'a': {'levels': ['x', 'y'], 'codes': [0, 1, 0]}, 'b': [1.0, None, 2.5]}
    """
    if {"spread", "unstable"} <= {*table}:  # without a spread there is no verdict
        verdict = table["unstable"].astype(object).where(table["spread"].notna(), None)
        table = table.assign(unstable=verdict)
    columns = {str(name): _column(table[name], digits) for name in table}
    return {"rows": len(table), "columns": columns}


def _column(values: pd.Series[Any], digits: int | None) -> Any:
    values = values if isinstance(values.dtype, pd.CategoricalDtype) else values.convert_dtypes()
    if pd.api.types.is_float_dtype(values.dtype):
        finite = [x if math.isfinite(x) else None for x in values.to_numpy(float, na_value=np.nan)]
        return finite if digits is None else [x and float(f"{x:.{digits}g}") for x in finite]
    if pd.api.types.is_numeric_dtype(values.dtype):  # whole numbers, or true and false
        return [None if x is pd.NA else x for x in values.tolist()]
    return _text(values)


def _text(values: pd.Series[Any]) -> dict[str, list[Any]]:
    if values.dtype == object:  # values that differ may have one text
        values = values.map(str).where(values.notna())
    codes, levels = pd.factorize(values)
    return {"levels": [str(level) for level in levels], "codes": codes.tolist()}


def view_data(view: View) -> dict[str, Any]:
    """Return a view as the page's scripts draw it."""
    return {
        "key": view.key,
        "title": view.title,
        "kind": view.kind,
        "facets": view.facets,
        "panels": view.panels,
        "choose": _choices(view),
        "missing": view.missing,
        "seconds": [column for axis in view.y if axis.unit == "s" for column in _columns(axis)],
        "x": [asdict(axis) for axis in view.x],
        "y": [asdict(axis) for axis in view.y],
        "table": columns_of(view.table),
        "extra": {name: columns_of(table) for name, table in view.extra.items()},
    }


def _choices(view: View) -> dict[str, Any] | None:
    """Return the values of which one is drawn at a time, with their labels.

    ``first`` is the place of the first that has anything to draw.
    """
    if view.choose is None:
        return None
    column, label = view.choose
    values = list(dict.fromkeys(map(str, view.table[column])))
    drawn = view.table.loc[view.table[view.y[0].column].notna(), column]
    return {
        "column": column,
        "label": label,
        "values": values,
        "texts": [share(value) for value in values] if column == "target" else values,
        "first": values.index(str(drawn.iloc[0])) if len(drawn) else 0,
    }


def _columns(axis: Axis) -> list[str]:
    return [column for column in (axis.column, axis.low, axis.high) if column]


def axes_of(trials: pd.DataFrame, batches: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of each filter."""
    axes = {
        name: [str(value) for value in dict.fromkeys(trials[name])]
        for name in ("problem", "optimizer", "device", "dtype")
    }
    return axes | {"batch": list(batches)}
