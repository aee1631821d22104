"""Expected failures as they stand on a command line: ``CHECK=REASON``."""

from __future__ import annotations

from collections.abc import Iterable

from optlab.testing.conformance.check import require_checks


def parsed_reasons(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return the reason for each check that is expected to fail, by its name.

    Parameters
    ----------
    option
        The option that the texts were given to, for errors.
    texts
        A check's name, ``=``, and the reason in words, each.

    Raises
    ------
    ValueError
        For a text without one of the two, and for a name that is no check's.

    Examples
    --------
    >>> parsed_reasons("--expect-failure", ["stays at the optimum=it decays its weights"])
    {'stays at the optimum': 'it decays its weights'}
    """
    found = {}
    for text in texts:
        check, _, reason = (part.strip() for part in text.partition("="))
        if not (check and reason):
            raise ValueError(
                f"{option} takes CHECK=REASON, such as 'refuses bad hyperparameters=any rate is "
                f"allowed', not {text!r}"
            )
        found[check] = reason
    require_checks(option, found)
    return found
