"""Ranges of hyperparameters for tuning, each a map of [0, 1] onto values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from optlab.checks import check_positive

DIGITS = 4
"""Significant digits of sampled numbers, so that what is written is exactly what was used."""


@runtime_checkable
class Range(Protocol):
    """A range of a hyperparameter: ``value`` maps a place in [0, 1] to a value.

    Places outside of [0, 1] are those of the range when it is widened.
    """

    def value(self, place: float) -> Any:
        """Return the value at a place."""

    def place(self, value: Any) -> float:
        """Return the place of a value."""


@dataclass(frozen=True)
class LogUniform:
    """A range of positive numbers whose logarithms are uniform, such as learning rates.

    The value at place u is ``low (high / low)^u``, to four significant digits.

    Raises
    ------
    ValueError
        Where ``low`` and ``high`` are not positive and finite, or not in this order.

    See Also
    --------
    Tuned : Searches ranges.
    Uniform, Integers, OneMinus, Choice : Other ranges.

    Examples
    --------
    >>> rates = LogUniform(1e-4, 1)
    >>> rates.value(0), rates.value(0.5), rates.value(1)
    (0.0001, 0.01, 1.0)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        check_positive("low", self.low)
        check_positive("high", self.high)
        _check_order(self.low, self.high)

    def value(self, place: float) -> float:
        """Return the value at a place."""
        exponent = (1 - place) * math.log(self.low) + place * math.log(self.high)
        return _rounded(math.exp(min(max(exponent, -700.0), 700.0)))

    def place(self, value: float) -> float:
        """Return the place of a value."""
        return math.log(value / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True)
class Uniform:
    """A range of numbers, uniform from ``low`` to ``high``, to four digits of its width.

    Raises
    ------
    ValueError
        Where ``low`` and ``high`` are not finite, or not in this order.

    See Also
    --------
    Tuned : Searches ranges.
    LogUniform, Integers, OneMinus, Choice : Other ranges.

    Examples
    --------
    >>> Uniform(0, 0.9).value(0.5)
    0.45
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_finite(self.low, self.high)
        _check_order(self.low, self.high)

    def value(self, place: float) -> float:
        """Return the value at a place."""
        digits = DIGITS - math.floor(math.log10(self.high - self.low))
        return round(self.low + place * (self.high - self.low), digits)

    def place(self, value: float) -> float:
        """Return the place of a value."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Integers:
    """A range of whole numbers from ``low`` to ``high``, both included; ``log``: log-uniform.

    Raises
    ------
    ValueError
        Where they are no whole numbers, not in this order, or below 1 with ``log``.

    See Also
    --------
    Tuned : Searches ranges.
    LogUniform, Uniform, OneMinus, Choice : Other ranges.

    Examples
    --------
    >>> [Integers(1, 64, log=True).value(place) for place in (0, 0.5, 1)]
    [1, 8, 64]
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{name} must be a whole number, not {value!r}")
        _check_order(self.low, self.high)
        if self.log and self.low < 1:
            raise ValueError(f"low must be at least 1 on a logarithmic scale, not {self.low}")

    def value(self, place: float) -> int:
        """Return the value at a place."""
        if self.log:
            return round(float(self.low * (self.high / self.low) ** place))
        return round(self.low + place * (self.high - self.low))

    def place(self, value: int) -> float:
        """Return the place of a value."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class OneMinus:
    """A range of 1 - x, x in another range: momenta near 1 differ by their distance from it.

    See Also
    --------
    Tuned : Searches ranges.
    LogUniform, Uniform, Integers, Choice : Other ranges.

    Examples
    --------
    >>> momenta = OneMinus(LogUniform(0.01, 1))
    >>> momenta.value(0), momenta.value(0.5), momenta.value(1)
    (0.99, 0.9, 0.0)
    """

    range: LogUniform | Uniform

    def value(self, place: float) -> float:
        """Return the value at a place."""
        return round(1 - self.range.value(place), 12)

    def place(self, value: float) -> float:
        """Return the place of a value."""
        return self.range.place(1 - value)


@dataclass(frozen=True, init=False)
class Choice:
    """One of some values, which have no order.

    Raises
    ------
    ValueError
        For fewer than two values, or a value given twice.

    See Also
    --------
    Tuned : Searches ranges.
    LogUniform, Uniform, Integers, OneMinus : Other ranges.

    Examples
    --------
    >>> Choice(True, False).value(0.7)
    False
    """

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        if len(options) < 2:
            raise ValueError(f"Choice takes two values or more, not {options!r}")
        if any(one in options[:k] for k, one in enumerate(options)):
            raise ValueError(f"Choice holds a value twice: {options!r}")
        object.__setattr__(self, "options", options)

    def value(self, place: float) -> Any:
        """Return the value at a place."""
        return self.options[min(int(place * len(self.options)), len(self.options) - 1)]

    def place(self, value: Any) -> float:
        """Return the place of a value: the middle of its share of [0, 1]."""
        return (self.options.index(value) + 0.5) / len(self.options)


def range_of(definition: Mapping[str, Any]) -> Range:
    """Return the range that a results file describes.

    Examples
    --------
    >>> range_of({"class": "LogUniform", "low": 0.1, "high": 1.0})
    LogUniform(low=0.1, high=1.0)
    """
    values = {name: value for name, value in definition.items() if name != "class"}
    kind = definition.get("class")
    if kind == "OneMinus":
        return OneMinus(range_of(values["range"]))  # type: ignore[arg-type]  # written by one
    if kind == "Choice":
        return Choice(*values["options"])
    kinds = {"LogUniform": LogUniform, "Uniform": Uniform, "Integers": Integers}
    if kind not in kinds:
        raise ValueError(f"no range of hyperparameters is called {kind!r}")
    return kinds[kind](**values)  # type: ignore[no-any-return]  # one of three


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _check_finite(*values: float) -> None:
    for value in values:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise ValueError(f"the ends of a range must be finite numbers, not {value!r}")


def _check_order(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"low must be less than high, not {low!r} and {high!r}")
