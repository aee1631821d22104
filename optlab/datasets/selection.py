"""Choose the columns of a table: the target, the features, and those that are left out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from optlab.datasets.validation import refuse_duplicates


def select_features(
    columns: Sequence[str],
    *,
    target: str,
    features: Iterable[str] | str | None = None,
    drop: Iterable[str] | str = (),
    weights: str | None = None,
    index: str = "",
) -> tuple[str, ...]:
    """Return the names of the features: those asked for, or all but the target and the weights.

    ``index`` is the name of the table's index, for the sentence that says why it is no column.

    Raises
    ------
    ValueError
        For a name that is no column (with the nearest), a name twice, a column in two parts, or no
        feature left.

    Examples
    --------
    >>> select_features(["id", "x", "y"], target="y", drop=["id"])
    ('x',)
    """
    refuse_duplicates(columns, "the table")
    chosen = None if features is None else names_in(features)
    left_out = names_in(drop)
    parts = {"target": (target,), "features": chosen or (), "drop": left_out}
    parts |= {"weights": () if weights is None else (weights,)}
    for part, names in parts.items():
        for name in names:
            _check_is_column(part, name, columns, index)
        refuse_duplicates(names, part)
    _check_disjoint(parts)
    if chosen is None:
        chosen = tuple(c for c in columns if c not in {target, weights, *left_out})
    if not chosen:
        raise ValueError(
            f"no feature is left to fit the target {target!r} by; the columns are "
            f"{', '.join(map(repr, columns))}"
        )
    return chosen


def names_in(names: Iterable[str] | str) -> tuple[str, ...]:
    """Return names, or one name, as a tuple."""
    one = isinstance(names, str) or not isinstance(names, Iterable)
    return (str(names),) if one else tuple(str(name) for name in names)


def _check_is_column(part: str, name: str, columns: Sequence[str], index: str) -> None:
    if name in columns:
        return
    near = [column for column in columns if column.casefold() == name.casefold()]
    near = near or difflib.get_close_matches(name, columns, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    if index and name == index:
        hint = " (it is the index: make it a column with reset_index())"
    listed = ", ".join(map(repr, columns[:50])) + (", ..." if len(columns) > 50 else "")
    raise ValueError(f"{part}: there is no column {name!r}{hint}; the columns are {listed}")


def _check_disjoint(parts: dict[str, tuple[str, ...]]) -> None:
    first: dict[str, str] = {}
    for part, names in parts.items():
        for name in names:
            if name in first:
                raise ValueError(
                    f"column {name!r} is named in {first[name]} and in {part}; leave it in one"
                )
            first[name] = part
