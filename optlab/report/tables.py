"""The tables that results are exported as."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, summary
from optlab.lab.store.problem_summary import CERTIFICATE
from optlab.report.latex import latex_table


def all_tables(results: ResultTables) -> dict[str, pd.DataFrame]:
    """Return every table, by name.

    ``trials`` and ``traces``; ``summary``, a row for each cell; ``parameters``, a row for each
    trial's each final parameter, with its ``value`` and the ``optimum``'s;
    ``optima``, a row for each problem (``problem, kind, n, d, dtype, loss`` and its certificate).
    """
    return {
        "trials": results.trials,
        "traces": results.traces,
        "summary": summary(results.trials),
        "parameters": _parameters(results),
        "optima": _optima(results),
    }


def write_tables(results: ResultTables, folder: Path, kind: str) -> list[Path]:
    """Write every table into a folder, made where it is missing, and return the files.

    Raises
    ------
    ValueError
        For a kind that is not ``csv``, ``parquet`` or ``latex``, or where pyarrow is missing.
    """
    if kind not in _WRITERS:
        raise ValueError(f"kind must be {', '.join(map(repr, _WRITERS))}, not {kind!r}")
    if kind == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ValueError("writing Parquet needs pyarrow: pip install 'optlab[parquet]'")
    folder.mkdir(parents=True, exist_ok=True)
    suffix, write = _WRITERS[kind]
    files = {folder / f"{name}.{suffix}": table for name, table in all_tables(results).items()}
    for path, table in files.items():
        write(table, path)
    return list(files)


def _csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False)


def _parquet(table: pd.DataFrame, path: Path) -> None:
    # Parquet columns have one type: hyperparameters of several are text.
    mixed = [c for c in table if str(c).startswith("hp_") and table[c].dtype == object]
    table.astype(dict.fromkeys(mixed, "string")).to_parquet(path, index=False)


PAPER = {
    "summary": [*CELL, "status", "epochs", "seconds", "seconds_low", "seconds_high",
                "suboptimality", "parameter_error"],
    "trials": ["trial", *CELL, "seed", "repeat", "status", "epochs", "seconds", "loss",
               "suboptimality", "parameter_error"],
    "optima": ["problem", "n", "d", "loss", "rank", "condition_scaled", "digits", "trusted"],
}  # fmt: skip
"""Of these tables LaTeX has these columns: more find no room on paper, and CSV has them all."""


def _latex(table: pd.DataFrame, path: Path) -> None:
    text = latex_table(table[PAPER.get(path.stem, list(table))])
    path.write_text(text, encoding="utf-8")


_WRITERS: dict[str, tuple[str, Callable[[pd.DataFrame, Path], None]]] = {
    "csv": ("csv", _csv),
    "parquet": ("parquet", _parquet),
    "latex": ("tex", _latex),
}


def _parameters(results: ResultTables) -> pd.DataFrame:
    run, parts = ["trial", *CELL, "seed", "repeat"], []
    for number, parameters in results.final_parameters.items():
        trial = results.trials.loc[results.trials["trial"] == number, run]
        facts = results.problems[trial["problem"].iloc[0]]
        for name, entries in parameters.items():
            flat, optimum = np.ravel(entries), np.ravel(facts.optimum[name])
            names = facts.parameter_names(name, flat.size)
            part = pd.DataFrame({"parameter": names, "value": flat, "optimum": optimum})
            parts.append(trial.merge(part, how="cross"))
    columns = [*run, "parameter", "value", "optimum"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _optima(results: ResultTables) -> pd.DataFrame:
    known = ["problem", "kind", "n", "d", "dtype", "loss"]
    rows = [
        (facts.name, facts.kind, facts.n, facts.d, facts.dtype, facts.optimum_loss)
        for facts in results.problems.values()
    ]
    table = pd.DataFrame(rows, columns=known)
    for name in CERTIFICATE:
        values = [facts.certificate.get(name) for facts in results.problems.values()]
        table[name] = [json.dumps(v) if isinstance(v, dict) else v for v in values]
    return table
