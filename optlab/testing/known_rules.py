"""The plain rule that an optimizer claims to be, by its class and its settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from optlab.optimizers.linear_descent import LinearDescent, linear_descent
from optlab.testing import plain_rules as plain
from optlab.testing.plain_rules import PlainRule


def known_rule(optimizer: Any) -> PlainRule | None:
    """Return the first-order rule that an optimizer of the lab or of torch claims, or None.

    Descent at a constant rate says so by its member ``linear_descent()``. The lab's own rules and
    torch's Adam, AdamW, RMSprop and Adagrad are known. Any other optimizer says what it claims by
    ``check_optimizer(..., reference=...)``.

    Examples
    --------
    >>> import optlab as ol
    >>> known_rule(ol.HeavyBall(0.1)).name
    'heavy ball(0.1, momentum=0.9)'
    """
    theory = linear_descent(optimizer)
    if theory is not None:
        return _of_theory(theory)
    kind = type(optimizer)
    if not kind.__module__.startswith("optlab."):
        return None
    if kind.__name__ == "Clipped":
        inner = known_rule(optimizer.rule)
        return None if inner is None else plain.clipped(inner, optimizer.max_norm)
    if kind.__name__ == "TorchOptimizer":
        return None if optimizer.scheduler else _of_torch(optimizer.cls, dict(optimizer.options))
    if hasattr(kind, "torch_class"):
        options = {field.name: getattr(optimizer, field.name) for field in fields(optimizer)}
        return _of_torch(kind.torch_class, options)
    make = _OF_THE_LAB.get(kind.__name__)
    return None if make is None else make(optimizer)


def _of_theory(theory: LinearDescent) -> PlainRule:
    """Return the rule of descent at a constant rate."""
    rate, m = theory.learning_rate, theory.momentum
    rule = plain.momentum(rate, m, nesterov=theory.nesterov) if m else plain.sgd(rate)
    return plain.decayed(rule, theory.weight_decay) if theory.weight_decay else rule


_OF_THE_LAB = {
    # With a schedule: at a constant rate they say their own recurrence.
    "SGD": lambda o: plain.sgd(o.learning_rate),
    "HeavyBall": lambda o: plain.momentum(o.learning_rate, o.momentum),
    "Nesterov": lambda o: plain.momentum(o.learning_rate, o.momentum, nesterov=True),
    "AdaGrad": lambda o: plain.adagrad(o.learning_rate, o.epsilon),
    "RMSprop": lambda o: plain.rmsprop(o.learning_rate, o.decay, o.epsilon),
    "Adam": lambda o: plain.adam(o.learning_rate, o.beta1, o.beta2, o.epsilon),
    "FusedAdam": lambda o: plain.adam(
        o.learning_rate, o.beta1, o.beta2, o.epsilon, weight_decay=getattr(o, "weight_decay", 0.0)
    ),
    "AdamW": lambda o: plain.adam(
        o.learning_rate, o.beta1, o.beta2, o.epsilon, weight_decay=o.weight_decay
    ),
    "Lion": lambda o: plain.lion(o.learning_rate, o.beta1, o.beta2, o.weight_decay),
}


def _of_torch(cls: type, options: dict[str, Any]) -> PlainRule | None:
    """Return the rule of a class of torch with its options; None where an option is not known."""
    if not cls.__module__.startswith("torch.optim"):
        return None
    get: dict[str, Any] = {**_TORCH_DEFAULTS.get(cls.__name__, {}), **options}
    decay = get.pop("weight_decay", 0) or 0
    for name in ("foreach", "fused", "capturable", "differentiable"):
        get.pop(name, None)
    made: PlainRule | None = None
    if cls.__name__ in {"Adam", "AdamW"} and not get.pop("amsgrad", False):
        get.pop("decoupled_weight_decay", None)
        coupled = cls.__name__ == "Adam"
        beta1, beta2 = get.get("betas", (0.9, 0.999))
        rate, eps = get.get("lr", 1e-3), get.get("eps", 1e-8)
        return plain.adam(rate, beta1, beta2, eps, weight_decay=decay, coupled=coupled)
    if cls.__name__ == "RMSprop" and not (get.get("momentum") or get.get("centered")):
        made = plain.rmsprop(get.get("lr", 1e-2), get.get("alpha", 0.99), get.get("eps", 1e-8))
    elif cls.__name__ == "Adagrad" and not (
        get.get("lr_decay") or get.get("initial_accumulator_value")
    ):
        made = plain.adagrad(get.get("lr", 1e-2), get.get("eps", 1e-10))
    return plain.decayed(made, decay) if made is not None and decay else made


_TORCH_DEFAULTS = {"AdamW": {"weight_decay": 1e-2}}
