"""The differences of two results as Markdown, for the summary of a job or a comment."""

from __future__ import annotations

import re

from optlab.analysis.run_differences import RunDifferences
from optlab.report.output_file import SOFTWARE
from optlab.report.run_diff.diff_rows import diff_rows
from optlab.report.run_diff.diff_sentences import change_lines, diff_sentences


def diff_markdown(diff: RunDifferences) -> str:
    """Return the verdict, a table of the settings, and what changed besides."""
    verdict, *more = diff_sentences(diff)
    rows = diff_rows(diff)
    old, new = diff.names
    lines = [
        f"<!-- {SOFTWARE} -->",
        f"## {_plain(old)} and {_plain(new)}",
        "",
        f"**{_plain(verdict)}**",
        "",
    ]
    lines += [f"- {_plain(sentence)}" for sentence in more] + [""] * bool(more)
    lines += [f"| {' | '.join(rows.headings)} |", "|---" * len(rows.headings) + "|"]
    for place, row in enumerate(rows.rows):
        cells = [_plain(cell) for cell in row]
        cells[-1] = f"**{cells[-1]}**" if place < rows.differ else cells[-1]
        lines.append(f"| {' | '.join(cells)} |")
    changes = change_lines(diff)
    lines += ["", "### Changed besides", ""] if changes else ["", "Nothing else changed."]
    return "\n".join([*lines, *(f"- {_plain(line)}" for line in changes)]) + "\n"


def _plain(text: str) -> str:
    r"""Return a text in which nothing is markup, on one line.

    Examples
    --------
    >>> _plain("a|b *c* <img>")
    'a\\|b \\*c\\* \\<img\\>'
    """
    return re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", " ".join(text.split()))
