"""The objective of a linear model, with its gradient in double-double."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.linalg.cross_product import cross_product
from optlab.problems.certified.curvature_factor import Factor, factored, gram_factored
from optlab.problems.losses.loss import Loss, Pair, rounded
from optlab.problems.row_weights import times


@dataclass(frozen=True)
class Objective:
    """``sum_i share_i l(eta_i, y_i) + l1 . |theta| + l2/2 . theta**2``, ``eta = design @ theta``.

    All in float64 on the CPU. Parameters are pairs of shape ``(p, *outputs)``; a flat index counts
    their entries row by row.

    Parameters
    ----------
    design
        ``(n, p)``, a column of ones first where there is an intercept.
    y, share
        ``(n,)``; the shares are above 0, and add up to 1 or, where rows were left out, to less.
    share_low
        What rounding took off the shares.
    loss
        The loss of a row.
    l1, l2
        Strengths ``(p,)`` of the penalties on each row of the parameters; 0 for the intercept.
    """

    design: Tensor
    y: Tensor
    share: Tensor
    share_low: Tensor
    loss: Loss
    l1: Tensor
    l2: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """The parameters' shape ``(p, *outputs)``."""
        return (self.design.shape[1], *self.loss.outputs)

    def per_entry(self, strength: Tensor) -> Tensor:
        """Return a strength of each row of the parameters as one of each entry, flat."""
        return strength.repeat_interleave(self.loss.outputs[0]) if self.loss.outputs else strength

    def predictions(self, theta: Pair) -> Pair:
        """Return ``design @ theta`` as a pair."""
        high, low = theta
        if high.ndim == 1:
            return dd.matvec(self.design, theta)
        columns = [dd.matvec(self.design, (high[:, k], low[:, k])) for k in range(high.shape[1])]
        return torch.stack([c[0] for c in columns], 1), torch.stack([c[1] for c in columns], 1)

    def transposed(self, rows: Pair) -> Pair:
        """Return ``design.T @ rows``, for rows ``(n, *outputs)``, as a pair."""
        high, low = rows
        if high.ndim == 1:
            return dd.transposed_matvec(self.design, rows)
        columns = [
            dd.transposed_matvec(self.design, (high[:, k].contiguous(), low[:, k].contiguous()))
            for k in range(high.shape[1])
        ]
        return torch.stack([c[0] for c in columns], 1), torch.stack([c[1] for c in columns], 1)

    def shared(self, rows: Pair) -> Pair:
        """Return rows times their shares."""
        high, low = rows
        share = times(self.share, torch.ones_like(high))
        product, error = dd.two_product(share, high)
        return dd.fast_two_sum(product, error + share * low + times(self.share_low, high))

    def gradient(self, theta: Pair, eta: Pair) -> Pair:
        """Return the gradient of the smooth part, flat, as a pair."""
        return self.balance(theta, self.loss.slope_pair(eta, self.y))

    def balance(self, theta: Pair, slopes: Pair) -> Pair:
        """Return ``design.T @ (share slopes) + l2 theta``, flat, as a pair."""
        loss = self.transposed(self.shared(slopes))
        high, low = (part.reshape(-1) for part in theta)
        l2 = self.per_entry(self.l2)
        product, error = dd.two_product(l2, high)
        flat = (loss[0].reshape(-1), loss[1].reshape(-1))
        return dd.pair_add(flat, dd.fast_two_sum(product, error + l2 * low))

    def value(self, theta: Pair, eta: Pair) -> float:
        """Return the objective in working precision."""
        rows = self.loss.value(*self._rounded(eta))
        return float((self.share * rows).sum()) + self.penalty(theta[0])

    def value_error(self, theta: Pair, eta: Pair) -> float:
        """Return a bound on the rounding error of `value`, that of the predictions included.

        As a convex function, a row's loss is changed by a prediction's error of at most e by no
        more than e times the steeper of its slopes at both ends. A factor of 2 covers the other
        directions of K outputs, as their slopes change by ``exp(2 e)`` at most.
        """
        at, y = self._rounded(eta)
        size = self.design.abs() @ theta[0].abs()
        size = size + self.y.abs() if self.loss.is_of_residual else size
        # The errors of `pair_sum`, of its terms, and of one more sum of pairs.
        error = ((math.log2(self.design.shape[1]) + 3) ** 2 + 8) * 2.0**-106 * size
        error = error + 2.0**-53 * at.abs()
        ends = (self.loss.slope(at + sign * error, y).abs() for sign in (-1, 1))
        moved = (2 * torch.maximum(*ends) * error).reshape(len(y), -1).sum(1)
        rows = self.loss.value_error(at, y) + moved
        return float((self.share * rows).sum()) + 2.0**-49 * self.penalty(theta[0])

    def _rounded(self, eta: Pair) -> tuple[Tensor, Tensor]:
        """Return predictions and targets in working precision, of residuals as ``eta - y`` and 0.

        Residuals keep the digits that predictions of a target with an offset lose.
        """
        if not self.loss.is_of_residual:
            return rounded(eta), self.y
        return rounded(dd.pair_add(eta, (-self.y, 0 * self.y))), 0 * self.y

    def penalty(self, theta: Tensor) -> float:
        """Return the penalty in working precision."""
        return float((times(self.l1, theta.abs()) + times(self.l2 / 2, theta * theta)).sum())

    def root(self, eta: Tensor, free: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return rows A of which ``A'A`` is the Hessian of the smooth part in the free entries.

        Within a radius of the predictions ``eta`` the Hessian is nowhere below it.
        """
        ridge = self.per_entry(self.l2)[free].sqrt()
        rows = self._rows(self.loss.curvature_root(eta, self.y, radius), free)
        return torch.cat([rows, torch.diag(ridge)[ridge > 0]])

    def damping(self, free: Tensor) -> Tensor:
        """Return rows that vanish for those moves of the free entries that change no loss.

        Their product is the Hessian of the loss for a curvature of 1; of K outputs, at predictions
        of 0.
        """
        if not self.loss.outputs:
            return self._rows(torch.ones_like(self.y)[:, None, None], free)
        zero = torch.zeros((len(self.y), *self.loss.outputs), dtype=torch.float64)
        return self._rows(self.loss.curvature_root(zero, self.y), free)

    def _rows(self, roots: Tensor, free: Tensor) -> Tensor:
        """Return the design's free columns times roots of the curvature ``(n, m, K)``."""
        roots = roots * self.share.sqrt()[:, None, None]
        if not self.loss.outputs:
            return roots[:, 0] * self.design[:, free]
        n, m, _ = roots.shape
        rows = torch.einsum("nmk,nj->nmjk", roots, self.design)
        return rows.reshape(n * m, -1)[:, free]

    def hessian(self, eta: Tensor, free: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return ``A'A`` for the rows A of `root`, without these."""
        roots = self.loss.curvature_root(eta, self.y, radius)
        bent = times(self.share, roots.mT @ roots)
        if not self.loss.outputs:
            columns = self.design[:, free]
            found = cross_product(columns, bent[:, 0] * columns)
        else:
            p, K = self.shape
            blocks = bent.new_empty((p, K, p, K))
            for k in range(K):
                for m in range(K):
                    weighted = times(bent[:, k, m], self.design)
                    blocks[:, k, :, m] = cross_product(self.design, weighted)
            found = blocks.reshape(p * K, p * K)[free][:, free]
        return found + torch.diag(self.per_entry(self.l2)[free])

    def reach(self, bases: Tensor, free: Tensor) -> Tensor:
        """Return ``||M x_i||`` for each row and output, for M ``(m, free)``: ``(n, *outputs)``.

        A step of the free entries whose length in the norm of M is r moves no prediction by more
        than r times this.
        """
        outputs = self.loss.outputs
        if not outputs:
            moves = self.design[:, free] @ bases.T
            return (moves * moves).sum(1).sqrt()
        K = outputs[0]
        columns = []
        for k in range(K):
            mine = free % K == k
            moves = self.design[:, free[mine] // K] @ bases[:, mine].T
            columns.append((moves * moves).sum(1).sqrt())
        return torch.stack(columns, 1)

    def factor(self, eta: Tensor, free: Tensor, radius: Tensor | float = 0.0) -> Factor | None:
        """Return a factor of a matrix that no Hessian within a radius is below, or None."""
        rows = len(self.y) * math.prod(self.loss.outputs) + len(free)
        found = gram_factored(self.hessian(eta, free, radius), rows)
        return factored(self.root(eta, free, radius)) if found is None else found
