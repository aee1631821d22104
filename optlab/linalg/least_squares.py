"""The reference least-squares solve: the right answer, and the proof that it is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import torch

from optlab.linalg.blas_threads import one_thread
from optlab.linalg.column_offsets import without_offsets
from optlab.linalg.row_blocks import (
    CONVERTED_ELEMENTS,
    Block,
    Rows,
    check_finite,
    in_memory,
    rescaled,
)
from optlab.linalg.solution import LeastSquaresSolution, make_solution
from optlab.linalg.solve import by_gram, by_triangle
from optlab.linalg.triangle import triangle

Route = Literal["auto", "fast", "full"]


def least_squares(
    X: torch.Tensor,
    y: torch.Tensor,
    *,
    fit_intercept: bool = True,
    l2: float = 0.0,
    route: Route = "auto",
    X_low: torch.Tensor | None = None,
    y_low: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
    column_names: Sequence[str] = (),
) -> LeastSquaresSolution:
    """Return the minimiser of ``mean((X w + b - y)**2) + l2/2 ||w||**2``, with a certificate.

    Parameters
    ----------
    X, y
        Shapes (n, d) and (n,), float64 or float32, on one device. float32 data is taken as exact
        and computed with in float64.
    fit_intercept
        Whether there is a b. It is a column of ones like any other, but it bears no penalty, and
        in a rank-deficient problem the norm of w alone is made least.
    l2
        The ridge penalty, at least 0.
    route
        ``"fast"``: Gram matrix, Cholesky, corrections in working precision: backward stable.
        ``"full"``: corrections in double-double: all the digits the data has. ``"auto"``: full for
        small data, and where fast predicts fewer than 8 digits or the residual, and so the loss,
        would have fewer than 10. Where the factor says that the route
        asked for cannot be taken (condition above 5e6 for fast; rank-deficient), the next safer one
        is, and the certificate says which.
    X_low, y_low
        Low parts of data known to more than float64: the problem solved is that of ``X + X_low``
        and ``y + y_low`` (full route).
    weights
        Of the rows, (n,) like y, finite, at least 0 and not all 0: what is minimised is
        ``sum(w (X w + b - y)**2) / sum(w) + l2/2 ||w||**2``, for the weights as they are, without
        rounding their roots. A row of weight 0 is left out. The certificate's residual sum of
        squares is ``sum(w r**2)``; its standard errors take the weights for inverse variances, up
        to a factor that the residuals tell.
    column_names
        What the certificate's message calls the columns of X where some are linearly dependent.

    Returns
    -------
    LeastSquaresSolution
        The answer and its certificate.

    Raises
    ------
    ValueError
        Shapes, dtypes or options that are not allowed; no rows; elements that are not finite (row,
        column and count are named).
    OverflowError
        Coefficients beyond the range of float64.

    See Also
    --------
    streaming_least_squares : Rows that do not fit into memory.
    Certificate : The proof that comes with it.

    Examples
    --------
    >>> X = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    >>> solution = least_squares(X, 3.0 * X[:, 0] + 1.0)
    >>> solution.weight.item(), solution.bias.item(), solution.certificate.rank
    (3.0, 1.0, 2)

    Source: Å. Björck, Numerical Methods for Least Squares Problems (1996), sections 2.4 to 2.9.
    """
    block = _checked(X, y, l2, route, X_low=X_low, y_low=y_low)
    weight_exponent, weight_sum = 0, None
    if weights is not None:
        block, weight_exponent, weight_sum = _with_weights(block, _as_float64("weights", weights))
    rows = replace(in_memory(block, fit_intercept), weight_sum=weight_sum)
    if rows.unknowns == 0:
        raise ValueError("X has no columns and fit_intercept is False: there is nothing to fit")
    with one_thread() if _is_small(len(block.y), rows.unknowns) else nullcontext():
        solution = _best(rows, block, l2, route, X.device, column_names)
    if not weight_exponent:
        return solution
    scaled = solution.certificate
    squares = float(np.ldexp(scaled.residual_sum_of_squares, weight_exponent))
    return replace(solution, certificate=replace(scaled, residual_sum_of_squares=squares))


def _is_small(n: int, p: int) -> bool:
    """Return whether one thread solves n rows of p unknowns as fast as several, or nearly so."""
    return min(n, p) <= 256 and n * p <= 1 << 20


def _best(
    rows: Rows,
    block: Block,
    l2: float,
    route: str,
    device: torch.device,
    column_names: Sequence[str],
) -> LeastSquaresSolution:
    """Return the solution of one block's rows, less their offsets where these hide the rank."""
    n = len(block.y)
    if block.X_low is not None or block.y_low is not None:
        check_finite(block)
        return _solved(rows, n, l2, "full", device, column_names)
    solution = _solved(rows, n, l2, route, device, column_names)
    if rows.intercept and solution.certificate.rank < min(n, rows.unknowns):
        # An offset that dwarfs the spread makes a column look like the intercept's.
        apart = without_offsets(rows, block)
        if apart is not rows:
            other = _solved(apart, n, l2, "full", device, column_names)
            if other.certificate.rank > solution.certificate.rank:
                return other
    return solution


