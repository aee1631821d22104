"""One training run of a module: the copy that it trains, and the stream that dropout draws from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from optlab.problems.problem import Parameters
from optlab.problems.random_stream import RandomStream


class ModuleRun:
    """Compute a module's loss at parameters given from outside, each part in the mode it is in.

    The module's trained parameters are replaced by those of each call, as
    `torch.func.functional_call` does, but they are not put back after it, which would take a large
    part of a small network's time. Its buffers are its own, updated by each call.

    Parameters
    ----------
    module
        A module of this run alone.
    seed
        Of the stream that dropout draws from.
    device, dtype
        Where and in what the module is computed.

    Examples
    --------
    >>> import torch
    >>> run = ModuleRun(torch.nn.Linear(1, 1), 0, torch.device("cpu"), torch.float64)
    >>> half = {"weight": torch.ones(1, 1).double() / 2, "bias": torch.zeros(1).double()}
    >>> run.loss(half, torch.ones(1, 1).double(), torch.ones(1, 1).double(), torch.nn.MSELoss())
    tensor(0.2500, dtype=torch.float64)
    """

    def __init__(
        self, module: torch.nn.Module, seed: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.module = module.to(device, dtype)
        self.random = RandomStream(seed, device)
        names = {value: name for name, value in module.named_parameters() if value.requires_grad}
        self._places = [  # of a parameter that several parts share, all
            (names[value], part._parameters, key)
            for part in module.modules()
            for key, value in part._parameters.items()
            if value in names
        ]

    def loss(self, parameters: Parameters, X: Tensor, y: Tensor, loss: Callable[..., Any]) -> Any:
        """Return the loss of the module's output; buffers are updated, and dropout draws."""
        for name, owner, key in self._places:
            owner[key] = parameters[name]  # type: ignore[assignment]  # no Parameter is needed
        with self.random.active():
            return loss(self.module(X), y)

    def buffers(self) -> Parameters:
        """Return the buffers as they are now."""
        return {name: value.detach() for name, value in self.module.named_buffers()}
