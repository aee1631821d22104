"""The table of invariance signatures: optimizers by invariances, with the digits that agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

HOLDS = 10.0
"""An invariance that holds to so many digits holds: see `optlab.testing.signature`."""


class SignatureLike(Protocol):
    """The parts of an `optlab.testing.Signature` that are shown."""

    @property
    def optimizer(self) -> str:
        """The optimizer's name."""

    @property
    def digits(self) -> Mapping[str, float]:
        """Digits by invariance."""


def signature_table(signatures: Iterable[SignatureLike]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table of signatures; both empty where there are none.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> one = SimpleNamespace(optimizer="Adam", digits={"translation": 14.7, "rotation": 0.3})
    >>> signature_table([one])
    (['optimizer', 'translation', 'rotation'], [['Adam', 'holds, 14.7', '-, 0.3']])
    """
    found = list(signatures)
    names = list(dict.fromkeys(name for one in found for name in one.digits))
    rows = [[one.optimizer, *(_cell(one.digits.get(name)) for name in names)] for one in found]
    return (["optimizer", *names] if found else []), rows


def _cell(digits: float | None) -> str:
    if digits is None:
        return "not measured"
    return f"{'holds' if digits >= HOLDS else '-'}, {digits:.1f}"
