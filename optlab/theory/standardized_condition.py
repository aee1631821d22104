"""The condition number that linear least squares would have with standardized features."""

from __future__ import annotations

import math

import torch

from optlab.problems import Problem
from optlab.problems.capabilities import HasLeastSquares, has


def standardized_condition(problem: Problem) -> float:
    r"""Return the condition number :math:`L / \mu` of a linear model's squares, once standardized.

    With an intercept the features are centred and scaled, without one they are only scaled; those
    that are constant, or hold nothing that others do not, do not count.

    Parameters
    ----------
    problem
        Linear least squares, with an l2 penalty or without, rows alike.

    Raises
    ------
    ValueError
        For another problem.

    Examples
    --------
    >>> import numpy as np
    >>> import optlab as ol
    >>> x = np.arange(-500.0, 501.0)
    >>> standardized_condition(ol.LinearRegression(x[:, None], 1.8 * x + 32))
    1.0
    """
    X = problem.data.X
    if not has(problem, HasLeastSquares) or X.ndim != 2 or problem.data.weight is not None:
        raise ValueError(f"{problem.name!r} is no linear least squares with rows alike")
    with_intercept = "bias" in problem.start(torch.Generator())
    X = X.detach().to("cpu", torch.float64)
    Z = X - X.mean(0) if with_intercept else X
    scale = Z.square().mean(0).sqrt()
    Z = Z[:, scale > 0] / scale[scale > 0]
    values = 2 * torch.linalg.svdvals(Z / math.sqrt(len(Z))).square()
    values = values[values > torch.finfo(torch.float64).eps * len(Z) * values.max()]
    values = values + float(getattr(problem, "l2", 0.0))
    values = torch.cat([values, torch.full((int(with_intercept),), 2.0).double()])
    return round(float(values.max() / values.min()), 12)
