"""Weights of rows, normalised: for the mean over a batch, and for the mean over all rows."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.datasets.validation import checked_sample_weight
from optlab.linalg import double_double as dd


def given_weights(weights: ArrayLike | Tensor | None, X: object, rows: int) -> Tensor | None:
    """Return weights ``(n,)`` as float64 on the CPU, or None where all rows count alike.

    Weights that are all equal are none: the loss is the same, and so are then all its bits.
    """
    if weights is None:
        return None
    checked = checked_sample_weight(weights, rows, X)
    return None if (checked == checked[0]).all() else torch.from_numpy(checked.copy())


def moderate(weights: Tensor) -> Tensor:
    """Return the weights times a power of two, the largest between 1/2 and 1: nothing is rounded.

    Examples
    --------
    >>> moderate(torch.tensor([3.0, 1e300], dtype=torch.float64)).max() < 1
    tensor(True)
    """
    exponent = math.frexp(weights.max().item())[1]
    return torch.from_numpy(np.ldexp(weights.numpy(), -exponent))


def mean_one(weights: Tensor, like: Tensor) -> Tensor:
    """Return ``w n / sum(w)``, computed in float64 and rounded once to the dtype of ``like``.

    Examples
    --------
    >>> mean_one(torch.tensor([1.0, 3.0], dtype=torch.float64), torch.zeros(1))
    tensor([0.5000, 1.5000])
    """
    scaled = moderate(weights)
    return (scaled * (len(scaled) / math.fsum(scaled.tolist()))).to(like.device, like.dtype)


def share_pairs(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``w / sum(w)`` rounded, and what rounding took off, for moderate weights.

    Examples
    --------
    >>> high, low = share_pairs(torch.ones(3, dtype=torch.float64))
    >>> bool((low == 2.0**-54 / 3).all())  # 1/3 is that much above the nearest float
    True
    """
    total = math.fsum(weights.tolist())
    rest = math.fsum([*weights.tolist(), -total])
    high = weights / total
    product, error = dd.two_product(high, torch.full_like(high, total))
    return high, ((weights - product) - error - high * rest) / total


def times(weight: Tensor, rows: Tensor) -> Tensor:
    """Return rows ``(B, ...)`` times one weight each, ``(B,)``.

    Examples
    --------
    >>> times(torch.tensor([1.0, 2.0]), torch.ones(2, 2)).tolist()
    [[1.0, 1.0], [2.0, 2.0]]
    """
    return weight.reshape(-1, *[1] * (rows.ndim - 1)) * rows


def shares(weights: Tensor) -> Tensor:
    """Return ``w / sum(w)``.

    Examples
    --------
    >>> shares(torch.tensor([1.0, 3.0], dtype=torch.float64))
    tensor([0.2500, 0.7500], dtype=torch.float64)
    """
    scaled = moderate(weights)
    return scaled / math.fsum(scaled.tolist())
