"""Print the summary of the results, and notes on it, to the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from optlab.analysis.statistics import CROWDED_ABOVE, ENDED_WELL
from optlab.datasets.dataset import STANDARDIZED
from optlab.lab import ProblemSummary
from optlab.report.answer.terminal import print_answer
from optlab.report.console import RaisingConsole
from optlab.text import cell_label, format_bytes, format_seconds, number, pluralize

if TYPE_CHECKING:
    from optlab.results import Results

BESIDE = (
    "trials run beside others: their seconds are marked as contended and are not ranked; "
    "to compare speed, leave out --jobs and --executor"
)


def print_results(
    results: Results, *, coefficients: bool = False, threads: int | None = None
) -> list[str]:
    """Print the answer, settings, references and coefficients; return why that failed.

    It fails where stdout is full. One who has closed it has read enough: that is no failure.
    """
    try:
        print_answer(RaisingConsole(highlight=False), results)
        print_summary(results.summary(), "every setting", threads)
        print_references(results.problems)
        print_coefficients(results.problems, every=coefficients)
        sys.stdout.flush()
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # Python writes what is left when it ends
        os.close(null)
        if not isinstance(error, BrokenPipeError):
            return [f"the summary could not be printed: {error}"]
    return []


def print_references(problems: Mapping[str, ProblemSummary]) -> None:
    """Print a line on each problem's reference: its kind, and how far it can be trusted."""
    console = RaisingConsole(soft_wrap=True)
    for name, facts in problems.items():
        measures = (
            f"; {k.replace('_', ' ')} {number(v, digits=6)}" for k, v in facts.measures.items()
        )
        if (known := facts.reference) is not None:
            text = f"reference of {name} ({known.kind}): {known.message}"
            console.print(Text(text + "".join(measures)))


def print_coefficients(problems: Mapping[str, ProblemSummary], *, every: bool) -> None:
    """Print the references' coefficients, in the units of the data.

    Those of every problem, or only of those to whose data more was done than standardizing.
    """
    console = RaisingConsole(soft_wrap=True)
    for name, facts in problems.items():
        found = facts.coefficient_table()
        if found.empty or not (every or set(facts.provenance) - {STANDARDIZED}):
            continue
        of = f" ({facts.quantity})" if facts.quantity else ""
        title = f"coefficients of the reference of {name}{of}, in the units of the data"
        title += f" ({pluralize(facts.n, 'row')} fitted)"
        table = Table(title=Text(title), title_justify="left", header_style="bold")
        table.add_column("name", no_wrap=True)
        for heading in ("coefficient", "standard error", "as fitted"):
            table.add_column(heading, justify="right", no_wrap=True)
        for _, row in found[:MOST_COEFFICIENTS].iterrows():
            table.add_row(
                Text(row["name"]),
                number(row["coefficient"], digits=6),
                number(row["standard_error"], digits=3),
                number(row["as_fitted"], digits=6),
            )
        console.width = max(console.width, console.measure(table).maximum)
        console.print(table)
        if (more := len(found) - MOST_COEFFICIENTS) > 0:
            console.print(f"and {more} more")


MOST_COEFFICIENTS = 20


MOST_SETTINGS = 24
"""A terminal shows at most so many settings, the answer still in sight; a file has all of them."""


def print_summary(summary: pd.DataFrame, name: str, threads: int | None = None) -> None:
    """Print a row for each setting that ran, and why some have no numbers.

    What is the same in all rows stands in a caption, and so do the columns without room.
    """
    console = RaisingConsole(soft_wrap=True)
    ran = summary[summary["status"] != "skipped"]
    if console.is_terminal and len(ran) > MOST_SETTINGS:
        console.print(f"{len(ran)} settings in all: --csv DIR and --report FILE have each of them")
    elif len(ran):
        _print_settings(console, ran, name)
    fine = ran["status"].isin(ENDED_WELL)
    unusual = ran[~fine | ran["message"].str.contains("not reached")]
    for (status, message), rows in unusual.groupby(["status", "message"], sort=False):
        console.print(Text(f"{status}: {message} ({_where(rows)})"))
    marks = ran.assign(crowded=ran["cores_short"] > CROWDED_ABOVE)
    for mark, why in _MARKS.items():
        if (marked := marks[mark].astype(bool)).any():
            more = f"; {_quiet(threads)}" if mark == "crowded" else ""
            console.print(Text(f"{mark}: {why}{more} ({_where(ran[marked])})"))


