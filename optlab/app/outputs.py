"""What a run writes: looked at before the trials, written after them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from optlab.app.exit_status import check_file, check_folder
from optlab.results import Results


@dataclass(frozen=True)
class Outputs:
    """Folders for tables and figures, and a file for the page; each may be left out."""

    csv: Path | None = None
    figures: Path | None = None
    report: Path | None = None

    def __post_init__(self) -> None:
        for name in ("csv", "figures", "report"):  # a trial may change the folder that we are in
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, path.absolute())

    def check(self) -> None:
        """Make the folders.

        Raises
        ------
        ValueError
            For one that cannot be written to: before hours of trials rather than after.
        """
        for folder in filter(None, (self.csv, self.figures)):
            check_folder(folder)
        if self.report is not None:
            check_file(self.report)

    def write(self, results: Results) -> None:
        """Write what was asked for."""
        if self.csv is not None:
            results.to_csv(self.csv)
        if self.figures is not None:
            results.save_figures(self.figures)
        if self.report is not None:
            results.report(self.report)
