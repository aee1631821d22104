"""Checks of the surroundings: global random state, default dtype, threads, settings of torch."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail, shown
from optlab.testing.conformance.single_run import Point, same_bits
from optlab.testing.conformance.subject import Subject


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Restore the global random states, the default dtype and the threads."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 - the global state is the subject
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 - as above
        random.setstate(states[2])
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)


def _seed(number: int) -> None:
    torch.manual_seed(number)
    np.random.seed(number)  # noqa: NPY002 - the global state is the subject
    random.seed(number)


def _settings() -> dict[str, Any]:
    """Return what a run must leave as it was."""
    return {
        "torch's global random state": torch.get_rng_state().tolist(),
        "numpy's global random state": repr(np.random.get_state()),  # noqa: NPY002 - as above
        "Python's global random state": random.getstate(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's grad mode": torch.is_grad_enabled(),
        "numpy's error handling": np.geterr(),
        "the filters of warnings": list(warnings.filters),
    }


def _compare(subject: Subject, change: Callable[[int], object], theory: str) -> None:
    """Fail where a run has other bits after `change(0)` than after `change(1)`."""
    run = subject.setting(batch_size=3, count=3)
    found: list[list[Point]] = []
    with process_state_kept():
        for number in (0, 1):
            change(number)
            found.append(subject.run(run))
    if not same_bits(*found):
        one, other = (shown(points[-1].vector) if points else "none" for points in found)
        fail(subject, theory=theory, seen=f"{one}, and {other}", runs=[run])


@check()
def the_global_random_state_makes_no_difference(subject: Subject) -> None:
    """Numbers come from the trial's generator, never from torch's, numpy's or Python's global."""
    _compare(
        subject, _seed, "after torch.manual_seed(0) and after manual_seed(1) a run is the same"
    )


@check()
def settings_of_the_process_are_left_as_they_are(subject: Subject) -> None:
    """A run leaves the global random states, the default dtype and the threads as they were."""
    with process_state_kept():
        _seed(0)
        before = _settings()
        run = subject.setting(batch_size=3, count=3)
        subject.run(run)
        after = _settings()
    changed = [name for name, value in before.items() if after[name] != value]
    if changed:
        fail(
            subject,
            theory="these belong to the whole process: another trial would see them",
            seen=f"changed by a run: {', '.join(changed)}",
            runs=[run],
            show=["print(torch.get_rng_state().sum(), torch.get_default_dtype())"],
        )


@check()
def the_default_dtype_makes_no_difference(subject: Subject) -> None:
    """Tensors take the dtype of the problem's, not torch's default."""
    dtypes = [torch.float32, torch.float64]
    theory = "with torch's default dtype float32 and float64 a run is the same"
    _compare(subject, lambda number: torch.set_default_dtype(dtypes[number]), theory)


@check()
def the_number_of_threads_makes_no_difference(subject: Subject) -> None:
    """On data this small, one thread and two make the same sums in the same order."""
    theory = "with one thread and with two a run is the same"
    _compare(subject, lambda number: torch.set_num_threads(1 + number), theory)
