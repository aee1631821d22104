"""Tell all columns that a table's fit cannot take, and the options that settle them, at once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from optlab.datasets.feature_columns import REMEDIES, Kind
from optlab.text import pluralize


class Refused(NamedTuple):
    """A feature that was refused: the sentence that says so, and the kind of its values."""

    sentence: str
    kind: Kind

    @property
    def is_dropped(self) -> bool:
        """Whether leaving it out is the least that makes the table fit."""
        return self.kind in {"date", "duration"}

    @property
    def is_encoded(self) -> bool:
        """Whether its levels can be encoded: numbers that are written as text cannot."""
        return self.kind in {"text", "category"} and REMEDIES[self.kind] in self.sentence


def refusal(
    columns: Mapping[str, Refused], gaps: Mapping[str, int], drop: Sequence[str], missing: str
) -> str:
    """Return one message on all refused features, and on the gaps in others.

    ``gaps`` holds the number of missing values of each column that has some, ``drop`` what is left
    out already. Where options settle all of it, they are given, complete.

    Examples
    --------
    >>> day = Refused("column 'sold on' holds dates", "date")
    >>> print(refusal({"sold on": day}, {"size": 2}, ["id"], "error"))
    column 'sold on' holds dates
    column 'size' has 2 missing values
    together: --drop 'id,sold on' --missing median, or drop=['id', 'sold on'], missing='median'
    """
    dropped = [name for name, column in columns.items() if column.is_dropped]
    kept = {name: count for name, count in gaps.items() if name not in dropped}
    told = [column.sentence for column in columns.values()]
    if missing == "error" and kept:
        told += [
            f"column {name!r} has {pluralize(count, 'missing value')}"
            for name, count in kept.items()
            if name not in columns
        ]
    if len(told) == 1 or not all(c.is_dropped or c.is_encoded for c in columns.values()):
        return "\n".join(told)
    options: dict[str, Any] = {"drop": [*drop, *dropped]} if dropped else {}
    options |= {"categories": "one-hot"} if len(dropped) < len(columns) else {}
    options |= {"missing": "median"} if missing == "error" and kept else {}
    written = " ".join(f"--{name} {_argument(value)}" for name, value in options.items())
    words = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return "\n".join([*told, f"together: {written}, or {words}"])


def _argument(value: Sequence[str] | str) -> str:
    """Return an option's value as a shell takes it."""
    return shlex.quote(value if isinstance(value, str) else ",".join(value))
