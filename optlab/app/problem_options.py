"""The problem that `optlab compare` makes of a table, and the optimizers that it is given to."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from optlab.problems import Problem

USUAL = ("manual-sgd", "torch-sgd", "lstsq", "sklearn")
"""The optimizers that are compared where none are named."""

FURTHER = ("lbfgs", "newton", "fista")
"""More of them, where none of the usual that answer at once can solve the problem."""


@dataclass(frozen=True, kw_only=True)
class ProblemSettings:
    """Options of the problem that is made of a table.

    Parameters
    ----------
    l1
        Strength of the penalty on the sum of the weights' absolute values.
    l2
        Strength of the penalty on the weights' squares, halved.
    delta
        The residual from which on Huber's loss is linear.
    quantile
        The quantile that is fitted, between 0 and 1.
    """

    l1: float | None = None
    l2: float | None = None
    delta: float | None = None
    quantile: float | None = None

    def given(self) -> dict[str, float]:
        """Return the options that are set.

        Examples
        --------
        >>> ProblemSettings(l2=0.01).given()
        {'l2': 0.01}
        """
        return {name: value for name, value in asdict(self).items() if value is not None}


ProblemOptions = Annotated[ProblemSettings, Parameter(name="*", negative=(), show_default=False)]


def problem_class(name: str, settings: ProblemSettings) -> type[Any]:
    """Return a registered class of problems that can be made of a table.

    Raises
    ------
    ValueError
        For an unknown name, for one that is not made of a table, and for options that it does not
        take, by name.
    """
    from optlab.problems import registry  # noqa: PLC0415 - the command line loads no torch for its help

    cls = registry.get(name)
    if not hasattr(cls, "from_dataset"):
        raise ValueError(f"--problem {name} is not made of a table: use it in a script")
    keywords = _keywords(cls)
    taken = [option for option in asdict(settings) if option in keywords]
    if refused := [option for option in settings.given() if option not in taken]:
        takes = ", ".join(f"--{option}" for option in taken) or "none of these options"
        raise ValueError(
            f"--problem {name} does not take --{', --'.join(refused)}: it takes {takes}"
        )
    return cls


def _keywords(cls: type[Any]) -> set[str]:
    """Return the keywords of a class, those that it passes on to its bases among them."""
    found: set[str] = set()
    for base in cls.__mro__:
        if own := vars(base).get("__init__"):
            parameters = inspect.signature(own).parameters
            found |= parameters.keys()
            if inspect.Parameter.VAR_KEYWORD not in {p.kind for p in parameters.values()}:
                break
    return found


def usual_optimizers(problem: Problem) -> list[str]:
    """Return the names of optimizers that can run on a problem, for who names none."""
    usual = [name for name in USUAL if _can_run(name, problem)]
    further = [name for name in FURTHER if _can_run(name, problem)]
    return usual if set(usual) == set(USUAL) else [*usual, *further]


def _can_run(name: str, problem: Problem) -> bool:
    import torch  # noqa: PLC0415 - as above

    from optlab.optimizers import registry, unsupported  # noqa: PLC0415 - as above

    if name not in registry.names():
        return False
    return unsupported(registry.get(name)(), problem, torch.device("cpu")) is None
