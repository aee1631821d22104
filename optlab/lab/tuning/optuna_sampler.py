"""Optuna's tree of Parzen estimators, which proposes one setting after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optlab.lab.tuning.samplers import SEED
from optlab.optimizers.ranges import Choice, Range


class TreeOfParzenEstimators:
    """Propose places in ranges by Optuna's TPE, from the scores of those before.

    Raises
    ------
    ValueError
        Where optuna is not installed.
    """

    def __init__(self, space: Mapping[str, Range]) -> None:
        try:
            import optuna  # noqa: PLC0415 - the extra optlab[tune]
        except ImportError:
            raise ValueError("sampler='tpe' needs optuna: pip install 'optlab[tune]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
        self._asked: Any = None

    def ask(self) -> dict[str, float]:
        """Return the next places to try."""
        self._asked = self._study.ask()
        places: dict[str, float] = {}
        for name, own in self._space.items():
            if isinstance(own, Choice):
                option = self._asked.suggest_categorical(name, list(range(len(own.options))))
                places[name] = (option + 0.5) / len(own.options)
            else:
                places[name] = self._asked.suggest_float(name, 0.0, 1.0)
        return places

    def tell(self, score: float) -> None:
        """Tell the score of the places asked for last; less is better."""
        self._study.tell(self._asked, score)
