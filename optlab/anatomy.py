"""The anatomy of optimizers' steps: a table of parts, and its figure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from optlab.lab.step_anatomy import PARTS
from optlab.report.output_file import output_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The parts of each optimizer's step, with the seconds that each takes.

    Parameters
    ----------
    table
        A row for each optimizer and batch size: see `optlab.lab.anatomy_table.anatomy_table`.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> anatomy = ol.compare(problem, ol.ManualSGD(), batch_sizes=[1], epochs=1).anatomy()
    >>> row = anatomy.table.iloc[0]
    >>> parts = ["order and gather", "forward", "backward", "update", "Python"]
    >>> bool(abs(row[parts].sum() / row["step_seconds"] - 1) < 1e-9)
    True
    """

    table: pd.DataFrame

    def shares(self) -> pd.DataFrame:
        """Return the parts as shares of each step, with its optimizer, batch and seconds.

        Only of what was measured.
        """
        measured = self.table[self.table["step_seconds"].notna()].reset_index(drop=True)
        parts = [part for part in PARTS if (measured[part] > 0).any()]
        named = measured[["problem", "optimizer", "batch", "dtype", "step_seconds"]]
        return named.join(measured[parts].div(measured["step_seconds"], axis=0))

    def figure(self, problem: str | None = None) -> Figure:
        """Draw a bar for each optimizer and batch size, and beside it its seconds and bounds.

        ``problem`` may be left out where there is one.

        Raises
        ------
        ValueError
            For another problem, or one of which nothing was measured.
        """
        from optlab.report.figures.anatomy_bars import anatomy_figure  # noqa: PLC0415 - matplotlib is loaded when it is drawn with
        from optlab.report.views.anatomy_view import anatomy_view  # noqa: PLC0415 - as above

        names = list(dict.fromkeys(self.table["problem"]))
        if problem is None and len(names) == 1:
            problem = names[0]
        if problem not in names:
            known = ", ".join(map(repr, names))
            wrong = "" if problem is None else f"; {problem!r} is none of them"
            raise ValueError(f"name a problem, one of {known}{wrong}")
        view = anatomy_view(self.table)
        if not (view.table["problem"] == problem).any():
            rows = self.table[self.table["problem"] == problem]
            reasons = "; ".join(f"{row.optimizer}: {row.message}" for row in rows.itertuples())
            raise ValueError(f"nothing was measured of {problem}: {reasons}")
        return anatomy_figure(view, str(problem))

    def save_figures(self, folder: str | Path, *, force: bool = False) -> list[Path]:
        """Save the figure of each problem as PNG and SVG into a folder, and return the files.

        Raises
        ------
        ValueError
            Where a file that optlab did not write has a figure's name, unless ``force`` is set.
        """
        from optlab.report.figures.draw import save_figure  # noqa: PLC0415 - as above
        from optlab.report.figures.file_names import figure_file  # noqa: PLC0415 - as above

        measured = set(self.table.loc[self.table["step_seconds"].notna(), "problem"])
        names, saved = list(dict.fromkeys(self.table["problem"])), []
        for number, name in enumerate(names):
            if name not in measured:
                continue
            figure = self.figure(name)
            for kind in ("png", "svg"):
                path = figure_file(Path(folder), names, number, "anatomy", kind)
                save_figure(figure, path, kind, force=force)
                saved.append(path)
        return saved

    def to_csv(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the table into a file and return it.

        Raises
        ------
        ValueError
            Where the file exists and is no such table, unless ``force`` is set.
        """
        with output_file(Path(path), "csv", force=force) as file:
            file.write(self.table.to_csv(index=False).encode())
        return Path(path)

    def _repr_html_(self) -> str:
        html: str = self.table.to_html(index=False)
        return html
