"""In which order trials run."""

from __future__ import annotations

import random
from collections.abc import Sequence

from optlab.lab.records import Trial


def interleaved(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials in the order they run: repeat by repeat, each in a random order of its own.

    So no optimizer always runs first, or while the machine is in one mood. The order is drawn from
    a fixed seed: the same grid runs in the same order.
    """
    generator = random.Random(0)
    order: list[Trial] = []
    for repeat in sorted({trial.repeat for trial in trials}):
        turn = [trial for trial in trials if trial.repeat == repeat]
        generator.shuffle(turn)
        order += turn
    return order
