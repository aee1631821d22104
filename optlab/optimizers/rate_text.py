"""Learning rates that are given as text: "auto", and formulas of the loss's curvature."""

from __future__ import annotations

import re
from typing import NamedTuple, overload

from torch import Tensor

from optlab.checks import check_positive
from optlab.text import shortened

AUTO = "auto"
"""The rate that a method's theory gives at the trial's batch size."""

RATE_FIELDS = ("learning_rate", "lr")
"""The names of hyperparameters that are learning rates."""


def common_name(name: str) -> str:
    """Return the name of a hyperparameter in tables and figures that compare methods.

    Examples
    --------
    >>> common_name("lr"), common_name("momentum")
    ('learning_rate', 'momentum')
    """
    return RATE_FIELDS[0] if name in RATE_FIELDS else name


def is_rate_name(name: str) -> bool:
    """Return whether a hyperparameter is a learning rate, of a wrapped rule too.

    Examples
    --------
    >>> is_rate_name("lr"), is_rate_name("rule.learning_rate"), is_rate_name("lr_decay")
    (True, True, False)
    """
    return name.rpartition(".")[2] in RATE_FIELDS


_FORMULA = re.compile(r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*/\s*(?:L|\(\s*L\s*\+\s*mu\s*\))")


class RateFormula(NamedTuple):
    r"""A learning rate :math:`c / L` or :math:`c / (L + \mu)`.

    L and mu are the largest and the smallest positive eigenvalue of the Hessian of the loss over
    all data.
    """

    factor: float
    has_smallest: bool

    @classmethod
    def of(cls, text: object) -> RateFormula | None:
        """Return the formula that a text writes, or None.

        Examples
        --------
        >>> RateFormula.of("0.5/L"), RateFormula.of("auto")
        (RateFormula(factor=0.5, has_smallest=False), None)
        >>> RateFormula.of("2/(L + mu)")
        RateFormula(factor=2.0, has_smallest=True)
        """
        found = _FORMULA.fullmatch(text.strip()) if isinstance(text, str) else None
        return cls(float(found[1]), "mu" in found[0]) if found and float(found[1]) else None

    def __str__(self) -> str:
        return f"{self.factor:.12g}/{'(L+mu)' if self.has_smallest else 'L'}"


def is_rate_text(value: object) -> bool:
    """Return whether a value is ``"auto"`` or a formula.

    Examples
    --------
    >>> is_rate_text("auto"), is_rate_text("1/L"), is_rate_text("0.1"), is_rate_text(0.1)
    (True, True, False, False)
    """
    return isinstance(value, str) and (value == AUTO or RateFormula.of(value) is not None)


def check_rate(name: str, value: object, *, of: str = "") -> None:
    """Require a positive finite number, ``"auto"``, or a formula such as ``"1/L"``.

    A method named by ``of`` is no gradient descent: it takes no formula.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> check_rate("learning_rate", "2/(L+mu)")
    >>> check_rate("learning_rate", "1/mu")
    Traceback (most recent call last):
    ValueError: learning_rate must be a positive number, 'auto', or a formula such as '1/L', \
'0.5/L' or '2/(L+mu)', not '1/mu'
    """
    if isinstance(value, str):
        if of and RateFormula.of(value):
            raise ValueError(not_of_descent(of, name, value))
        if not is_rate_text(value):
            raise ValueError(
                f"{name} must be a positive number, 'auto', or a formula such as '1/L', '0.5/L' or "
                f"'2/(L+mu)', not {shortened(value)}"
            )
        return
    check_positive(name, value)


def not_of_descent(optimizer: str, name: str, text: str) -> str:
    """Return that a formula of the curvature is no rate of a method, as a sentence."""
    return (
        f"{name}={text!r} is a rate of gradient descent, with or without momentum; {optimizer} "
        "scales its steps by other means: give a number, or 'auto' for its default"
    )


@overload
def number_of(rate: float | str) -> float: ...


@overload
def number_of(rate: float | Tensor | str) -> float | Tensor: ...


def number_of(rate: float | Tensor | str) -> float | Tensor:
    """Return a rate that is no text, or raise.

    Examples
    --------
    >>> number_of(0.1)
    0.1

    Raises
    ------
    ValueError
        For text: `minimize`, `compare` and experiments put its number in its place first.
    """
    if isinstance(rate, str):
        raise ValueError(
            f"the learning rate {rate!r} has no number yet: minimize, compare and experiments "
            "compute it of the problem; otherwise, use "
            "optlab.optimizers.resolve_rates.resolve_rates(optimizer, problem, batches, start)"
        )
    return rate
