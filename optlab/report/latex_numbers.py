"""Numbers with their spread as cells of LaTeX, the best in bold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Cell:
    """A cell: what stands left of the line on which numbers are aligned, and right of it."""

    left: str
    right: str = ""


def cells_of(
    table: pd.DataFrame,
    groups: pd.Series[Any],
    *,
    whole: bool = False,
    plus_minus: bool = False,
    missing: Sequence[str] | None = None,
    sign: int = 1,
) -> list[Cell]:
    r"""Return the cells of a column of numbers; the best of each group is bold.

    Parameters
    ----------
    table
        ``middle, low, high``, a row each cell; NaN where there is none.
    groups
        What the rows belong to: a problem.
    whole
        Whether the numbers are counts, written in full.
    plus_minus
        Whether ``low`` is the half width, not an end.
    missing
        The texts of cells without a number.
    sign
        1 where less is better, -1 where more is, 0 where nothing is.

    Examples
    --------
    >>> table = pd.DataFrame({"middle": [2.5e-6, 0.25], "low": [2e-6, 0.2], "high": [3e-6, 0.3]})
    >>> for cell in cells_of(table, pd.Series(["a", "a"])):
    ...     print(cell.left, cell.right)
    {\bfseries\boldmath$2.50$} $[2.00, 3.00] \times 10^{-6}$
    $0.250$ $[0.200, 0.300]$
    """
    values = table["middle"].to_numpy(float)
    known = np.abs(values[np.isfinite(values) & (values != 0)])
    powers = not whole and known.size and (known.min() < 1e-3 or known.max() >= 1e5)
    cells = []
    for nth, (_, row) in enumerate(table.iterrows()):
        numbers = [float(row[name]) for name in ("middle", "low", "high")]
        if not math.isfinite(numbers[0]):
            cells.append(Cell(missing[nth] if missing else "--"))
            continue
        cells.append(_cell(numbers, whole=whole, powers=bool(powers), plus_minus=plus_minus))
    for group in dict.fromkeys(groups):
        _mark_best(cells, values, np.flatnonzero((groups == group).to_numpy()), sign)
    return cells


def _mark_best(cells: list[Cell], values: Any, rows: Any, sign: int) -> None:
    """Make the best of some rows bold, with those that read the same."""
    rows = [row for row in rows if math.isfinite(values[row])]
    if len(rows) < 2 or not sign:
        return
    best = min(rows, key=lambda row: sign * values[row])
    same = [row for row in rows if _shown(cells[row]) == _shown(cells[best])]
    for row in same if len(same) < len(rows) else []:
        cells[row] = Cell(rf"{{\bfseries\boldmath{cells[row].left}}}", cells[row].right)


def _shown(cell: Cell) -> tuple[str, str]:
    """Return a number as it is read, without its spread: its digits and its power of ten."""
    return cell.left, cell.right.partition(r"\times")[2]


def _cell(numbers: Sequence[float], *, whole: bool, powers: bool, plus_minus: bool) -> Cell:
    middle, low, high = numbers
    power = int(f"{middle:.2e}".partition("e")[2]) if powers else 0
    power = 0 if -3 < power < 4 else power
    left, *ends = (_digits(value / 10.0**power, whole=whole) for value in numbers)
    factor = rf" \times 10^{{{power}}}" if power else ""
    if not (math.isfinite(low) and math.isfinite(high)) or set(ends) == {left}:
        return Cell(f"${left}$", f"${{}}{factor.strip()}$" if factor else "")
    if plus_minus:
        places = len(left.partition(".")[2])
        inner = rf"{{}}\pm {low / 10.0**power:.{places}f}"
    elif powers and low > 0 and high / low > 1e3:
        return Cell(f"${left}{factor}$", f"$[{_power(low)}, {_power(high)}]$")
    else:
        inner = f"[{ends[0]}, {ends[1]}]"
    return Cell(f"${left}$", f"${inner}{factor}$")


def _power(value: float) -> str:
    """Return a number as the nearest power of ten."""
    return f"10^{{{round(math.log10(value))}}}"


def _digits(value: float, *, whole: bool) -> str:
    """Return three digits, with the zeros at their end; counts whole, but for a half."""
    if not math.isfinite(value):
        return "--"
    if whole or value == 0:
        return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
    places = max(0, 2 - int(f"{value:.2e}".partition("e")[2]))
    return f"{value:.{min(places, 9)}f}"
