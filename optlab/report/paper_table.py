"""The table of a paper: a row a setting, its numbers with their spread, as cells of LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, ENDED_WELL, cell_numbers, median_intervals, ran_alone
from optlab.analysis.targets import COSTS
from optlab.checks import did_you_mean
from optlab.optimizers.rate_text import common_name
from optlab.report.answer.method import PLACE, hyperparameter_values, place_of, tuned_labels
from optlab.report.answer.ranking import ranked_settings, times_to_problem_targets
from optlab.report.latex import escape
from optlab.report.latex_numbers import Cell, cells_of
from optlab.report.words import listed, share
from optlab.text import pluralize

Spread = Literal["interval", "std", "none"]

MOST_HYPERPARAMETERS = 3
"""Of more hyperparameters one column has all, as text."""

_UNITS = {"s": 1.0, "ms": 1e-3, r"$\mu$s": 1e-6}


@dataclass(frozen=True)
class TableColumn:
    """A column: its heading and cells as LaTeX; numbers with a spread are two columns of it."""

    heading: str
    cells: list[Cell]
    numeric: bool = False


@dataclass(frozen=True)
class PaperTable:
    """The columns, the problem of each row, and sentences for the caption."""

    columns: list[TableColumn]
    problems: list[str]
    notes: list[str]


def paper_table(
    results: ResultTables,
    columns: Sequence[str] | None = None,
    *,
    spread: Spread = "interval",
    sort: bool = True,
) -> PaperTable:
    """Return the table of every setting that ran; what is the same in all rows is in the notes.

    The rows of a problem stand together.

    Parameters
    ----------
    results
        The results, of which the measured trials count.
    columns
        Measures of the trials' table and costs (``epochs, samples, steps, seconds``); where left
        out the suboptimality (the loss, where no reference is known), epochs and seconds.
    spread
        ``"interval"``: the median with the interval that covers it in 95 % of experiments, below
        six trials the least and the most. ``"std"``: mean and standard deviation. ``"none"``: the
        median.
    sort
        Whether the best setting comes first, as `Results.ranking` has it; else rows are in the
        order of the trials.

    Raises
    ------
    ValueError
        Where no trial ran; for an unknown column or spread.
    """
    results = results.measured
    if spread not in get_args(Spread):
        raise ValueError(f"spread must be of {', '.join(get_args(Spread))}, not {spread!r}")
    settings = ranked_settings(results)
    if settings.empty:
        raise ValueError("no trial ran: there is nothing to put into a table")
    ran = results.trials[results.trials["status"] != "skipped"].reset_index(drop=True)
    if not sort:
        order = ran[CELL].drop_duplicates()
        settings = order.merge(settings, on=CELL, how="left")
        together = pd.factorize(settings["problem"])[0].argsort(kind="stable")
        settings = settings.iloc[together].reset_index(drop=True)
    names = _names(ran, columns)
    about, same = _split(_about(results, settings))
    numbers, notes = _numbers(results, ran, settings, names, spread)
    said = [_trials_note(ran, spread), ", ".join(same), *notes, _tuned_note(results, settings)]
    problems = list(map(str, settings["problem"]))
    return PaperTable([*about, *numbers], problems, [note for note in said if note])


def _names(ran: pd.DataFrame, columns: Sequence[str] | None) -> list[str]:
    """Return the names of the columns of numbers."""
    if columns is None:
        known = "suboptimality" if ran["suboptimality"].notna().any() else "loss"
        return [known, "epochs", "seconds"]
    there = [str(name) for name in ran if ran[name].dtype.kind == "f"] + list(COSTS)
    for name in columns:
        if name not in there:
            hint = did_you_mean(str(name), there)
            raise ValueError(f"no column is called {name!r}: {hint}there are {', '.join(there)}")
    return list(columns)


def _about(results: ResultTables, settings: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of texts that tell the settings apart, by heading."""
    values = hyperparameter_values(results)
    own = [values[place_of(row)] for row in settings[PLACE].to_dict("records")]
    own = [{common_name(k): v for k, v in each.items()} for each in own]
    names = list(dict.fromkeys(name for each in own for name in each))
    found = {"method": list(map(str, settings["method"]))}
    if len(names) > MOST_HYPERPARAMETERS:
        found["hyperparameters"] = [", ".join(f"{k}={v}" for k, v in each.items()) for each in own]
    else:
        found |= {name.replace("_", " "): [each.get(name, "") for each in own] for name in names}
    return found | {
        "batch size": ["" if b == "direct" else str(b) for b in settings["batch"]],
        "device": list(map(str, settings["device"])),
        "dtype": list(map(str, settings["dtype"])),
    }


