"""Evaluate a point of linear regression against the optimum, off everybody's clock."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optlab.linalg import LeastSquaresSolution
from optlab.linalg import double_double as dd
from optlab.linalg.column_offsets import offsets
from optlab.linalg.row_blocks import SAMPLE_ROWS
from optlab.problems.problem import Evaluation, Parameters

_SMALL = 1 << 15
"""Entries of X up to which BLAS uses one thread."""

_FAR = 16
"""The factor by which the terms of the distance must exceed a point's own for these to be used."""

_AT_ONCE = 1 << 14
"""Predictions of points that are evaluated together: few enough to stay in the cache."""

_SHORT = 32
"""Numbers whose norm Python takes in less time than the calls of numpy need."""


class Judge:
    """Evaluate points in float64 on the CPU: see `LinearRegression.evaluate`.

    A point's residuals are those of the optimum plus its distance from the optimum times X, which
    keeps all digits near it. Where the optimum's weights dwarf the point's and y (a design whose
    columns nearly depend on each other), they are computed from the point itself.

    Parameters
    ----------
    X, y
        The data, float64 or float32 on the CPU. Large float32 data are made float64 some rows at a
        time, so that no second copy of all of them is held.
    solution
        The optimum, with what rounding to float64 took off it.
    fit_intercept, l2
        Those of the problem.
    share
        The rows' shares of the loss, (n,), above 0 and adding up to 1; None where all are 1 / n.
    """

    def __init__(
        self,
        X: Tensor,
        y: Tensor,
        solution: LeastSquaresSolution,
        fit_intercept: bool,
        l2: float,
        *,
        share: Tensor | None = None,
    ) -> None:
        self.l2, self.fit_intercept = l2, fit_intercept
        self.bias, self.bias_low = solution.bias.item(), solution.bias_low.item()
        certificate = solution.certificate
        self.unique = certificate.rank == certificate.unknowns
        # An offset that dwarfs the spread would hide how far a point is from the optimum.
        head = X[:SAMPLE_ROWS].double().numpy()
        shift = offsets(head) if fit_intercept else 0.0 * head[0]
        self.is_shifted = bool((shift != 0.0).any())
        # Numpy's calls cost a fraction of torch's, which is most of the time on small data; on
        # large data torch's threads are used, so that no second pool of threads wakes beside them.
        # Large data that must be converted or shifted are so in small blocks.
        X = X.double() if X.numel() <= _SMALL else X
        whole = X.dtype == torch.float64 and not self.is_shifted
        small = X.numel() <= _SMALL or not whole
        self._array: Any = np.asarray if small else torch.as_tensor
        step = len(X) if whole else max(1, _SMALL // max(1, X.shape[1]))
        self._rows = [slice(first, first + step) for first in range(0, len(X), step)]
        self.X: Any = self._array(X)
        self.weight: Any = self._array(solution.weight)
        self.weight_low: Any = self._array(solution.weight_low)
        self.shift: Any = self._array(shift)
        self.factor: Any = None if share is None else len(X) * self._array(share)
        self._norm = _norm(self.weight, self.bias) or 1.0
        self.y: Any = self._array(y.double())
        self._largest = float(y.abs().max())
        self._spread: Any = np.max(np.abs(head - shift), axis=0)
        most = float(self._spread @ np.abs(np.asarray(self.weight)))
        most += abs(self._own_level(self.weight, self.bias))
        self._has_far_points = most > (_FAR - 1) * self._largest
        self.residual: Any = self._residual(self.y, certificate.route)

    def _residual(self, y: Any, route: str) -> Any:
        """Return the residuals at the optimum, to all digits where the optimum has them."""
        residual = 0.0 * y
        for rows in self._rows:
            residual[rows] = self._residual_of_rows(self._double(rows), y[rows], route)
        return residual

    def _residual_of_rows(self, X: Any, y: Any, route: str) -> Any:
        with np.errstate(all="ignore"):
            plain = X @ self.weight + self.bias - y
            if route == "fast":
                return plain
            residual = dd.matvec(X, (self.weight, self.weight_low))
            residual = dd.pair_add(residual, (self.bias - 0.0 * y, self.bias_low - 0.0 * y))
            high, low = dd.pair_add(residual, (-y, 0.0 * y))
        # Numbers above 2**996 cannot be split in two for double-double.
        return high + low if math.isfinite(float((high + low).sum())) else plain

    def _double(self, rows: slice) -> Any:
        X = self.X[rows]
        return X if isinstance(X, torch.Tensor) else np.asarray(X, dtype=np.float64)

    def __call__(self, parameters: Parameters) -> Evaluation:
        """Return what is known of a point."""
        n, l2 = len(self.residual), self.l2
        point = {
            name: self._array(value.detach().to("cpu", torch.float64))
            for name, value in parameters.items()
        }
        weight, bias = point["weight"], float(point.get("bias", 0.0))
        with np.errstate(all="ignore"):  # where descent diverges, infinity is the answer
            apart = (weight - self.weight) - self.weight_low
            bias_apart = (bias - self.bias) - self.bias_low
            level = self._level(weight, bias) if self.is_shifted else bias_apart
            far = self._has_far_points and self._is_far(weight, bias, apart, level)
            at, level = (weight, self._own_level(weight, bias)) if far else (apart, level)
            parts = zip(*(self._sums(rows, at, level, far) for rows in self._rows), strict=True)
            sums: list[Any] = [sum(part) for part in parts]
            slope, total, squares, gaps = sums
            if self.is_shifted:
                slope = slope + self.shift * total
            slope = slope * (2 / n)
            loss, suboptimality = squares / n, gaps / n
            if l2:
                slope = slope + l2 * weight
                loss = loss + l2 / 2 * (weight @ weight)
                suboptimality = suboptimality + l2 / 2 * (apart @ apart)
            bias_slope = 2 * total / n if self.fit_intercept else 0.0
            error = _norm(apart, bias_apart) / self._norm
            return Evaluation(
                loss=float(loss),
                suboptimality=max(float(suboptimality), 0.0) if far else float(suboptimality),
                gradient_norm=_norm(slope, bias_slope),
                parameter_error=error if self.unique else math.nan,
            )

    def _is_far(self, weight: Any, bias: float, apart: Any, level: float) -> bool:
        """Return whether the point's own residuals round less, by far, than its distance's."""
        at, distance = (np.abs(np.asarray(part)) for part in (weight, apart))
        terms, apart_terms = self._spread @ at + self._largest, self._spread @ distance + abs(level)
        if not apart_terms > _FAR * terms:
            return False
        return bool(apart_terms > _FAR * (terms + abs(self._own_level(weight, bias))))

    def together(self, points: Parameters) -> list[Evaluation]:
        """Return what is known of several points, to the bit as of each alone.

        Parameters
        ----------
        points
            The parameters by name, with a leading axis.

        Notes
        -----
        Numpy multiplies a matrix by a stack of vectors by one call of BLAS a vector, the call that
        a single vector takes, so that the bits do not depend on how many there are; one product of
        two matrices would sum in another order. Where a product takes longer than the calls around
        it (large data), or is taken in blocks of rows, points are evaluated one by one, as where
        the optimum has huge weights.
        """
        names, values = list(points), list(points.values())
        alone = self._array is not np.asarray or len(self._rows) > 1
        if alone or self.is_shifted or self._has_far_points:
            each = zip(*values, strict=True)
            return [self(dict(zip(names, point, strict=True))) for point in each]
        arrays = {k: v.detach().to("cpu", torch.float64).numpy() for k, v in points.items()}
        weights = arrays["weight"]
        biases = arrays["bias"] if self.fit_intercept else np.zeros(len(weights))
        step = max(1, _AT_ONCE // len(self.residual))
        found = []
        for first in range(0, len(weights), step):
            part = slice(first, first + step)
            found += self._together(weights[part], biases[part])
        return found

    def _together(self, weights: Any, biases: Any) -> list[Evaluation]:
        """Return the evaluations of weights ``(k, d)`` and biases ``(k,)``: see `__call__`."""
        n, l2 = len(self.residual), self.l2
        with np.errstate(all="ignore"):
            apart = (weights - self.weight) - self.weight_low
            bias_apart = (biases - self.bias) - self.bias_low
            gap = _matvec(self.X, apart) + bias_apart[:, None]
            residual = self.residual + gap
            factor = self.factor
            weighted = residual if factor is None else factor * residual
            slope = _matvec(self.X.T, weighted) * (2 / n)
            loss = _dot(weighted, residual) / n
            suboptimality = _dot(gap if factor is None else factor * gap, gap) / n
            if l2:
                slope = slope + l2 * weights
                loss = loss + l2 / 2 * _dot(weights, weights)
                suboptimality = suboptimality + l2 / 2 * _dot(apart, apart)
            bias_slope = 2 * weighted.sum(1) / n if self.fit_intercept else 0 * biases
            norms = _norms(slope, bias_slope)
            apart_norms = _norms(apart, bias_apart) if self.unique else [math.nan] * len(apart)
        own = self._norm
        return [
            Evaluation(value, excess, norm, error / own)
            for value, excess, norm, error in zip(
                loss.tolist(), suboptimality.tolist(), norms, apart_norms, strict=True
            )
        ]

    def _sums(self, rows: slice, at: Any, level: float, far: bool) -> tuple[Any, Any, Any, Any]:
        """Return ``X'r``, ``1'r``, ``r'r`` and ``g'g`` of some weighted rows, ``g`` their gap.

        The gap is ``X at + level`` where `at` is the distance from the optimum; where the point is
        far from it, `at` is the point itself, and ``X at + level - y`` are the residuals. There
        ``g'(r + r*)`` stands for ``g'g``, which holds at an optimum of few digits too.
        """
        X = self._double(rows)
        if self.is_shifted:
            X = X - self.shift
        gap = other = X @ at + level
        if far:
            residual = gap - self.y[rows]
            gap = residual - self.residual[rows]
            other = gap if self.l2 else residual + self.residual[rows]
        else:
            residual = self.residual[rows] + gap
        if self.factor is None:
            return X.T @ residual, residual.sum(), residual @ residual, gap @ other
        weighted, gap = self.factor[rows] * residual, self.factor[rows] * gap
        return X.T @ weighted, weighted.sum(), weighted @ residual, gap @ other

    def _level(self, weight: Any, bias: float) -> float:
        """Return ``shift'(w - w*) + b - b*``, terms that cancel, in double-double."""
        zero = 0.0 * self.weight
        apart = dd.pair_add(dd.two_sum(weight, -self.weight), (-self.weight_low, zero))
        return self._levelled(apart, [bias, -self.bias, -self.bias_low])

    def _own_level(self, weight: Any, bias: float) -> float:
        """Return ``shift'w + b`` in double-double."""
        return self._levelled((weight, 0.0 * weight), [bias]) if self.is_shifted else bias

    def _levelled(self, weight: Any, biases: list[float]) -> float:
        """Return ``shift'w`` and numbers, summed in double-double."""
        numbers = self._array([biases])
        level = dd.matvec(self.shift[None, :], weight)
        high, _ = dd.pair_add(level, dd.pair_sum(numbers, 0.0 * numbers, 1))
        found = float(high[0])  # the high word is the rounded sum
        return found if math.isfinite(found) else float(self.shift @ weight[0] + sum(biases))


def _matvec(matrix: Any, vectors: Any) -> Any:
    """Return the product of a matrix ``(m, n)`` and each of some vectors ``(k, n)``, ``(k, m)``."""
    return np.matmul(matrix, vectors[:, :, None])[:, :, 0]


def _dot(a: Any, b: Any) -> Any:
    """Return the inner products of the rows of two arrays."""
    return np.matmul(a[:, None, :], b[:, :, None])[:, 0, 0]


def _norms(vectors: Any, values: Any) -> list[float]:
    """Return the Euclidean norm of each vector and its number: see `_norm`."""
    if vectors.shape[1] > _SHORT:
        return [_norm(*pair) for pair in zip(vectors, values.tolist(), strict=True)]
    rows = zip(values.tolist(), vectors.tolist(), strict=True)
    return [math.hypot(number, *vector) for number, vector in rows]


def _norm(vector: Any, number: Any) -> float:
    """Return the Euclidean norm of a vector and a number, also where its square is not a float."""
    if len(vector) <= _SHORT:
        return math.hypot(number, *vector.tolist())
    largest = max(float(abs(vector).max()), abs(float(number)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    vector, number = vector / largest, float(number) / largest
    return largest * math.sqrt(float(vector @ vector) + number * number)
