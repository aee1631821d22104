"""A search: the settings of one tuned optimizer on one problem at one batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optlab.lab.tuning.optuna_sampler import TreeOfParzenEstimators
from optlab.lab.tuning.range_edge import UNSURE, edge_of
from optlab.lab.tuning.samplers import design
from optlab.lab.tuning.scores import Outcome, Score, best, score
from optlab.lab.tuning.tuned import Tuned
from optlab.optimizers import Optimizer
from optlab.optimizers.ranges import Choice
from optlab.optimizers.rate_text import is_rate_name

WIDENED_BY = 0.25
"""The share of the range's width by which it is extended at a time."""

MOST_EXTENSIONS = 24


@dataclass(frozen=True, eq=False)
class Setting:
    """A setting of hyperparameters: its number from 1, its values and the optimizer of these."""

    number: int
    places: Mapping[str, float]
    values: Mapping[str, Any]
    optimizer: Optimizer


class Search:
    """Ask for settings, tell how they ended, until the budget is spent and ranges are wide enough.

    Parameters
    ----------
    tuned
        The optimizer, its ranges and how to search them.
    stop_measure
        The measure of the experiment's ``stop_at``, None where there is none.
    """

    def __init__(self, tuned: Tuned, stop_measure: str | None) -> None:
        self.tuned = tuned
        self.settings: list[Setting] = []
        self.scores: list[Score] = []
        self._stop_measure = stop_measure
        self._extensions = 0
        self._left = tuned.trials
        self._told = 0
        self._estimators = TreeOfParzenEstimators(tuned.ranges) if tuned.sampler == "tpe" else None

    def ask(self) -> list[Setting]:
        """Return the settings to run next; none when the search is over."""
        if self._left:
            new = self._sequential() if self._estimators else self._designed()
        else:
            new = self._extension() if self.tuned.extend else []
        self.settings += new
        return new

    def tell(self, outcomes: Sequence[Sequence[Outcome]]) -> None:
        """Tell the outcomes, at all seeds, of each of the settings asked for last."""
        self.scores += [score(own, self.tuned.by, self._stop_measure) for own in outcomes]
        if self._estimators and self._told < self.tuned.trials:
            self._estimators.tell(self.scores[-1].scalar)
            self._told += 1

    def best(self) -> Setting | None:
        """Return the best setting, or None where none was tried."""
        return self.settings[best(self.scores)] if self.scores else None

    def _designed(self) -> list[Setting]:
        places = design(self.tuned.sampler, self.tuned.ranges, self._left)
        self._left = 0
        return self._settings(places)

    def _sequential(self) -> list[Setting]:
        """Return the next setting that is no repetition; of a repetition the score is known."""
        estimators = self._estimators
        while self._left and estimators is not None:
            self._left -= 1
            places = estimators.ask()
            if new := self._settings([places]):
                return new
            values, _ = self.tuned.at(places)
            same = next(k for k, one in enumerate(self.settings) if one.values == values)
            estimators.tell(self.scores[same].scalar)
            self._told += 1
        return self._extension() if self.tuned.extend else []

    def _settings(self, places: Sequence[Mapping[str, float]]) -> list[Setting]:
        """Return the settings at some places, those of the same values once."""
        found: list[Setting] = []
        for own in places:
            values, optimizer = self.tuned.at(own)
            if all(values != one.values for one in [*self.settings, *found]):
                number = len(self.settings) + len(found) + 1
                found.append(Setting(number, own, values, optimizer))
        return found

    def _extension(self) -> list[Setting]:
        """Return settings beyond an edge at which the best lies, or none."""
        for name, own in self.tuned.ranges.items():
            if isinstance(own, Choice) or self._extensions >= MOST_EXTENSIONS:
                continue
            if (edge := self._edge(name)) and (new := self._beyond(name, edge)):
                self._extensions += 1
                return new
        return []

    def _edge(self, name: str) -> str:
        if not self.scores:
            return ""
        if min(self.scores).failures:  # every setting failed; too large rates make that
            return "low" if is_rate_name(name) else ""
        names = list(self.tuned.ranges)
        places = np.array([[one.places[key] for key in names] for one in self.settings])
        column = names.index(name)
        edge = edge_of(places, self.scores, column)
        if edge == UNSURE:  # settings beyond an outermost best one find out
            own, chosen = places[:, column], places[best(self.scores), column]
            return "low" if chosen == own.min() else "high" if chosen == own.max() else ""
        return edge

    def _beyond(self, name: str, edge: str) -> list[Setting]:
        own = [one.places[name] for one in self.settings]
        end = max(1.0, *own) if edge == "high" else min(0.0, *own)
        count = max(3, round(WIDENED_BY * self.tuned.trials))
        sign = 1 if edge == "high" else -1
        middle = self.settings[best(self.scores)]
        found: list[Mapping[str, float]] = []
        for step in range(1, count + 1):
            places = {**middle.places, name: end + sign * WIDENED_BY * step / count}
            try:
                self.tuned.at(places)
            except (ValueError, OverflowError):  # the optimizer has no such values
                break
            found.append(places)
        return self._settings(found)
