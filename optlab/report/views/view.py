"""A view: a tidy table, and what its columns are as axes. It says nothing of ink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from optlab.lab import ProblemSummary
from optlab.text import DIRECT

Scale = Literal["linear", "log", "category"]


class Outcome(Protocol):
    """What a report is made from: `optlab.Results`, or whatever has the same shape."""

    @property
    def name(self) -> str:
        """The experiment's name."""

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial."""

    @property
    def traces(self) -> pd.DataFrame:
        """A row for each recorded iterate."""

    @property
    def problems(self) -> Mapping[str, ProblemSummary]:
        """What is known of each problem."""

    @property
    def machine(self) -> Mapping[str, str]:
        """What it ran on."""

    @property
    def definition(self) -> Mapping[str, Any]:
        """What was asked for."""

    def parameters(self, trial: int) -> dict[str, np.ndarray[Any, Any]]:
        """Return a trial's final parameters."""

    def traceback(self, trial: int) -> str:
        """Return a failed trial's traceback, or an empty string."""

    def summary(self) -> pd.DataFrame:
        """Return a row for each cell."""


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Parameters
    ----------
    column
        The column drawn along it.
    title
        What stands beside it, unit included.
    unit
        ``"s"``, ``""``; for the numbers shown when a mark is pointed at.
    scale
        The scale that it opens with; ``"category"`` for names.
    other
        Another scale that a reader may choose.
    low, high
        The columns that bound the interval around the value; empty where there is none.
    reference
        A value that a line is drawn at: 1 for ratios.
    """

    column: str
    title: str
    unit: str = ""
    scale: Scale = "linear"
    other: Scale | None = None
    low: str = ""
    high: str = ""
    reference: float | None = None


@dataclass(frozen=True, eq=False)
class View:
    """What to draw.

    Parameters
    ----------
    key
        A short name for files and anchors.
    title, question, how
        Its heading; the question it answers; how it was computed, in a sentence.
    kind
        ``"lines"`` over a numeric x; ``"points"`` with intervals over categories; ``"fit"``, points
        and lines; ``"matrix"``, a table with batch sizes down and devices across.
    table
        Tidy: a row each mark. Cells are named by ``CELL``.
    x, y
        The axes to choose from; the first is the one it opens with.
    facets
        Whether there is a panel for each device and dtype.
    choose
        A column of which one value is shown at a time, such as the target or the baseline, and
        what that is called.
    missing
        Why there is nothing to draw, where there is nothing.
    extra
        Small tables drawn with it: the points of a fit, the parameters of the optimum.
    """

    key: str
    title: str
    question: str
    how: str
    kind: Literal["lines", "points", "fit", "matrix"]
    table: pd.DataFrame
    x: tuple[Axis, ...]
    y: tuple[Axis, ...]
    facets: bool = True
    choose: tuple[str, str] | None = None
    missing: str = ""
    extra: dict[str, pd.DataFrame] = field(default_factory=dict)


def batches_in(column: pd.Series[Any]) -> list[str]:
    """Return the batch sizes in a column ``batch``, from the smallest on, direct methods left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from optlab.lab.tables import batch_column
    >>> batches_in(pd.Series(batch_column(["full", 8, 1, None])))
    ['1', '8', 'full']
    """
    return [str(batch) for batch in column.dropna().sort_values().unique() if batch != DIRECT]


def answered(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that ended with an answer: neither diverged nor without an end."""
    return trials[trials["status"].isin(["finished", "converged"])]


def uncontended(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that had the machine to themselves: only theirs are seconds to rank."""
    return trials[~trials["contended"].fillna(False).astype(bool)]


def one_feature(facts: ProblemSummary) -> bool:
    """Say whether a problem's fit can be drawn as a line."""
    return facts.d == 1 and len(facts.x) > 0
