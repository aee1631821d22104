"""Keep what a benchmark measured: rounds of seconds as JSON, and a dated table as Markdown.

One format for all benchmarks. A `Case` is one question's row of contenders, which took turns in one
run; its seconds are kept round by round, so that ratios and their intervals can be computed again,
and compared with those of another run (`python -m benchmarks compare OLD NEW`).
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from optlab.analysis.intervals import trimmed_mean_interval
from optlab.lab import machine
from optlab.text import format_seconds

RESULTS = Path(__file__).parent / "results"
FORMAT = 1


@dataclass(frozen=True)
class Case:
    """Contenders that did the same work in turns.

    Parameters
    ----------
    name
        What was done, such as ``"n = 10 000, d = 20, batch size 32"``.
    baseline
        The contender that ratios are to.
    seconds
        Of each contender, a value a round; as many for all.
    work
        Of each contender, the units that one value is for (steps, say): tables show seconds a unit.
        1 where left out.
    unit
        The unit's name.
    bounds
        Seconds a unit that memory or arithmetic alone take, by name.
    goals
        Of some contenders, how many times as fast as the baseline they shall be.
    notes
        Sentences that stand below the table: what compiling took, what was skipped and why.
    """

    name: str
    baseline: str
    seconds: Mapping[str, Sequence[float]]
    work: Mapping[str, float] = field(default_factory=dict)
    unit: str = "run"
    bounds: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        rounds = {len(values) for values in self.seconds.values()}
        if self.baseline not in self.seconds or len(rounds) != 1 or not rounds.pop():
            raise ValueError(
                f"{self.name}: the baseline must be a contender, and each have as many rounds"
            )

    def per_unit(self, contender: str) -> float:
        """Return the median seconds of a unit of work."""
        return median(self.seconds[contender]) / self.work.get(contender, 1)

    def logs(self, contender: str) -> np.ndarray[Any, Any]:
        """Return, round by round, log(baseline / contender): above 0 it is faster."""
        ours, theirs = (
            np.array(self.seconds[name]) / self.work.get(name, 1)
            for name in (contender, self.baseline)
        )
        found: np.ndarray[Any, Any] = np.log(theirs / ours)
        return found

    def ratio(self, contender: str) -> tuple[float, float, float]:
        """Return how many times as fast as the baseline it is, with a 95 % interval.

        The trimmed mean of the rounds' logarithms: `optlab.analysis.intervals`.
        """
        ends = trimmed_mean_interval(self.logs(contender)[None])
        middle, low, high = (float(np.exp(end[0])) for end in ends)
        return middle, low, high

    def table(self) -> str:
        """Return the table in Markdown: a row each contender, the fastest last, then the bounds."""
        lines = [f"### {self.name}", ""]
        one = f"{'an' if self.unit[0] in 'aeiou' else 'a'} {self.unit}"
        lines += [f"| | {one} | times as fast as {self.baseline} | interval | goal |"]
        lines += ["|---|---|---|---|---|"]
        for name in sorted(self.seconds, key=self.per_unit, reverse=True):
            middle, low, high = self.ratio(name)
            goal = self.goals.get(name)
            cells = [name, format_seconds(self.per_unit(name))]
            cells += ["1", ""] if name == self.baseline else [_times(middle), _ends(low, high)]
            cells.append("" if goal is None else f"{goal:g}: {_verdict(goal, low, high)}")
            lines.append("| " + " | ".join(cells) + " |")
        own = self.per_unit(self.baseline)
        for name, seconds in self.bounds.items():
            lines.append(f"| bound: {name} | {format_seconds(seconds)} | {own / seconds:.3g} | | |")
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])


def _times(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _ends(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{_times(low)} to {_times(high)}"


def _verdict(goal: float, low: float, high: float) -> str:
    """Say whether a goal is reached, of the interval as a whole."""
    if low >= goal:
        return "reached"
    return "not reached" if high < goal else "not certain"


@dataclass
class Record:
    """The cases of one benchmark's run."""

    benchmark: str
    question: str
    cases: list[Case] = field(default_factory=list)
    date: str = field(default_factory=lambda: dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"))
    machine: dict[str, str] = field(default_factory=machine)
    load: list[float] = field(default_factory=lambda: [os.getloadavg()[0]])

    def add(self, case: Case) -> None:
        """Keep a case, and print its table."""
        self.cases.append(case)
        print(f"\n{case.table()}", flush=True)

    def save(self, folder: Path = RESULTS) -> Path | None:
        """Write ``DATE-BENCHMARK.json`` and ``.md`` into a folder; return the JSON file.

        Of a single round, as of a trial run, nothing is written: no ratio has an interval.
        """
        if max(len(case.seconds[case.baseline]) for case in self.cases) < 2:
            print("\nnothing written: a round is no measurement")
            return None
        self.load.append(os.getloadavg()[0])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.date}-{self.benchmark.replace('_', '-')}.json"
        path.write_text(json.dumps({"format": FORMAT} | asdict(self), indent=1), encoding="utf-8")
        path.with_suffix(".md").write_text(self.page(), encoding="utf-8")
        print(f"\nwrote {path.name} and {path.with_suffix('.md').name}")
        return path

    def page(self) -> str:
        """Return the page in Markdown: the question, the machine, a table a case."""
        facts = self.machine
        about = (
            f"{facts['processor']}, {facts['cores']} cores; Python {facts['python']}, torch "
            f"{facts['torch']} (threads: {facts['torch threads']}), numpy {facts['numpy']}, "
            f"scikit-learn {facts['scikit-learn']}. Load {self.load[0]:.1f} before and "
            f"{self.load[-1]:.1f} after: seconds are this machine's at this load, the ratios of "
            "what took turns are what counts."
        )
        tables = "\n\n".join(case.table() for case in self.cases)
        head = f"# {self.question} ({self.date})\n\n`python -m benchmarks.{self.benchmark}`"
        return f"{head}\n\n{about}\n\n{tables}\n"

    @classmethod
    def load_file(cls, path: Path) -> Record:
        """Read a JSON file that `save` wrote."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.pop("format") != FORMAT:
                raise ValueError("another format")
            cases = [Case(**case) for case in found.pop("cases")]
            return cls(**found, cases=cases)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no record of a benchmark: {error}") from error
