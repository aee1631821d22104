"""An adapter that makes any class of torch.optim an optimizer of the lab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from optlab.checks import check_positive
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Batch, Parameters, Problem


@dataclass(frozen=True, init=False)
class TorchOptimizer:
    """Adapt a `torch.optim.Optimizer` class: Adam, L-BFGS, or one of your own.

    Each mini-batch is one ``step(closure)``, so methods that evaluate the loss several times a
    step, as L-BFGS does, work as they are; samples are counted once a batch all the same.

    Parameters
    ----------
    cls
        The class, such as ``torch.optim.Adam``.
    **options
        Its keyword arguments, in torch's names (``lr``, ``betas``).

    Raises
    ------
    ValueError
        Where ``cls`` is no optimizer class or does not take these options.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> lbfgs = ol.TorchOptimizer(torch.optim.LBFGS, line_search_fn="strong_wolfe")
    >>> ol.minimize(problem, lbfgs, epochs=5, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>
    """

    cls: type[torch.optim.Optimizer]
    options: Mapping[str, Any]
    uses_batches: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("torch._dynamo",)

    def __init__(self, cls: type[torch.optim.Optimizer], **options: Any) -> None:
        if not (isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)):
            raise ValueError(f"cls must be a class of torch.optim, not {cls!r}")
        if "lr" in options and not isinstance(options["lr"], Tensor):
            check_positive("lr", options["lr"])
        try:  # a wrong option is refused where it is written, not when the trial runs
            cls([torch.zeros(1, requires_grad=True, device="cpu")], **options)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{cls.__name__} does not take {options}: {error}") from None
        object.__setattr__(self, "cls", cls)
        object.__setattr__(self, "options", options)

    def __hash__(self) -> int:
        return hash((self.cls, repr(sorted(self.options.items()))))

    @property
    def name(self) -> str:
        """The adapted class's name."""
        return self.cls.__name__

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        parameters = {name: value.requires_grad_() for name, value in start.items()}
        optimizer = self.cls(list(parameters.values()), **self.options)
        for epoch in batches:
            for batch in epoch:

                def closure(batch: Batch = batch) -> Any:
                    optimizer.zero_grad()
                    loss = problem.loss(parameters, batch)
                    loss.backward()
                    return loss

                loss = optimizer.step(closure)
            batch_loss = torch.as_tensor(loss, device=problem.data.y.device).detach()
            yield Iterate(parameters, batch_loss)
