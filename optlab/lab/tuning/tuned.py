"""`Tuned`: an optimizer whose hyperparameters an experiment searches before it measures."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal, get_args

import torch

from optlab.checks import check_count, did_you_mean
from optlab.optimizers import Batches, Iterate, Optimizer, is_direct, optimizer_name
from optlab.optimizers.ranges import Choice, Range
from optlab.optimizers.require_optimizer import require_optimizer
from optlab.optimizers.search_space import Space, default_space, with_hyperparameters
from optlab.problems import Parameters, Problem

Sampler = Literal["sobol", "grid", "random", "tpe"]

EPOCHS, SECONDS = "epochs to stop_at", "seconds to stop_at"


@dataclass(frozen=True, eq=False)
class Tuned:
    """An optimizer that an experiment tunes first, for each problem and batch size.

    It stands in the place of an optimizer. The tuning trials are trials like the others, of stage
    ``"tuning"``, on seeds that no measured trial uses; then the best setting is measured as any
    optimizer is. Its trials are at the experiment's first device and dtype.

    A setting that failed or diverged at fewer seeds is better than another. Then, where ``by`` is
    the loss, the suboptimality or the measure of ``stop_at``, the one that reached ``stop_at`` at
    more seeds; of those that always did, the one of fewest epochs, for at one limit the loss says
    nothing. Else the one of the least median of ``by`` over its seeds, and of equals the cheaper.

    Parameters
    ----------
    optimizer
        The optimizer; what is not in ``space`` stays as it is.
    space
        The range of each hyperparameter: `LogUniform`, `Uniform`, `Integers`, `OneMinus` or
        `Choice`. Left out, learning rates from 1e-4 to 10 and momenta from 0 to 0.99 (see
        `optlab.optimizers.search_space.default_space`).
    trials
        The number of settings that are tried; each is run once at every seed.
    by
        ``"suboptimality"`` (the loss, where no reference is known), ``"loss"``, ``"epochs to
        stop_at"``, ``"seconds to stop_at"`` (these trials run one by one), or a further measure of
        the problem, such as ``"validation_loss"``, of which less is better.
    seeds
        The seeds of the tuning trials; one that no measured trial has, where left out.
    sampler
        ``"sobol"``: a scrambled Sobol sequence, of which a longer search repeats the beginning;
        ``"grid"``: equally spaced places in each range, its ends included, at most ``trials``;
        ``"random"``; ``"tpe"``: Optuna's tree of Parzen estimators, one setting after the other
        (needs the extra ``optlab[tune]``).
    extend
        Widen a range at whose edge the best setting lies, by a quarter of its width at a time and
        at the same density of settings, until it lies inside or the optimizer refuses the value.

    Raises
    ------
    ValueError
        For an optimizer without hyperparameters to tune, a range that it refuses, and other
        arguments that cannot be.

    See Also
    --------
    LogUniform, Uniform, Integers, OneMinus, Choice : Ranges.
    Results.tuning, Results.plot_tuning : What the search found.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> tuned = ol.Tuned(ol.SGD(), trials=8, sampler="grid")
    >>> results = ol.compare(problem, [tuned, ol.Lstsq()], epochs=100, stop_at=1e-6)
    >>> results.tuning()[["optimizer", "hyperparameter", "best", "edge", "settings"]]
       optimizer hyperparameter    best edge  settings
    0       SGD  learning_rate  0.3728              8

    References
    ----------
    Choi et al., On empirical comparisons of optimizers for deep learning (2019); Bergstra and
    Bengio, Random search for hyper-parameter optimization (2012); Bergstra et al., Algorithms for
    hyper-parameter optimization (2011).
    """

    optimizer: Optimizer
    space: Space | None = None
    trials: int = 20
    by: str = "suboptimality"
    seeds: Sequence[int] | None = None
    sampler: Sampler = "sobol"
    extend: bool = False
    uses_batches: ClassVar[bool] = True  # of an object, its optimizer's

    def __post_init__(self) -> None:
        require_optimizer(self.optimizer)
        if isinstance(self.optimizer, Tuned):
            raise ValueError("optimizer must be one to tune, such as ol.SGD(), not a Tuned one")
        object.__setattr__(self, "uses_batches", self.optimizer.uses_batches)
        object.__setattr__(self, "trials", check_count("trials", self.trials))
        if self.sampler not in get_args(Sampler):
            kinds = ", ".join(map(repr, get_args(Sampler)))
            raise ValueError(
                f"sampler must be one of {kinds}, not {self.sampler!r}: "
                f"{did_you_mean(str(self.sampler), get_args(Sampler))}".rstrip(": ")
            )
        if not isinstance(self.by, str) or not self.by:
            raise ValueError(f"by must be the name of a measure, not {self.by!r}")
        if not isinstance(self.extend, bool):
            raise ValueError(f"extend must be True or False, not {self.extend!r}")
        space = default_space(self.optimizer) if self.space is None else self.space
        object.__setattr__(self, "space", _checked(space, self.optimizer))
        if self.seeds is not None:
            object.__setattr__(self, "seeds", _seeds(self.seeds))

    @property
    def ranges(self) -> Mapping[str, Range]:
        """The range of each hyperparameter that is tuned."""
        return self.space or {}

    @property
    def name(self) -> str:
        """The optimizer's own name; where an experiment has two, this one is ``tuned``."""
        return optimizer_name(self.optimizer)

    @property
    def direct(self) -> bool:
        """Whether the optimizer answers at once."""
        return is_direct(self.optimizer)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that only an experiment can run this: the tuning comes before the trial."""
        return f"{self.name} is tuned by an experiment: use optlab.compare or optlab.Experiment"

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Raise: an experiment runs the tuned optimizer in the place of this."""
        raise ValueError(self.unsupported(problem, torch.device("cpu")))

    def at(self, places: Mapping[str, float]) -> tuple[dict[str, Any], Optimizer]:
        """Return the values at some places of the ranges, and the optimizer that has them.

        Raises
        ------
        ValueError
            Where the optimizer refuses them.
        """
        values = {name: self.ranges[name].value(place) for name, place in places.items()}
        return values, with_hyperparameters(self.optimizer, values)


