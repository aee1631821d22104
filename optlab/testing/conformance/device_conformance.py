"""Checks of devices: a run on an accelerator makes the iterates of the CPU, to rounding."""

from __future__ import annotations

import torch

from optlab.optimizers import unsupported
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import differ, fail, shown
from optlab.testing.conformance.rounding_of_runs import rounding
from optlab.testing.conformance.single_run import copied
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped


@check("full")
def a_cuda_device_makes_the_same_iterates(subject: Subject) -> None:
    """The iterates on a CUDA device are those on the CPU, but for sums in another order."""
    if not torch.cuda.is_available():  # pragma: no branch - else CUDA
        raise CheckSkipped("this machine has no CUDA device")
    device = torch.device("cuda")
    run = subject.setting(batch_size=3, count=2)
    problem = run.problem().to(device, torch.float64)
    if reason := unsupported(subject.optimizer, problem, device):  # pragma: no cover - CUDA
        raise CheckSkipped(f"it says so: {reason}")
    batches = run.batches(problem)
    found = iter(subject.optimizer.iterates(problem, batches, run.begin(problem)))
    points = [copied(iterate, batches) for iterate, _ in zip(found, range(run.count), strict=False)]
    expected = subject.run(run)
    gap, bound = differ(points[-1].vector.cpu(), expected[-1].vector), rounding(run)
    if gap > bound:  # pragma: no cover - CUDA
        fail(
            subject,
            theory=f"the same steps: {shown(expected[-1].vector)}",
            seen=f"{shown(points[-1].vector.cpu())} on {device}",
            tolerance=f"{bound:.1e} of the largest parameter, for sums in another order",
            runs=[run],
        )
