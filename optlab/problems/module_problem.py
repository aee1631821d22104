"""Problems of any torch module: a network's mean loss over its trained parameters."""

from __future__ import annotations

import copy as copying
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from optlab.problems.module_checks import (
    check_loss,
    check_measures,
    check_output,
    checked_module,
    checked_rows,
    split,
    unused,
)
from optlab.problems.module_evaluation import ROWS, ModuleEvaluation
from optlab.problems.module_run import ModuleRun
from optlab.problems.module_start import redraw
from optlab.problems.problem import Batch, Evaluation, Parameters


class ModuleProblem:
    r"""Minimise a torch module's mean loss over its parameters.

    .. math:: f(w) = \frac{1}{n} \sum_i \ell(m_w(x_i), y_i)

    The parameters are the module's own, by name, as `torch.nn.Module.named_parameters` gives them;
    those with ``requires_grad=False`` stay as they are. The module given is never changed: the
    problem works on copies.

    `loss`, which optimizers minimise, is computed in train mode, but for the parts that the module
    given has in eval mode, such as a pretrained network's batch norm: they stay in it. Where all of
    it is in eval mode, call ``module.train()`` first if it is not to be trained so. `evaluate`, off
    the clock, is computed in eval mode.

    Two things happen in train mode that parameters do not tell, and both belong to one run:

    - **Buffers**, such as the running mean and variance of batch norm, are updated by each call of
      `loss`. They live in the problem's copy that the trial made for itself, ``to(copy=True)``; the
      optimizer does not see them, so that no weight decay shrinks a variance. `begin` sets them
      back, `buffers` returns them, and they are evaluated and recorded with the parameters.
    - **Dropout** draws from torch's global generators. During `loss` these continue a stream of the
      run's own, seeded by `begin` from the trial's generator; afterwards they stand as before. So
      the same seed gives the same bits, whatever else is drawn, evaluated or recorded meanwhile.

    With dropout, `loss` is a random function of the parameters: methods that compare losses, in a
    line search, compare different masks.

    No minimum is known: `reference` is None, and trials are compared with the least loss that any
    of them reached.

    Parameters
    ----------
    module
        The model: its parameters are all float32 or all float64, and the problem has their dtype.
        ``module(X)`` has a row for each row of ``X``.
    loss
        A function of output and y that returns the mean over the rows, a tensor of shape (), such
        as ``torch.nn.CrossEntropyLoss()`` or `torch.nn.functional.mse_loss`.
    X
        Inputs of shape ``(n, ...)``: whatever the module takes, images too. Floats and booleans
        take the module's dtype; whole numbers, such as tokens, become int64.
    y
        Targets of shape ``(n, ...)``, likewise: class indices stay whole numbers.
    validation
        The share of the rows, above 0 and below 1, that is held out of the fit, always the same
        rows; or a pair of X and y. ``validation_loss`` is measured on them.
    measures
        Functions of output and y by name, such as ``{"accuracy": accuracy}``. Each becomes a
        column, and ``validation_accuracy`` one more where rows are held out.
    initial
        ``"drawn"``: each trial's initial parameters are drawn from its seed, by the
        ``reset_parameters`` of the module's parts. ``"given"``: they are the module's own.
    name
        The name that stands in tables; the module's class where left out.

    Raises
    ------
    ValueError
        For a module without parameters to train; X and y that are no finite numbers or differ in
        rows; an output of the wrong shape; a loss that is no single number, is a sum over rows, or
        is not finite at the start; trained parameters that the loss does not depend on;
        ``validation`` outside (0, 1); a measure whose name is taken;
        parameters that cannot be drawn.

    See Also
    --------
    NonlinearLeastSquares : A function of a few parameters.
    LinearModel : Models with certified answers.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> X = torch.linspace(-1, 1, 40)[:, None]
    >>> network = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> problem = ol.ModuleProblem(network, torch.nn.MSELoss(), X, X.square(), validation=0.25)
    >>> problem
    ModuleProblem('Sequential', n=30, 25 parameters, float32, cpu, validation=10)
    >>> start = problem.start(torch.Generator().manual_seed(0))
    >>> start["0.weight"].shape, problem.loss(start).shape
    (torch.Size([8, 1]), torch.Size([]))
    >>> list(problem.evaluate(start).more)
    ['validation_loss']

    References
    ----------
    `torch.func.functional_call`. Ioffe and Szegedy, Batch Normalization (2015). Srivastava et al.,
    Dropout (2014).
    """

    def __init__(
        self,
        module: torch.nn.Module,
        loss: Callable[[Tensor, Tensor], Any],
        X: Any,
        y: Any,
        *,
        validation: float | tuple[Any, Any] | None = None,
        measures: Mapping[str, Callable[[Tensor, Tensor], Any]] | None = None,
        initial: Literal["drawn", "given"] = "drawn",
        name: str | None = None,
    ) -> None:
        self.dtype, self.device = checked_module(module), torch.device("cpu")
        if initial not in {"drawn", "given"}:
            raise ValueError(f"initial must be 'drawn' or 'given', not {initial!r}")
        if not callable(loss):
            raise ValueError(f"loss must be a function of output and y, not {loss!r}")
        self.functions = dict(measures or {})
        check_measures(self.functions)
        rows = checked_rows(X, y, self.dtype)
        self.validation: Batch | None
        if isinstance(validation, tuple | list):
            self.data, self.validation = rows, checked_rows(*validation, self.dtype, "validation ")
        elif validation is not None:
            self.data, self.validation = split(rows, validation)
        else:
            self.data, self.validation = rows, None
        self._given, self._given_loss = copying.deepcopy(module).to("cpu"), copying.deepcopy(loss)
        self.initial = initial
        self.name = type(module).__name__ if name is None else name
        self._check()

    def _check(self) -> None:
        """Evaluate a start, so that what cannot work says so here and not in every trial."""
        start = self.begin(torch.Generator().manual_seed(0)) | self.buffers()
        evaluation = self._evaluation
        X, y, _ = evaluation.training
        try:
            output = evaluation.output(evaluation.point(start), X)
        except (RuntimeError, TypeError, IndexError, ValueError) as error:
            raise ValueError(
                f"the module {type(self._given).__name__} fails on X of shape {tuple(X.shape)} "
                f"({_name(X.dtype)}, in eval mode, as it is judged): {error}"
            ) from error
        check_output(output, y)
        try:
            check_loss(evaluation.loss, output, y)
            self._check_used()
            self.evaluate(start)
        except (RuntimeError, TypeError, IndexError) as error:
            raise ValueError(
                f"the loss or a measure fails on an output of shape {tuple(output.shape)} and y of "
                f"shape {tuple(y.shape)} ({_name(y.dtype)}): {error}"
            ) from error

    def _check_used(self) -> None:
        """Require that the loss depends on each trained parameter, in eval or in train mode."""
        generator = torch.Generator().manual_seed(0)
        module = self._initial(generator)
        X, y = self.data.X[:ROWS], self.data.y[:ROWS]
        names = list(self._trained(module))
        for one in (copying.deepcopy(module).eval(), module):
            leaves = {name: value.requires_grad_() for name, value in self._trained(one).items()}
            loss = self._run_of(one, generator).loss(leaves, X, y, self._loss)
            names = [name for name in unused(loss, leaves) if name in names]
            if not names:
                return
        raise ValueError(
            f"the loss does not depend on the trained parameters {', '.join(names)}: call their "
            "layers through attributes of the module, as a parameter in a list and a layer in a "
            "lambda are those of the original, not of the copy that is trained; or freeze what is "
            "not used by requires_grad_(False)"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made again, and the state of a run."""
        return {name: value for name, value in vars(self).items() if not _is_cached(name)}

    def __repr__(self) -> str:
        trained = sum(v.numel() for v in self._given.parameters() if v.requires_grad)
        held = f", validation={len(self.validation.y)}" if self.validation is not None else ""
        return (
            f"ModuleProblem({self.name!r}, n={len(self.data.y)}, {trained} parameters, "
            f"{_name(self.dtype)}, {self.device}{held})"
        )

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the measures in the evaluations' ``more``."""
        own = tuple(self.functions)
        if self.validation is None:
            return own
        return (*own, "validation_loss", *(f"validation_{name}" for name in own))

    def start(self, generator: torch.Generator) -> Parameters:
        """Return initial parameters, drawn or given; a run that was begun goes on as it was.

        Drawn parameters are drawn in the module's own dtype, on the CPU, for every dtype and
        device; nothing else moves the generator.
        """
        return self._trained(self._initial(generator))

    def begin(self, generator: torch.Generator) -> Parameters:
        """Begin a run: set buffers back, seed the dropout stream, and return what `start` does."""
        module = self._initial(generator)
        parameters = self._trained(module)
        self._run = self._run_of(module, generator)
        return parameters

    def _initial(self, generator: torch.Generator) -> torch.nn.Module:
        """Return a copy of the module, with its initial parameters."""
        module = copying.deepcopy(self._given)
        if self.initial == "drawn":
            redraw(module, generator)
        return module

    def _trained(self, module: torch.nn.Module) -> Parameters:
        """Return a copy of a module's trained parameters, in the problem's dtype."""
        return {
            name: value.detach().to(self.device, self.dtype, copy=True)
            for name, value in module.named_parameters()
            if value.requires_grad
        }

    def _run_of(self, module: torch.nn.Module, generator: torch.Generator) -> ModuleRun:
        """Return a run of a module, whose seed is drawn without moving the generator."""
        apart = torch.Generator()
        apart.set_state(generator.get_state())
        seed = int(torch.empty((), dtype=torch.int64, device="cpu").random_(generator=apart))
        return ModuleRun(module, seed, self.device, self.dtype)

    @cached_property
    def _run(self) -> ModuleRun:
        return self._run_of(copying.deepcopy(self._given), torch.Generator().manual_seed(0))

    def buffers(self) -> Parameters:
        """Return the buffers as the run has updated them so far, by name."""
        return self._run.buffers()

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Return the mean loss over a batch (all data where none is given).

        Each part is in train mode, but for those that the module given has in eval mode.

        It updates the run's buffers, and dropout draws from the run's stream.
        """
        X, y, _ = self.data if batch is None else batch
        loss: Tensor = self._run.loss(parameters, X, y, self._loss)
        return loss

    def evaluate(self, parameters: Parameters) -> Evaluation:
        """Evaluate a point in eval mode, in float64 on the CPU whatever the point's dtype.

        Buffers among the parameters are used; those left out have the values of the module given.
        The gradient norm is that of the loss in eval mode. Suboptimality and parameter error are
        NaN: no minimum is known.
        """
        return self._evaluation(parameters)

    def predict(self, parameters: Parameters, X: Any = None) -> Tensor:
        """Return the module's output for rows ``(B, ...)``, in eval mode, in float64 on the CPU.

        X is a tensor, an array or a data frame, whose columns are taken in their order; the rows
        that are fitted where it is left out.
        """
        rows = self.data.X if X is None else X
        if not isinstance(rows, Tensor):
            rows = torch.tensor(np.asarray(rows))  # a copy: a frame's array is read-only
        if self.data.X.is_floating_point():
            rows = rows.to("cpu", torch.float64)
        return self._evaluation.output(self._evaluation.point(parameters), rows.cpu())

    def reference(self) -> None:
        """Return None: nothing is known of the minimum of a module's loss."""

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same problem on another device or in another dtype.

        With ``copy`` the data, the buffers and the random stream are the new problem's own: it
        holds the state of a run of its own.
        """
        device = torch.device(device)
        if (device, dtype) == (self.device, self.dtype) and not copy:
            return self
        moved = object.__new__(type(self))
        moved.__dict__.update(self.__getstate__(), device=device, dtype=dtype)
        moved.data = _moved(self.data, device, dtype, copy=copy)
        return moved

    @cached_property
    def _loss(self) -> Any:
        return _converted(self._given_loss, self.device, self.dtype)

    @cached_property
    def _evaluation(self) -> ModuleEvaluation:
        cpu = torch.device("cpu")
        held = self.validation
        return ModuleEvaluation(
            copying.deepcopy(self._given).to(cpu, torch.float64).eval(),
            _converted(self._given_loss, cpu, torch.float64),
            _moved(self.data, cpu, torch.float64),
            None if held is None else _moved(held, cpu, torch.float64),
            self.functions,
        )


def _converted(loss: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Return a loss with its tensors, such as weights of classes, on a device and in a dtype."""
    is_module = isinstance(loss, torch.nn.Module)
    return copying.deepcopy(loss).to(device, dtype) if is_module else loss


def _moved(rows: Batch, device: torch.device, dtype: torch.dtype, *, copy: bool = False) -> Batch:
    X, y = (v.to(device, dtype if _real(v) else None, copy=copy) for v in (rows.X, rows.y))
    return Batch(X, y)


def _real(values: Tensor) -> bool:
    return values.is_floating_point()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_cached(name: str) -> bool:
    return isinstance(getattr(ModuleProblem, name, None), cached_property)