def _split(about: Mapping[str, list[str]]) -> tuple[list[TableColumn], list[str]]:
    """Return the columns that differ, and in words what is the same in all rows."""
    columns, same = [], []
    for heading, texts in about.items():
        if heading != "method" and len(set(texts)) == 1:
            words = {"device": "on", "dtype": "in"}.get(heading, heading)
            said = f"{words} {texts[0]}" if texts[0] else ""
            same.append(escape("full batch" if said == "batch size full" else said))
            continue
        cells = [Cell(escape(text) or "--") for text in texts]
        columns.append(TableColumn(escape(heading), cells))
    return columns, [text for text in same if text]


def _numbers(
    results: ResultTables,
    ran: pd.DataFrame,
    settings: pd.DataFrame,
    names: Sequence[str],
    spread: Spread,
) -> tuple[list[TableColumn], list[str]]:
    """Return the columns of numbers, and sentences on them."""
    targets = dict(zip(settings["problem"], settings["target"], strict=True))
    times = times_to_problem_targets(results)
    reached = times.groupby(cell_numbers(ran).to_numpy())["reached"].mean()
    some = bool((reached == 1).any())
    stopped = bool((ran["status"] == "converged").any())  # then its costs say which is best
    columns, notes = [], []
    place = _places(ran, settings)
    if ((reached > 0) & (reached < 1)).any():  # of others a cost, or none, says it
        trials = times.groupby(cell_numbers(ran).to_numpy())["reached"]
        texts = (trials.sum().astype(str) + " of " + trials.size().astype(str)).iloc[place]
        columns.append(TableColumn("reached", [Cell(text) for text in texts]))
    for name in names:
        values, to = _values(ran, times, reached, name)
        if values.isna().all():
            if name == "seconds":
                notes.append("seconds are left out, as trials ran beside others or in a sweep")
            continue
        table = _summed(values, cell_numbers(ran), spread).iloc[place].reset_index(drop=True)
        heading, unit = escape(name.replace("_", " ")), 1.0
        if to:
            heading += f" to {_goal(targets)}"
        if name == "seconds":
            symbol, unit = _unit(table["middle"])
            heading = f"{heading.replace('seconds', 'time')} ({symbol})"
        words = None if to or name in COSTS else list(map(str, settings["status"]))
        cells = cells_of(
            table / unit, settings["problem"], whole=name in COSTS and name != "seconds",
            plus_minus=spread == "std", missing=words,
            sign=0 if (stopped if name not in COSTS else not to) else _sign(name),
        )  # fmt: skip
        if len(cells) > 1 and len(set(cells)) == 1 and cells[0].left != "--":
            notes.append(f"{heading}: {cells[0].left}")
            continue
        columns.append(TableColumn(heading, cells, numeric=True))
    if some and any(name in COSTS for name in names):
        notes.append(f"costs are those to {_goals(targets)}, where all trials reached it")
    return columns, notes


def _places(ran: pd.DataFrame, settings: pd.DataFrame) -> list[int]:
    """Return the number of the cell that each row of the table is."""
    cells = ran[CELL].drop_duplicates().reset_index(drop=True).reset_index(names="place")
    return list(settings[CELL].merge(cells, on=CELL, how="left")["place"])


