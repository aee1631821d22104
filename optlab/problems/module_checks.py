"""Check the module, the data, the loss and the measures of a ModuleProblem."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from optlab.problems.problem import Batch, Parameters

_TAKEN = {
    "trial", "epoch", "steps", "samples", "seconds", "loss", "suboptimality", "gradient_norm",
    "parameter_error", "batch_loss",
}  # fmt: skip


def checked_module(module: object) -> torch.dtype:
    """Return the dtype of a module's trained parameters, or raise a ValueError.

    Raises
    ------
    ValueError
        For no module, one without parameters to train, one whose shapes are not yet known, and
        parameters of several dtypes or another than float32 and float64.
    """
    if not isinstance(module, torch.nn.Module):
        hint = f": did you mean {module.__name__}()?" if isinstance(module, type) else ""
        raise ValueError(f"module must be a torch.nn.Module, not {module!r}{hint}")
    kind = type(module).__name__
    parameters = dict(module.named_parameters())
    if lazy := [name for name, value in parameters.items() if is_lazy(value)]:
        raise ValueError(
            f"the module {kind} has parameters of no shape yet ({', '.join(lazy)}): call it once "
            "on some rows of X"
        )
    dtypes = {value.dtype for value in parameters.values() if value.requires_grad}
    if not dtypes:
        frozen = " (all have requires_grad=False)" if parameters else ""
        raise ValueError(f"the module {kind} has no parameters to train{frozen}")
    if dtypes not in ({torch.float32}, {torch.float64}):
        names = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise ValueError(
            f"the parameters of {kind} must be all float32 or all float64, not {names}: convert "
            "them by module.float() or module.double()"
        )
    return dtypes.pop()


def checked_rows(X: Any, y: Any, dtype: torch.dtype, prefix: str = "") -> Batch:
    """Return X and y as tensors on the CPU, copied: floats in a dtype, whole numbers as int64.

    Raises
    ------
    ValueError
        For what are no numbers, no rows, differing numbers of rows, and values that are not finite.
    """
    X, y = _numbers(f"{prefix}X", X, dtype), _numbers(f"{prefix}y", y, dtype)
    if len(X) != len(y):
        raise ValueError(f"{prefix}X has {len(X)} rows and {prefix}y has {len(y)}")
    return Batch(X, y)


def _numbers(name: str, values: Any, dtype: torch.dtype) -> Tensor:
    try:
        given = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from error
    if given.is_complex():
        raise ValueError(f"{name} must be real numbers, not {given.dtype}")
    if given.ndim == 0 or not len(given):
        raise ValueError(f"{name} must have rows, not the shape {tuple(given.shape)}")
    whole = not given.is_floating_point() and given.dtype != torch.bool
    tensor = given.detach().to("cpu", torch.int64 if whole else dtype, copy=True).contiguous()
    if not whole and not tensor.isfinite().all():
        row = int((~tensor.isfinite()).reshape(len(tensor), -1).any(1).int().argmax())
        raise ValueError(f"{name} must be finite, but row {row} holds NaN or infinity in {dtype}")
    return tensor


def split(rows: Batch, validation: object) -> tuple[Batch, Batch]:
    """Return the rows to train on and a share of them, chosen at random, to hold out.

    Raises
    ------
    ValueError
        For a share outside (0, 1), and one that leaves a part without rows.
    """
    real = isinstance(validation, numbers.Real) and not isinstance(validation, bool)
    if not real or not 0 < validation < 1:  # type: ignore[operator]  # a number
        raise ValueError(
            "validation must be a share of the rows, above 0 and below 1, or a pair of X and y, "
            f"not {validation!r}"
        )
    n = len(rows.y)
    count = round(validation * n)  # type: ignore[operator]  # a number
    if not 0 < count < n:
        raise ValueError(
            f"validation={validation!r} of {n} rows leaves {n - count} to train on and {count} "
            "held out: each part needs at least one"
        )
    order = torch.from_numpy(np.random.default_rng(0).permutation(n))
    held, kept = order[:count].sort().values, order[count:].sort().values
    return Batch(rows.X[kept], rows.y[kept]), Batch(rows.X[held], rows.y[held])


def check_measures(measures: Mapping[str, Any]) -> None:
    """Require functions by names that no other column has."""
    for name, function in measures.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"a measure's name must be a plain name, not {name!r}")
        if name in _TAKEN or name.startswith("validation_"):
            raise ValueError(f"a measure cannot be called {name!r}: a column has this name")
        if not callable(function):
            raise ValueError(f"measures[{name!r}] must be a function of output and y")


def check_output(output: object, y: Tensor) -> None:
    """Require a tensor with a row for each row of y, and the shape of y where it is its target."""
    if not isinstance(output, Tensor):
        raise ValueError(f"the module must return a tensor, not {type(output).__name__}")
    if output.ndim == 0 or len(output) != len(y):
        raise ValueError(
            f"the module's output for {len(y)} rows must have {len(y)} rows, not the shape "
            f"{tuple(output.shape)}"
        )
    same_size = output.numel() == y.numel() and output.shape != y.shape
    if same_size and y.is_floating_point():
        raise ValueError(
            f"the module's output has the shape {tuple(output.shape)} and y {tuple(y.shape)}: a "
            "loss would pair every row with every other; give y the output's shape, or the module "
            "a last step such as torch.nn.Flatten(0)"
        )


def check_loss(loss: Callable[[Tensor, Tensor], Any], output: Tensor, y: Tensor) -> None:
    """Require one finite real number, and a mean over the rows, not a sum."""
    value = loss(output, y)
    if not isinstance(value, Tensor) or value.shape != () or not value.is_floating_point():
        found = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
        raise ValueError(
            f"loss(output, y) must return one real number, a tensor of shape (), not {found!r}: "
            "take the mean over the rows"
        )
    if not math.isfinite(float(value)):
        raise ValueError(
            f"the loss at the start is {float(value)}: no descent can begin there; look at the "
            "scales of X and y and at the module's initial parameters"
        )
    twice = loss(torch.cat([output, output]), torch.cat([y, y]))
    if float(value) and abs(float(twice) / float(value) - 2) < 1e-3:
        raise ValueError(
            "loss(output, y) doubles where every row stands twice, so it is a sum: it must be a "
            "mean over the rows (reduction='mean')"
        )


def unused(loss: Tensor, parameters: Parameters) -> list[str]:
    """Return the names of the parameters that a loss was not computed from."""
    if not loss.requires_grad:
        return list(parameters)
    slopes = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return [name for name, slope in zip(parameters, slopes, strict=True) if slope is None]
