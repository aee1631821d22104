"""Options of the command line for axes and tables; `--jobs`: `lab/execution_options`."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from optlab.app.outputs import Outputs
from optlab.lab.execution_options import Execution


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The axes and the budget of a run, where they differ from the experiment's own.

    Parameters
    ----------
    devices
        Devices, such as cpu,cuda.
    batch_sizes
        Batch sizes, such as 1,5,full or 1-4,full.
    dtypes
        float32, float64 or both; the data's own where left out.
    seeds
        Seeds, such as 1,2,3 or 0-4.
    epochs
        The most passes over the data.
    repeats
        The number of times that each trial is run; with auto once, and the short ones again until
        there are 3 of each, in a tenth of the time that all took.
    order
        The order of the rows in each epoch: dataloader, as torch's DataLoader draws it, or fast, by
        a counter-based generator; dataloader where left out.
    rate_rule
        How the learning rates follow the batch size from that of reference: constant, linear,
        square-root, or tuned-at-each, which searches it at each; constant where left out.
    reference_batch_size
        The batch size at which the learning rates hold; the smallest where left out.
    stop_at
        Stop a trial where its suboptimality is this share, such as 1e-6, of that of a fit that has
        learnt nothing: the start or the best constant, whichever is smaller.
    record_parameters
        Keep the parameters of each measured trial at every recorded epoch, at most 4 MiB a trial.
    """

    devices: str | None = None
    batch_sizes: str | None = None
    dtypes: str | None = None
    seeds: str | None = None
    epochs: int | None = None
    repeats: int | Literal["auto"] | None = None
    order: Literal["dataloader", "fast"] | None = None
    rate_rule: Literal["constant", "linear", "square-root", "tuned-at-each"] | None = None
    reference_batch_size: str | None = None
    stop_at: float | None = None
    record_parameters: bool | None = None

    def changes(self) -> dict[str, Any]:
        """Return the experiment's keywords that these options set.

        Raises
        ------
        ValueError
            For a batch size or seed that is no number.

        Examples
        --------
        >>> Axes(batch_sizes="1,full", seeds="0-2", epochs=5).changes()
        {'batch_sizes': [1, 'full'], 'seeds': [0, 1, 2], 'epochs': 5}
        """
        reference = _numbers(
            "--reference-batch-size", self.reference_batch_size, word="full", most=1
        )
        parsed = {
            "devices": _listed(self.devices),
            "batch_sizes": _numbers("--batch-sizes", self.batch_sizes, word="full"),
            "dtypes": _listed(self.dtypes),
            "seeds": _numbers("--seeds", self.seeds),
            "epochs": self.epochs,
            "repeats": self.repeats,
            "order": self.order,
            "rate_rule": self.rate_rule and self.rate_rule.replace("-", " "),
            "reference_batch_size": reference and reference[0],
            "stop_at": self.stop_at,
            "record_parameters": self.record_parameters,
        }
        return {name: value for name, value in parsed.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Options for reading a file as a table and choosing its rows and columns.

    Parameters
    ----------
    separator
        The sign between two fields of a text file, or the word tab or space; recognised where
        left out.
    decimal
        The decimal sign of a text file, . or the comma; recognised where left out.
    encoding
        The encoding of a text file, such as cp1252; UTF-8 and UTF-16 are recognised.
    sheet
        The sheet of an Excel file.
    features
        The columns to fit by, with commas between; all but the target where left out.
    drop
        Columns to leave out, with commas between.
    missing
        For rows with missing values: error, drop (the row), mean or median (of the column).
    categories
        For columns of text: error, or one-hot (a column of 0 and 1 for each level but the first).
    weights
        A column of row weights, at least 0.
    validation
        The share of rows that are not fitted but used to measure the loss on new data, such as 0.2.
    """

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    features: str | None = None
    drop: str | None = None
    missing: Literal["error", "drop", "mean", "median"] = "error"
    categories: Literal["error", "one-hot"] = "error"
    weights: str | None = None
    validation: float | None = None

    def keywords(self) -> dict[str, Any]:
        """Return the keywords of `optlab.datasets.read_table` that these options set.

        Examples
        --------
        >>> Table(drop="id, date", missing="mean").keywords()
        {'drop': ['id', 'date'], 'missing': 'mean', 'categories': 'error'}
        """
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        found |= {"features": _columns(self.features), "drop": _columns(self.drop)}
        return {name: value for name, value in found.items() if value is not None}


_FLATTENED = Parameter(name="*", negative=(), show_default=False)
"""Each field is an option; flags have no ``--no-`` form, and the help says what is the default."""

AxesOptions = Annotated[Axes, _FLATTENED]
ExecutionOptions = Annotated[Execution, _FLATTENED]
OutputOptions = Annotated[Outputs, _FLATTENED]
TableOptions = Annotated[Table, _FLATTENED]


def _columns(text: str | None) -> list[str] | None:
    """Return the names in a list with commas between; a name with a comma stands in quotes."""
    if text is None:
        return None
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _numbers(
    option: str, text: str | None, word: str | None = None, most: int | None = None
) -> list[int | str] | None:
    parts = _listed(text)
    if parts is None:
        return None
    found: list[int | str] = []
    for part in parts:
        first, dash, last = part.partition("-")
        if part == word:
            found.append(part)
        elif first.isdecimal() and (not dash or (last.isdecimal() and int(first) <= int(last))):
            found += range(int(first), int(last or first) + 1)
        else:
            also = f" or {word!r}" if word else ""
            raise ValueError(
                f"{option} takes whole numbers or ranges such as 0-4{also}, with commas between, "
                f"not {text!r}"
            )
    if most and len(found) > most:
        raise ValueError(f"{option} takes one, not {text!r}")
    return found
