"""A least-squares solution as it is returned: in the units of the data, with its certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from optlab.linalg.certificate import (
    BACKWARD_LIMIT,
    DIGITS_LIMIT,
    Certificate,
    Small,
    predicted_digits,
)
from optlab.linalg.column_offsets import with_offsets
from optlab.linalg.passes import accurate_gram
from optlab.linalg.row_blocks import Rows, Vector
from optlab.linalg.solve import Found, rank_tolerance

ERROR_ELEMENTS = 1 << 14  # n p^2 up to which standard errors get a Gram matrix in double-double
PART = 1e-6  # of the largest part in a dependence: smaller ones are rounding
MOST_NAMES = 10
CLEAR_GAP = 100.0  # kept over dropped singular values: less, and the rank could be argued about


@dataclass(frozen=True)
class LeastSquaresSolution:
    """A least-squares answer and its certificate.

    Attributes
    ----------
    weight, bias
        (d,) and (), float64, on the device of X; the bias is zero where none was fitted.
    weight_low, bias_low
        What rounding to float64 took off: ``weight + weight_low`` has more digits still where the
        full route was taken; zero elsewhere.
    certificate
        See :class:`Certificate`.

    See Also
    --------
    least_squares, streaming_least_squares : What return it.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    weight_low: torch.Tensor
    bias_low: torch.Tensor
    certificate: Certificate

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        """``{"weight": (d,), "bias": ()}``."""
        return {"weight": self.weight, "bias": self.bias}


def make_solution(
    rows: Rows,
    found: Found,
    n: int,
    l2: float,
    device: torch.device,
    *,
    column_names: Sequence[str] = (),
) -> LeastSquaresSolution:
    """Return the solution in the units of the data, on this device, with its certificate.

    Raises OverflowError where a coefficient is beyond the range of float64.
    """
    if rows.shift is not None:
        found = with_offsets(found, rows)
    high, low, errors = found.answer.high, found.answer.low, found.answer.errors
    p, first = rows.unknowns, int(rows.intercept)
    exponents = np.zeros(p, dtype=np.int64)
    if rows.column_exponents is not None:
        exponents[first:] = rows.column_exponents
        high, low, errors = _unscaled(rows, found, exponents)
    digits = predicted_digits(found.size, errors)
    values = torch.from_numpy(high)
    lows = torch.from_numpy(low)
    if device.type != "cpu":  # pragma: no cover - an accelerator
        values, lows = values.to(device), lows.to(device)
    trusted, message = _verdict(found, digits, errors, rows)
    if found.rank < p:
        why = _dependence(found, n, rows, column_names)
        message = f"{message}; the minimiser is not unique: {why}"
    certificate = Certificate(
        route=found.route,
        rank=found.rank,
        unknowns=p,
        rank_tolerance=rank_tolerance(rows, n),
        backward_error=found.answer.backward,
        digits=digits,
        refinement_steps=found.answer.steps,
        residual_sum_of_squares=_power(found.answer.squares, 2 * rows.target_exponent),
        trusted=trusted,
        message=message,
        small=_small(rows, found, n, l2, exponents),
    )
    if first:
        return LeastSquaresSolution(values[1:], values[0], lows[1:], lows[0], certificate)
    zero = values.new_zeros(())
    return LeastSquaresSolution(values, zero, lows, zero, certificate)


def _small(rows: Rows, found: Found, n: int, l2: float, exponents: npt.NDArray[np.int64]) -> Small:
    p = rows.unknowns
    return Small(
        triangle=found.triangle,
        inverse=None if found.factor is None or l2 > 0.0 else found.factor.inverse,
        powers=found.powers,
        exponents=exponents,
        target_exponent=rows.target_exponent,
        squares=found.answer.squares,
        freedom=n - p,
        intercept=rows.intercept,
        gram=accurate_gram(rows) if found.route == "full" and n * p * p <= ERROR_ELEMENTS else None,
        shift=rows.shift,
    )


def _unscaled(
    rows: Rows, found: Found, exponents: npt.NDArray[np.int64]
) -> tuple[Vector, Vector, Vector]:
    """Return the unknowns in the units of the data, and the scaled errors, underflow included."""
    shift = rows.target_exponent - exponents
    with np.errstate(over="ignore", under="ignore"):
        high = np.ldexp(found.answer.high, shift)
        low = np.ldexp(found.answer.low, shift)
    if not np.isfinite(high).all():
        j = int(np.argmin(np.isfinite(high))) - int(rows.intercept)
        name = f"the weight of column {j}" if j >= 0 else "the bias"
        raise OverflowError(
            f"{name} is beyond the range of float64 (about 1.8e308): rescale X or y before fitting"
        )
    lost = np.abs(np.ldexp(high, -shift) - found.answer.high) / found.powers
    return high, low, found.answer.errors + lost


def _verdict(found: Found, digits: float, errors: Vector, rows: Rows) -> tuple[bool, str]:
    """Return whether to trust the answer, and why, in a sentence.

    Errors are measured against the largest coefficient, columns scaled, and each coefficient must
    have a digit of its own, or be zero but for the rounding of double-double (see `sizes`).
    """
    backward, p = found.answer.backward, rows.unknowns
    facts = f"{digits:.1f} digits predicted"
    if backward is not None:
        facts += f", backward error {backward:.2g} eps"
    if found.rank < p:
        facts = f"rank {found.rank} of {p}, minimum-norm weights, {facts}"
    else:
        facts = f"full rank {p}, {facts}"
    largest = np.full(p, found.size.max(initial=0.0))
    if rows.shift is not None:  # the bias has the offset's size, the weights have the spread's
        facts = f"offset dwarfs spread, solved less the first row; {facts}"
        largest[0], largest[1:] = found.size[0], found.size[1:].max()
    if found.rank < p and found.gap < CLEAR_GAP:
        return False, f"{facts}; not trusted: a singular value lies too near the tolerance"
    if backward is not None and backward > BACKWARD_LIMIT:
        return False, f"{facts}; not trusted: the corrections did not reach a small backward error"
    if (errors > 10**-DIGITS_LIMIT * largest).any():
        return False, f"{facts}; not trusted: errors may exceed 1e-4 of the largest coefficient"
    if digits < 1.0:
        return False, f"{facts}; not trusted: a coefficient may have no right digit"
    return True, facts


def _dependence(found: Found, n: int, rows: Rows, column_names: Sequence[str]) -> str:
    """Return which columns are linearly dependent, in words: those with a part in the null space.

    Columns are scaled, so parts are of size one over the root of the number of columns in it.
    """
    if n < len(found.powers):
        return f"{n} rows cannot determine {len(found.powers)} unknowns"
    first = int(rows.intercept)
    parts = np.abs(np.linalg.svd(found.triangle)[2][found.rank :]).max(axis=0)
    involved = [int(j) for j in np.flatnonzero(parts > PART * parts.max())]
    names = [column_names[j - first] if column_names else f"column {j - first}"
             for j in involved if j >= first]  # fmt: skip
    if len(names) > MOST_NAMES:
        names[MOST_NAMES - 1 :] = [f"{len(names) - MOST_NAMES + 1} more"]
    if rows.shift is not None and rows.shift[np.array(involved) - 1].any():
        involved = [0, *involved]  # what was taken off the columns is a multiple of the intercept
    intercept = " and the intercept" if involved[0] == 0 and first else ""
    return f"linear dependence among {', '.join(names)}{intercept}"


def _power(value: float, exponent: int) -> float:
    """Return ``value * 2**exponent``, inf where that is beyond float64."""
    with np.errstate(over="ignore"):
        return float(np.ldexp(value, exponent))