def _with_weights(block: Block, weights: torch.Tensor) -> tuple[Block, int, tuple[float, float]]:
    """Return the rows of weight above 0, the power of two taken off the weights, and their sum.

    With the largest weight between 1/2 and 1 no product is out of range that would not be without.
    """
    if weights.shape != block.y.shape:
        raise ValueError(f"weights must have shape {tuple(block.y.shape)}, "
                         f"not {tuple(weights.shape)}")  # fmt: skip
    if not (weights.isfinite().all() and (weights >= 0).all() and weights.any()):
        raise ValueError("weights must be finite, at least 0, and not all 0")
    exponent = math.frexp(weights.max().item())[1]
    scaled: Any = np.ldexp(weights.cpu().numpy(), -exponent)
    total = math.fsum(scaled)
    weight_sum = total, math.fsum([*scaled, -total])
    if isinstance(block.X, torch.Tensor):  # pragma: no cover - of an accelerator
        scaled = torch.from_numpy(scaled).to(weights.device)
    kept = scaled > 0.0
    if not kept.all():
        block = Block(*(None if part is None else part[kept] for part in block))
        scaled = scaled[kept]
    return block._replace(weights=scaled), exponent, weight_sum


def _solved(
    rows: Rows, n: int, l2: float, route: str, device: torch.device, column_names: Sequence[str]
) -> LeastSquaresSolution:
    """Return the solution of n rows by the first of the routes that can be taken."""
    found = None
    if n >= rows.unknowns:
        found = by_gram(rows, l2, route)
    if found is None and (moderate := rescaled(rows, l2 * n / 2)) is not rows:
        rows = moderate
        if n >= rows.unknowns:
            found = by_gram(rows, l2, route)
    if found is None:
        R, _, updates = triangle(rows)
        found = by_triangle(rows, R, n, l2, updates)
    return make_solution(rows, found, n, l2, device, column_names=column_names)


def _checked(
    X: torch.Tensor,
    y: torch.Tensor,
    l2: float,
    route: str,
    *,
    X_low: torch.Tensor | None,
    y_low: torch.Tensor | None,
) -> Block:
    """Return the data as one block, or raise ValueError saying what is not allowed."""
    if X.ndim != 2 or y.ndim != 1 or X.shape[0] != y.shape[0]:
        raise ValueError(
            f"X must have shape (n, d) and y (n,), not {tuple(X.shape)} and {tuple(y.shape)}"
        )
    if X.shape[0] == 0:
        raise ValueError("X has no rows (n = 0): there is nothing to fit")
    if X.device != y.device:
        raise ValueError(f"X and y must be on one device, not on {X.device} and {y.device}")
    if not 0.0 <= l2 < math.inf:
        raise ValueError(f"l2 must be finite and at least 0, not {l2}")
    if route not in get_args(Route):
        raise ValueError(f"route must be one of {', '.join(get_args(Route))}, not {route!r}")
    large = X.device.type == "cpu" and X.numel() > CONVERTED_ELEMENTS
    if large and X.dtype == y.dtype == torch.float32 and X_low is None and y_low is None:
        return Block(X.detach().numpy(), y.detach().numpy())  # made float64 in blocks
    parts = [_as_float64("X", X), _as_float64("y", y)]
    for name, low, high in (("X_low", X_low, X), ("y_low", y_low, y)):
        if low is not None and low.shape != high.shape:
            raise ValueError(
                f"{name} must have the shape {tuple(high.shape)}, not {tuple(low.shape)}"
            )
        parts.append(None if low is None else _as_float64(name, low))
    if X.device.type == "cpu":  # pragma: no branch - else of an accelerator
        parts = [None if part is None else part.numpy() for part in parts]
    return Block(*parts)


def _as_float64(name: str, values: torch.Tensor) -> Any:
    """Return the tensor in float64 (exact), without its history of gradients."""
    if values.dtype != torch.float64:
        if values.dtype != torch.float32:
            raise ValueError(f"{name} must be float64 or float32, not {values.dtype}")
        values = values.double()
    return values.detach() if values.requires_grad else values
