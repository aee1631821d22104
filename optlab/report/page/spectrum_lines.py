"""Lines on a problem's spectrum: its condition number, and the rates that follow from it."""

from __future__ import annotations

from collections.abc import Mapping

from optlab.lab import ProblemSummary
from optlab.text import number


def spectrum_lines(problems: Mapping[str, ProblemSummary]) -> list[tuple[str, str]]:
    """Return a line for each problem whose eigenvalues are known.

    Examples
    --------
    >>> facts = ProblemSummary("p", "kind", 3, 2, "float64", (), eigenvalues=[8.0, 2.0, 0.0])
    >>> spectrum_lines({"p": facts})[0][1]  # doctest: +NORMALIZE_WHITESPACE
    'L = 8, mu = 2, condition number 4: near the minimiser full-batch descent is stable below
    2/L = 0.25; 1/L = 0.125 is safe, 2/(L + mu) = 0.2 the fastest constant rate'
    """
    found = []
    for name, facts in problems.items():
        h = [value for value in facts.eigenvalues if value > 0]
        if not h:
            continue
        near = "" if facts.quadratic else "near the minimiser "
        L, mu = h[0], h[-1]
        found.append((name, (
            f"L = {number(L, 7)}, mu = {number(mu, 7)}, condition number {number(L / mu, 4)}: "
            f"{near}full-batch descent is stable below 2/L = {number(2 / L, 7)}; 1/L = "
            f"{number(1 / L, 4)} is safe, 2/(L + mu) = {number(2 / (L + mu), 7)} the fastest "
            "constant rate"
        )))  # fmt: skip
    return found