def _values(
    ran: pd.DataFrame, times: pd.DataFrame, reached: pd.Series[float], name: str
) -> tuple[pd.Series[float], bool]:
    """Return a value for each trial, and whether it is a cost to the target."""
    if name in COSTS and (reached == 1).any():
        cell = cell_numbers(ran).map(reached)
        return times[name].astype(float).where((cell == 1).to_numpy()), True
    good = ran["status"].isin(ENDED_WELL)
    good &= ran_alone(ran) if name == "seconds" else True
    return pd.to_numeric(ran[name], errors="coerce").astype(float).where(good), False


def _summed(values: pd.Series[float], cell: pd.Series[int], spread: Spread) -> pd.DataFrame:
    """Return a row for each cell: the middle, and the ends around it or half their distance."""
    if spread == "std":
        groups = values.groupby(cell.to_numpy())
        return pd.DataFrame({"middle": groups.mean(), "low": groups.std(), "high": groups.std()})
    table = median_intervals(values.reset_index(drop=True), cell.reset_index(drop=True))
    table = table.rename(columns={"median": "middle"})[["middle", "low", "high"]]
    if spread == "none":
        table[["low", "high"]] = np.nan
    return table


def _sign(name: str) -> int:
    """Return 1 where less is better, -1 where more is, 0 where that is not known."""
    if "accuracy" in name:
        return -1
    less = {"suboptimality", "parameter_error", "gradient_norm", *COSTS}
    return int("loss" in name or name.removeprefix("best_") in less)


def _unit(seconds: pd.Series[float]) -> tuple[str, float]:
    middle = float(np.exp(np.nanmedian(np.log(seconds[seconds > 0]))))
    return next(((s, u) for s, u in _UNITS.items() if middle >= u), (r"$\mu$s", 1e-6))


def _target(target: str) -> str:
    """Return a target as LaTeX: a power of ten, or the limit of a measure."""
    if not target[:1].isdigit():
        return f"{escape(target)}"
    mantissa, exponent = f"{float(target):.10g}", f"{float(target):e}".split("e")
    if float(exponent[0]) == 1:
        return f"$10^{{{int(exponent[1])}}}$"
    return escape(share(target) or mantissa)


def _goal(targets: Mapping[str, str]) -> str:
    """Return the target for a heading as LaTeX."""
    several = len(set(targets.values())) > 1
    return "the target" if several else _target(next(iter(targets.values())))


def _goals(targets: Mapping[str, str]) -> str:
    """Return the target in words, or that of each problem where they differ, as LaTeX."""
    of = " of the suboptimality at the start (or of the best constant prediction's, if less)"
    one = next(iter(targets.values()))
    if len(set(targets.values())) == 1:
        return _target(one) + (of if one[:1].isdigit() else "")
    each = ", ".join(f"{_target(own)} on {escape(name)}" for name, own in targets.items())
    return f"a share{of} ({each})"


def _tuned_note(results: ResultTables, settings: pd.DataFrame) -> str:
    """Return the sentence on the methods whose hyperparameters were tuned; empty without any."""
    tuned = set(tuned_labels(results.definition))
    names = settings.loc[settings["optimizer"].isin(tuned), "method"].drop_duplicates()
    if names.empty:
        return ""
    whose = "" if settings["optimizer"].isin(tuned).all() else f" of {listed(list(names))}"
    return escape(f"hyperparameters{whose} were tuned, on other seeds than these")


def _trials_note(ran: pd.DataFrame, spread: Spread) -> str:
    """Return the sentence on what the numbers are of."""
    seeds, repeats = ran["seed"].nunique(), ran["repeat"].nunique()
    counts = set(ran.groupby(CELL, observed=True)["trial"].size())
    of = pluralize(seeds, "seed") if seeds > 1 or repeats == 1 else pluralize(repeats, "repeat")
    of += f" with {pluralize(repeats, 'repeat')} each" if repeats > 1 and seeds > 1 else ""
    if counts == {1}:
        return "one trial each"
    middle = {"std": "mean and standard deviation over", "none": "medians over"}.get(
        spread, "medians over"
    )
    if spread != "interval":
        return f"{middle} {of}"
    few = max(counts) < 6
    brackets = "the least and the most" if few else "95\\,\\% intervals"
    return f"medians over {of}, in brackets {brackets}"
