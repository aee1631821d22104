"""Draw a module's initial parameters by its own reset_parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from optlab.problems.random_stream import as_global


def redraw(module: torch.nn.Module, generator: torch.Generator) -> None:
    """Reset a module and all of its parts, drawing from a generator.

    Each part's ``reset_parameters`` is called, in the order in which the parts were registered,
    children before their parents, with the generator in the place of torch's global one. So a
    plain script that seeds torch and then makes its network from torch's layers starts at the same
    numbers. Parameters with ``requires_grad=False`` stay as they are.

    Raises
    ------
    ValueError
        For trained parameters that no part resets, by their names.

    Examples
    --------
    >>> import torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> redraw(layer, torch.Generator().manual_seed(3))
    >>> _ = torch.manual_seed(3)
    >>> torch.equal(layer.weight, torch.nn.Linear(2, 1).weight)
    True
    """
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    frozen = [value for value in module.parameters() if not value.requires_grad]
    as_given = [value.clone() for value in frozen]
    with torch.no_grad():
        for value in trained.values():
            value.fill_(torch.nan)
        with as_global(generator):
            for part in dict.fromkeys(_children_first(module)):
                if (reset := _reset(part)) is not None:
                    reset()
        for value, given in zip(frozen, as_given, strict=True):
            value.copy_(given)
    kept = [name for name, value in trained.items() if value.isnan().any()]
    if kept:
        raise ValueError(
            f"no reset_parameters() of the module draws {', '.join(kept)}: give the part that owns "
            "it this method, or take initial='given' to start each trial at the module's own values"
        )


def _reset(part: torch.nn.Module) -> Callable[[], object] | None:
    # Some of torch's own, MultiheadAttention and Transformer, have it under a private name.
    found = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
    return found if callable(found) else None


def _children_first(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    for child in module.children():
        yield from _children_first(child)
    yield module
