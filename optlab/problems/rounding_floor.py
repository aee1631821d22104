"""The end of a descent whose steps are lost in rounding."""

from __future__ import annotations

import math
from typing import final


@final
class RoundingFloor:
    """Tell that rounding lets a method go no further down.

    Where rounding rules, the size of a gradient wanders: a new least one becomes rare. The floor is
    reached after five attempts without one.

    Examples
    --------
    >>> floor = RoundingFloor()
    >>> floor.see(1.0)
    >>> for _ in range(5):
    ...     floor.miss()
    >>> floor.reached
    True
    """

    patience = 5

    def __init__(self) -> None:
        self.least, self.idle = math.inf, 0

    def see(self, size: float) -> None:
        """Take in the size of a gradient; the least so far begins a new count."""
        if size < self.least:
            self.least, self.idle = size, 0

    def miss(self) -> None:
        """Count an attempt whose gain is below rounding."""
        self.idle += 1

    @property
    def reached(self) -> bool:
        """Whether as many attempts as it has patience went by without a new least size."""
        return self.idle >= self.patience