def _print_settings(console: Console, summary: pd.DataFrame, name: str) -> None:
    """Print the table; in a terminal that is too narrow, without its last columns."""
    unbounded = console.options.update(width=10_000)
    constant: list[str] = []
    for hidden in range(-1, 4 + len(_measures(summary))):
        table, left_out = _table(summary, name, constant, hidden=max(hidden, 0))
        natural = console.measure(table, options=unbounded).maximum
        if not console.is_terminal or natural <= console.width:
            break
        constant = [c for c in ("device", "batch", "status") if len(set(summary[c])) == 1]
    console.width = max(console.width, natural)  # too wide, it runs on: nothing is cut
    same = [str(summary[column].iloc[0]) for column in constant]
    caption = [", ".join(same)] if same else []
    caption += [f"left out for width: {', '.join(left_out)}"] if left_out else []
    console.print(table)
    if caption:
        console.print(Text("; ".join(caption), style="dim"))


_MARKS = {
    "unstable": "seconds spread by more than 10 % (IQR / median) over the repeats of a seed",
    "crowded": "other processes used cores that a trial's threads needed",
    "contended": "trials ran beside others, so that their seconds count nowhere",
    "shared": "trials ran in a sweep, so that their seconds count nowhere",
}
"""Reasons to doubt the seconds of a row, by the column that marks it."""


def _quiet(threads: int | None) -> str:
    """Return how trials get the cores that they need, where so many threads were asked for."""
    return "run them when nothing else does" if threads == 1 else "try --threads 1"


_WHERE = ("optimizer", "batch", "device")


def _where(rows: pd.DataFrame) -> str:
    cells = list(dict.fromkeys(cell_label(row, _WHERE) for _, row in rows.iterrows()))
    several = f"{len(cells)} rows: {cells[0]}, ..., {cells[-1]}"
    return several if len(cells) > 3 else ", ".join(cells)


def _measures(summary: pd.DataFrame) -> list[str]:
    """Return the summary's columns of further measures, its last, that have a value."""
    names = [str(name) for name in summary]
    return [name for name in names[names.index("cores_short") + 1 :] if summary[name].notna().any()]


def _table(
    summary: pd.DataFrame, name: str, constant: list[str], *, hidden: int
) -> tuple[Table, list[str]]:
    """Return the summary's table, and the last columns, which are left out of it.

    ``constant`` are columns that stand in the caption.
    """
    axes = [c for c in ("problem", "dtype") if len(set(summary[c])) > 1]
    axes += ["trials"] if (summary["trials"] > 1).any() else []
    numbers = ["epochs", "seconds", "loss", "suboptimality", "parameter error"]
    numbers += ["peak memory"] if summary["peak_bytes"].notna().any() else []
    measures = {name.replace("_", " "): name for name in _measures(summary)}
    numbers += measures
    shown = numbers[: len(numbers) - hidden]
    table = Table(title=Text(name), title_justify="left", header_style="bold")
    named = [*axes, "optimizer", "batch", "device", "status"]
    named = [column for column in named if column not in constant]
    for column in named:
        table.add_column({"batch": "batch size"}.get(column, column), no_wrap=True)
    for heading in shown:
        table.add_column(heading, justify="right", no_wrap=True)
    for _, row in summary.iterrows():
        cells = {
            "epochs": number(row["epochs"], digits=6) if row["epochs"] else "-",
            "seconds": format_seconds(row["seconds"]),
            "loss": number(row["loss"], digits=6),
            "suboptimality": number(row["suboptimality"], digits=2),
            "parameter error": number(row["parameter_error"], digits=2),
            "peak memory": format_bytes(row["peak_bytes"]),
        }
        cells |= {heading: number(row[name], digits=4) for heading, name in measures.items()}
        texts = (Text(str(row[column])) for column in named)
        table.add_row(*texts, *(cells[heading] for heading in shown))
    return table, numbers[len(numbers) - hidden :]
