"""Check that a problem's members return what the protocol says."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NoReturn

import torch
from torch import Tensor

from optlab.problems.problem import Batch, Evaluation, Problem
from optlab.remedies import remedy

_MEMBERS = ("name", "data", "loss", "start", "to", "reference", "evaluate")
_MEASURES = [name for name in Evaluation._fields if name != "more"]


def require_problem(problem: Any) -> None:
    """Require that an object is a problem, and that what it returns is what `Problem` says.

    The members that a person wrote are called once, at the start: ``loss`` on the first two rows,
    ``evaluate`` on all. optlab's own are taken for granted, and so is ``reference``, which can take
    long.

    Raises
    ------
    ValueError
        Naming the member, what it returned or raised, and what is expected.

    Examples
    --------
    >>> require_problem(object())
    Traceback (most recent call last):
    ...
    ValueError: object is no problem: it has no name, data, loss, start, to, reference, evaluate; \
ol.LinearRegression(X, y) makes one, README.md shows how to write one
    """
    _check_kind(problem)
    _check_name(problem)
    if not _own_members(type(problem)):  # type: ignore[arg-type]  # classes have a hash
        return
    data = _asked(problem, "data", lambda: problem.data)
    if _is_own(problem, "data"):
        _check_data(problem, data)
    if _is_own(problem, "to"):
        _check_signature(problem)
    # The others are called at this point.
    start = _asked(problem, "start", lambda: problem.start(torch.Generator()))
    if _is_own(problem, "start"):
        _check_start(problem, start)
    if _is_own(problem, "loss"):
        rows = Batch(*(None if part is None else part[:2] for part in data))  # type: ignore[arg-type]  # X, y
        loss = _asked(problem, "loss", lambda: problem.loss(start, rows))
        if not (isinstance(loss, Tensor) and loss.ndim == 0 and loss.is_floating_point()):
            _refuse(problem, "loss", loss, "a 0-dimensional tensor, the mean over the batch")
    if _is_own(problem, "evaluate"):
        _check_evaluation(problem, _asked(problem, "evaluate", lambda: problem.evaluate(start)))


def require_moved(problem: Problem, moved: Any, device: torch.device, dtype: torch.dtype) -> None:
    """Require that `Problem.to` returned a problem on the device and in the dtype asked for.

    Raises
    ------
    ValueError
        Naming what is of another dtype or elsewhere, and what is expected.
    """
    if not _is_own(problem, "to"):
        return
    asked = f"the same problem on {device} in {dtype}"
    if not isinstance(moved, Problem):
        _refuse(problem, "to", moved, asked)
    X, y, weight = moved.data
    parts = {"X": X, "y": y, "weight": weight}
    parts |= {f"start's {k!r}": v for k, v in moved.start(torch.Generator()).items()}
    for name, part in parts.items():
        if part is None:
            continue
        if part.device.type != device.type or (part.is_floating_point() and part.dtype != dtype):
            where = f"{name} on {part.device} in {part.dtype}"
            raise ValueError(f"to of problem {problem.name!r} left {where}: it must be {asked}")


def _check_kind(problem: Any) -> None:
    kind = type(problem).__name__
    own = remedy(problem)
    if isinstance(problem, type):
        called = own or "call it with arguments, as in LinearRegression(X, y)"
        raise ValueError(f"the class {problem.__name__} is no problem: {called}")
    if callable(getattr(problem, "iterates", None)):
        raise ValueError(
            f"{kind} is no problem, but an optimizer: problems come first, as in "
            "compare(problem, [optimizer])"
        )
    if isinstance(problem, str):
        raise ValueError(
            f"{problem!r} is no problem, but a name: "
            f"ol.LinearRegression.from_dataset(ol.datasets.load({problem!r}).standardized()) makes "
            "one of a dataset"
        )
    if inspect.isfunction(problem):
        raise ValueError(
            f"{kind} is no problem: ol.NonlinearLeastSquares(model, X, y, start=...) fits one of "
            "parameters and X; README.md shows how to write a problem"
        )
    if own and not isinstance(problem, Problem):
        raise ValueError(f"{kind} is no problem: {own}")
    held = getattr(problem, "__dict__", {})  # no property is computed
    missing = [n for n in _MEMBERS if held.get(n, getattr(type(problem), n, None)) is None]
    if missing:
        raise ValueError(
            f"{kind} is no problem: it has no {', '.join(missing)}; ol.LinearRegression(X, y) "
            "makes one, README.md shows how to write one"
        )
    for name in ("loss", "start", "to", "reference", "evaluate"):
        if not callable(getattr(problem, name)):
            _refuse(problem, name, getattr(problem, name), "a method", verb="is")


def _check_name(problem: Problem) -> None:
    name = _asked(problem, "name", lambda: problem.name)
    if not isinstance(name, str) or not name:
        raise ValueError(f"name of {type(problem).__name__} must be text that tables can show, "
                         f"such as 'my problem', not {_described(name)}")  # fmt: skip
    try:
        name.encode()  # half of a character is no text that a file can hold
    except UnicodeEncodeError as error:
        raise ValueError(f"a problem cannot be called {name!r}: {error}") from error


def _check_data(problem: Problem, data: Any) -> None:
    expected = "Batch(X, y) of tensors with a row for each observation (one row for a function)"
    if not isinstance(data, Batch):
        _refuse(problem, "data", data, expected, verb="is")
    for name, part in zip(Batch._fields, data, strict=True):
        if not (isinstance(part, Tensor) or (name == "weight" and part is None)):
            _refuse(problem, f"data.{name}", part, expected, verb="is")
    rows = [part.shape[0] if part.ndim else 0 for part in data if part is not None]
    if len(set(rows)) > 1 or not rows[0]:
        shapes = ", ".join(str(tuple(part.shape)) for part in data if part is not None)
        raise ValueError(f"data of problem {problem.name!r} has shapes {shapes}: it must be "
                         f"{expected}")  # fmt: skip


def _check_start(problem: Problem, start: Any) -> None:
    expected = 'a dict of names and real tensors, such as {"weight": torch.zeros(3)}'
    if not isinstance(start, dict) or not start:
        _refuse(problem, "start", start, expected)
    for name, value in start.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            _refuse(problem, "start", {name: value}, expected)
        if not value.is_floating_point():
            raise ValueError(f"start of problem {problem.name!r} returned {name!r} in "
                             f"{value.dtype}: it must be {expected}")  # fmt: skip


def _check_signature(problem: Problem) -> None:
    try:
        signature = inspect.signature(problem.to)
        signature.bind("cpu", torch.float64, copy=True)
    except TypeError as error:
        raise ValueError(
            f"to of problem {problem.name!r} must take (device, dtype, *, copy=False), not "
            f"{signature}: {error}"
        ) from None


def _check_evaluation(problem: Problem, point: Any) -> None:
    expected = f"an Evaluation of the numbers {', '.join(_MEASURES)} (math.nan where not known)"
    if not all(hasattr(point, name) for name in _MEASURES):
        _refuse(problem, "evaluate", point, expected)
    more = getattr(point, "more", {})
    if not isinstance(more, Mapping) or not all(isinstance(name, str) for name in more):
        _refuse(problem, "evaluate", more, "numbers by name", verb="has as more")
    for name, value in ({name: getattr(point, name) for name in _MEASURES} | dict(more)).items():
        if not isinstance(value, numbers.Real):
            how = f"a number{', such as tensor.item()' if isinstance(value, Tensor) else ''}"
            _refuse(problem, "evaluate", value, how, verb=f"has as {name}")


def _asked(problem: Problem, member: str, ask: Callable[[], Any]) -> Any:
    """Return what a member gives; what a person's own raises becomes a ValueError that names it."""
    if not _is_own(problem, member):
        return ask()
    try:
        return ask()
    except Exception as error:
        where = "" if member in {"name", "data", "start"} else " at the start"
        kind = type(problem).__name__
        raise ValueError(f"{member} of {kind} raised {type(error).__name__}{where}: {error}"
                         ) from error  # fmt: skip


def _is_own(problem: Problem, member: str) -> bool:
    """Return whether a member was written by a person, and is no part of optlab."""
    return member in _own_members(type(problem))


@cache
def _own_members(kind: type) -> frozenset[str]:
    """Return the members that a person wrote, of a class."""
    owners = {
        member: next((base for base in kind.__mro__ if member in vars(base)), kind)
        for member in _MEMBERS
    }
    return frozenset(
        member for member, of in owners.items() if not of.__module__.startswith("optlab.")
    )


def _refuse(
    problem: Problem, member: str, value: object, expected: str, *, verb: str = "returned"
) -> NoReturn:
    raise ValueError(f"{member} of problem {problem.name!r} {verb} {_described(value)}: it must be "
                     f"{expected}")  # fmt: skip


def _described(value: object) -> str:
    """Return a value in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} in {value.dtype}"
    if value is None:
        return "None"
    text = repr(value)
    return f"{text} ({type(value).__name__})" if len(text) <= 60 else f"a {type(value).__name__}"
