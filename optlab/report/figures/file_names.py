"""The names of the files that figures are saved in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from optlab.report.output_file import check_output
from optlab.report.views import KEYS

FORMATS = ("png", "svg", "pdf")
"""The formats that figures for a paper are saved in; those of a page in the first two."""


def figure_file(folder: Path, problems: Sequence[str], number: int, key: str, kind: str) -> Path:
    """Return the file for a view of one of the problems, in a format.

    No two are the same, whatever the problems are called: where there are several, the name begins
    with the problem's number. ``profile`` is of all problems.

    Examples
    --------
    >>> print(figure_file(Path("drawn"), ["line", "../a/b"], 1, "fit", "png").as_posix())
    drawn/1-..-a-b-fit.png
    """
    name = re.sub(r"[^\w.]+", "-", problems[number])[:40]  # file names allow fewer characters
    prefix = f"{number}-{name}-" if len(problems) > 1 and key != "profile" else ""
    return folder / f"{prefix}{key}.{kind}"


def check_figures(
    folder: Path, problems: Sequence[str], formats: Iterable[str], *, force: bool = False
) -> None:
    """Refuse a folder that holds other files under names that figures may get.

    Raises
    ------
    ValueError
        For a file that optlab did not write as a figure of that format, unless ``force`` is set.
    """
    for kind in formats:
        for number in range(len(problems)):
            for key in (*KEYS, "hyperparameter", "tuning"):
                path = figure_file(folder, problems, number, key, kind)
                check_output(path, kind, force=force)
