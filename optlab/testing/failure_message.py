"""The message of a failed check: theory, numbers seen, tolerance, and an example to paste."""

from __future__ import annotations

import textwrap


def failure_message(
    theory: str, seen: str, *, tolerance: str = "", hint: str = "", example: str = ""
) -> str:
    """Return a message of some lines, of which those that are empty are left out.

    Parameters
    ----------
    theory
        The statement that was checked, in a sentence.
    seen
        The numbers that contradict it.
    tolerance
        The largest difference that is allowed, and its derivation.
    hint
        A likely cause.
    example
        Python code that shows the failure again, to paste.

    Examples
    --------
    >>> print(failure_message("1 + 1 is 2", "3", hint="an off-by-one", example="print(1 + 1)"))
    1 + 1 is 2
      seen: 3
      likely: an off-by-one
      to see it again:
        print(1 + 1)
    """
    lines = [theory, f"  seen: {seen}"]
    if hint:
        lines.append(f"  likely: {hint}")
    if tolerance:
        lines.append(f"  tolerance: {tolerance}")
    if example:
        lines += ["  to see it again:", textwrap.indent(example.rstrip(), "    ")]
    return "\n".join(lines)
