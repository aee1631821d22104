"""Gradients of any problem (until core's file comes)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from optlab.problems.problem import Batch, Parameters


def gradient(problem: Any, parameters: Parameters, batch: Batch | None = None) -> Parameters:
    """Return the gradient, in closed form where there is one, else by autograd."""
    if hasattr(problem, "gradient"):
        found: Parameters = problem.gradient(parameters, batch)
        return found
    return loss_and_gradient(problem, parameters, batch)[1]


def loss_and_gradient(
    problem: Any, parameters: Parameters, batch: Batch | None = None
) -> tuple[Tensor, Parameters]:
    """Return the loss and the gradient."""
    if hasattr(problem, "gradient"):
        return problem.loss(parameters, batch), problem.gradient(parameters, batch)
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    loss = problem.loss(leaves, batch)
    parts = torch.autograd.grad(loss, list(leaves.values()))
    return loss.detach(), dict(zip(leaves, parts, strict=True))
