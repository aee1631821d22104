"""Check optimizers: print the outcomes, write them, and return the exit status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from optlab.app.conformance_table import markdown as as_markdown
from optlab.app.conformance_table import print_counts, print_report
from optlab.app.exit_status import UnavailableError, as_typed, bad_input
from optlab.app.outputs import check_folder, check_inputs, module_files, write_all
from optlab.optimizers import Optimizer
from optlab.optimizers.examples import examples
from optlab.report.output_file import check_output, output_file
from optlab.testing import Report, check_optimizer
from optlab.testing.check_optimizer import subject_of
from optlab.testing.conformance.check import Level
from optlab.testing.expected_failures import parsed_failures, reasons_of
from optlab.testing.load_target import load_target


def check_optimizers(
    targets: Sequence[str],
    *,
    all_: bool,
    level: Level,
    reference: str | None,
    expect_failure: Sequence[str],
    seed: int,
    markdown: Path | None,
    force: bool,
) -> int:
    """Return 0 where all checks of all optimizers are passed or fail as expected, else 1.

    Raises
    ------
    UsageError
        For a name that is no optimizer or no check, and a file that must not be overwritten.
    UnavailableError
        Where the file could not be written; the outcomes are printed all the same.
    """
    with bad_input():
        expected = parsed_failures("--expect-failure", expect_failure)
        named = _named(targets, all_=all_)
        for one in expected:
            if not any(map(one.is_of, named)):
                raise ValueError(
                    f"--expect-failure names {one.of!r}, which is none of {', '.join(named)}"
                )
        against = None if reference is None else next(iter(load_target(reference).values()))
        for optimizer in named.values():
            subject_of(optimizer, reference=against, seed=seed)
        if markdown is not None:
            _check_markdown(markdown, force=force)
    reports = {
        label: check_optimizer(
            optimizer,
            level=level,
            reference=against,
            expected_failures=reasons_of(label, expected),
            seed=seed,
        )
        for label, optimizer in named.items()
    }
    if len(reports) == 1:
        print_report(*next(iter(reports.items())))
    else:
        print_counts(reports)
    if markdown is not None:
        _write_markdown(markdown, reports, level, force=force)
    return int(not all(one.ok for one in reports.values()))


def _named(targets: Sequence[str], *, all_: bool) -> dict[str, Optimizer]:
    if not targets and not all_:
        raise ValueError("name an optimizer, MODULE:OBJECT or FILE.py:OBJECT, or take --all")
    named = examples() if all_ else {}
    for target in targets:
        named |= load_target(target)
    return named


def _check_markdown(path: Path, *, force: bool) -> None:
    """Refuse a file that is no table of optlab's, or that an optimizer was loaded from."""
    if path.suffix != ".md":
        raise ValueError(f"--markdown must name a file that ends in .md, not {path}")
    check_inputs([("--markdown", path)], module_files())
    check_folder(path.parent)
    check_output(path, "markdown", force=force)


def _write_markdown(path: Path, reports: Mapping[str, Report], level: str, *, force: bool) -> None:
    def write() -> None:
        with output_file(path, "markdown", force=force) as file:
            file.write(as_markdown(reports, level, as_typed()).encode())

    if failed := write_all([(path, write)]):
        raise UnavailableError("\n".join(failed))
