"""The rule `stop_at`: whether a measure of an iterate has reached its limit."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class StopAt:
    """A limit of a named measure: an iterate has reached it when its measure is at most the limit.

    The limit is ``share`` times a scale, or ``value`` itself; with ``at_least`` the measure is one
    of which more is better, and reaches its limit from below. The trial stops by this rule, and the
    analysis finds the first recorded iterate at a target by the same one.

    Parameters
    ----------
    measure
        The column of the trace that is compared: ``loss``, ``suboptimality``, ``gradient_norm``,
        ``parameter_error``, ``batch_loss``, or a further measure of the problem.
    share
        A share of the scale, above 0 and below 1. The scale is where a fit that has learnt nothing
        stands; for ``"suboptimality"`` it is the column ``stop_scale`` of the table of trials (see
        `optlab.lab.trial.baseline.stop_scale`), for other measures the start's value.
    value
        The limit itself, finite, of a measure of which less is better: it is reached from above.
    at_least
        The limit of a measure of which more is better, such as an accuracy, finite. With ``value``
        in its place a trial would have converged before its first step, and is refused.

    Raises
    ------
    ValueError
        For a share outside of 0 to 1, a limit that is not finite, a share of ``batch_loss`` (which
        has no value at the start), or not exactly one of the three.

    See Also
    --------
    minimize, compare, Experiment : What stops.
    Results.time_to_target : The costs of another target.

    Examples
    --------
    >>> StopAt(share=1e-3).reached(0.5, scale=1000.0)
    True
    >>> StopAt("accuracy_error", value=0.1).reached(np.array([0.3, 0.1]))
    array([False,  True])
    >>> StopAt("accuracy", at_least=0.9).reached(0.95)
    True
    """

    measure: str = "suboptimality"
    share: float | None = None
    value: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.measure, str) or not self.measure:
            raise ValueError(f"measure must be the name of a measure, not {self.measure!r}")
        if sum(limit is not None for limit in (self.share, self.value, self.at_least)) != 1:
            raise ValueError("stop_at takes a share, a value or at_least, exactly one of the three")
        if self.share is not None:
            if not _is_number(self.share) or not 0 < self.share < 1:
                raise ValueError(
                    f"stop_at must be above 0 and below 1, a share of the suboptimality of a fit "
                    f"that has learnt nothing (such as 1e-6), not {self.share!r}"
                )
            if self.measure == "batch_loss":
                raise ValueError(
                    "stop_at cannot be a share of the start's batch_loss, which it does not have: "
                    "no batch comes before the start; give a value"
                )
            object.__setattr__(self, "share", float(self.share))
        for name in ("value", "at_least"):
            limit = getattr(self, name)
            if limit is not None:
                if not _is_number(limit) or not math.isfinite(limit):
                    raise ValueError(
                        f"the {name} of stop_at must be a finite number, not {limit!r}"
                    )
                object.__setattr__(self, name, float(limit))

    @classmethod
    def of(cls, stop_at: float | Mapping[str, Any] | StopAt) -> StopAt:
        """Return the rule of a plain number (a share of the suboptimality) or of `definition`."""
        if isinstance(stop_at, StopAt):
            return stop_at
        if isinstance(stop_at, Mapping):
            return cls(**stop_at)
        return cls(share=stop_at)

    @classmethod
    def stored(cls, stop_at: Any) -> StopAt | None:
        """Return the rule in a results file, or None where there is none that holds today.

        Older versions of optlab took shares of 1 and more.
        """
        try:
            return cls.of(stop_at) if stop_at else None
        except ValueError:
            return None

    def limit(self, scale: Any = math.nan) -> Any:
        """Return the limit: as given, or the share of the scale (NaN where that is no number)."""
        if self.share is not None:
            return self.share * scale
        return self.value if self.at_least is None else self.at_least

    def reached(self, values: Any, scale: Any = math.nan) -> Any:
        """Return whether values of the measure have reached the limit, elementwise.

        ``values`` and ``scale`` are floats, numpy arrays or pandas Series; a bool is returned for
        floats, else an array or a Series of bool. NaN reaches nothing, and nothing reaches a share
        of a scale that is NaN or infinite.
        """
        limit = self.limit(scale)
        within = values <= limit if self.at_least is None else values >= limit
        reached = within & np.isfinite(limit)
        return bool(reached) if np.ndim(reached) == 0 else reached

    def definition(self) -> float | dict[str, Any]:
        """Return the rule as JSON can hold it; a share of the suboptimality is a plain number."""
        if self.share is not None and self.measure == "suboptimality":
            return self.share
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        if self.share is None:
            sign = "<=" if self.at_least is None else ">="
            return f"{self.measure} {sign} {self.limit():g}"
        share = f"{self.share:g}"
        return (
            share if self.measure == "suboptimality" else f"{share} of the start's {self.measure}"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
