"""The invariance signature of an optimizer: which invariances hold, and to how many digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optlab.optimizers import optimizer_name
from optlab.testing.as_optimizer import as_optimizer
from optlab.testing.conformance.subject import Subject
from optlab.testing.invariances import INVARIANCES
from optlab.testing.run_checks import CheckSkipped

_HOLDS = 10.0


@dataclass(frozen=True)
class Signature:
    """The digits to which an optimizer's iterates follow each change of the problem.

    Parameters
    ----------
    optimizer
        Its name.
    digits
        Digits by invariance, 0 to 15: float64 has about 15.

    See Also
    --------
    signature : What measures it.
    optlab.Results.report : Shows it on the page.
    """

    optimizer: str
    digits: dict[str, float]

    @property
    def holds(self) -> tuple[str, ...]:
        """The invariances that hold, to 10 digits or more."""
        return tuple(name for name, digits in self.digits.items() if digits >= _HOLDS)

    def __str__(self) -> str:
        formulas = {one.name: one.formula for one in INVARIANCES}
        width = max(map(len, formulas))
        lines = [
            f"  {name:<{width}}  {'holds' if digits >= _HOLDS else '-':<5}  {digits:4.1f} digits"
            f"  {formulas[name]}"
            for name, digits in self.digits.items()
        ]
        return "\n".join([f"{self.optimizer}: invariances of the iterates", *lines])


def signature(optimizer: Any, *, seed: int = 0, iterates: int = 3) -> Signature:
    """Measure which invariances an optimizer has, on small linear least squares in float64.

    For each change of the problem (columns in another order, a rotation, a translation of the
    solution, other signs and scales) the changed problem is run from the changed start, and its
    iterates are compared with the changed iterates.

    Parameters
    ----------
    optimizer
        What `check_optimizer` takes.
    seed
        Of the data.
    iterates
        Iterates that are compared; the least digits count.

    Returns
    -------
    Signature
        The digits by name of the invariance.

    Raises
    ------
    ValueError
        For an optimizer that does not solve linear least squares without an intercept.

    See Also
    --------
    check_optimizer : Holds a method to what it claims.

    Examples
    --------
    >>> import optlab as ol
    >>> from optlab.testing import signature
    >>> signature(ol.Adam(0.1)).holds
    ('order of columns', 'translation', 'sign')
    >>> signature(ol.Newton()).holds[-2:]
    ('scale of the loss', 'scale of columns')
    """
    subject = Subject(as_optimizer(optimizer), seed=seed)
    try:
        run = subject.setting(options={"fit_intercept": False}, count=iterates)
        is_taken = subject.is_least_squares and subject.takes(run)
    except CheckSkipped:
        is_taken = False
    if not is_taken:
        raise ValueError(
            f"{optimizer_name(subject.optimizer)} does not solve linear least squares, on which "
            "invariances are measured"
        )
    return Signature(
        optimizer_name(subject.optimizer),
        {one.name: one.digits(subject.optimizer, run) for one in INVARIANCES},
    )
