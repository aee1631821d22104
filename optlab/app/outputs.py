"""The files that a command writes: checked before the trials, written after them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from optlab.text import encodable, pluralize, shown_path

if TYPE_CHECKING:
    from optlab.results import Results

Writer = tuple[Path, Callable[[], object]]
"""A file or folder, and the call that writes it."""


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
        A folder for the tables: trials, traces, summary, parameters, references.
    figures
        A folder for the figures, as PNG and SVG.
    raw_csv
        Write texts into CSV as they are; else one that a spreadsheet would run as a formula gets an
        apostrophe.
    force
        Overwrite files that optlab did not write; never those that the command reads.
    """

    store: Path | None = None
    report: Path | None = None
    csv: Path | None = None
    figures: Path | None = None
    raw_csv: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        for name in ("store", "report", "csv", "figures"):
            if (path := getattr(self, name)) is not None:
                # A trial may change the folder that we are in.
                object.__setattr__(self, name, path.absolute())

    def check(self, inputs: Iterable[Path], problems: Sequence[str]) -> None:
        """Make the folders, and refuse what cannot or must not be written, before the trials run.

        Parameters
        ----------
        inputs
            The files that the command reads.
        problems
            The names of the problems, which the figures' files have.

        Raises
        ------
        ValueError
            For a folder or file that cannot be written to, that the command reads, or that optlab
            did not write.
        """
        check_inputs(self._files(), [*inputs, *module_files()])
        if self.csv is not None:
            check_tables(self.csv, "csv", force=self.force)
        if self.figures is not None:
            check_figure_folder(self.figures, problems, force=self.force)
        if self.report is not None:
            check_page(self.report, force=self.force)

    def write(self, results: Results) -> list[str]:
        """Write the tables, the page and the figures that were asked for; return what failed."""
        writers: list[Writer] = []
        if (csv := self.csv) is not None:
            how = {"force": self.force, "raw": self.raw_csv}
            writers.append((csv, lambda: results.export(csv, "csv", **how)))
        if (page := self.report) is not None:
            writers.append((page, lambda: results.report(page, force=self.force)))
        if (drawn := self.figures) is not None:  # they take longest
            writers.append((drawn, lambda: results.save_figures(drawn, force=self.force)))
        if self.store is not None and self.store.exists():
            say(f"wrote {shown_path(self.store)}")
        return write_all(writers)

    def _files(self) -> list[tuple[str, Path]]:
        """Return the files that are written, each with its option."""
        from optlab.report.table_files import table_files  # noqa: PLC0415 - --help does not load pandas

        files = []
        if (store := self.store) is not None:  # with what SQLite may write beside it
            endings = ("", "-journal", "-wal", "-shm")
            files += [("--store", store.with_name(store.name + ending)) for ending in endings]
        if self.report is not None:
            files.append(("--report", self.report))
        if self.csv is not None:
            files += [("--csv", path) for path in table_files(self.csv, "csv").values()]
        return files


def write_all(writers: Iterable[Writer]) -> list[str]:
    """Write one after the other, say on stderr what was written, and return what failed.

    One that fails stops none of the others; Ctrl-C stops all.
    """
    failed = []
    waiting = list(writers)
    while waiting:
        path, write = waiting[0]
        try:
            files = write()
        except (OSError, ValueError) as error:
            failed.append(encodable(f"{path} is not written, or not whole: {error}"))
        except KeyboardInterrupt:
            for stopped, _ in waiting:
                say(f"stopped: {stopped} is not written, or not whole")
            raise
        else:
            count = f"{pluralize(len(files), 'file')} into " if isinstance(files, list) else ""
            say(f"wrote {count}{shown_path(path)}")
        del waiting[0]
    return failed


def say(text: str) -> None:
    """Print a line to stderr, which may be closed, and whose encoding may not hold every name."""
    with suppress(OSError, ValueError):
        print(encodable(text), file=sys.stderr, flush=True)  # noqa: T201


def check_inputs(outputs: Iterable[tuple[str, Path]], inputs: Iterable[Path | str]) -> None:
    """Refuse an output that is an input, by whatever name or link, or another output.

    Parameters
    ----------
    outputs
        The files that are written, each with its option.
    inputs
        The files that are read.

    Raises
    ------
    ValueError
        With the option and the file.
    """
    read: dict[object, Path | str] = {found: path for path in inputs if (found := _identity(path))}
    written: dict[object, str] = {}
    for option, path in outputs:
        identity = _identity(path) or os.path.realpath(path)
        if identity in read:
            raise ValueError(
                f"{option} would overwrite {read[identity]}, which this command reads: "
                "name another file"
            )
        if written.setdefault(identity, option) != option:
            raise ValueError(f"{option} and {written[identity]} would both write {path}")


def _identity(path: Path | str) -> tuple[int, int] | None:
    """Return device and inode of a plain file, the same by whatever link; None for others."""
    try:
        state = os.stat(path)  # noqa: PTH116 - modules are many, and a Path takes longer than this
    except (OSError, ValueError):
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) else None


def module_files() -> list[str]:
    """Return the source files of all modules that are loaded, the script's own included."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [file for file in files if isinstance(file, str)]


def check_tables(folder: Path, kind: str, *, force: bool = False, always: bool = False) -> None:
    """Make a folder for tables, and refuse it where it holds other files of their names.

    Which tables will be empty, and so not written, is not known before the trials. With ``always``
    only the names of those that are always written are refused.
    """
    from optlab.report.output_file import check_output  # noqa: PLC0415 - as above
    from optlab.report.table_files import TABLES, table_files  # noqa: PLC0415 - as above

    files = table_files(folder, kind)
    check_folder(folder)
    for name in TABLES if always else files:
        check_output(files[name], kind, force=force)


def check_figure_folder(
    folder: Path,
    problems: Sequence[str],
    formats: Sequence[str] = ("png", "svg"),
    *,
    force: bool = False,
) -> None:
    """Make a folder for figures, and refuse it where it holds other files of their names."""
    from optlab.report.figures.file_names import check_figures  # noqa: PLC0415 - as above

    check_folder(folder)
    check_figures(folder, problems, formats, force=force)


def check_page(file: Path, *, force: bool = False) -> None:
    """Refuse a file that cannot be written, or that is no page of optlab's."""
    from optlab.report.output_file import check_output  # noqa: PLC0415 - as above

    if not file.exists() or file.is_file():  # not a device or a pipe
        check_folder(file.parent)
    check_output(file, "page", force=force)


def check_folder(folder: Path) -> None:
    """Make a folder and write a temporary file into it, so that errors come before the trials."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} is no folder that can be written to: {error}") from None
