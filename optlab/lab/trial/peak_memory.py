"""The peak memory of a trial, measured in a pass of its own that is not timed."""

from __future__ import annotations

import torch

from optlab.lab.measure.memory import memory_meter
from optlab.lab.measure.torch_settings import torch_settings_for
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import Trial
from optlab.lab.trial.working_copy import WorkingCopy
from optlab.optimizers import Batches, Optimizer
from optlab.optimizers.resolve_rates import has_rate_text, resolve_rates
from optlab.problems import Problem
from optlab.problems.capabilities import begin_run


def peak_bytes(
    trial: Trial,
    problem: Problem,
    optimizer: Optimizer,
    budget: Budget,
    copy: WorkingCopy | None = None,
) -> int | None:
    """Return the peak memory of a trial's solve beyond its data, in bytes.

    The solve is made once more, ``budget.epochs`` passes without evaluating or recording; for a
    trial that ended early, give the budget as many epochs as it made. On an accelerator it is the
    peak of torch's allocations there, to the byte. On the CPU it is the growth of the resident set,
    to some tens of pages: memory counts when it is touched, not when it is reserved. Measured after
    the trial itself, it holds no first-time costs (libraries loaded, threads started). The data
    are taken from ``copy`` where it is given, and not given back.

    None is returned where it cannot be known: on the CPU of other systems than Linux, and on
    accelerators whose module keeps no peak.

    Raises
    ------
    Exception
        Whatever the optimizer raises.

    References
    ----------
    proc(5): /proc/pid/clear_refs, VmHWM and VmRSS in /proc/pid/status.
    """
    device = torch.device(trial.device)
    with torch_settings_for(device):
        dtype = getattr(torch, trial.dtype)
        local, _ = (copy or WorkingCopy()).take(problem, device, dtype)  # and not given back
        return _measured(trial, local, optimizer, budget)


def _measured(trial: Trial, local: Problem, optimizer: Optimizer, budget: Budget) -> int | None:
    device = torch.device(trial.device)
    meter = memory_meter(device)
    if not meter.start():
        return None
    generator = torch.Generator().manual_seed(trial.seed)
    start = begin_run(local, generator)
    X, y, weight = local.data
    size = trial.batch_size or "full"
    looks = budget.looks
    batches = Batches(X, y, size, generator, weight=weight, looks=looks, order=trial.order)
    if has_rate_text(optimizer):
        optimizer = resolve_rates(optimizer, local, batches, start).optimizer
    epoch = 0
    for iterate in optimizer.iterates(local, batches, start):
        epoch += iterate.epochs
        if epoch >= budget.epochs:
            break
    return meter.stop()
