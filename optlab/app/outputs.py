"""The files that a run writes: checked before the trials, written after them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optlab.results import Results


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The files and folders that a run writes.

    Parameters
    ----------
    store
        A file that each trial is written to when it ends; trials that it holds are not run again.
    report
        A file for the results' HTML page.
    csv
        A folder for the tables: trials, traces, summary, parameters, optima.
    figures
        A folder for the figures, as PNG and SVG.
    """

    store: Path | None = None
    report: Path | None = None
    csv: Path | None = None
    figures: Path | None = None

    def __post_init__(self) -> None:
        for field in fields(self):  # a trial may change the folder that we are in
            if (path := getattr(self, field.name)) is not None:
                object.__setattr__(self, field.name, path.absolute())

    def check(self) -> None:
        """Make the folders, before the trials run.

        Raises
        ------
        ValueError
            For a folder or file that cannot be written to.
        """
        for folder in filter(None, (self.csv, self.figures)):
            check_folder(folder)
        if self.report is not None:
            check_file(self.report)

    def write(self, results: Results) -> None:
        """Write the tables, the figures and the page that were asked for."""
        if self.csv is not None:
            results.to_csv(self.csv)
        if self.figures is not None:
            results.save_figures(self.figures)
        if self.report is not None:
            results.report(self.report)


def check_folder(folder: Path) -> None:
    """Make a folder and write a temporary file into it, so that errors come before the trials."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{folder} is no folder that can be written to: {error}") from None


def check_file(file: Path) -> None:
    """Refuse a file that cannot be written because it is a folder, or stands in none."""
    if file.is_dir():
        raise ValueError(f"{file} is a folder; name a file")
    check_folder(file.resolve().parent)
