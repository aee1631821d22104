"""Strategies of hyperparameters: valid, at the edge of what is allowed or stable, invalid."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from optlab.problems.problem import Problem
from optlab.theory.descent_theory import stable_rate

Keywords = dict[str, Any]

_NUMBERS = (0.5, 0.1, 0.01, 0.9, 1e-3, 1e-6, 1.0, 2.0, 10.0, 0.0)
_WHOLE = (1, 2, 3, 10, 100, 0)
_EDGES = (0.0, 5e-324, 2.0**-52, 1 - 2.0**-53, 1.0, 1 + 2.0**-52, 1e308, 1, 2, 0)
_WRONG = (-1.0, math.nan, math.inf, -math.inf, -1e-9, 1.0, 2.0, 0.0, 0, -1, 1.5, True, "0.1", None,
          "no such", [0.1], 1j)  # fmt: skip


def _fields(cls: Callable[..., Any], fixed: Keywords) -> dict[str, Any]:
    """Return the fields that can be drawn with their defaults, of a dataclass."""
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        name = getattr(cls, "__name__", repr(cls))
        raise ValueError(f"cls must be a dataclass of hyperparameters, not {name}")
    found, missing = {}, []
    for field in dataclasses.fields(cls):
        if not field.init or field.name in fixed:
            continue
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is dataclasses.MISSING:
            missing.append(field.name)
    if missing:
        raise ValueError(
            f"{cls.__name__} has no default of {', '.join(missing)}: give these as fixed values, "
            f"as in valid_hyperparameters({cls.__name__}, {missing[0]}=...)"
        )
    return found


def _accepts(cls: Callable[..., Any], keywords: Keywords) -> bool:
    """Return whether the class's own checks accept hyperparameters."""
    try:
        cls(**keywords)
    except Exception:  # another package's class: whatever it raises, it refuses
        return False
    return True


@functools.lru_cache(maxsize=256)
def _choices(cls: type, name: str) -> tuple[Any, ...]:
    """Return the values of a ``Literal`` annotation, empty for another."""
    try:
        hint = typing.get_type_hints(cls).get(name)
    except (NameError, TypeError):  # a name that is imported for type checkers only
        return ()
    parts = [hint, *typing.get_args(hint), *map(typing.get_origin, typing.get_args(hint))]
    return tuple(
        value
        for part in parts
        if typing.get_origin(part) is typing.Literal
        for value in typing.get_args(part)
    )


def _candidates(cls: type, name: str, default: Any) -> tuple[Any, ...]:
    """Return values that a field may take, before the class's own checks."""
    if choices := _choices(cls, name):
        return choices
    if isinstance(default, bool):
        return (False, True)
    if isinstance(default, int) and not _is_number_too(cls, name):
        return _WHOLE
    if isinstance(default, int | float):
        return _NUMBERS
    return (*_NUMBERS, *_WHOLE) if default is None else ()


def _is_number_too(cls: type, name: str) -> bool:
    """Return whether a field with a whole default takes fractions: torch's ``weight_decay=0``."""
    annotation = inspect.get_annotations(cls).get(name)
    return annotation is not int and annotation != "int"


def valid_hyperparameters(cls: type, **fixed: Any) -> st.SearchStrategy[Keywords]:
    """Strategy of hyperparameters that an optimizer's class accepts, which shrinks to ``{}``.

    Values are taken from each field's annotation and default, and those that the class's own
    checks refuse are left out. Fields that have their default are left out of the dict.

    Parameters
    ----------
    cls
        A dataclass of hyperparameters.
    **fixed
        Values of fields that are not drawn, such as an optimizer that is wrapped.

    Raises
    ------
    ValueError
        For what is no dataclass; for fields without default that are not given.

    Examples
    --------
    >>> from hypothesis import find
    >>> import optlab as ol
    >>> find(valid_hyperparameters(ol.HeavyBall), lambda drawn: drawn.get("momentum") == 0.5)
    {'momentum': 0.5}
    """
    fields = _fields(cls, fixed)
    tried = {name: _candidates(cls, name, default) for name, default in fields.items()}
    # Some values are allowed beside another field's only: Nesterov's momentum needs a momentum.
    bases = [fixed, *(fixed | {name: value} for name, values in tried.items() for value in values)]
    bases = [base for base in bases if _accepts(cls, base)]
    drawn = {
        name: st.sampled_from(
            [default]
            + [
                value
                for value in tried[name]
                if repr(value) != repr(default)
                and any(_accepts(cls, base | {name: value}) for base in bases)
            ]
        )
        for name, default in fields.items()
    }

    def changed(values: Keywords) -> Keywords:
        return {k: v for k, v in values.items() if repr(v) != repr(fields[k])} | fixed

    return st.fixed_dictionaries(drawn).map(changed).filter(lambda found: _accepts(cls, found))


