"""Checks of an optimizer: small named functions, their level, and their list."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from optlab.checks import did_you_mean
from optlab.testing.run_checks import CheckFailedError, CheckSkipped

if TYPE_CHECKING:
    from optlab.testing.conformance.subject import Subject

Level: TypeAlias = Literal["quick", "full", "statistical"]
LEVELS: tuple[Level, ...] = get_args(Level)

_DRAWS = 3
"""Draws of the data on which a failure must repeat: see `Check.run`."""

_MODULES = (
    "protocol", "row", "gradient", "state", "environment", "precision", "convergence", "rule",
    "invariance", "cost", "hyperparameter", "capability", "device", "theory",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One check: its name in words, the least level that runs it, and its function.

    The function returns where the check passed, and raises `CheckFailedError` or `CheckSkipped`.
    """

    name: str
    level: Level
    function: Callable[[Subject], None]

    @property
    def sentence(self) -> str:
        """The first line of the function's docstring: the rule that is checked."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def run(self, subject: Subject) -> None:
        """Run the check, and again on other data where it fails.

        A fault shows on every draw of the data. A failure on one draw alone is chance: a gradient
        that vanishes to rounding, whose sign a method takes, makes two equal runs differ.
        """
        try:
            self.function(subject)
        except CheckFailedError as failure:
            for draw in range(1, _DRAWS):
                try:
                    self.function(subject.on_other_data(draw))
                except CheckFailedError:
                    continue
                return
            raise CheckFailedError(f"{self.sentence}\n{failure}") from None
        except CheckSkipped:
            raise
        except Exception as error:  # the optimizer's own, whatever it is
            lines = "".join(traceback.format_exception(error)[-3:]).rstrip()
            raise CheckFailedError(
                f"{self.sentence}\n  theory: on a problem that is not refused nothing is raised\n"
                f"  seen: {type(error).__name__}: {error}\n  tolerance: none\n{lines}"
            ) from error


_CHECKS: list[Check] = []


def check(level: Level = "quick") -> Callable[[Callable[[Subject], None]], Check]:
    """Decorate a function as a check, whose name is the function's, with spaces."""

    def made(function: Callable[[Subject], None]) -> Check:
        one = Check(function.__name__.replace("_", " "), level, function)
        _CHECKS.append(one)
        return one

    return made


def all_checks() -> list[Check]:
    """Return every check, in the order of the modules and of the lines in them."""
    for module in _MODULES:
        import_module(f"optlab.testing.conformance.{module}_conformance")
    order = {f"optlab.testing.conformance.{name}_conformance": i for i, name in enumerate(_MODULES)}
    return sorted(_CHECKS, key=lambda one: order[one.function.__module__])


def checks_of(level: Level) -> list[Check]:
    """Return the checks of a level, those of the lower ones included.

    Raises
    ------
    ValueError
        For an unknown level.
    """
    if level not in LEVELS:
        raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    allowed = LEVELS[: LEVELS.index(level) + 1]
    return [one for one in all_checks() if one.level in allowed]


def require_checks(argument: str, names: Iterable[str]) -> None:
    """Require names of checks, of any level.

    Raises
    ------
    ValueError
        For another name, with the nearest and all.
    """
    known = [one.name for one in all_checks()]
    for name in names:
        if name not in known:
            raise ValueError(
                f"{argument} names the check {name!r}, which does not exist; "
                f"{did_you_mean(str(name), known)}there are: {', '.join(known)}"
            )
