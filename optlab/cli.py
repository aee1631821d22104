"""The ``optlab`` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, NoReturn

from cyclopts import App

from optlab import __version__
from optlab.options import RunOptions
from optlab.usage import bad_input, call

app = App(
    name="optlab",
    version=__version__,
    help="Compare optimizers on problems whose right answer is known.",
)


@app.command
def run(script: Path, /, *, options: RunOptions | None = None) -> int:
    """Run the experiment of a script: its variable `experiment`.

    Parameters
    ----------
    script
        A Python file that holds `experiment = optlab.Experiment(...)`.
    """
    from optlab.script import load_experiment

    with bad_input():
        experiment = load_experiment(script)
    return experiment.execute(options)


@app.command
def compare(
    data: str,
    /,
    *,
    target: str | None = None,
    optimizers: str = "manual-sgd,torch-sgd,lstsq,sklearn",
    learning_rate: float | None = None,
    standardize: bool = True,
    options: RunOptions | None = None,
) -> int:
    """Compare optimizers on fitting one column of a table by all others.

    Parameters
    ----------
    data
        A CSV or Parquet file, or the name of a dataset (see `optlab list datasets`).
    target
        The column to fit; a dataset has its own.
    optimizers
        Names, with commas between (see `optlab list optimizers`).
    learning_rate
        For every optimizer that has one.
    standardize
        Bring each feature to mean 0 and standard deviation 1 first, as descent needs it.
    """
    from optlab import LinearRegression, datasets
    from optlab.experiment import Experiment
    from optlab.optimizers import registry

    with bad_input():
        if target is not None:
            dataset = datasets.read_table(data, target=target)
        elif data in datasets.names() or not Path(data).suffix:
            dataset = datasets.load(data)
        else:
            raise ValueError(f"--target is missing: which column of {data} is to be fitted?")
        if standardize:
            dataset = dataset.standardized()
        chosen = {}
        for name in dict.fromkeys(part.strip() for part in optimizers.split(",")):
            cls = registry.get(name)
            takes_rate = learning_rate is not None and "learning_rate" in cls.__dataclass_fields__
            chosen[name] = cls(learning_rate=learning_rate) if takes_rate else cls()
        experiment = Experiment(
            name=f"compare {dataset.name}",
            problems=LinearRegression.from_dataset(dataset),
            optimizers=list(chosen.values()),
        )
    return experiment.execute(options)


@app.command(name="list")
def list_(what: Literal["optimizers", "datasets", "devices"], /) -> int:
    """List what there is: optimizers, datasets or devices.

    Parameters
    ----------
    what
        Which of them.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "what it is", header_style="bold", box=None)
    if what == "optimizers":
        from optlab.optimizers import registry

        for name, cls in registry.classes():
            table.add_row(name, _first_line(cls))
    elif what == "datasets":
        from optlab import datasets

        for name in datasets.names():
            table.add_row(name, repr(datasets.load(name)))
    else:
        from optlab.lab import available_devices

        for name, description in available_devices().items():
            table.add_row(name, description)
    Console(soft_wrap=True).print(table)
    return 0


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


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    sys.exit(call(app))
