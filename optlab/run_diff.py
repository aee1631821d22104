"""The differences of two results, with their sentences, table, Markdown and JUnit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from optlab.analysis.run_differences import REGRESSIONS, RunDifferences
from optlab.report.output_file import output_file
from optlab.report.run_diff.diff_junit import diff_junit
from optlab.report.run_diff.diff_markdown import diff_markdown
from optlab.report.run_diff.diff_sentences import diff_sentences


@dataclass(frozen=True, eq=False)
class RunDiff(RunDifferences):
    """The differences of two results: see `optlab.results.Results.diff`.

    Printed, it is the verdict, a table of the settings, and what changed besides.

    Attributes
    ----------
    table
        A row for each common setting and metric (``status``, ``epochs``, ``seconds``,
        ``suboptimality``): the setting's columns, ``old`` and ``new`` (medians; inf where a target
        was not reached), ``ratio, ratio_low, ratio_high`` with their 95 % interval, ``pairs``,
        ``p`` (adjusted), ``verdict``, ``message``, ``regression``.
    only_old, only_new
        The settings that one of the two alone has.
    problems
        Why problems of one name are not compared.
    changes
        The versions, code, facts of the machine and parts of the experiment that changed.
    drift
        The factor by which the seconds of the median setting differ, by device.
    """

    def __str__(self) -> str:
        from optlab.report.run_diff.diff_terminal import diff_text  # noqa: PLC0415 - rich is loaded when it is printed

        return diff_text(self)

    def verdict(self) -> str:
        """Return the sentences that are printed first, a line each."""
        return "\n".join(diff_sentences(self))

    def regressions(self, fail_on: Collection[str] = REGRESSIONS) -> pd.DataFrame:
        """Return the rows of the table that are ``slower`` or ``worse``, or one of the two."""
        return self.table[self.table["verdict"].isin(fail_on)].reset_index(drop=True)

    def to_markdown(self, path: str | Path, *, force: bool = False) -> None:
        """Write the verdict, the table and what changed as Markdown.

        Raises
        ------
        ValueError
            Where the file exists and optlab did not write it, unless ``force`` is set.
        """
        _write(Path(path), "markdown", diff_markdown(self), force=force)

    def to_junit(
        self, path: str | Path, *, fail_on: Collection[str] = REGRESSIONS, force: bool = False
    ) -> None:
        """Write a test for each setting and metric as JUnit XML; regressions are failures.

        Raises
        ------
        ValueError
            Where the file exists and optlab did not write it, unless ``force`` is set.
        """
        _write(Path(path), "junit", diff_junit(self, fail_on), force=force)


def _write(path: Path, kind: str, text: str, *, force: bool) -> None:
    with output_file(path, kind, force=force) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
