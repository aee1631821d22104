"""Full-batch descent on a quadratic: its exact curve, largest stable rate, half-lives and limit."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import torch

from optlab.checks import check_count
from optlab.optimizers import Optimizer
from optlab.optimizers.linear_descent import LinearDescent, linear_descent
from optlab.problems import Parameters, Problem
from optlab.problems.hessian import Modes, modes
from optlab.problems.vector import flatten, unflatten

Array: TypeAlias = np.ndarray[Any, Any]


def stable_rate(problem: Problem, optimizer: Optimizer | LinearDescent | None = None) -> float:
    r"""Return the learning rate below which full-batch descent on a problem is stable.

    .. math:: \frac{2}{L}, \qquad \frac{2 (1 + m)}{L} \text{ (heavy ball)}, \qquad
        \frac{2 + 2 m}{(1 + 2 m) L} \text{ (Nesterov)}

    with L the largest eigenvalue of the Hessian (at the reference), plus the weight decay. Above it
    the loss grows without bound, however slowly at first. Where the loss is no quadratic it holds
    near the minimiser.

    Parameters
    ----------
    problem
        The problem.
    optimizer
        The method, at any rate; plain descent where left out.

    Returns
    -------
    float
        The limit; rates below it are stable.

    Raises
    ------
    ValueError
        Where the method has no such limit (Adam, a schedule), or `modes` refuses the problem.

    See Also
    --------
    half_lives : How slow the slowest mode is.

    Examples
    --------
    A system of a forum's, whose largest rate nobody there could say:

    >>> import optlab as ol
    >>> A = [[-249.69, -4.1511], [-4.1511, -0.20755]]
    >>> problem = ol.LinearRegression(A, [0.0, 10.0], fit_intercept=False)
    >>> print(f"{stable_rate(problem):.6e}")
    3.206177e-05
    >>> print(f"{stable_rate(problem, ol.TorchSGD(momentum=0.9)):.6e}")
    6.091737e-05

    References
    ----------
    Polyak, Introduction to Optimization (1987), sections 1.4 and 3.2.
    """
    descent = LinearDescent(1.0) if optimizer is None else required_descent(optimizer)
    return descent.stable_rate(modes(problem).largest)


def half_lives(
    problem: Problem, optimizer: Optimizer | LinearDescent, *, batch_size: int | str = "full"
) -> Array:
    r"""Return the epochs in which the error along each eigenvector halves, ``(r,)``.

    .. math:: \frac{\log 2}{- \log \rho_i} \; / \; \lceil n / B \rceil

    in the order of `Modes.eigenvalues`, the largest first: the last finite one is the slowest. With
    mini-batches it is the mean of the iterates over all orders that halves, to first order in the
    rate (exactly, where batches are drawn with replacement).

    Returns
    -------
    numpy.ndarray
        ``(r,)``, in epochs; infinite for a mode that does not shrink.

    Raises
    ------
    ValueError
        As `stable_rate`; for another batch size.

    See Also
    --------
    modes : The eigenvalues.
    stable_rate : Where the fastest mode does not halve any more.

    Examples
    --------
    >>> import optlab as ol
    >>> half_lives(ol.Quadratic([10.0, 1.0]), ol.SGD(0.05)).round(2).tolist()
    [1.0, 13.51]

    References
    ----------
    Polyak, Introduction to Optimization (1987), section 1.4.
    """
    steps = math.ceil(len(problem.data.y) / rows_a_step(problem, batch_size))
    return required_descent(optimizer).half_life(modes(problem).eigenvalues) / steps


def expected_parameters(
    problem: Problem, optimizer: Optimizer | LinearDescent, start: Parameters, steps: int
) -> Parameters:
    r"""Return the mean of the parameters after some steps, float64 on the CPU.

    .. math:: E[w_T] - w_* = (I - \eta H)^T (w_0 - w_*)

    for descent; with momentum by its own recurrence. On a quadratic it is exact for full batches
    (there is no mean to take) and for mini-batches of any size that are drawn independently of each
    other, with or without replacement. In shuffled epochs batches depend on each other.

    Returns
    -------
    dict of str and torch.Tensor
        The parameters.

    Raises
    ------
    ValueError
        As `stable_rate`; for a loss that is no quadratic.

    See Also
    --------
    descent_limit : After steps without end.
    SGDMoments : The second moment too.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> start = {"x": torch.tensor([1.0, 1.0])}
    >>> expected_parameters(ol.Quadratic([10.0, 1.0]), ol.SGD(0.05), start, 2)
    {'x': tensor([0.2500, 0.9025], dtype=torch.float64)}

    References
    ----------
    Robbins and Monro, A Stochastic Approximation Method (1951), for unbiased gradients.
    """
    descent, found = required_descent(optimizer), quadratic_modes(problem)
    _, errors = _errors(descent, found, start, steps)
    moved = errors[-1] - errors[0]  # directions without curvature keep the start
    first = flatten(start).detach().to("cpu", torch.float64).numpy()
    point = first + found.vectors @ moved
    if descent.weight_decay:  # but for decay
        keep = descent.errors([0.0], [1.0], steps)[-1, 0]
        flat = first - found.vectors @ (found.vectors.T @ first)
        point = point - flat + keep * flat
    return unflatten(torch.from_numpy(point), start)


def predicted_suboptimality(
    problem: Problem, optimizer: Optimizer | LinearDescent, start: Parameters, epochs: int
) -> Array:
    r"""Return the suboptimality of full-batch descent after 0, 1, ..., epochs, ``(epochs + 1,)``.

    .. math:: f(w_t) - f(w_*) = \frac{1}{2} \sum_i h_i \, c_i(t)^2, \quad
        c_i(t) = (1 - \eta h_i)^t \, c_i(0)

    with :math:`c = V^T (w - w_*)` the coordinates along the eigenvectors; with momentum each
    follows `LinearDescent`. With weight decay the error is that from another minimiser, and the
    curve ends above zero.

    Parameters
    ----------
    problem
        A problem whose loss is quadratic.
    optimizer
        The method.
    start
        The parameters of the start.
    epochs
        Passes, of one step each.

    Returns
    -------
    numpy.ndarray
        ``(epochs + 1,)``, float64.

    Raises
    ------
    ValueError
        As `stable_rate`; for a loss that is no quadratic.

    See Also
    --------
    linear_descent : The recurrence.
    optlab.Results.theory : Beside what was measured.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> start = problem.start(torch.Generator().manual_seed(1))
    >>> predicted = predicted_suboptimality(problem, ol.ManualSGD(0.1), start, 20)
    >>> measured = ol.minimize(problem, ol.ManualSGD(0.1), epochs=20, seed=1)
    >>> print(f"{predicted[-1]:.4f} {measured.suboptimality:.4f}")
    0.0038 0.0038

    References
    ----------
    Polyak, Introduction to Optimization (1987), sections 1.4 and 3.2.
    """
    found = quadratic_modes(problem)
    offset, errors = _errors(required_descent(optimizer), found, start, epochs)
    with np.errstate(over="ignore", invalid="ignore"):  # one that diverges may leave float64
        curve: Array = (errors + offset) ** 2 @ found.eigenvalues / 2
    return curve


def descent_limit(
    problem: Problem, optimizer: Optimizer | LinearDescent, start: Parameters
) -> Parameters:
    r"""Return the point that stable full-batch descent ends at, float64 on the CPU.

    .. math:: w_\infty = w_* + N N^T (w_0 - w_*), \qquad
        w_\infty = V \, \mathrm{diag} \left( \frac{h}{h + \lambda} \right) V^T w_*
        \text{ with weight decay}

    with N the directions in which the loss is flat: descent never moves along them, so from zero it
    ends at the minimiser of least norm, over all parameters, the intercept too. Weight decay is
    ridge regression of all parameters: ``l2`` equal to it, where there is no intercept.

    Returns
    -------
    dict of str and torch.Tensor
        The parameters.

    Raises
    ------
    ValueError
        As `stable_rate`; for a loss that is no quadratic.

    See Also
    --------
    expected_parameters : Before the limit.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[3.0, 4.0]], [5.0], fit_intercept=False)
    >>> limit = descent_limit(problem, ol.SGD(0.01), {"weight": torch.zeros(2)})
    >>> [round(value, 12) for value in limit["weight"].tolist()]
    [0.6, 0.8]

    References
    ----------
    Golub and Van Loan, Matrix Computations (2013), section 5.5; Hastie, Tibshirani and Friedman,
    The Elements of Statistical Learning (2009), section 3.4.1.
    """
    descent, found = required_descent(optimizer), quadratic_modes(problem)
    h, V = found.eigenvalues, found.vectors
    if descent.weight_decay:
        point = V @ (h / (h + descent.weight_decay) * (V.T @ found.centre))
        return unflatten(torch.from_numpy(point), start)
    first = flatten(start).detach().to("cpu", torch.float64).numpy()
    steep = V[:, h > 0]
    point = first - steep @ (steep.T @ (first - found.centre))
    return unflatten(torch.from_numpy(point), start)


def required_descent(optimizer: Optimizer | LinearDescent) -> LinearDescent:
    """Return an optimizer's recurrence, or raise a ValueError where it has none."""
    descent = linear_descent(optimizer)
    if descent is None:
        raise ValueError(
            f"optimizer must be gradient descent at a constant rate, with or without momentum, "
            f"not {optimizer!r}: its error follows no linear recurrence"
        )
    return descent


