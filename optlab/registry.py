"""A registry of things by name: those of optlab and, by entry points, those of other packages."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from optlab.checks import did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """A registry: names, and what each stands for, imported when it is first asked for.

    Parameters
    ----------
    kind
        What it holds, for errors: ``"optimizer"``.
    group
        The entry points of this group, ``name = "module:attribute"``, add what other packages have.
    built_in
        optlab's own, by name: a place as in an entry point, or the object itself.
    is_kind
        Whether an object can be held.
    convert
        A function of what is imported that returns what is held for it.

    Examples
    --------
    >>> registry = Registry("function", "no.such.group", {"root": "math:sqrt"}, callable)
    >>> registry.names(), registry.get("root")(4.0)
    (['root'], 2.0)
    """

    def __init__(
        self,
        kind: str,
        group: str,
        built_in: Mapping[str, str | T],
        is_kind: Callable[[object], bool] = lambda value: isinstance(value, type),
        convert: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self.kind, self.group, self.built_in = kind, group, dict(built_in)
        self._is_kind, self._convert = is_kind, convert
        self._registered: dict[str, T] = {}

    @cached_property
    def _known(self) -> dict[str, str | T]:
        others: dict[str, str | T] = {
            point.name: point.value for point in entry_points(group=self.group)
        }
        # Ours win: installing a package must not change what a name of the lab means.
        return others | self.built_in

    def names(self) -> list[str]:
        """Return all names; nothing is imported for it."""
        others = sorted(self._known.keys() - self.built_in.keys())
        return [*self.built_in, *others, *self._registered]

    def register(self, name: str, value: T) -> None:
        """Add an object to the registry of this process.

        A package adds its own for good by entry points of the registry's group:
        ``name = "module:attribute"``. The same class or function, defined again (a notebook's cell
        that is run again, a module that is reloaded), takes the place of the old one.

        Raises
        ------
        ValueError
            For a name that something else has, and for an object of another kind.

        See Also
        --------
        optlab.Experiment, optlab.compare : Take optimizers that are not registered too.
        """
        holder = self._known.get(name, self._registered.get(name, value))
        if name in self._known or not _is_redefinition(holder, value):
            shown = holder if isinstance(holder, str) else repr(holder)
            raise ValueError(
                f"the {self.kind} name {name!r} is taken by {shown}: register yours under another "
                f"name, such as {f'my-{name}'!r}"
            )
        if not self._is_kind(value):
            raise ValueError(f"{value!r} is no {self.kind} that can be registered as {name!r}")
        self._registered[name] = value

    def get(self, name: str) -> T:
        """Return an object by its name, or by its place, ``"module:attribute"``.

        Where no name is exactly this one, one in other letters' case is taken.

        Raises
        ------
        ValueError
            For an unknown name, with the nearest known one, and for a package that cannot be
            imported.
        """
        if name not in (names := self.names()):
            name = next((known for known in names if known.lower() == name.lower()), name)
        if name in self._registered:
            return self._registered[name]
        if ":" in name and name not in self._known:
            return self._loaded(name, name)
        if name not in self._known:
            plain = {_plain(known): known for known in self.names()}
            hint = did_you_mean(_plain(name), plain)
            for short, known in plain.items():
                hint = hint.replace(repr(short), repr(known))
            there_are = ", ".join(self.names())
            raise ValueError(f"unknown {self.kind} {name!r}: {hint}there are {there_are}")
        held = self._known[name]
        return self._loaded(name, held) if isinstance(held, str) else held

    def _loaded(self, name: str, place: str) -> T:
        module, _, qualified_name = place.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in qualified_name.split("."):
                found = getattr(found, part)
            found = self._convert(found)
        except Exception as error:  # another package's code: whatever it raises is its own matter
            why = f"{type(error).__name__}: {error}"
            raise ValueError(f"{self.kind} {name!r} ({place}) cannot be loaded: {why}") from error
        if not self._is_kind(found):
            raise ValueError(f"{self.kind} {name!r} ({place}) is none, but {found!r}")
        loaded: T = found
        return loaded

    def items(self) -> Iterator[tuple[str, T]]:
        """Yield every name and what it stands for."""
        for name in self.names():
            yield name, self.get(name)


def _definition(value: object) -> tuple[str, str] | None:
    """Return the file (or module) and the name of a class or function; None for other objects."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "<lambda>")
    if module is None or name.endswith("<lambda>"):
        return None
    return getattr(sys.modules.get(module), "__file__", None) or module, name


def _is_redefinition(old: object, new: object) -> bool:
    """Return whether an object is another, or the same definition run again."""
    return new is old or (_definition(new) == _definition(old) is not None)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
