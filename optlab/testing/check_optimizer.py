"""The conformance check of an optimizer: every check that applies, in one report."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any

import torch

from optlab.lab.measure.torch_settings import torch_settings_for
from optlab.optimizers import optimizer_name
from optlab.optimizers.resolve_rates import has_rate_text
from optlab.testing.as_optimizer import as_optimizer
from optlab.testing.conformance.check import (
    Check,
    Level,
    all_checks,
    checks_of,
    require_checks,
)
from optlab.testing.conformance.environment_conformance import process_state_kept
from optlab.testing.conformance.subject import CPU, Subject
from optlab.testing.known_failures import BY_CHANCE, known_failures
from optlab.testing.report import CheckResult, Report
from optlab.testing.run_checks import run_checks


def check_optimizer(
    optimizer: Any,
    *,
    level: Level = "quick",
    expected_failures: Mapping[str, str] | None = None,
    reference: Any = None,
    only: Sequence[str] | None = None,
    seed: int = 0,
) -> Report:
    """Check that an optimizer is right, by theory and by what it says of itself.

    Each check runs the optimizer on small data, and compares what must be equal: the first step
    with the gradient, the same rows twice with once, one run with the next, float64 with float32,
    iterates with the plain recomputation of the rule. A failure's message has what theory says,
    what was seen, the tolerance and its reason, and code to paste. A comparison that fails is made
    on two more draws of the data, and counts where it fails on all three.

    Parameters
    ----------
    optimizer
        An optimizer of the protocol; a class of `torch.optim`, an optimizer of torch, or a function
        of parameters that makes one; a linear estimator of scikit-learn; a registered name.
    level
        ``"quick"`` (the default, less than a second for most), ``"full"`` (convergence over
        hundreds of passes, invariances, every kind of problem, devices), or ``"statistical"`` (also
        means over hundreds of seeds).
    expected_failures
        A reason for each check that is known to fail, by its name. One that passes fails. Those of
        the lab's own methods and adapters are known (`optlab.testing.known_failures`).
    reference
        An optimizer, or a rule of `optlab.testing.plain_rules`, that it must follow to rounding:
        ``optlab.Adam(0.1)`` for an Adam of one's own. Optimizers of the lab and torch's usual ones
        are held against their own formula without it.
    only
        The names of the checks to run, of any level; all of the level where left out.
    seed
        Of the data, a whole number of at least 0.

    Returns
    -------
    The report: ``ok``, ``failures`` (``check``, ``message``), and as text all outcomes.

    Raises
    ------
    ValueError
        For what is no optimizer, or one whose learning rate is a text such as ``"auto"``; an
        unknown level, names of unknown checks, and a seed that is no whole number of at least 0.

    See Also
    --------
    check_problem, check_gradient : Checks of problems.
    parametrize_with_checks : One pytest test for each check.
    signature : Which invariances hold.

    Examples
    --------
    >>> import optlab as ol
    >>> from optlab.testing import check_optimizer
    >>> check_optimizer(ol.ManualSGD(0.1)).ok
    True

    An SGD that divides the short last batch by the batch size, not by its rows:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Wrong:
    ...     learning_rate: float = 0.1
    ...     uses_batches = True
    ...
    ...     def iterates(self, problem, batches, start):
    ...         for epoch in batches:
    ...             for batch in epoch:
    ...                 rate = self.learning_rate * len(batch.y) / batches.rows_a_step
    ...                 for name, slope in ol.gradient(problem, start, batch).items():
    ...                     start[name] = start[name] - rate * slope
    ...             yield ol.Iterate(start)
    >>> [failure.check for failure in check_optimizer(Wrong()).failures]
    ['the short last batch counts by its rows', 'refuses bad hyperparameters']
    """
    subject = subject_of(optimizer, reference=reference, seed=seed)
    checks = checks_of(level)
    if not isinstance(expected_failures or {}, Mapping):
        raise ValueError(
            "expected_failures must be a dict, a reason for each check's name, "
            f"not {expected_failures!r}"
        )
    expected = dict(expected_failures or {})
    require_checks("expected_failures", expected)
    if isinstance(only, str):
        only = [only]
    if only is not None:
        require_checks("only", only)
        checks = [one for one in all_checks() if one.name in only]
    report = run_checks(
        f"{optimizer_name(subject.optimizer)}, level {level}",
        {one.name: partial(run_check, one, subject) for one in checks},
        {name: why for name, why in expected.items() if name in {one.name for one in checks}},
    )
    return _with_reasons(report, known_failures(subject.optimizer))


def _with_reasons(report: Report, reasons: Mapping[str, str]) -> Report:
    """Return the report with the failures that are known, and notes of those that passed."""
    return replace(
        report, checks=tuple(_with_reason(one, reasons.get(one.check)) for one in report.checks)
    )


def _with_reason(result: CheckResult, reason: str | None) -> CheckResult:
    if reason is not None and result.outcome == "failed":
        return replace(result, outcome="expected failure", message=reason)
    if reason not in {None, BY_CHANCE} and result.outcome == "passed":
        note = f"passes on these data, though it is known to fail: remove the reason ({reason})"
        return replace(result, message=f"{note} if it passes for every seed")
    return result


def subject_of(optimizer: Any, *, reference: Any = None, seed: int = 0) -> Subject:
    """Return an optimizer, adapted where it is another package's, as a subject of checks."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}")
    if reference is not None and not hasattr(reference, "descend"):
        reference = as_optimizer(reference)
    made = as_optimizer(optimizer)
    if has_rate_text(made):
        raise ValueError(
            f"the learning rate of {optimizer_name(made)} must be a number, or a schedule of "
            "numbers, to be checked: 'auto', '1/L' and the like are another for each problem"
        )
    return Subject(made, seed=int(seed), reference=reference)


def run_check(check: Check, subject: Subject) -> None:
    """Run one check, with warnings silenced and the process's settings restored after it."""
    with (
        process_state_kept(),
        torch_settings_for(CPU),
        torch.inference_mode(False),
        torch.enable_grad(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of another package's iterations that run out
        check.run(subject.begin())
