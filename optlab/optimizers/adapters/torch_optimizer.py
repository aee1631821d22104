"""An adapter of torch.optim: any of its classes, with any of its learning-rate schedulers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from optlab.optimizers.batches import Batches
from optlab.optimizers.linear_descent import LinearDescent
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.optimizers.rate_text import check_rate, is_rate_text, number_of
from optlab.problems import Batch, Parameters, Problem

MakeScheduler: TypeAlias = Callable[[torch.optim.Optimizer], LRScheduler]


@dataclass(frozen=True, init=False)
class TorchOptimizer:
    """Adapt a `torch.optim.Optimizer` class: Adam, L-BFGS, or one of your own.

    Each mini-batch is one ``step(closure)``, so methods that evaluate the loss several times a
    step, as L-BFGS does, work as they are; each evaluation is counted in the trial's cost.

    Parameters
    ----------
    cls
        The class, such as ``torch.optim.Adam``.
    scheduler
        A function of torch's optimizer that returns a scheduler of `torch.optim.lr_scheduler`, such
        as ``functools.partial(StepLR, step_size=30)``. `ReduceLROnPlateau` is given the mean of the
        mini-batch losses since its last step.
    scheduler_per
        When the scheduler makes a step: after each ``"epoch"``, or after each ``"step"`` of the
        optimizer.
    **options
        The class's keyword arguments, in torch's names (``lr``, ``betas``). ``lr`` may be
        ``"auto"``, and of plain SGD ``"1/L"``: see `resolve_rates`.

    Raises
    ------
    ValueError
        Where ``cls`` is no optimizer class or does not take these options, and where ``scheduler``
        makes no scheduler of it.

    See Also
    --------
    TorchSGD : ``torch.optim.SGD`` with its own fields.
    ScipyMinimize, SklearnEstimator : Methods of other packages.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> lbfgs = ol.TorchOptimizer(torch.optim.LBFGS, line_search_fn="strong_wolfe")
    >>> ol.minimize(problem, lbfgs, epochs=5, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    A learning rate that falls to a tenth every 40 epochs:

    >>> from functools import partial
    >>> falling = partial(torch.optim.lr_scheduler.StepLR, step_size=40, gamma=0.1)
    >>> adam = ol.TorchOptimizer(torch.optim.Adam, lr=1.0, scheduler=falling)
    >>> ol.minimize(problem, adam, epochs=200, batch_size=5, stop_at=1e-6).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    `torch.optim` and `torch.optim.lr_scheduler`.
    """

    cls: type[torch.optim.Optimizer]
    options: Mapping[str, Any]
    scheduler: MakeScheduler | None
    scheduler_per: Literal["epoch", "step"]
    uses_batches: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("torch._dynamo",)

    def __init__(
        self,
        cls: type[torch.optim.Optimizer],
        *,
        scheduler: MakeScheduler | None = None,
        scheduler_per: Literal["epoch", "step"] = "epoch",
        **options: Any,
    ) -> None:
        if not (isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)):
            raise ValueError(f"cls must be a class of torch.optim, not {cls!r}")
        if "lr" in options and not isinstance(options["lr"], Tensor):
            check_rate("lr", options["lr"], of="" if cls is torch.optim.SGD else cls.__name__)
        for option, value in options.items():  # torch's SGD takes a momentum that is NaN
            if isinstance(value, float) and math.isnan(value):
                raise ValueError(f"{option} must be a number, not nan")
        if scheduler_per not in {"epoch", "step"}:
            raise ValueError(f"scheduler_per must be 'epoch' or 'step', not {scheduler_per!r}")
        try:  # a wrong option is refused where it is written, not when the trial runs
            tried = numbered(options)
            made = cls([torch.zeros((1, 1), requires_grad=True, device="cpu")], **tried)
        except (TypeError, ValueError, RuntimeError, IndexError) as error:
            raise ValueError(f"{cls.__name__} does not take {options}: {error}") from None
        if scheduler is not None:
            _check_scheduler(scheduler, made)
        object.__setattr__(self, "cls", cls)
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "scheduler", scheduler)
        object.__setattr__(self, "scheduler_per", scheduler_per)

    def __hash__(self) -> int:
        return hash((self.cls, repr(sorted(self.options.items())), repr(self.scheduler)))

    @property
    def name(self) -> str:
        """The adapted class's name, after torch's: ``"torch Adam"``."""
        return f"torch {self.cls.__name__}"

    def with_options(self, **options: Any) -> TorchOptimizer:
        """Return the same class and scheduler with some options changed."""
        return TorchOptimizer(
            self.cls,
            scheduler=self.scheduler,
            scheduler_per=self.scheduler_per,
            **{**self.options, **options},
        )

    def linear_descent(self) -> LinearDescent | None:
        """Return the recurrence of plain SGD's error at one rate; None for all else."""
        if (
            self.cls is not torch.optim.SGD
            or self.scheduler
            or is_rate_text(self.options.get("lr"))
        ):
            return None
        sgd = inspect.signature(self.cls).bind_partial(None, **self.options)
        sgd.apply_defaults()
        lr, momentum, *others = (
            float(sgd.arguments[name]) for name in ("lr", "momentum", "dampening", "maximize")
        )
        if any(others) or not 0 <= momentum < 1:
            return None
        nesterov, decay = sgd.arguments["nesterov"], float(sgd.arguments["weight_decay"])
        return LinearDescent(lr, momentum, bool(nesterov), decay)

    @property
    def extra_evaluations(self) -> bool:
        """Whether a step of the class evaluates the loss several times: L-BFGS of torch's own."""
        return issubclass(self.cls, torch.optim.LBFGS)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why torch's class does not take a problem's parameters (Muon takes matrices only)."""
        start = problem.start(torch.Generator())
        try:
            self.cls([v.requires_grad_() for v in start.values()], **numbered(self.options))
        except (TypeError, ValueError, RuntimeError, IndexError) as error:
            kind = type(problem).__name__
            return f"torch's {self.cls.__name__} does not take the parameters of {kind}: {error}"
        return None

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        parameters = {name: value.requires_grad_() for name, value in start.items()}
        number_of(self.options.get("lr", 1.0))
        optimizer = self.cls(list(parameters.values()), **self.options)
        advance = _Advance(self.scheduler and self.scheduler(optimizer))
        rows, n = 0, len(problem.data.y)
        for epoch in batches:
            for batch in epoch:

                def closure(batch: Batch = batch) -> Any:
                    nonlocal rows
                    rows += len(batch.y)
                    optimizer.zero_grad()
                    loss = problem.loss(parameters, batch)
                    loss.backward()
                    return loss

                loss = torch.as_tensor(optimizer.step(closure), device=batch.y.device).detach()
                advance.saw(loss)
                if self.scheduler_per == "step":
                    advance.step()
            if self.scheduler_per == "epoch":
                advance.step()
            yield Iterate(parameters, loss, cost=Cost(losses=rows / n, gradients=rows / n))


def numbered(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with a number in the place of a learning rate that has none yet."""
    return {name: 1.0 if is_rate_text(value) else value for name, value in options.items()}


class _Advance:
    """Advance a scheduler, by the mean of the losses since its last step where it asks for one."""

    def __init__(self, scheduler: LRScheduler | None) -> None:
        self.scheduler = scheduler
        self.losses: list[Tensor] | None = [] if isinstance(scheduler, ReduceLROnPlateau) else None

    def saw(self, loss: Tensor) -> None:
        """Keep a mini-batch's loss."""
        if self.losses is not None:
            self.losses.append(loss)

    def step(self) -> None:
        """Make the scheduler's step."""
        if self.losses is not None:
            mean = torch.stack(self.losses).mean().item()
            self.losses.clear()
            self.scheduler.step(mean)  # type: ignore[union-attr,arg-type]  # ReduceLROnPlateau's
        elif self.scheduler is not None:
            self.scheduler.step()


def _check_scheduler(make: object, optimizer: torch.optim.Optimizer) -> None:
    """Require a function that makes a scheduler of torch's optimizer."""
    hint = "such as functools.partial(torch.optim.lr_scheduler.StepLR, step_size=30)"
    if not callable(make):
        raise ValueError(f"scheduler must be a function of torch's optimizer, {hint}, not {make!r}")
    try:
        made = make(optimizer)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(
            f"scheduler={make!r} makes no scheduler of {type(optimizer).__name__}: {error}; give a "
            f"function of torch's optimizer, {hint}"
        ) from None
    if not isinstance(made, LRScheduler):
        raise ValueError(
            f"scheduler must return a scheduler of torch.optim.lr_scheduler, not {made!r}"
        )
