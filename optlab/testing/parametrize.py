"""Parametrize a pytest function by the checks of optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from optlab.optimizers import Optimizer, optimizer_name
from optlab.testing.as_optimizer import as_optimizer
from optlab.testing.check_optimizer import run_check, subject_of
from optlab.testing.conformance.check import Check, Level, checks_of
from optlab.testing.conformance.subject import Subject
from optlab.testing.known_failures import known_failures
from optlab.testing.run_checks import CheckFailedError, CheckSkipped

Reasons = Mapping[str, str]


class OptimizerCheck:
    """One check of optimizers as a function, which pytest sees passing, failing, or skipped."""

    def __init__(
        self, check: Check, reasons: Callable[[Optimizer], Reasons] | None, seed: int
    ) -> None:
        self.check, self.reasons, self.seed = check, reasons, seed

    def __repr__(self) -> str:
        return self.check.name

    def __call__(self, optimizer: Any) -> None:
        """Run the check.

        Raises
        ------
        CheckFailedError
            Where it fails, an AssertionError with the whole message.
        """
        reasons = {} if self.reasons is None else self.reasons(optimizer)
        run_in_pytest(self.check, subject_of(optimizer, seed=self.seed), reasons)


def run_in_pytest(check: Check, subject: Subject, reasons: Reasons) -> None:
    """Run a check, and let pytest see a skip or an expected failure as its own."""
    # Only who tests has pytest.
    import pytest  # noqa: PLC0415

    strict = reasons.get(check.name)
    reason = strict or known_failures(subject.optimizer).get(check.name)
    try:
        run_check(check, subject)
    except CheckSkipped as skipped:
        pytest.skip(str(skipped))
    except CheckFailedError:
        if reason is None:
            raise
        pytest.xfail(reason)
    if strict is not None:
        raise CheckFailedError(
            f"{check.name} was expected to fail ({strict}), but passes: no longer expect it to"
        )


def parametrize_with_checks(
    optimizers: Iterable[Any] | Mapping[str, Any],
    *,
    level: Level = "quick",
    expected_failures: Callable[[Optimizer], Reasons] | None = None,
    seed: int = 0,
) -> Any:
    """Return a pytest decorator that calls a test with each optimizer and each of its checks.

    Parameters
    ----------
    optimizers
        What `check_optimizer` takes, in a list, or in a dict by the names that tests get.
    level
        See `check_optimizer`.
    expected_failures
        A function of an optimizer that returns a reason for each check that it is known to fail.
    seed
        Of the data.

    Returns
    -------
    Callable
        The decorator.

    Raises
    ------
    ValueError
        For what is no optimizer, and an unknown level.

    See Also
    --------
    check_optimizer : All checks in one call.

    Examples
    --------
    >>> import optlab as ol
    >>> from optlab.testing import parametrize_with_checks
    >>> @parametrize_with_checks([ol.SGD(0.1), ol.Lstsq()])
    ... def test_optimizer(optimizer, check):
    ...     check(optimizer)
    """
    # Only who tests has pytest.
    import pytest  # noqa: PLC0415

    if isinstance(optimizers, Mapping):
        named = {str(name): as_optimizer(one) for name, one in optimizers.items()}
    else:
        made = [as_optimizer(one) for one in optimizers]
        named = {f"{optimizer_name(one)}-{i}": one for i, one in enumerate(made)}
    checks = [OptimizerCheck(one, expected_failures, seed) for one in checks_of(level)]
    return pytest.mark.parametrize(
        ("optimizer", "check"),
        [
            pytest.param(optimizer, check, id=f"{name}-{check.check.name}")
            for name, optimizer in named.items()
            for check in checks
        ],
    )
