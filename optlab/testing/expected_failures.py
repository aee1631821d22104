"""Expected failures as they stand on a command line: ``[OBJECT:]CHECK=REASON``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from optlab.testing.conformance.check import require_checks


class ExpectedFailure(NamedTuple):
    """A check that is known to fail, why, and of which object; of all where that is empty."""

    of: str
    check: str
    reason: str

    def is_of(self, label: str) -> bool:
        """Return whether it is of the optimizer of this label, ``"FILE.py:OBJECT"``.

        Examples
        --------
        >>> one = ExpectedFailure("Mine", "stays at the optimum", "it decays its weights")
        >>> one.is_of("mine.py:Mine"), one.is_of("mine.py:Other")
        (True, False)
        """
        return not self.of or label == self.of or label.endswith(f":{self.of}")


def parsed_failures(option: str, texts: Iterable[str]) -> list[ExpectedFailure]:
    """Return the checks that are expected to fail.

    Parameters
    ----------
    option
        The option that the texts were given to, for errors.
    texts
        An object and ``:`` where it is of one of several, a check's name, ``=``, and the reason in
        words, each.

    Raises
    ------
    ValueError
        For a text without a check or a reason, and for a name that is no check's.

    Examples
    --------
    >>> parsed_failures("--expect-failure", ["Mine:stays at the optimum=it decays its weights"])
    [ExpectedFailure(of='Mine', check='stays at the optimum', reason='it decays its weights')]
    """
    found = []
    for text in texts:
        name, _, reason = (part.strip() for part in text.partition("="))
        of, _, check = name.rpartition(":")
        if not (check and reason):
            raise ValueError(
                f"{option} takes CHECK=REASON, such as 'refuses bad hyperparameters=any rate is "
                f"allowed', or OBJECT:CHECK=REASON, not {text!r}"
            )
        found.append(ExpectedFailure(of.strip(), check.strip(), reason))
    require_checks(option, [one.check for one in found])
    return found


def reasons_of(label: str, expected: Iterable[ExpectedFailure]) -> dict[str, str]:
    """Return the reason for each check that an optimizer is expected to fail, by its name."""
    return {one.check: one.reason for one in expected if one.is_of(label)}
