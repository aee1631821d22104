"""Checks of the surroundings: global random state, default dtype, threads, settings of torch."""

from __future__ import annotations

import pickle
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch

from optlab.lab.measure.torch_settings import TorchSettings
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail, shown
from optlab.testing.conformance.single_run import Point, same_bits
from optlab.testing.conformance.subject import Subject


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Restore the global random states, torch's settings and threads, and those of warnings."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 - the global state is the subject
    before, threads = TorchSettings.current(), torch.get_num_threads()
    with torch.set_grad_enabled(torch.is_grad_enabled()), np.errstate(), warnings.catch_warnings():
        try:
            yield
        finally:
            torch.set_rng_state(states[0])
            np.random.set_state(states[1])  # noqa: NPY002 - as above
            random.setstate(states[2])
            before.apply()
            torch.set_num_threads(threads)


def _seed(number: int) -> None:
    torch.manual_seed(number)
    np.random.seed(number)  # noqa: NPY002 - the global state is the subject
    random.seed(number)


_SPOKEN = {
    "dtype": "torch's default dtype",
    "device": "torch's default device",
    "matmul_precision": "torch's float32 matmul precision",
    "deterministic": "torch's deterministic algorithms",
    "flush_denormal": "torch's flush_denormal",
    "flags": "the precision of torch's backends",
}


def _settings() -> dict[str, Any]:
    """Return what a run must leave as it was."""
    return {
        "torch's global random state": torch.get_rng_state().tolist(),
        "numpy's global random state": pickle.dumps(np.random.get_state()),  # noqa: NPY002 - as above
        "Python's global random state": random.getstate(),
        **{_SPOKEN.get(k, k): v for k, v in TorchSettings.current()._asdict().items()},
        "torch's number of threads": torch.get_num_threads(),
        "torch's grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
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
    """A run leaves random states, torch's settings and threads alone, at each iterate too."""
    run = subject.setting(batch_size=3, count=3)
    with process_state_kept():
        _seed(0)
        before = _settings()
        problem = run.problem()
        found = subject.optimizer.iterates(problem, run.batches(problem), run.begin(problem))
        states = [_settings() for _ in islice(found, run.count)]
        del found  # closes it, which ends its `with` blocks
        states.append(_settings())
    changed = [name for name, value in before.items() if any(s[name] != value for s in states)]
    if changed:
        is_closed = all(states[-1][name] == before[name] for name in changed)
        fail(
            subject,
            theory="these belong to the whole process: another trial would see them",
            seen=f"changed by a run: {', '.join(changed)}",
            hint="a `with` block is open over a yield" if is_closed else "",
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