def _checked(space: object, optimizer: Optimizer) -> dict[str, Range]:
    """Return the ranges, each of which the optimizer takes the ends of."""
    name = optimizer_name(optimizer)
    if not isinstance(space, Mapping):
        raise ValueError(
            f'space must be a dict of ranges, such as {{"learning_rate": LogUniform(1e-4, 1)}}, '
            f"not {space!r}"
        )
    if not space:
        raise ValueError(
            f"{name} has no hyperparameter with a range to tune it in: name one by space=..., or "
            "compare it as it is"
        )
    for hyperparameter, own in space.items():
        if isinstance(own, type) or not isinstance(own, Range):
            raise ValueError(
                f"the range of {hyperparameter} must be a LogUniform, Uniform, Integers, OneMinus "
                f"or Choice, not {own!r}"
            )
        _check_no_schedule(name, hyperparameter, getattr(optimizer, hyperparameter, None))
        ends = own.options if isinstance(own, Choice) else (own.value(0.0), own.value(1.0))
        for end in ends:
            try:
                with_hyperparameters(optimizer, {hyperparameter: end})
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name} cannot be tuned in {own}: {error}") from None
    return dict(space)


def _check_no_schedule(optimizer: str, hyperparameter: str, value: object) -> None:
    """Refuse a range for a hyperparameter that is a schedule, which the range would replace."""
    if is_dataclass(value) and not isinstance(value, type) and callable(value):
        part = f"{hyperparameter}.{fields(value)[0].name}"
        raise ValueError(
            f"{hyperparameter} of {optimizer} is a schedule, which a range would drop: tune a "
            f'part of it by space={{"{part}": ...}}'
        )


def _seeds(seeds: object) -> tuple[int, ...]:
    if isinstance(seeds, str) or not isinstance(seeds, Sequence | range):
        raise ValueError(f"seeds must be a list of seeds, such as [1, 2], not {seeds!r}")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
            raise ValueError(f"seeds must be whole numbers of at least 0, not {seed!r}")
    if not seeds:
        raise ValueError("seeds is empty: give at least one")
    return tuple(dict.fromkeys(int(seed) for seed in seeds))
