"""The bound of a stable descent's growth, with heavy-ball or Nesterov momentum or with none."""

from __future__ import annotations


def momentum_growth(momentum: float, *, nesterov: bool = False) -> float:
    r"""Return the most by which a stable full-batch run can exceed its start's suboptimality.

    On a quadratic the error along an eigenvector of the Hessian with eigenvalue :math:`h` and
    :math:`a = \eta h` follows :math:`e_{t+1} = (1 + m - a) e_t - m e_{t-1}` from
    :math:`e_1 = (1 - a) e_0` (Nesterov: :math:`(1 + m)(1 - a) e_t - m (1 - a) e_{t-1}` from
    :math:`(1 - (1 + m) a) e_0`). At the limit of stability, :math:`a = 2 (1 + m)`, the roots are
    :math:`-1` and :math:`-m`, so that :math:`|e_t / e_0| = 1 + 2 (m + \dots + m^t)`, below
    :math:`(1 + m) / (1 - m)`; for Nesterov the largest is the first step's at the limit
    :math:`a = 2 (1 + m) / (1 + 2 m)`, :math:`(1 + 2 m + 2 m^2) / (1 + 2 m)`. Below the limit both
    are smaller, and suboptimality is a sum of squares. Without momentum it is 1: descent that is
    stable never increases the loss.

    Parameters
    ----------
    momentum
        :math:`m`, at least 0 and less than 1.
    nesterov
        Whether the momentum is Nesterov's.

    Examples
    --------
    >>> momentum_growth(0.0), momentum_growth(0.5), momentum_growth(0.5, nesterov=True)
    (1.0, 9.0, 1.5625)

    References
    ----------
    Polyak, Introduction to Optimization (1987), section 3.2, for the recurrences.
    """
    m = momentum
    most = (1 + 2 * m + 2 * m * m) / (1 + 2 * m) if nesterov else (1 + m) / (1 - m)
    return most * most
