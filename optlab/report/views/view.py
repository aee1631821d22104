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
    """One axis of a chart."""

    column: str
    title: str  # unit included
    unit: str = ""  # "s" or "", for the numbers shown when a mark is pointed at
    scale: Scale = "linear"  # that it opens with; "category" for names
    other: Scale | None = None  # another that a reader may choose
    low: str = ""  # the columns that bound the interval around the value, or empty
    high: str = ""
    reference: float | None = None  # a value that a line is drawn at: 1 for ratios
    predicted: str = ""  # the column that theory predicts, drawn dashed beside the measured
    floor: str = ""  # the column of a line's lower bound in the long run, drawn dotted


@dataclass(frozen=True, eq=False)
class View:
    """A chart before it is drawn.

    The ``table`` is tidy: a row each mark, cells named by ``CELL``. ``kind`` is ``"lines"`` over a
    numeric x; ``"points"`` with intervals over categories; ``"fit"``, points and lines;
    ``"matrix"``, a table with batch sizes down and devices across; ``"bars"``, of parts end to end.
    """

    key: str  # a short name for files and anchors
    title: str
    question: str  # that it answers
    how: str  # how it was computed, in a sentence
    kind: Literal["lines", "points", "fit", "matrix", "bars"]
    table: pd.DataFrame
    x: tuple[Axis, ...]  # to choose from; the first is the one it opens with
    y: tuple[Axis, ...]
    facets: bool = True  # a panel for each value of these columns:
    panels: tuple[str, ...] = ("device", "dtype")
    choose: tuple[str, str] | None = None  # a column of which one value is shown, and its label
    missing: str = ""  # why there is nothing to draw
    # Small tables drawn with it: the points of a fit, the reference's parameters.
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
