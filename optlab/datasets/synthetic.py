"""Synthetic data of a chosen condition number, rank and noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from optlab.datasets.dataset import Dataset


def synthetic(
    n: int,
    d: int,
    *,
    condition: float = 10.0,
    noise: float = 1.0,
    rank: int | None = None,
    dtype: DTypeLike = np.float64,
    seed: int = 0,
) -> Dataset:
    """Draw ``y = X @ weight + bias + noise * e`` with singular values of the centred X chosen.

    ``X = sqrt(n) U S V'`` with random orthonormal U (columns of mean zero) and V, and singular
    values ``S`` that fall geometrically from 1 to ``1 / condition``, so that the eigenvalues of
    ``X'X / n`` are ``S^2``. The true weight and bias and the noise are standard normal.

    Parameters
    ----------
    n, d
        Rows and columns.
    condition
        The 2-norm condition number of X, at least 1 (of its rank part where ``rank`` is given).
        That of the Hessian of the squared error, which decides how fast descent is, is its square:
        10 000 for ``condition=100``.
    noise
        Standard deviation of the noise, at least 0.
    rank
        Rank of X, at most ``min(n - 1, d)``, which is the default.
    dtype
        float32 or float64; the construction is in float64.
    seed
        Same seed, same data.

    Returns
    -------
    Dataset
        ``X (n, d)`` and ``y (n,)``; ``known`` has the weights, the bias, the condition number and
        the rank that it was made of.

    Raises
    ------
    ValueError
        For a size, rank, condition number or noise outside these bounds.

    See Also
    --------
    tutorial, diabetes : Data that were measured.

    Examples
    --------
    >>> import numpy as np
    >>> import optlab as ol
    >>> data = ol.datasets.synthetic(100, 5, condition=1e3, seed=1)
    >>> round(float(np.linalg.cond(data.X)))
    1000
    """
    full = min(n - 1, d)
    _check(n, d, condition=condition, noise=noise, rank=rank, full=full)
    r = full if rank is None else rank
    generator = np.random.default_rng(seed)
    U = _orthonormal(generator.standard_normal((n, r)), centred=True)
    V = _orthonormal(generator.standard_normal((d, r)), centred=False)
    S = np.geomspace(1.0, 1.0 / condition, r) if r > 1 else np.ones(r)
    X = math.sqrt(n) * (U * S) @ V.T
    weight, bias = generator.standard_normal(d), generator.standard_normal()
    y = X @ weight + bias + noise * generator.standard_normal(n)
    return Dataset(
        name=f"synthetic {n} x {d}, X of condition {condition:g}" + f", rank {r}" * (r < d),
        X=X.astype(dtype),
        y=y.astype(dtype),
        source=f"synthetic({n}, {d}, {condition=:g}, {noise=:g}, rank={r}, {seed=})",
        known={"condition": condition, "rank": r, "weight": weight, "bias": bias},
    )


def _check(n: int, d: int, *, condition: float, noise: float, rank: int | None, full: int) -> None:
    if n < 2 or d < 1:
        raise ValueError(f"n must be at least 2 and d at least 1, not n={n} and d={d}")
    if not (math.isfinite(condition) and condition >= 1):
        raise ValueError(f"condition must be finite and at least 1, not {condition!r}")
    if not (math.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must be finite and at least 0, not {noise!r}")
    if rank is not None and not 1 <= rank <= full:
        raise ValueError(f"rank must be from 1 to min(n - 1, d) = {full}, not {rank!r}")


def _orthonormal(
    columns: np.ndarray[Any, np.dtype[np.float64]], *, centred: bool
) -> np.ndarray[Any, np.dtype[np.float64]]:
    if centred:
        columns = columns - columns.mean(axis=0)
    return np.linalg.qr(columns).Q
