"""The state of compiled runs: parameters and velocities of one trial or many, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from optlab.optimizers.fused.linear_loss import LinearLoss
from optlab.problems import Batch, Parameters

Loop: TypeAlias = Callable[[Tensor | None, int], None]
"""A compiled loop over some epochs: it takes their orders, shape (epochs, n), or None for the rows
as they lie, and the number of epochs, and changes the run in place.
"""

SnapshotLoop: TypeAlias = Callable[[Tensor | None, Sequence[int]], tuple[Tensor, Tensor]]
"""A compiled loop over the epochs up to each of some ends, the last of which ends it.

It takes orders as `Loop` does, and the ends, and returns the parameters at each, (trials, ends, p),
and the last mini-batch's losses before their updates, (trials, ends).
"""


class Moments(NamedTuple):
    """Adam's hyperparameters, the same for all trials."""

    beta1: float
    beta2: float
    epsilon: float


@dataclass(frozen=True, eq=False)
class FusedRun:
    """Runs of gradient descent on one problem's rows; compiled loops change them in place.

    Parameters
    ----------
    data
        All rows, contiguous.
    loss
        The loss as numbers.
    theta
        Parameters, shape (trials, p): the weights, and then the bias where p is d + 1.
    rates, momenta
        Learning rates and momenta, shape (trials,), in the dtype of the data.
    decay, nesterov
        Weight decay, and whether momentum looks ahead.
    fastmath
        Whether the compiler may reorder sums (on the CPU; a GPU's order is its own).
    moments
        Adam's hyperparameters: steps are Adam's, with decoupled decay, and ``momenta`` unused.
    """

    data: Batch
    loss: LinearLoss
    theta: Tensor
    rates: Tensor
    momenta: Tensor
    decay: float = 0.0
    nesterov: bool = False
    fastmath: bool = False
    moments: Moments | None = None
    velocity: Tensor = field(init=False)
    """Velocities, or Adam's first moments, shape (trials, p)."""
    second: Tensor = field(init=False)
    """Adam's second moments, shape (trials, p), or (trials, 0)."""
    losses: Tensor = field(init=False)
    """Each trial's last mini-batch loss before its update, shape (trials,)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "velocity", torch.zeros_like(self.theta))
        second = torch.zeros_like(self.theta if self.moments else self.theta[:, :0])
        object.__setattr__(self, "second", second)
        object.__setattr__(self, "losses", torch.zeros_like(self.rates))

    def named(self, theta: Tensor) -> Parameters:
        """Return parameters of shape (..., p) by name, as views."""
        d = self.data.X.shape[1]
        return {"weight": theta[..., :d]} | ({"bias": theta[..., d]} if theta.shape[-1] > d else {})
