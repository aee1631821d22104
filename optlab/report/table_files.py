"""The tables that results are exported as."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from optlab.analysis.expected_cost import expected_cost
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.scoring import attempts, scores
from optlab.analysis.statistics import CELL, summary
from optlab.analysis.targets import time_to_target
from optlab.analysis.theory_tables import theory
from optlab.analysis.tuning import tuning
from optlab.analysis.win_rates import win_rates
from optlab.lab.store.problem_summary import CERTIFICATE
from optlab.lab.trial.stop_at import StopAt
from optlab.report.answer.ranking import ranking
from optlab.report.latex import latex_table
from optlab.report.output_file import SOFTWARE, check_output, is_own_output, output_file
from optlab.report.words import reference_kind
from optlab.text import encodable


def all_tables(results: ResultTables, kind: str = "csv") -> dict[str, pd.DataFrame]:
    """Return every table that is written as a kind of file, by name.

    ``trials`` and ``traces``; ``summary``, a row for each cell; ``parameters``, a row for each
    trial's each final parameter, with its ``value`` and the ``reference``'s (missing where none
    is known); ``references``, a row for each problem (``problem, kind, n, d, dtype``, the kind of
    its ``reference`` with ``loss, bound, digits, unique, trusted, message``, and its certificate).
    Further, but not as LaTeX, those of `ANSWERS` that are not empty; ``scores``, ``win_rates`` and
    ``expected_cost`` are of the experiment's own target.
    """
    tables = {
        "trials": results.trials,
        "traces": results.traces,
        "summary": summary(results.trials),
        "parameters": _parameters(results.measured),
        "references": _references(results),
    }
    answers = {} if kind == "latex" else _answers(results)
    return tables | {name: table for name, table in answers.items() if len(table)}


def _answers(results: ResultTables) -> dict[str, pd.DataFrame]:
    """Return the tables that answer who is best, some of which may be empty."""
    found = {"ranking": ranking(results), "theory": theory(results), "tuning": tuning(results)}
    own = StopAt.stored(results.definition.get("stop_at"))
    if own is None or found["ranking"].empty:
        return found
    trials, traces = results.trials, results.traces
    times = time_to_target(trials, traces, own)
    return found | {
        "scores": scores(attempts(trials, traces, own)),
        "win_rates": win_rates(times),
        "expected_cost": expected_cost(times),
    }


TABLES = ("trials", "traces", "summary", "parameters", "references")
"""The names of the tables that are always written."""

ANSWERS = ("ranking", "scores", "win_rates", "expected_cost", "theory", "tuning")
"""The names of the tables that are written as CSV and Parquet where they are not empty."""


def table_files(folder: Path, kind: str) -> dict[str, Path]:
    """Return the files that all tables in a folder may have, by the table's name.

    Raises
    ------
    ValueError
        For a kind that is not ``csv``, ``parquet`` or ``latex``, or where pyarrow is missing.
    """
    if kind not in _WRITERS:
        raise ValueError(f"kind must be {', '.join(map(repr, _WRITERS))}, not {kind!r}")
    if kind == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ValueError("writing Parquet needs pyarrow: pip install 'optlab[parquet]'")
    suffix = "tex" if kind == "latex" else kind
    names = TABLES if kind == "latex" else TABLES + ANSWERS
    return {name: folder / f"{name}.{suffix}" for name in names}


def write_tables(
    results: ResultTables, folder: Path, kind: str, *, force: bool = False, raw: bool = False
) -> list[Path]:
    """Write every table into a folder, made where it is missing, and return the files.

    A file of an earlier export whose table is empty now is removed.

    Parameters
    ----------
    results, folder
        The results, and where to write their tables.
    kind
        ``csv``, ``parquet`` or ``latex``.
    force
        Overwrite files of these names that optlab did not write.
    raw
        Write texts into CSV as they are, also those that a spreadsheet would run as a formula.

    Raises
    ------
    ValueError
        For another kind, where pyarrow is missing, and for files to overwrite that optlab did not
        write.
    """
    files, tables = table_files(folder, kind), all_tables(results, kind)
    for name in tables:
        check_output(files[name], kind, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    for name in files.keys() - tables.keys():
        if (old := files.pop(name)).is_file() and is_own_output(old, kind):
            old.unlink()
    for name, table in tables.items():
        shown = table
        if kind == "latex":
            shown = table[PAPER.get(name, list(table))]
        elif kind == "csv" and not raw:
            shown = without_formulas(table)
        with output_file(files[name], kind, force=force) as file:
            _WRITERS[kind](shown, file)
    return list(files.values())


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts no spreadsheet takes for a formula: an apostrophe before each.

    Numbers stay as they are. The source is OWASP's page on CSV injection.

    Examples
    --------
    >>> without_formulas(pd.DataFrame({"optimizer": ["=1+1", "sgd"], "loss": [-1.5, 2.0]}))
      optimizer  loss
    0     '=1+1  -1.5
    1       sgd   2.0
    """
    return _with_texts(table, _harmless)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _csv(table: pd.DataFrame, file: BinaryIO) -> None:
    table.to_csv(file, index=False, mode="wb", encoding="utf-8", errors="backslashreplace")


