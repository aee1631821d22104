"""Rules by which learning rates follow the batch size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from optlab.optimizers import BatchSize, Optimizer, check_batch_size, optimizer_name
from optlab.optimizers.rate_text import AUTO, RateFormula
from optlab.optimizers.resolve_rates import is_rate, with_rates

RuleName: TypeAlias = Literal["constant", "linear", "square root", "tuned at each"]

SCALES = ("linear", "square root")
"""The rules that multiply a rate; the others leave it as it is at each batch size."""


@dataclass(frozen=True)
class RateRule:
    r"""A rule by which learning rates follow the batch size B from a reference size.

    .. math:: \eta(B) = \eta \, (B / B_0)^p, \quad p = 0 \text{ (constant)}, \; 1 \text{ (linear)},
        \; \tfrac{1}{2} \text{ (square root)}

    The linear rule keeps the mean step of an epoch, the square root the variance of its noise; for
    Adam and its kin the square root is the one that does both.

    Parameters
    ----------
    name
        ``"constant"``, ``"linear"`` or ``"square root"``; or ``"tuned at each"``, where nothing is
        scaled, as each rate is found by a search (see `optlab.lab.tuning.tuned_rates`).
    reference
        :math:`B_0`, the batch size at which the optimizers' own rates hold; ``"full"`` is n.

    Raises
    ------
    ValueError
        For another rule or batch size.

    Examples
    --------
    >>> import optlab as ol
    >>> RateRule("linear", 8).applied(ol.SGD(ol.schedules.Step(0.1, every=10)), 32, rows=1000)
    SGD(learning_rate=Step(learning_rate=0.4, every=10, factor=0.1))
    >>> RateRule("square root", 8).applied(ol.SGD("1/L"), 32, rows=1000)
    SGD(learning_rate='2/L')

    References
    ----------
    Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour (2017); Krizhevsky, One
    Weird Trick for Parallelizing Convolutional Neural Networks (2014); Malladi et al., On the SDEs
    and Scaling Rules for Adaptive Gradient Algorithms (2022).
    """

    name: RuleName = "constant"
    reference: BatchSize = "full"

    def __post_init__(self) -> None:
        if self.name not in get_args(RuleName):
            allowed = ", ".join(map(repr, get_args(RuleName)))
            raise ValueError(f"rate_rule must be one of {allowed}, not {self.name!r}")
        check_batch_size(self.reference)

    @classmethod
    def of(
        cls, name: RuleName, reference: BatchSize | None, batch_sizes: Iterable[BatchSize]
    ) -> RateRule:
        """Return a rule whose reference is the smallest of some batch sizes where none is given."""
        if reference is None:
            whole = [size for size in batch_sizes if isinstance(size, int)]
            return cls(name, min(whole) if whole else "full")
        return cls(name, reference)

    def __str__(self) -> str:
        return f"{self.name} from batch size {self.reference}" if self.name in SCALES else self.name

    def changes(self, optimizer: Optimizer) -> bool:
        """Return whether an optimizer's rate follows the batch size.

        Raises
        ------
        ValueError
            For a rate that cannot be scaled: "auto", or a function that is none of the lab's.
        """
        return self.name in SCALES and bool(
            optimizer.uses_batches and self._scaled(optimizer, 2.0) is not optimizer
        )

    def applied(self, optimizer: Any, batch_size: BatchSize | None, rows: int) -> Any:
        """Return an optimizer with the rate of a batch size, of data of so many rows."""
        if not self.changes(optimizer):
            return optimizer
        ratio = _rows(batch_size, rows) / _rows(self.reference, rows)
        factor = ratio if self.name == "linear" else math.sqrt(ratio)
        return optimizer if factor == 1 else self._scaled(optimizer, factor)

    def _scaled(self, optimizer: Any, factor: float) -> Any:
        def scaled(rate: Any, owner: Any, field: str) -> Any:
            if rate is None:  # the method computes its own
                return rate
            if formula := RateFormula.of(rate):
                return str(formula._replace(factor=factor * formula.factor))
            if rate == AUTO or callable(rate):
                what = f"{field}={rate!r}" if rate == AUTO else f"a {field} that is a function"
                raise ValueError(
                    f"rate_rule={self.name!r} scales numbers, formulas such as '1/L' and "
                    f"optlab.schedules, but {optimizer_name(owner)} has {what}"
                )
            return rate * factor

        return with_rates(optimizer, scaled, is_chosen=is_rate)


def _rows(batch_size: BatchSize | None, rows: int) -> int:
    return min(batch_size, rows) if isinstance(batch_size, int) else rows
