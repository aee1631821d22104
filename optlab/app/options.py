"""The options that every way of running an experiment shares; nothing heavy is imported here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """What of an experiment is changed for this run, and what is written.

    Parameters
    ----------
    devices
        Devices, such as cpu,cuda.
    batch_sizes
        Batch sizes, such as 1,5,full.
    dtypes
        float32, float64 or both; the data's own where left out.
    seeds
        Seeds, such as 1,2,3.
    epochs
        The most passes over the data.
    repeats
        How often each trial is repeated.
    stop_at
        Stop a trial where its suboptimality is this share of the start's, such as 1e-6.
    store
        A file that each trial is written to when it ends; trials that it holds are not run again.
    fresh
        Start over: what the store holds is set aside in a file beside it.
    redo
        Of the trials in the store, run these again, with commas between: failed (failed, crashed or
        timed out), contended, unmeasured (no peak memory).
    isolate
        Run the trials in a worker process that is replaced when it dies.
    jobs
        Worker processes at once; more than one marks all seconds as contended.
    dask
        The address of a Dask scheduler, whose workers run the trials.
    time_limit
        Seconds that a trial may take; hard with --isolate or --jobs, else looked at between
        iterates.
    threads
        Threads of torch, BLAS and OpenMP in a trial.
    memory_limit
        What a trial may hold beyond the worker process itself, such as 500M or 2G (Linux only, with
        --isolate or --jobs).
    memory
        Run each trial once more, untimed, to measure its peak memory.
    report
        A file for the results' HTML page.
    csv
        A folder for the tables: trials, traces, summary, parameters, optima.
    figures
        A folder for the figures, as PNG and SVG.
    """

    devices: str | None = None
    batch_sizes: str | None = None
    dtypes: str | None = None
    seeds: str | None = None
    epochs: int | None = None
    repeats: int | None = None
    stop_at: Annotated[float | None, Parameter(name="--stop-at")] = None
    store: Path | None = None
    fresh: Annotated[bool, Parameter(negative="")] = False
    redo: str | None = None
    isolate: Annotated[bool, Parameter(negative="")] = False
    jobs: int = 1
    dask: str | None = None
    time_limit: float | None = None
    threads: int | None = None
    memory_limit: str | None = None
    memory: Annotated[bool, Parameter(negative="")] = False
    report: Path | None = None
    csv: Annotated[Path | None, Parameter(name="--csv")] = None
    figures: Path | None = None

    def axes(self) -> dict[str, Any]:
        """Return the experiment's keywords that these options set.

        Raises
        ------
        ValueError
            For a batch size or seed that is no number.

        Examples
        --------
        >>> RunOptions(batch_sizes="1,full", epochs=5).axes()
        {'batch_sizes': [1, 'full'], 'epochs': 5}
        """
        parsed = {
            "devices": _listed(self.devices),
            "batch_sizes": _numbers("--batch-sizes", self.batch_sizes, word="full"),
            "dtypes": _listed(self.dtypes),
            "seeds": _numbers("--seeds", self.seeds),
            "epochs": self.epochs,
            "repeats": self.repeats,
            "stop_at": self.stop_at,
        }
        return {name: value for name, value in parsed.items() if value is not None}

    def execution(self) -> dict[str, Any]:
        """Return the keywords of `Experiment.run` that these options set.

        Raises
        ------
        ValueError
            For a memory limit that is no size.
        """
        names = ("store", "fresh", "isolate", "jobs", "dask", "time_limit", "threads")
        redo = _listed(self.redo) or ()
        chosen = {name: getattr(self, name) for name in names}
        limit = _bytes("--memory-limit", self.memory_limit)
        return chosen | {"redo": redo, "measure_memory": self.memory, "memory_limit": limit}

    @property
    def runs_beside(self) -> bool:
        """Whether trials run beside others, so that their seconds rank nowhere."""
        return self.jobs > 1 or self.dask is not None


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _numbers(option: str, text: str | None, word: str | None = None) -> list[int | str] | None:
    parts = _listed(text)
    if parts is None:
        return None
    allowed = "whole numbers" + (f" or {word!r}" if word else "")
    try:
        return [part if part == word else int(part) for part in parts]
    except ValueError:
        raise ValueError(f"{option} takes {allowed}, with commas between, not {text!r}") from None


def _bytes(option: str, text: str | None) -> int | None:
    """Return a size such as 500M in bytes.

    Examples
    --------
    >>> _bytes("--memory-limit", "1.5K")
    1536
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG])(?:i?B)?", text.strip(), flags=re.IGNORECASE)
    if not found or not float(found[1]):
        raise ValueError(f"{option} takes a size such as 500M or 2G, not {text!r}")
    return int(float(found[1]) * 2 ** {"k": 10, "m": 20, "g": 30}[found[2].lower()])
