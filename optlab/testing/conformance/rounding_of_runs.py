"""The difference that rounding may make between two runs which are equal in exact arithmetic."""

from __future__ import annotations

import torch

from optlab.testing.conformance.single_run import DTYPES, Run


def rounding(run: Run) -> float:
    """Return the largest relative difference that rounding may make in a short run.

    A sum of k products in another order differs by at most k eps of the sum of their sizes. Here k
    is the entries of the data, sizes are some units, and errors of one step grow in the few next
    ones by factors near 1, or in a solver by the condition number, below 100 on these data: 1 000
    k eps covers both with room, 5e-12 in float64, and a wrong formula differs by 1e-3 or more.
    """
    return 1000.0 * (run.X.numel() + len(run.y)) * torch.finfo(DTYPES[run.dtype]).eps