def quadratic_modes(problem: Problem) -> Modes:
    """Return a problem's modes, or raise a ValueError where its loss is no quadratic."""
    found = modes(problem)
    if not found.quadratic:
        raise ValueError(f"problem must have a quadratic loss, which {problem.name!r} has not")
    return found


def rows_a_step(problem: Problem, batch_size: int | str) -> int:
    """Return the rows of a mini-batch: those of all data for ``"full"``, and never more."""
    rows = len(problem.data.y)
    return rows if batch_size == "full" else min(rows, check_count("batch_size", batch_size))


def noise_share(problem: Problem, batch_size: int | str, *, replacement: bool) -> float:
    """Return the share of one row's gradient covariance that a mini-batch has.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[1.0], [2.0], [3.0]], [1.0, 2.0, 4.0])
    >>> [noise_share(problem, 2, replacement=replacement) for replacement in (True, False)]
    [0.5, 0.25]
    """
    n = len(problem.data.y)
    if batch_size == "full":
        return 0.0
    if replacement:
        return 1 / check_count("batch_size", batch_size)
    rows = rows_a_step(problem, batch_size)
    return (n - rows) / (rows * max(n - 1, 1))


def decay_offset(descent: LinearDescent, found: Modes) -> Array:
    """Return where weight decay moves the minimiser to, ``(r,)``: its coordinates; zeros if none.

    ``V'(w_decay - w*) = -decay / (h + decay) V'w*``.
    """
    decay = descent.weight_decay
    if not decay:
        return np.zeros_like(found.eigenvalues)
    offset: Array = -decay / (found.eigenvalues + decay) * (found.vectors.T @ found.centre)
    return offset


def _errors(
    descent: LinearDescent, found: Modes, start: Parameters, steps: int
) -> tuple[Array, Array]:
    """Return the offset of the minimiser ``(r,)``, and the errors from it ``(steps + 1, r)``."""
    offset = decay_offset(descent, found)
    return offset, descent.errors(found.eigenvalues, found.coordinates(start) - offset, steps)
