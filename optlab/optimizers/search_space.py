"""Default search spaces of optimizers, and optimizers with other hyperparameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from optlab.checks import did_you_mean
from optlab.optimizers.optimizer import Optimizer, optimizer_name
from optlab.optimizers.ranges import LogUniform, OneMinus, Range
from optlab.optimizers.rate_text import is_rate_name

Space = Mapping[str, Range]
"""The range of each hyperparameter that is tuned, by name."""

LEARNING_RATES = LogUniform(1e-4, 10.0)
MOMENTA = OneMinus(LogUniform(0.01, 1.0))


def default_space(optimizer: Optimizer) -> dict[str, Range]:
    """Return the ranges in which an optimizer is tuned where no others are given.

    A hyperparameter of one name has one range, whatever the optimizer, so that none is favoured:
    ``learning_rate`` (torch's ``lr``) is log-uniform from 1e-4 to 10, and one minus ``momentum``
    from 0.01 to 1, where the optimizer has momentum (is not 0). An optimizer's own member
    ``space()`` comes first. Rates that are schedules, and all other settings, stay as they are.

    Examples
    --------
    >>> import optlab as ol
    >>> default_space(ol.Adam())
    {'learning_rate': LogUniform(low=0.0001, high=10.0)}
    >>> list(default_space(ol.HeavyBall())), default_space(ol.Lstsq())
    (['learning_rate', 'momentum'], {})
    """
    own = getattr(optimizer, "space", None)
    if callable(own):
        return dict(own())
    found: dict[str, Range] = {}
    for name, value in _settings(optimizer).items():
        plain = value is None or isinstance(value, int | float | str)
        if is_rate_name(name) and plain:
            found[name] = LEARNING_RATES
        elif name == "momentum" and value:
            found[name] = MOMENTA
        elif name == "rule":  # of a wrapper, such as Averaged
            found |= {
                f"rule.{inner}": own_range for inner, own_range in default_space(value).items()
            }
    return found


def with_hyperparameters(optimizer: Any, values: Mapping[str, Any]) -> Any:
    """Return an optimizer with some hyperparameters changed.

    ``"rule.learning_rate"`` is the learning rate of the optimizer in the field ``rule``.

    Raises
    ------
    ValueError
        For a hyperparameter that it does not have, with those it has; for a value that it refuses.

    Examples
    --------
    >>> import optlab as ol
    >>> with_hyperparameters(ol.HeavyBall(), {"momentum": 0.5})
    HeavyBall(learning_rate=0.001, momentum=0.5)
    """
    known = _settings(optimizer)
    direct: dict[str, Any] = {}
    for name, value in values.items():
        first, dot, rest = name.partition(".")
        if first not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(
                f"{optimizer_name(optimizer)} has no hyperparameter {first!r}: "
                f"{did_you_mean(first, known)}{has}"
            )
        base = direct.get(first, known[first])
        direct[first] = with_hyperparameters(base, {rest: value}) if dot else value
    if hasattr(optimizer, "with_options"):
        return optimizer.with_options(**direct)
    return dataclasses.replace(optimizer, **direct)


def _settings(optimizer: Any) -> dict[str, Any]:
    """Return the settings by name: the fields, or the options of an adapter."""
    if hasattr(optimizer, "with_options"):
        return {"lr": None, **optimizer.options}
    if not dataclasses.is_dataclass(optimizer):
        return {}
    return {f.name: getattr(optimizer, f.name) for f in dataclasses.fields(optimizer) if f.init}
