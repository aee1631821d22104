"""The ``optlab`` command."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from cyclopts import App, Parameter

from optlab import __version__
from optlab.app.compare_optimizers import (
    made_optimizers,
    named_optimizers,
    parsed_settings,
    usual_epochs,
)
from optlab.app.exit_status import UnavailableError, bad_input, call, loading
from optlab.app.options import (
    Axes,
    AxesOptions,
    ExecutionOptions,
    OutputOptions,
    Table,
    TableOptions,
)
from optlab.app.outputs import (
    Writer,
    check_inputs,
    check_page,
    write_all,
)
from optlab.app.problem_options import (
    ProblemOptions,
    ProblemSettings,
    problem_class,
    usual_optimizers,
)
from optlab.app.tune_option import tuned_optimizers

if TYPE_CHECKING:
    from optlab.datasets import Dataset
    from optlab.registry import Registry

app = App(
    name="optlab",
    version=__version__,
    help="Compare optimizers on problems whose right answer is known.",
)


@app.command
def run(
    script: Path,
    /,
    *,
    axes: AxesOptions | None = None,
    execution: ExecutionOptions | None = None,
    outputs: OutputOptions | None = None,
) -> int:
    """Run the experiment of a script: its variable `experiment`.

    Parameters
    ----------
    script
        A Python file that holds `experiment = optlab.Experiment(...)`.
    """
    with loading():
        from optlab.app.execute import execute
        from optlab.app.script import load_experiment

    return execute(load_experiment(script), axes, execution, outputs, inputs=[script])


@app.command
def profile(
    script: Path,
    /,
    *,
    axes: AxesOptions | None = None,
    threads: int | None = None,
    figures: Path | None = None,
    csv: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure where the time of a step goes, for each optimizer of a script's experiment.

    A step is split into order and gather, forward, backward, update and Python, and set beside the
    time that memory and arithmetic need on this machine. Some seconds an optimizer, on the CPU.

    Parameters
    ----------
    script
        A Python file that holds `experiment = optlab.Experiment(...)`.
    threads
        How many threads torch, BLAS and OpenMP may use; as many as torch does where left out.
    figures
        A folder for the figure of each problem, as PNG and SVG.
    csv
        A file for the table.
    force
        Overwrite files that optlab did not write.
    """
    with loading():
        from optlab.app import profile as command
        from optlab.app.script import load_experiment

    return command.profile(
        load_experiment(script), axes, threads=threads, figures=figures, csv=csv, force=force
    )


@app.command
def compare(
    data: str,
    /,
    *,
    target: str | None = None,
    problem: str = "linear",
    optimizers: str | None = None,
    learning_rate: Annotated[str | None, Parameter(name=["--learning-rate", "--lr"])] = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)] = (),
    tune: int | None = None,
    standardize: bool = True,
    settings: ProblemOptions | None = None,
    table: TableOptions | None = None,
    axes: AxesOptions | None = None,
    execution: ExecutionOptions | None = None,
    outputs: OutputOptions | None = None,
) -> int:
    """Compare optimizers on fitting one column of a table by all others.

    Where left out, the batch size is full, the device cpu, the seed 0, and a trial stops at 1e-6
    (see --stop-at) or after the epochs that some seconds allow, 100 to 10000. Short trials are run
    3 times (see --repeats). Learning rates of gradient descent, with or without momentum, are
    computed of the problem's curvature, as a part of each trial; other methods, such as adam and
    lion, run at their defaults.

    Parameters
    ----------
    data
        A file (CSV, Parquet, Feather or Excel, compressed or not), or the name of a dataset (see
        `optlab list datasets`).
    target
        The column to fit; a dataset has its own. Text is taken as class labels by problems of
        classification.
    problem
        The name of the model and its loss (see `optlab list problems`).
    optimizers
        Names, with commas between (see `optlab list optimizers`), and yours, as FILE.py:OBJECT or
        MODULE:OBJECT: a class, an optimizer, or a list or dict of these. Where left out,
        manual-sgd, torch-sgd, lstsq and sklearn; where one of these cannot solve the problem, the
        others, lbfgs, newton and fista, as far as they can.
    learning_rate
        For every optimizer that has one: a number, a formula of the curvature such as 1/L or
        2/(L+mu), or auto, which is the default of methods such as adam. Several, with commas
        between, make an optimizer each.
    set_
        A hyperparameter, such as momentum=0.9, for every optimizer that has it; several values,
        with commas between, make an optimizer each.
    tune
        Tune every optimizer that has a learning rate or momentum first, by so many settings each,
        on a seed that is not measured; the settings that were found best are measured.
    standardize
        Bring each feature to mean 0 and standard deviation 1 first, as descent needs it.
    """
    with loading():
        from optlab.app.execute import execute
        from optlab.experiment import Experiment
        from optlab.report.console import print_note

    with bad_input():
        if tune is not None and learning_rate is not None:
            raise ValueError("--tune searches the learning rate: leave --learning-rate out")
        options = settings or ProblemSettings()
        cls = problem_class(problem, options)
        dataset = _dataset(data, target, table, labels=getattr(cls, "takes_labels", False))
        for note in dataset.provenance:
            print_note(note)
        if standardize:
            dataset = dataset.standardized()
        made = cls.from_dataset(dataset, **options.given())
        names = usual_optimizers(made) if optimizers is None else optimizers.split(",")
        given = parsed_settings(learning_rate, set_)
        sizes = (axes or Axes()).changes().get("batch_sizes", ["full"])
        experiment = Experiment(
            name=f"compare {dataset.name}",
            problems=made,
            optimizers=tuned_optimizers(made_optimizers(named_optimizers(names), given), tune),
            repeats="auto",
            epochs=usual_epochs(made, sizes),
            stop_at=1e-6,
        )
    return execute(experiment, axes, execution, outputs, inputs=[Path(data)], coefficients=True)


