"""Check a gradient: closed form, autograd, central differences, batches, dtypes, inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from optlab.checks import check_not_negative
from optlab.problems.problem import Batch, Problem
from optlab.testing.gradients import input_checks, precision_checks, row_checks, slope_checks
from optlab.testing.gradients.differentiable import Differentiable, differentiable
from optlab.testing.gradients.gradient_subject import GradientSubject
from optlab.testing.report import Report
from optlab.testing.run_checks import run_checks

CHECKS: Mapping[str, Callable[[GradientSubject], object]] = {
    "value": slope_checks.check_value,
    "gradient shapes": slope_checks.check_shapes,
    "closed form": slope_checks.check_closed_form,
    "central differences": slope_checks.check_central_differences,
    "Taylor remainder": slope_checks.check_taylor_remainder,
    "mean": row_checks.check_mean,
    "batch average": row_checks.check_batch_average,
    "all rows": row_checks.check_all_rows,
    "broadcasting": row_checks.check_broadcasting,
    "inputs": input_checks.check_inputs,
    "memory layout": input_checks.check_layout,
    "no memory": input_checks.check_memory,
    "double precision": precision_checks.check_double_precision,
    "single precision": precision_checks.check_single_precision,
}
"""The checks of a gradient by name, in their order."""


def check_gradient(
    loss: Problem | Callable[..., Any],
    parameters: Tensor | Mapping[str, Tensor] | None = None,
    gradient: Callable[..., Any] | None = None,
    *,
    data: Batch | None = None,
    expected_failures: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Report:
    r"""Check the gradient of a problem or of a function, at its start and near it, in float64.

    - ``"value"``: the loss is one finite number.
    - ``"gradient shapes"``, ``"closed form"``: the closed form has the parameters' shapes and is
      autograd's, over all rows, one row and a short batch.
    - ``"central differences"``: along random directions v,
      :math:`g \cdot v = (f(x + h v) - f(x - h v)) / 2h` to truncation and rounding, both measured.
    - ``"Taylor remainder"``: :math:`|f(x + h v) - f(x) - h\, g \cdot v|` falls as :math:`h^2`.
    - ``"mean"``: rows given twice have the loss and gradient of the rows.
    - ``"batch average"``: batches weighted by their rows, the short last one included, have the
      mean loss and gradient of all; ``"all rows"``: a batch of all rows is the data.
    - ``"broadcasting"``: the loss is not the mean over all pairs of a row and a target, as of
      shapes ``(n,)`` and ``(n, 1)``.
    - ``"inputs"``: parameters, batch and data stay as they are; ``"memory layout"``: they need not
      be contiguous; ``"no memory"``: no earlier call changes a gradient.
    - ``"double precision"``: float64 is computed in float64; ``"single precision"``: float32 goes
      in and comes out, with a note of the digits that it keeps.

    Parameters
    ----------
    loss
        A problem, or a function ``loss(parameters)`` (with data, ``loss(parameters, batch)``) that
        returns a number: a tensor of shape ``()``, or of a function without autograd a float.
    parameters
        Of a function, the point near which it is checked: a tensor, or a dict of tensors. Left out
        for a problem, which draws its starts.
    gradient
        A function of the same arguments that returns the gradient, shaped as the parameters. Left
        out, a problem's own is checked, and of a function autograd's.
    data
        The rows of a function of a batch, which then is checked over batches too.
    expected_failures
        A reason for each check that is known to fail.
    seed
        Of starts and random directions, a whole number of at least 0.

    Returns
    -------
    A report: ``report.ok``, ``report.failures``, ``report.raise_if_failed()``. A failure names the
    worst entry, by how much it is off and where, and ends in code to paste.

    Raises
    ------
    ValueError
        If the loss is no problem and no function, or a function has no parameters.

    See Also
    --------
    check_problem : The whole protocol of a problem.
    optlab.testing.strategies : Problems to draw.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> from optlab.testing import check_gradient
    >>> problem = ol.LinearRegression([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0], l2=0.1)
    >>> check_gradient(problem).ok
    True
    >>> def gradient(w):
    ...     return w  # of the sum of squares it is 2 w
    >>> report = check_gradient(lambda w: w.square().sum(), torch.tensor([3.0, 4.0]), gradient)
    >>> [failure.check for failure in report.failures]
    ['closed form', 'central differences', 'Taylor remainder']
    >>> print(report.failures[0].message.splitlines()[2])
      likely: every entry is 0.5 times what it must be

    References
    ----------
    Gill, Murray and Wright, Practical Optimization (1981), section 8.1. Moré and Wild, Estimating
    computational noise (2011).
    """
    check_not_negative("seed", seed)
    subject = GradientSubject(_given(loss, parameters, gradient, data), int(seed))
    checks = {name: functools.partial(check, subject) for name, check in CHECKS.items()}
    return run_checks(f"gradient of {subject.double.name}", checks, expected_failures)


def _given(loss: Any, parameters: Any, gradient: Any, data: Batch | None) -> Differentiable:
    """Return the loss in float64, or raise a ValueError that says what is wrong with it."""
    if gradient is not None and not callable(gradient):
        raise ValueError(f"gradient must be a function of the parameters, not {gradient!r}")
    if isinstance(loss, Problem):
        if parameters is not None or data is not None:
            raise ValueError("parameters and data are a function's: a problem has its own")
        double = loss.to("cpu", torch.float64, copy=True)
        return differentiable(double, gradient=gradient, dtype=torch.float64)
    if not callable(loss):
        raise ValueError(f"loss must be a problem or a function of the parameters, not {loss!r}")
    given = dict(parameters) if isinstance(parameters, Mapping) else parameters
    tensors = list(given.values()) if isinstance(given, dict) else [given]
    if not tensors or not all(isinstance(v, Tensor) and v.is_floating_point() for v in tensors):
        raise ValueError(
            "parameters must be a tensor of real numbers, or a dict of such tensors, where the "
            f"loss is a function, not {parameters!r}"
        )
    of = differentiable(loss, given, gradient, data, torch.float64)
    return of.in_dtype(torch.float64)
