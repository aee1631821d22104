"""Frozen dataclasses of torch.optim's classes, with torch's own arguments as hyperparameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import field, fields, make_dataclass
from functools import cache
from typing import Any, ClassVar

import torch

from optlab.optimizers.adapters.torch_optimizer import TorchOptimizer
from optlab.optimizers.batches import Batches
from optlab.optimizers.linear_descent import LinearDescent
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem

_HOW_NOT_WHAT = {"foreach", "fused", "capturable", "differentiable", "maximize"}
"""Arguments that choose an implementation, or another problem; `TorchOptimizer` takes them."""

_DOCUMENTATION = """Minimise by `{place}`, with torch's own arguments and defaults.

It is `optlab.TorchOptimizer` of that class, with a field for each argument.

Parameters
----------
{names}
    As torch documents them.

Raises
------
ValueError
    For values that torch refuses.

Examples
--------
>>> from optlab.optimizers import registry
>>> registry.get("{place}")()

References
----------
`{place}`.
"""


class _TorchMethod:
    """The part that all of these dataclasses share."""

    torch_class: ClassVar[type[torch.optim.Optimizer]]
    uses_batches: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = TorchOptimizer.imports

    def __post_init__(self) -> None:
        for name, value in self._values().items():  # JSON gives lists for tuples
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)
        self._adapted()

    @property
    def name(self) -> str:
        """The adapted class's name, after torch's: ``"torch Adam"``."""
        return self._adapted().name

    @property
    def extra_evaluations(self) -> bool:
        """Whether a step of the class evaluates the loss several times."""
        return self._adapted().extra_evaluations

    def _values(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def _adapted(self) -> TorchOptimizer:
        return TorchOptimizer(self.torch_class, **self._values())

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (self.torch_class, self._values())

    def linear_descent(self) -> LinearDescent | None:
        """Return the adapted class's: see `TorchOptimizer.linear_descent`."""
        return self._adapted().linear_descent()

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why torch's class does not take a problem's parameters."""
        return self._adapted().unsupported(problem, device)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return self._adapted().iterates(problem, batches, start)


@cache
def torch_method(cls: Any) -> type[Any]:
    """Return a frozen dataclass of a torch optimizer class: a field for each of its arguments.

    Raises
    ------
    ValueError
        Where the class is none of `torch.optim.Optimizer`, or has an argument without a default.

    Examples
    --------
    >>> import torch
    >>> torch_method(torch.optim.RMSprop)(lr=0.1)
    TorchRMSprop(lr=0.1, alpha=0.99, eps=1e-08, weight_decay=0, momentum=0, centered=False)
    """
    if not (isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)):
        raise ValueError(f"{cls!r} is no class of torch.optim")
    _, *arguments = inspect.signature(cls).parameters.values()
    chosen = [p for p in arguments if p.name not in _HOW_NOT_WHAT and p.kind != p.VAR_KEYWORD]
    if required := [p.name for p in chosen if p.default is p.empty]:
        raise ValueError(
            f"{cls.__name__} has no default for {', '.join(required)}: use "
            f"TorchOptimizer({cls.__name__}, {required[0]}=...)"
        )
    place = f"{cls.__module__.partition('._')[0]}:{cls.__qualname__}"
    place = f"torch.optim:{cls.__name__}" if hasattr(torch.optim, cls.__name__) else place
    return make_dataclass(
        f"Torch{cls.__name__}",
        [(p.name, Any, field(default=p.default)) for p in chosen],
        bases=(_TorchMethod,),
        namespace={
            "torch_class": cls,
            "__module__": __name__,
            "__doc__": _DOCUMENTATION.format(
                place=place, names=", ".join(p.name for p in chosen) or "None"
            ),
        },
        frozen=True,
    )


def _remade(cls: Any, values: dict[str, Any]) -> Any:
    return torch_method(cls)(**values)