def _parquet(table: pd.DataFrame, file: BinaryIO) -> None:
    # Parquet columns have one type: hyperparameters of several are text, and text is UTF-8.
    table = _with_texts(table, _encodable)
    mixed = [c for c in table if str(c).startswith("hp_") and table[c].dtype == object]
    table = table.astype(dict.fromkeys(mixed, "string"))
    table.attrs["software"] = SOFTWARE
    table.to_parquet(file, index=False)


def _with_texts(table: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    """Return a copy with all its texts changed, those of its header too."""
    changed = table.rename(columns=change)
    for name in changed:
        if changed[name].dtype.kind not in "biufc":
            changed[name] = changed[name].map(change)
    return changed


PAPER = {
    "summary": [*CELL, "status", "epochs", "seconds", "seconds_low", "seconds_high",
                "suboptimality", "parameter_error"],
    "trials": ["trial", *CELL, "seed", "repeat", "status", "epochs", "seconds", "loss",
               "suboptimality", "parameter_error"],
    "references": ["problem", "n", "d", "reference", "loss", "bound", "digits", "trusted"],
}  # fmt: skip
"""Of these tables LaTeX has these columns: more find no room on paper, and CSV has them all."""


def _latex(table: pd.DataFrame, file: BinaryIO) -> None:
    text = f"% {SOFTWARE}\n{latex_table(table)}"
    file.write(text.encode("utf-8", "backslashreplace"))


_WRITERS: dict[str, Callable[[pd.DataFrame, BinaryIO], None]] = {
    "csv": _csv,
    "parquet": _parquet,
    "latex": _latex,
}


def _encodable(value: object) -> object:
    return encodable(value) if isinstance(value, str) else value


def _parameters(results: ResultTables) -> pd.DataFrame:
    run, parts = ["trial", *CELL, "seed", "repeat"], []
    problem_of = dict(zip(results.trials["trial"], results.trials["problem"], strict=True))
    for number, parameters in results.final_parameters.items():
        facts = results.problems[problem_of[number]]
        for name, entries in parameters.items():
            flat = np.ravel(entries)
            known = np.ravel(facts.parameters.get(name, np.full(flat.size, np.nan)))
            names = facts.parameter_names(name, flat.size)
            parts.append((np.full(flat.size, number), names, flat, known))
    if not parts:
        return pd.DataFrame(columns=[*run, "parameter", "value", "reference"])
    numbers, names, values, known = zip(*parts, strict=True)
    table = pd.DataFrame({
        "trial": np.concatenate(numbers), "parameter": list(chain.from_iterable(names)),
        "value": np.concatenate(values), "reference": np.concatenate(known),
    })  # fmt: skip
    return results.trials[run].merge(table, on="trial")


def _references(results: ResultTables) -> pd.DataFrame:
    about = ["problem", "kind", "n", "d", "dtype"]
    own = ["loss", "bound", "digits", "unique", "trusted", "message"]
    rows = [
        (
            *(facts.name, facts.kind, facts.n, facts.d, facts.dtype, reference_kind(facts)),
            *(getattr(facts.reference, name, None) for name in own),
        )
        for facts in results.problems.values()
    ]
    table = pd.DataFrame(rows, columns=[*about, "reference", *own])
    for name in CERTIFICATE:
        if name not in own:
            values = [facts.certificate.get(name) for facts in results.problems.values()]
            table[name] = [json.dumps(v) if isinstance(v, dict) else v for v in values]
    return table
