"""The tables that results are exported as."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from optlab.analysis.statistics import CELL
from optlab.lab.store.problem_summary import CERTIFICATE
from optlab.report.latex import latex_table
from optlab.report.views import Outcome


def all_tables(results: Outcome) -> dict[str, pd.DataFrame]:
    """Return every table, by name.

    ``trials`` and ``traces``; ``summary``, a row for each cell; ``parameters``, a row for each
    trial's each final parameter, with its ``value`` and the ``optimum``'s;
    ``optima``, a row for each problem (``problem, kind, n, d, dtype, loss`` and its certificate).
    """
    return {
        "trials": results.trials,
        "traces": results.traces,
        "summary": results.summary(),
        "parameters": _parameters(results),
        "optima": _optima(results),
    }


def write_tables(results: Outcome, folder: Path, kind: str) -> list[Path]:
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


_RUN = ["trial", *CELL, "seed", "repeat"]


def _parameters(results: Outcome) -> pd.DataFrame:
    parts = []
    for values in results.trials[_RUN].itertuples(index=False, name=None):
        run = dict(zip(_RUN, values, strict=True))
        try:
            found = results.parameters(run["trial"])
        except ValueError:  # it yielded none
            continue
        facts = results.problems[run["problem"]]
        for name, entries in found.items():
            flat = np.ravel(entries)
            names = facts.parameter_names(name, flat.size)
            optimum = np.ravel(facts.optimum[name])
            part = pd.DataFrame({"parameter": names, "value": flat, "optimum": optimum})
            parts.append(part.assign(**{k: [v] * flat.size for k, v in run.items()}))
    columns = [*_RUN, "parameter", "value", "optimum"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _optima(results: Outcome) -> pd.DataFrame:
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
