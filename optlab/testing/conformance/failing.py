"""The message of a failed check: theory, numbers seen, tolerance, and code to paste."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

from torch import Tensor

from optlab.optimizers import Optimizer
from optlab.testing.conformance.single_run import Run
from optlab.testing.conformance.spelling import spelling
from optlab.testing.conformance.subject import Subject
from optlab.testing.failure_message import failure_message
from optlab.testing.run_checks import CheckFailedError


def fail(
    subject: Subject,
    *,
    theory: str,
    seen: str,
    tolerance: str = "none: the same bits",
    hint: str = "",
    runs: Sequence[Run] = (),
    show: Sequence[str] = ("print(run[-1].parameters)",),
) -> NoReturn:
    """Raise a `CheckFailedError` of these parts.

    Parameters
    ----------
    theory, seen, tolerance
        The rule, the numbers that broke it, and how far from it is allowed, with the reason.
    hint
        A likely cause.
    runs
        The runs to repeat, ``run`` the first, ``other`` the second.
    show
        Lines of code that show the fault after these runs.
    """
    example = "\n".join(code(subject.optimizer, runs, show)) if runs else ""
    theory = f"  theory: {theory}"
    message = failure_message(theory, seen, tolerance=tolerance, hint=hint, example=example)
    raise CheckFailedError(message)


def code(optimizer: Optimizer, runs: Sequence[Run], show: Sequence[str]) -> list[str]:
    """Return a script that repeats runs and shows something of them."""
    imports, expression = spelling(optimizer)
    head = ["from itertools import islice", "import torch", "import optlab as ol", *imports]
    body = [f"optimizer = {expression}"]
    for name, run in zip(("run", "other"), runs, strict=False):
        body += run.code(name)
    return [*head, *body, *show]


def differ(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference of two vectors over the size of the second (at least 1)."""
    scale = max(1.0, float(expected.abs().max()))
    gap = float((found - expected).abs().max()) / scale
    return float("inf") if math.isnan(gap) else gap


def shown(vector: Tensor) -> str:
    """Return a vector in six digits."""
    return "[" + ", ".join(f"{value:.6g}" for value in vector.tolist()) + "]"
