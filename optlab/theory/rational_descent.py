"""Gradient descent on least squares in exact rational arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

Number = int | Fraction | str


def rational_descent(
    X: Sequence[Sequence[Number]],
    y: Sequence[Number],
    batches: Iterable[Sequence[int]],
    *,
    learning_rate: Number,
    momentum: Number = 0,
    nesterov: bool = False,
    weight_decay: Number = 0,
    start: Sequence[Number] | None = None,
) -> Iterator[tuple[Fraction, ...]]:
    r"""Yield the parameters after each step of descent on the mean squared error, as fractions.

    .. math::
        g = \frac{2}{B} \sum_{i \in B} (x_i \cdot w - y_i) \, x_i + \lambda w, \quad
        v \leftarrow m v + g, \quad
        w \leftarrow w - \eta v \quad (\text{Nesterov: } w \leftarrow w - \eta (g + m v))

    No step is rounded. It is the oracle of loops on small whole numbers: where float64 holds every
    intermediate value (rates and momenta that are powers of two, few steps), a right optimizer
    gives these numbers to the last bit, and elsewhere it may differ by rounding alone.

    Parameters
    ----------
    X, y
        Whole numbers, fractions, or text such as ``"0.1"``: n rows of p numbers, and n numbers. An
        intercept is a column of ones.
    batches
        The rows of each mini-batch, one batch a step; a short one counts by its own rows.
    learning_rate, momentum, nesterov, weight_decay
        As of `optlab.TorchSGD`. Floats are refused: 0.1 is not one tenth.
    start
        The p parameters before the first step; zeros where left out.

    Yields
    ------
    tuple of fractions.Fraction
        The p parameters after each step.

    Raises
    ------
    ValueError
        For floats, shapes that do not fit, an empty batch, or a row that is not there.

    See Also
    --------
    optlab.ManualSGD : The same in floating point.

    Examples
    --------
    >>> steps = rational_descent([[1], [2]], [1, 3], [[0], [1], [0, 1]], learning_rate="0.1")
    >>> [str(w) for (w,) in steps]
    ['1/5', '31/25', '33/25']

    References
    ----------
    Knuth, The Art of Computer Programming, volume 2 (1997), section 4.5.1.
    """
    design = [_fractions("X", row) for row in X]
    target = _fractions("y", y)
    rate, m, decay = _fractions("hyperparameters", [learning_rate, momentum, weight_decay])
    p = len(design[0]) if design else 0
    if not p or len(target) != len(design) or any(len(row) != p for row in design):
        raise ValueError(
            f"X must be rows of one length and y as many numbers, not {len(design)} rows of "
            f"{sorted({len(row) for row in design})} and {len(target)} numbers"
        )
    w = _fractions("start", [0] * p if start is None else start)
    if len(w) != p:
        raise ValueError(f"start must be {p} numbers, not {len(w)}")
    return _steps(design, target, batches, (rate, m, decay), w, nesterov=nesterov)


def _steps(
    X: list[list[Fraction]],
    y: list[Fraction],
    batches: Iterable[Sequence[int]],
    hyperparameters: tuple[Fraction, Fraction, Fraction],
    w: list[Fraction],
    *,
    nesterov: bool,
) -> Iterator[tuple[Fraction, ...]]:
    rate, m, decay = hyperparameters
    v = [Fraction(0)] * len(w)
    for batch in batches:
        if not len(batch) or not all(0 <= i < len(X) for i in batch):
            raise ValueError(f"a batch must be rows from 0 to {len(X) - 1}, not {batch!r}")
        g = [decay * value for value in w]
        for i in batch:
            residual = sum((a * b for a, b in zip(X[i], w, strict=True)), -y[i])
            for j, x in enumerate(X[i]):
                g[j] += 2 * residual * x / len(batch)
        v = [m * old + new for old, new in zip(v, g, strict=True)]
        moves = [new + m * fast for new, fast in zip(g, v, strict=True)] if nesterov else v
        w = [value - rate * move for value, move in zip(w, moves, strict=True)]
        yield tuple(w)


def _fractions(name: str, values: Iterable[Any]) -> list[Fraction]:
    values = list(values)
    if any(isinstance(value, float) for value in values):
        raise ValueError(
            f"{name} must be whole numbers, fractions or text such as '0.1', not floats: {values!r}"
        )
    try:
        return [Fraction(value) for value in values]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be whole numbers or fractions, not {values!r}") from error
