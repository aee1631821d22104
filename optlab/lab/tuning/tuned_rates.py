"""The rule "tuned at each": learning rates that are searched at every batch size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optlab.lab.tuning.tuned import Tuned
from optlab.optimizers import Optimizer, optimizer_name
from optlab.optimizers.rate_text import is_rate_name
from optlab.optimizers.resolve_rates import with_rates
from optlab.optimizers.search_space import default_space


def with_tuned_rates(optimizers: Mapping[str, Optimizer]) -> dict[str, Optimizer]:
    """Return optimizers whose learning rates an experiment tunes, and the others as they are.

    Each is in `Tuned` with the default range of its learning rate alone, the same settings at each
    batch size. Those in `Tuned`, those without batches and those without a rate stay as they are.

    Raises
    ------
    ValueError
        For a learning rate that is a schedule or a function.

    Examples
    --------
    >>> import optlab as ol
    >>> found = with_tuned_rates({"momentum": ol.HeavyBall(0.1), "exact": ol.Lstsq()})
    >>> found["momentum"].space, found["exact"]
    ({'learning_rate': LogUniform(low=0.0001, high=10.0)}, Lstsq(driver=None))
    """
    return {name: _tuned(optimizer) for name, optimizer in optimizers.items()}


def _tuned(optimizer: Optimizer) -> Optimizer:
    if isinstance(optimizer, Tuned) or not optimizer.uses_batches:
        return optimizer
    own = {name: r for name, r in default_space(optimizer).items() if is_rate_name(name)}
    if not own:
        with_rates(optimizer, _refuse, is_chosen=lambda rate: rate is not None)
    return Tuned(optimizer, own) if own else optimizer


def _refuse(rate: Any, owner: Any, field: str) -> Any:
    raise ValueError(
        f"rate_rule='tuned at each' tunes learning rates that are numbers, but "
        f"{optimizer_name(owner)} has {field}={rate!r}: put it into Tuned with a space of its own"
    )
