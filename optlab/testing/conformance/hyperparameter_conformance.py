"""Checks of hyperparameters: values that cannot be are refused, by name."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from optlab.optimizers.adapters.torch_optimizer import TorchOptimizer
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped

_RATE = (-0.1, 0.0, math.nan, math.inf)
_FRACTION = (-0.1, math.nan)
_IMPOSSIBLE = {
    "learning_rate": _RATE, "lr": (-0.1, math.nan), "epsilon": (-1e-8, math.nan),
    "eps": (-1e-8, math.nan), "momentum": _FRACTION, "beta1": (-0.1, 1.0, math.nan),
    "beta2": (-0.1, 1.0, math.nan), "beta": _FRACTION, "decay": _FRACTION, "alpha": _FRACTION,
    "weight_decay": (-0.1, math.nan), "max_norm": (-1.0, 0.0, math.nan), "tol": (-1.0, math.nan),
    "tolerance": (-1.0, math.nan), "history_size": (0, -1), "memory": (0, -1),
}  # fmt: skip
"""Values that no method can mean, by the names that hyperparameters have."""


@check()
def refuses_bad_hyperparameters(subject: Subject) -> None:
    """A learning rate below 0, a NaN and the like are refused, by the argument's name."""
    optimizer: Any = subject.optimizer
    if isinstance(optimizer, TorchOptimizer):
        names = sorted({*optimizer.options, "lr"} & _IMPOSSIBLE.keys())
    elif dataclasses.is_dataclass(optimizer):
        init = [field.name for field in dataclasses.fields(optimizer) if field.init]
        names = [name for name in init if name in _IMPOSSIBLE]
    else:
        raise CheckSkipped("it is no dataclass, so its hyperparameters are not known")
    if not names:
        raise CheckSkipped("it has no hyperparameter of a usual name")
    for name in names:
        for value in _IMPOSSIBLE[name]:
            if wrong := _taken(optimizer, name, value):
                fail(
                    subject,
                    theory=f"{name}={value!r} cannot be meant: a ValueError names it",
                    seen=wrong,
                    tolerance="none",
                )


def _taken(optimizer: Any, name: str, value: object) -> str:
    """Return what is wrong where a value is tried, or an empty text where it is refused by name."""
    try:
        if isinstance(optimizer, TorchOptimizer):
            TorchOptimizer(optimizer.cls, **{**optimizer.options, name: value})
        else:
            dataclasses.replace(optimizer, **{name: value})
    except (ValueError, TypeError) as error:
        words = {name, name.replace("_", " "), {"lr": "learning rate", "eps": "epsilon"}.get(name)}
        if any(word and word.lower() in str(error).lower() for word in words):
            return ""
        return f"{type(error).__name__}: {error}, which does not name {name}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"{type(optimizer).__name__}({name}={value!r}) was made"
