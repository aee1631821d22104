"""The Python code that makes an optimizer."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from optlab.optimizers import Optimizer

FILE_PREFIX = "optlab_file_"
"""The names of modules that were loaded from a file begin so, and then have the file's name."""


def spelling(optimizer: Optimizer) -> tuple[list[str], str]:
    """Return import lines and an expression that make an optimizer.

    An object that no code is known for is named in a comment.

    Examples
    --------
    >>> import optlab as ol
    >>> spelling(ol.HeavyBall(0.1))
    ([], 'ol.HeavyBall(learning_rate=0.1, momentum=0.9)')
    """
    imports: list[str] = []
    try:
        expression = _spelled(optimizer, imports)
    except _UnknownError:
        return [], f"...  # yours: {optimizer!r}"
    return list(dict.fromkeys(imports)), expression


class _UnknownError(Exception):
    """No code is known for a value."""


def _spelled(value: Any, imports: list[str]) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple | list):
        inner = ", ".join(_spelled(part, imports) for part in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)"
    if isinstance(value, dict):
        inner = ", ".join(f"{k!r}: {_spelled(v, imports)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return _name(value, imports)
    if isinstance(value, functools.partial):
        imports.append("from functools import partial")
        parts = [_spelled(part, imports) for part in (value.func, *value.args)]
        parts += [f"{k}={_spelled(v, imports)}" for k, v in value.keywords.items()]
        return f"partial({', '.join(parts)})"
    return _made(value, imports)


def _made(value: Any, imports: list[str]) -> str:
    kind = type(value)
    if kind.__name__ == "SklearnEstimator":
        return f"ol.SklearnEstimator({_call(value.cls, value.options, imports)})"
    if kind.__name__ == "TorchOptimizer":
        given = {"scheduler": value.scheduler} if value.scheduler else {}
        inner = [_name(value.cls, imports)]
        inner += [f"{k}={_spelled(v, imports)}" for k, v in {**value.options, **given}.items()]
        return f"ol.TorchOptimizer({', '.join(inner)})"
    if hasattr(kind, "torch_class"):
        options = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        inner = [_name(kind.torch_class, imports)]
        inner += [f"{k}={_spelled(v, imports)}" for k, v in options.items()]
        return f"ol.TorchOptimizer({', '.join(inner)})"
    if dataclasses.is_dataclass(value):
        options = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return _call(kind, options, imports)
    if getattr(value, "__dict__", None) == {}:  # a dtype, a set, an array have none
        return _call(kind, {}, imports)
    raise _UnknownError


def _call(kind: type, options: Any, imports: list[str]) -> str:
    inner = ", ".join(f"{k}={_spelled(v, imports)}" for k, v in options.items())
    return f"{_name(kind, imports)}({inner})"


def _name(kind: Any, imports: list[str]) -> str:
    import optlab  # noqa: PLC0415 - the lazy names of the package that this module is part of

    module, name = kind.__module__, kind.__qualname__
    if "<locals>" in name or module == "__main__":
        raise _UnknownError
    if module.startswith("optlab.") and getattr(optlab, name, None) is kind:
        return f"ol.{name}"
    if module.startswith("torch.optim.") and not module.endswith("lr_scheduler"):
        return f"torch.optim.{name}"
    module = module.removeprefix(FILE_PREFIX)  # a file's own name, beside which the code is run
    imports.append(f"from {module} import {name.partition('.')[0]}")
    return str(name)
