"""The option `--tune`: the optimizers of a comparison, tuned before they are measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from optlab.checks import check_count

if TYPE_CHECKING:
    from optlab.optimizers import Optimizer


def tuned_optimizers(optimizers: Iterable[Optimizer], trials: int | None) -> list[Optimizer]:
    """Return the optimizers, each with hyperparameters to tune in `Tuned`; as they are for None.

    Raises
    ------
    ValueError
        For a number of trials below 1, and where no optimizer has anything to tune.
    """
    given = list(optimizers)
    if trials is None:
        return given
    from optlab.lab.tuning.tuned import Tuned  # noqa: PLC0415 - the command line loads no torch for its help
    from optlab.optimizers.search_space import default_space  # noqa: PLC0415 - as above

    check_count("--tune", trials)
    tuned: list[Optimizer] = []
    for one in given:
        tuned.append(Tuned(one, trials=trials) if default_space(one) else one)
    if not any(isinstance(one, Tuned) for one in tuned):
        raise ValueError("--tune: none of the optimizers has a hyperparameter to tune")
    return tuned
