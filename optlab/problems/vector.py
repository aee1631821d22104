"""Flatten named parameters into one vector, and view a vector as named parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from optlab.problems.problem import Parameters


def flatten(parameters: Parameters) -> Tensor:
    """Return a new vector ``(p,)`` of all entries, in the order of the names.

    Examples
    --------
    >>> flatten({"weight": torch.tensor([1.0, 2.0]), "bias": torch.tensor(3.0)})
    tensor([1., 2., 3.])
    """
    return torch.cat([value.reshape(-1) for value in parameters.values()])


def unflatten(vector: Tensor, like: Parameters) -> Parameters:
    """Return views of a vector ``(p,)``, with the names and shapes of ``like``.

    Examples
    --------
    >>> unflatten(torch.tensor([1.0, 2.0]), {"weight": torch.zeros(1), "bias": torch.zeros(())})
    {'weight': tensor([1.]), 'bias': tensor(2.)}
    """
    parts = vector.split_with_sizes([value.numel() for value in like.values()])
    return {
        name: part.view(value.shape)
        for (name, value), part in zip(like.items(), parts, strict=True)
    }
