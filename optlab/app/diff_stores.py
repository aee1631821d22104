"""Compare two results files: print the differences, write them, and return the exit status."""

from __future__ import annotations

import filecmp
import sys
from collections.abc import Collection
from functools import partial
from pathlib import Path

from optlab.analysis.run_differences import METRICS, REGRESSIONS
from optlab.app.exit_status import UnavailableError, bad_input
from optlab.app.outputs import Writer, check_folder, check_inputs, write_all
from optlab.report.console import RaisingConsole
from optlab.report.output_file import check_output
from optlab.report.run_diff.diff_terminal import print_diff
from optlab.results import Results
from optlab.run_diff import RunDiff


def diff_stores(
    old: Path,
    new: Path,
    *,
    fail_on: str,
    metric: str | None,
    stop_at: float | None,
    tolerance: float | None,
    markdown: Path | None,
    junit: Path | None,
    force: bool,
) -> int:
    """Return 1 where a setting is what ``fail_on`` names, else 0.

    Raises
    ------
    UsageError
        For files that cannot be compared, and options that cannot be.
    UnavailableError
        Where an output could not be written; the differences are printed all the same.
    """
    with bad_input():
        failing = _choices("--fail-on", fail_on, REGRESSIONS)
        metrics = None if metric is None else _choices("--metric", metric, METRICS)
        outputs = {"--markdown": markdown, "--junit": junit}
        named = [(option, path) for option, path in outputs.items() if path is not None]
        check_inputs(named, [old, new])
        for option, path in named:
            if not path.exists() or path.is_file():
                check_folder(path.parent)
            check_output(path, option.removeprefix("--"), force=force)
        results = Results.load(old), Results.load(new)
        if filecmp.cmp(old, new, shallow=False):
            raise ValueError(
                f"{old} and {new} are the same file, or copies: there are not two runs"
            )
        diff = results[0].diff(
            results[1],
            metrics=metrics,
            stop_at=stop_at,
            tolerance=tolerance,
            names=_names(old, new),
        )
    print_diff(RaisingConsole(highlight=False, soft_wrap=True), diff)
    sys.stdout.flush()
    if failed := write_all(_writers(diff, markdown, junit, failing, force=force)):
        raise UnavailableError("\n".join(failed))
    return int(len(diff.regressions(failing)) > 0)


def _writers(
    diff: RunDiff,
    markdown: Path | None,
    junit: Path | None,
    fail_on: Collection[str],
    *,
    force: bool,
) -> list[Writer]:
    writers: list[Writer] = []
    if markdown is not None:
        writers.append((markdown, partial(diff.to_markdown, markdown, force=force)))
    if junit is not None:
        writers.append((junit, partial(diff.to_junit, junit, fail_on=fail_on, force=force)))
    return writers


def _names(old: Path, new: Path) -> tuple[str, str]:
    """Return the files' names, or their paths where the names are the same."""
    return (old.name, new.name) if old.name != new.name else (str(old), str(new))


def _choices(option: str, text: str, allowed: Collection[str]) -> list[str]:
    """Return the names in a list with commas between, each of those allowed."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if wrong := [name for name in names if name not in allowed]:
        raise ValueError(
            f"{option} takes {', '.join(allowed)}, with commas between, not {wrong[0]!r}"
        )
    return names
