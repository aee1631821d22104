"""Directions along which a loss falls for ever: separable classes, rows of counts that are zero."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from optlab.problems.certified.linear_objective import Objective


class Recession(NamedTuple):
    """A direction ``(p, *outputs)`` of descent without end, and the objective of what remains.

    ``rest`` has the loss terms that the direction leaves as they are: its minimum is the infimum.
    """

    direction: Tensor
    rest: Objective
    rows: int
    """The rows that lose a term."""


def recession(objective: Objective) -> Recession | None:
    """Return a direction of recession that takes as many terms as any, or None.

    Decided by a linear programme over the entries without a penalty: the largest ``sum s`` for
    ``0 <= s <= min(1, M v)``, where a row of ``M v`` is the growth of a contrast between outputs
    that its row of data prefers (`Loss.contrasts`), and zero where that is held.

    References
    ----------
    Albert and Anderson, On the existence of maximum likelihood estimates in logistic regression
    models (1984); Silvapulle and Burridge, the same by linear programming (1986).
    """
    contrasts = objective.loss.contrasts(objective.y)
    entries = (objective.per_entry(objective.l1 + objective.l2) == 0).nonzero()[:, 0]
    if contrasts is None or not len(entries):
        return None
    rows = objective.design[contrasts.row]
    if objective.loss.outputs:
        rows = torch.einsum("mj,mk->mjk", rows, contrasts.direction).reshape(len(rows), -1)
    else:
        rows = rows * contrasts.direction[:, None]
    rows = rows[:, entries]
    sizes = rows.abs().amax(0).clamp(min=1e-300)
    growth = _most_growth((rows / sizes).numpy(), contrasts.held.numpy())
    if growth is None:
        return None
    v, receding = growth
    direction = torch.zeros(int(np.prod(objective.shape)), dtype=torch.float64)
    direction[entries] = torch.from_numpy(v) / sizes
    flags = torch.from_numpy(receding)
    loss, kept = objective.loss.without(flags, objective.y)
    rest = replace(
        objective,
        loss=loss,
        design=objective.design[kept],
        y=objective.y[kept],
        share=objective.share[kept],
        share_low=objective.share_low[kept],
    )
    lost = len(contrasts.row[flags].unique())
    return Recession(direction.reshape(objective.shape), rest, lost)


def _most_growth(
    M: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    held: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> (
    tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.bool_]]]
    | None
):
    """Return v, and which rows of ``M v`` grow; None where there are none."""
    from scipy.optimize import linprog  # noqa: PLC0415 - a tenth of a second, rarely needed

    free = ~held
    m, p = int(free.sum()), M.shape[1]
    found = linprog(
        np.concatenate([np.zeros(p), -np.ones(m)]),
        A_ub=np.hstack([-M[free], np.eye(m)]),
        b_ub=np.zeros(m),
        A_eq=np.hstack([M[held], np.zeros((int(held.sum()), m))]) if held.any() else None,
        b_eq=np.zeros(int(held.sum())) if held.any() else None,
        bounds=[(None, None)] * p + [(0.0, 1.0)] * m,
        method="highs",
    )
    if found.x is None:
        return None
    receding = np.zeros(len(M), dtype=bool)
    receding[free] = found.x[p:] > 0.5
    return (found.x[:p], receding) if receding.any() else None
