"""The outputs of ``optlab export``: which trials, and which files are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from optlab.app.outputs import (
    Writer,
    check_figure_folder,
    check_folder,
    check_inputs,
    check_tables,
)
from optlab.report.figures.paper import figure_style
from optlab.report.output_file import check_output
from optlab.report.table_files import table_files
from optlab.results import Results
from optlab.text import DIRECT


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The trials that are written: all, or some of them."""

    best: bool = False
    methods: str | None = None
    batch_sizes: str | None = None

    def of(self, results: Results) -> Results:
        """Return the results of the trials chosen.

        Raises
        ------
        ValueError
            For a method or batch size that no trial has.
        """
        if self.methods is not None:
            results = results.filter(method=[name.strip() for name in self.methods.split(",")])
        if self.batch_sizes is not None:
            sizes = [size.strip() for size in self.batch_sizes.split(",")]
            direct = (results.trials["batch"] == DIRECT).any()
            results = results.filter(batch=[*sizes, *[DIRECT] * bool(direct)])
        return results.best() if self.best else results


def writers_of(
    results: Results,
    folders: Mapping[str, Path],
    table: Path | None,
    inputs: Sequence[Path],
    *,
    style: str,
    caption: str | None,
    label: str | None,
    raw: bool,
    force: bool,
) -> list[Writer]:
    """Return what writes each output, after a check of the files that it would overwrite.

    Raises
    ------
    ValueError
        For a file that must not be overwritten, an unknown style, or a label that LaTeX cannot
        take.
    """
    paper = figure_style(style)
    writers: list[Writer] = []
    for kind, folder in folders.items():
        if kind == "figures":
            check_figure_folder(folder, list(results.problems), paper.formats, force=force)
            draw = partial(results.save_figures, folder, style=style, force=force)
            writers.append((folder, draw))
            continue
        written = [(f"--{kind}", path) for path in table_files(folder, kind).values()]
        check_inputs(written, inputs)
        check_tables(folder, kind, force=force, always=True)
        write = partial(results.export, folder, kind, force=force, raw=raw)
        writers.append((folder, write))
    if table is not None:
        check_inputs([("--table", table)], inputs)
        check_folder(table.absolute().parent)
        check_output(table, "latex", force=force)
        results.to_latex(caption=caption, label=label)
        make = partial(results.to_latex, table, caption=caption, label=label, force=force)
        writers.append((table, make))
    return writers
