"""Time several things in one run, in turn, so that the machine's moods hit all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return each contender's seconds, round by round, after one round that is not counted.

    Each round runs every contender once, starting one further on than the round before. One that
    returns a float has measured its own seconds: these are taken. ``clock`` may be
    `time.process_time`, seconds of all threads, where others use the machine too.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        for name in names:
            contenders[name]()
        for turn in range(rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                started = clock()
                own = contenders[name]()
                taken = clock() - started
                seconds[name].append(own if isinstance(own, float) else taken)
            gc.collect()
    finally:
        gc.enable()
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, baseline: str) -> float:
    """Return how many times as fast ``name`` is: the median over rounds of baseline / name."""
    pairs = zip(seconds[baseline], seconds[name], strict=True)
    return median(theirs / ours for theirs, ours in pairs)