def _dataset(
    data: str, target: str | None, table: Table | None, *, labels: bool = False
) -> Dataset:
    """Return the dataset of a file, or the built-in one of a name."""
    from optlab import datasets

    chosen = table or Table()
    if target is not None:
        return datasets.read_table(data, target=target, labels=labels, **chosen.keywords())
    if data in datasets.names() and chosen != Table():
        raise ValueError(f"options about a table go with a file, not with the dataset {data}")
    if Path(data).suffix or Path(data).exists() or chosen != Table():
        raise ValueError(f"--target is missing: which column of {data} is to be fitted?")
    try:
        return datasets.load(data)
    except ValueError as error:
        hint = f"`optlab list datasets` names those that come with optlab; {data} is no file either"
        raise ValueError(f"{error}; {hint}") from None


@app.command
def report(
    *files: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("report.html"),
    show: Annotated[bool, Parameter(name="--open", negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write one HTML page of results files: the findings, and how certain they are.

    Parameters
    ----------
    files
        Files that `--store` wrote.
    output
        The page's file.
    show
        Open the page in the browser.
    force
        Overwrite a file that is no page of optlab's; never one of the results files.
    """
    with loading():
        from optlab.results import Results

    with bad_input():
        check_inputs([("--output", output)], _named(files))
        check_page(output, force=force)
        results = Results.load(*files)
    _write([(output, lambda: results.report(output, force=force))])
    if show:
        webbrowser.open(output.resolve().as_uri())
    return 0


@app.command
def export(
    *files: Path,
    csv: Path | None = None,
    parquet: Path | None = None,
    latex: Path | None = None,
    figures: Path | None = None,
    style: str = "page",
    table: Path | None = None,
    caption: str | None = None,
    label: str | None = None,
    best: Annotated[bool, Parameter(negative="")] = False,
    methods: str | None = None,
    batch_sizes: str | None = None,
    raw_csv: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write the tables and figures of results files.

    Tables: trials, traces, the summary, the final parameters, and the references; and one to put
    into a paper.

    Parameters
    ----------
    files
        Files that `--store` wrote.
    csv
        A folder for the tables as CSV.
    parquet
        A folder for the tables as Parquet.
    latex
        A folder for the tables as LaTeX, with the columns that find room on paper.
    figures
        A folder for the figures, as PNG and SVG; for a journal's columns as PDF too.
    style
        The size of figures: page, one-column or two-column (of a journal).
    table
        A file for the table of a paper, as LaTeX: the settings ranked, with intervals.
    caption
        Of that table; what its numbers are comes after it.
    label
        Of that table.
    best
        Only the best setting of each method.
    methods
        Only these methods, with commas between.
    batch_sizes
        Only these batch sizes, with commas between, and direct methods.
    raw_csv
        Write texts into CSV as they are; else one that a spreadsheet would run as a formula gets an
        apostrophe.
    force
        Overwrite files that optlab did not write; never the results files.
    """
    with loading():
        from optlab.app.export import Chosen, writers_of
        from optlab.results import Results

    with bad_input():
        # Parquet first: where its package is missing, that is said before anything is written.
        folders = {"parquet": parquet, "csv": csv, "latex": latex, "figures": figures}
        asked = {kind: folder for kind, folder in folders.items() if folder is not None}
        if not asked and table is None:
            options = " or ".join(f"--{kind} DIR" for kind in folders)
            raise ValueError(f"name at least one output: {options} or --table FILE")
        chosen = Chosen(best=best, methods=methods, batch_sizes=batch_sizes)
        results = chosen.of(Results.load(*_named(files)))
        writers = writers_of(
            results, asked, table, files,
            style=style, caption=caption, label=label, raw=raw_csv, force=force,
        )  # fmt: skip
    _write(writers)
    return 0


@app.command
def diff(
    old: Path,
    new: Path,
    /,
    *,
    fail_on: str = "slower,worse",
    metric: str | None = None,
    stop_at: float | None = None,
    tolerance: float | None = None,
    markdown: Path | None = None,
    junit: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compare two runs of one experiment: what became slower or worse, and what changed besides.

    Settings are matched by problem, optimizer with its hyperparameters, batch size, device and
    dtype, whatever the code was. Epochs to the target are the same on every machine; seconds are
    compared with those of the median setting, and judged where both runs are of one machine.

    The exit status is 0 where nothing became what --fail-on names, 1 where something did, 2 where
    the files cannot be compared, 3 where an output could not be written.

    Parameters
    ----------
    old
        The file that --store wrote before.
    new
        The file that --store wrote now.
    fail_on
        What makes the exit status 1: slower (more epochs or seconds), worse (a larger suboptimality
        at the end, or a worse status), or both, with a comma between.
    metric
        What is compared, of epochs, seconds and suboptimality, with commas between; all where left
        out. Seconds that are named are judged also where the machines differ.
    stop_at
        The share of the suboptimality, such as 1e-3, that epochs are counted to; the experiments'
        own --stop-at where left out.
    tolerance
        The share by which a number may change; where left out 0.05 of epochs and suboptimality, and
        0.1 of seconds.
    markdown
        A file for the differences as Markdown.
    junit
        A file for a test of each setting and metric as JUnit XML.
    force
        Overwrite files that optlab did not write; never the results files.
    """
    with loading():
        from optlab.app.diff_stores import diff_stores

    return diff_stores(
        old,
        new,
        fail_on=fail_on,
        metric=metric,
        stop_at=stop_at,
        tolerance=tolerance,
        markdown=markdown,
        junit=junit,
        force=force,
    )


def _write(writers: list[Writer]) -> None:
    if failed := write_all(writers):
        raise UnavailableError("\n".join(failed))


def _named(files: tuple[Path, ...]) -> tuple[Path, ...]:
    if not files:
        raise ValueError("name at least one results file, as --store wrote it")
    return files


@app.command(name="list")
def list_(what: Literal["optimizers", "problems", "datasets", "devices"] | None = None, /) -> int:
    """List the optimizers, problems, datasets and devices, or one kind of them.

    Parameters
    ----------
    what
        The kind to list.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    kinds = {
        "optimizers": _optimizers,
        "problems": _problems,
        "datasets": _datasets,
        "devices": _devices,
    }
    console = Console(soft_wrap=True)
    for kind in kinds if what is None else [what]:
        table = Table(kind, "description", header_style="bold", box=None)
        for name, description in kinds[kind]().items():
            table.add_row(Text(name), Text(description))
        console.print(table)
    return 0


@app.command
def check(
    *targets: str,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    level: Literal["quick", "full", "statistical"] = "quick",
    reference: str | None = None,
    expect_failure: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    seed: int = 0,
    markdown: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Check that optimizers are right: a table of the checks, and the messages of those that fail.

    Parameters
    ----------
    targets
        MODULE:OBJECT, FILE.py:OBJECT, or the name of a registered optimizer. The object is an
        optimizer, a class of torch.optim, a function of parameters that makes one, an estimator of
        scikit-learn, or a list or dict of these.
    all_
        Every registered optimizer and adapter, at several settings.
    level
        quick, full (convergence, invariances, every kind of problem), or statistical.
    reference
        An optimizer that each must follow to rounding, named like a target.
    expect_failure
        A check that is known to fail, and why: CHECK=REASON, such as "refuses bad
        hyperparameters=any rate is allowed", or OBJECT:CHECK=REASON for one of several; again for
        each check. One that passes fails.
    seed
        The seed of the data.
    markdown
        A file for the table, as Markdown.
    force
        Overwrite a file that optlab did not write.
    """
    with loading():
        from optlab.app.check_optimizers import check_optimizers

    return check_optimizers(
        targets,
        all_=all_,
        level=level,
        reference=reference,
        expect_failure=expect_failure,
        seed=seed,
        markdown=markdown,
        force=force,
    )


@app.command
def info() -> int:
    """Show this machine and the versions that decide speed and last digits."""
    from rich.console import Console
    from rich.table import Table

    from optlab.lab import machine

    table = Table(show_header=False, box=None)
    for key, value in machine().items():
        table.add_row(key, value)
    Console(soft_wrap=True).print(table)
    return 0


def _optimizers() -> dict[str, str]:
    from optlab.optimizers import registry

    return _described(registry)


def _problems() -> dict[str, str]:
    from optlab.problems import registry

    return _described(registry)


def _described(registry: Registry[type[Any]]) -> dict[str, str]:
    """Return the first sentence on each class of a registry."""
    found = {}
    for name in registry.names():
        try:
            found[name] = (registry.get(name).__doc__ or "").strip().partition("\n")[0]
        except ValueError as error:  # another package's, which cannot be loaded
            found[name] = str(error)
    return found


def _datasets() -> dict[str, str]:
    from optlab import datasets

    return {name: repr(datasets.load(name)) for name in datasets.names()}


def _devices() -> dict[str, str]:
    from optlab.lab import available_devices

    return available_devices()


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    sys.exit(call(app))
