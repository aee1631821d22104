"""A view: a tidy table and its columns as axes, without colours, lines or fonts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from optlab.analysis.statistics import ENDED_WELL
from optlab.lab import ProblemSummary
from optlab.text import DIRECT

Scale = Literal["linear", "log", "category"]


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
    """A chart before it is drawn.

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
    """Return the trials that finished or converged."""
    return trials[trials["status"].isin(ENDED_WELL)]


def one_feature(facts: ProblemSummary) -> bool:
    """Return whether a problem's fit can be drawn as a line."""
    return facts.d == 1 and len(facts.x) > 0