def edge_hyperparameters(cls: type, **fixed: Any) -> st.SearchStrategy[Keywords]:
    """Strategy of one hyperparameter at the edge of what its class accepts, the others at default.

    The least and the largest number that are accepted of 0, the smallest and largest floats, eps,
    1, and the neighbours of 1. With what nothing can be done but to compute: a run may diverge,
    and must say so.

    Parameters
    ----------
    cls, **fixed
        As of `valid_hyperparameters`.

    Examples
    --------
    >>> from hypothesis import find
    >>> import optlab as ol
    >>> find(edge_hyperparameters(ol.HeavyBall), lambda drawn: drawn.get("momentum", 0) > 0)
    {'momentum': 0.9999999999999999}
    """
    found: list[Keywords] = []
    for name, default in _fields(cls, fixed).items():
        if isinstance(default, bool) or not isinstance(default, int | float | None):
            continue
        taken = [v for v in _EDGES if _accepts(cls, fixed | {name: v})]
        found += [{name: value} | fixed for value in {min(taken), max(taken)}] if taken else []
    if not found:
        raise ValueError(f"{cls.__name__} has no hyperparameter that is a number")
    return st.sampled_from(sorted(found, key=repr))


def stability_hyperparameters(
    cls: type, problem: Problem, **fixed: Any
) -> st.SearchStrategy[tuple[Keywords, bool]]:
    r"""Strategy of learning rates near the limit of stability of full-batch descent on a problem.

    Each draw is hyperparameters, and whether descent with them is stable: a learning rate of 1/2,
    0.99, 1.01 or 2 times the limit of `optlab.testing.oracles.stable_rate`, :math:`2 / L` for
    plain descent, and any other valid hyperparameters.

    Raises
    ------
    ValueError
        For methods without such a limit (Adam), and for what `valid_hyperparameters` refuses.

    Examples
    --------
    >>> from hypothesis import find
    >>> import optlab as ol
    >>> problem = ol.Quadratic([10.0, 1.0])
    >>> find(stability_hyperparameters(ol.SGD, problem), lambda drawn: not drawn[1])
    ({'learning_rate': 0.202}, False)
    """
    stable_rate(problem, cls(**fixed))  # says what has no limit
    others = valid_hyperparameters(cls, learning_rate=1e-3, **fixed)

    def at_limit(drawn: tuple[Keywords, float]) -> tuple[Keywords, bool]:
        keywords, factor = drawn
        limit = stable_rate(problem, cls(**keywords))
        return keywords | {"learning_rate": factor * limit}, factor < 1

    return st.tuples(others, st.sampled_from([0.5, 0.99, 1.01, 2.0])).map(at_limit)


def invalid_hyperparameters(cls: type, **fixed: Any) -> st.SearchStrategy[Keywords]:
    """Strategy of one hyperparameter that its class refuses, the others at their defaults.

    Numbers below 0, not finite or out of the field's range, text, None, a list, a complex number:
    those with which the class raises an error.

    Parameters
    ----------
    cls, **fixed
        As of `valid_hyperparameters`.

    Raises
    ------
    ValueError
        For a class that accepts anything.

    Examples
    --------
    >>> from hypothesis import find
    >>> import optlab as ol
    >>> find(invalid_hyperparameters(ol.HeavyBall), lambda drawn: "momentum" in drawn)
    {'momentum': -1.0}
    """
    refused = [
        {name: value} | fixed
        for name in _fields(cls, fixed)
        for value in _WRONG
        if not _accepts(cls, fixed | {name: value})
    ]
    if not refused:
        raise ValueError(f"{cls.__name__} refuses no hyperparameter that is tried")
    return st.sampled_from(refused)
