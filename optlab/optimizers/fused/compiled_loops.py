"""Choose the compiled loop of a device, compile it, and run it between two looks of the runner."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.fused.fused_run import FusedRun, Loop, SnapshotLoop
from optlab.optimizers.fused.linear_loss import LinearLoss
from optlab.optimizers.optimizer import Iterate, Snapshots
from optlab.problems import Batch, Problem

_ROWS_AT_ONCE = 1 << 18
"""Rows visited between two iterates at most, so that a trial can be stopped meanwhile."""

_NUMBERS_AT_ONCE = 1 << 16
"""Parameters of the looks that are passed in one call at most."""

_SIDE_BY_SIDE = 4
"""Trials from which on they are computed by vector instructions over trials, on the CPU."""

_COMPILED: set[Hashable] = set()
"""The kinds of trials whose loop this process has compiled: see `_kind`."""


class Compiler(NamedTuple):
    """A compiler of loops: the package, the extra that brings it, and the file that uses it."""

    package: str
    extra: str
    module: str


COMPILERS = {
    "cpu": Compiler("numba", "fast", "compiled_descent"),
    "cuda": Compiler("triton", "gpu", "triton_descent"),
}
"""The compilers by type of device."""


def without_loop(
    optimizer: str, problem: Problem, device: torch.device, compilers: Mapping[str, Compiler]
) -> str | None:
    """Return why a problem has no compiled loop on a device, or None where it has one."""
    if LinearLoss.of(problem) is None:
        penalty = " with an l1 penalty" if getattr(problem, "l1", 0.0) else ""
        return f"{optimizer} has no compiled loop for a {type(problem).__name__}{penalty}"
    if device.type not in compilers:
        return f"{optimizer} has compiled loops for {' and '.join(compilers)}, not {device.type}"
    compiler = compilers[device.type]
    if find_spec(compiler.package) is None:
        needed = f"{optimizer} needs {compiler.package} on {device.type}"
        return f"{needed}: pip install optlab[{compiler.extra}]"
    return None


def rows_and_loss(problem: Problem, batches: Batches) -> tuple[Batch, LinearLoss]:
    """Return all rows, contiguous, and the loss as numbers."""
    loss = LinearLoss.of(problem)
    assert loss is not None
    return Batch(batches.X.contiguous(), batches.y.contiguous(), batches.weight), loss


def compile_loop(run: FusedRun, batches: Batches) -> None:
    """Compile the loop of a run that is thrown away, or load it from disk, by an epoch of a row."""
    if batches.is_shuffled:
        batches.orders(1)  # compiles what draws them; these batches are thrown away too
    orders = torch.zeros(1, 1, dtype=torch.int32, device=batches.y.device)
    loop(run, batches.rows_a_step, 1)(orders if batches.is_shuffled else None, 1)
    if len(run.theta) < _SIDE_BY_SIDE:
        _COMPILED.add(_kind(batches))


def is_compiled(batches: Batches) -> bool:
    """Return whether this process has compiled the loop of one trial for such data and order."""
    return batches.y.device.type == "cpu" and _kind(batches) in _COMPILED


def _kind(batches: Batches) -> Hashable:
    """Return what decides which functions are compiled for one trial, on the CPU."""
    weight = batches.weight
    drawn = (batches.order, len(batches.y)) if batches.is_shuffled else None
    return batches.X.dtype, None if weight is None else weight.is_contiguous(), drawn


def advance_run(run: FusedRun, batches: Batches) -> Iterator[Iterate]:
    """Yield the parameters every 262 144 rows at most, with those where the runner looks."""
    advance = _snapshot_loop(run, batches.rows_a_step, batches.samples)
    most = max(1, _ROWS_AT_ONCE // batches.samples)
    looks = max(1, _NUMBERS_AT_ONCE // run.theta.numel())
    for ends in batches.stretches(most, looks):
        points, losses = advance(batches.orders(ends[-1]), ends)
        snapshots = Snapshots(run.named(points[0]), losses[0], ends)
        yield Iterate(run.named(points[0, -1]), losses[0, -1], epochs=ends[-1], snapshots=snapshots)


def _snapshot_loop(run: FusedRun, size: int, samples: int) -> SnapshotLoop:
    """Return the loop that makes epochs of one trial and copies the parameters on the way."""
    if run.theta.device.type == "cpu":
        made: SnapshotLoop = _module("compiled_descent").snapshot_loop(run, size, samples)
        return made
    advance = loop(run, size, samples)

    def advance_to_all(orders: Tensor | None, ends: Sequence[int]) -> tuple[Tensor, Tensor]:
        found = []
        for begin, end in pairwise([0, *ends]):
            advance(None if orders is None else orders[begin:end], end - begin)
            found.append((run.theta.clone(), run.losses.clone()))
        points, losses = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
        return points, losses

    return advance_to_all


def loop(run: FusedRun, size: int, samples: int) -> Loop:
    """Return the loop that is compiled for a run's device.

    ``size`` is the rows a step, ``samples`` the rows an epoch.
    """
    name = COMPILERS[run.theta.device.type].module
    if name == "compiled_descent" and len(run.theta) >= _SIDE_BY_SIDE:
        name = "compiled_sweep"
    made: Loop = _module(name).loop(run, size, samples)
    return made


@cache
def _module(name: str) -> Any:
    return import_module(f"{__package__}.{name}")
