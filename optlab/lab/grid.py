"""The grid of trials: every combination of the axes, checked before anything runs."""

from __future__ import annotations

import json
import numbers
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import product
from typing import Any, Literal, TypeAlias, TypeVar

import torch

from optlab.checks import check_count
from optlab.lab.measure.devices import check_device
from optlab.lab.trial.record import Trial
from optlab.lab.tuning.rate_rule import RateRule, RuleName
from optlab.lab.tuning.tuned import Tuned
from optlab.lab.tuning.tuned_rates import with_tuned_rates
from optlab.optimizers import (
    BatchSize,
    Optimizer,
    Order,
    check_batch_size,
    check_order,
    hyperparameters,
    is_direct,
    optimizer_name,
    versions,
)
from optlab.optimizers.require_optimizer import require_optimizer
from optlab.problems import Problem, problem_dtype
from optlab.problems.require_problem import require_problem
from optlab.text import as_shown, without_addresses

T = TypeVar("T")

Repeats: TypeAlias = int | Literal["auto"]


@dataclass(frozen=True)
class Grid:
    """The checked axes of an experiment, with problems and optimizers by name.

    Use `Grid.of`, which checks its arguments.
    """

    problems: Mapping[str, Problem]
    optimizers: Mapping[str, Optimizer]
    batch_sizes: tuple[BatchSize, ...]
    devices: tuple[str, ...]
    dtypes: tuple[str | None, ...]
    seeds: tuple[int, ...]
    repeats: int
    order: Order = "dataloader"
    rate_rule: RateRule = field(default_factory=RateRule)
    repeats_short: bool = False
    """Whether short trials are repeated: see `optlab.lab.rounds`."""

    @classmethod
    def of(
        cls,
        problems: Problem | Sequence[Problem],
        optimizers: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer],
        *,
        batch_sizes: Iterable[BatchSize] = ("full",),
        devices: Iterable[str | torch.device] = ("cpu",),
        dtypes: Iterable[str | torch.dtype] | None = None,
        seeds: Iterable[int] = (0,),
        repeats: Repeats = 1,
        order: Order = "dataloader",
        rate_rule: RuleName = "constant",
        reference_batch_size: BatchSize | None = None,
    ) -> Grid:
        """Check the axes, name problems and optimizers, and return the grid.

        Raises
        ------
        ValueError
            Naming the argument, the value and what is allowed.
        """
        if repeats != "auto":
            check_count("repeats", repeats)
        named = named_optimizers(optimizers)
        if rate_rule == "tuned at each":
            named = with_tuned_rates(named)
        sizes = _axis("batch_sizes", batch_sizes, check_batch_size)
        rule = RateRule.of(rate_rule, reference_batch_size, sizes)
        for optimizer in named.values():
            rule.changes(optimizer)  # or it says why it cannot
        dtype_axis = (None,) if dtypes is None else _axis("dtypes", dtypes, _check_dtype)
        return cls(
            problems=_named_problems(problems),
            optimizers=named,
            batch_sizes=sizes,
            devices=_axis("devices", devices, check_device),
            dtypes=dtype_axis,
            seeds=_axis("seeds", seeds, _check_seed),
            repeats=1 if repeats == "auto" else int(repeats),
            repeats_short=repeats == "auto",
            order=check_order(order),
            rate_rule=rule,
        )

    def optimizer_of(self, trial: Trial) -> Optimizer:
        """Return a trial's optimizer, with the learning rate of its batch size."""
        rows = len(self.problems[trial.problem].data.y)
        found: Optimizer = self.rate_rule.applied(
            self.optimizers[trial.optimizer], trial.batch_size, rows
        )
        return found

    def definition(self) -> dict[str, Any]:
        """Return the axes as values that JSON can hold."""
        return {
            "problems": {
                name: without_addresses(repr(problem)) for name, problem in self.problems.items()
            },
            "optimizers": {
                name: {"class": type(optimizer).__name__, **hyperparameters(optimizer)}
                for name, optimizer in self.optimizers.items()
            },
            "batch_sizes": self.batch_sizes,
            "devices": self.devices,
            "dtypes": self.dtypes,
            "seeds": self.seeds,
            "repeats": "auto" if self.repeats_short else self.repeats,
            "order": self.order,
            "rate_rule": str(self.rate_rule),
        }

    def batch_sizes_of(self, method: Optimizer) -> tuple[BatchSize | None, ...]:
        """Return the batch sizes at which a method has trials: a direct one has none."""
        if method.uses_batches:
            return self.batch_sizes
        return (None,) if is_direct(method) else ("full",)

    def dtype_of(self, problem: str) -> str:
        """Return the dtype of a problem's own data."""
        return str(problem_dtype(self.problems[problem])).removeprefix("torch.")

    def trials(self) -> list[Trial]:
        """Return all trials, numbered; a method without batches has one for all batch sizes."""
        combinations = [
            (problem, optimizer, batch_size, device, dtype or self.dtype_of(problem))
            for problem, (optimizer, method) in product(self.problems, self.optimizers.items())
            for batch_size in self.batch_sizes_of(method)
            for device, dtype in product(self.devices, self.dtypes)
        ]
        runs = product(combinations, self.seeds, range(1, self.repeats + 1))
        return [
            Trial(number, *combination, seed=seed, repeat=repeat, order=self.order)
            for number, (combination, seed, repeat) in enumerate(runs)
        ]


def interleaved(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials in the order they run: repeat by repeat, each in its own random order.

    So no optimizer always runs first, or always at a time when the machine is slow. The order is
    drawn from a fixed seed: the same grid runs in the same order.
    """
    generator = random.Random(0)
    turns: dict[int, list[Trial]] = {}
    for trial in trials:
        turns.setdefault(trial.repeat, []).append(trial)
    order: list[Trial] = []
    for _, turn in sorted(turns.items()):
        generator.shuffle(turn)
        order += turn
    return order


def named_optimizers(
    optimizers: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer],
) -> dict[str, Optimizer]:
    """Return optimizers by name; those of one class are named by the fields that differ.

    Examples
    --------
    >>> import optlab as ol
    >>> list(named_optimizers([ol.ManualSGD(0.1), ol.ManualSGD(0.2), ol.Lstsq()]))
    ['ManualSGD(learning_rate=0.1)', 'ManualSGD(learning_rate=0.2)', 'Lstsq']
    """
    if isinstance(optimizers, Mapping):
        named = {str(name): optimizer for name, optimizer in optimizers.items()}
        for optimizer in named.values():
            require_optimizer(optimizer)
        if len(named) < len(optimizers):
            raise ValueError(f"optimizers' names must differ as text: {list(optimizers)}")
    else:
        several = _listed(optimizers, Optimizer)
        for optimizer in several:
            require_optimizer(optimizer)
        labels = _labels(several)
        if twins := _twins(labels):
            raise ValueError(
                f"optimizers given twice: {', '.join(twins)}; to run one under two names, pass a "
                "dict of names"
            )
        named = dict(zip(labels, several, strict=True))
    if not named:
        raise ValueError("optimizers is empty: there is nothing to compare")
    for name, optimizer in named.items():
        try:  # the tables describe it later: an error is better now than when the trials have run
            json.dumps([name, hyperparameters(optimizer), versions(optimizer)])
            name.encode()  # half of a character is no text that a file can hold
        except Exception as error:
            raise ValueError(f"optimizer {name!r} cannot be described: {error}") from error
    return named


def _twins(names: Sequence[str]) -> list[str]:
    """Return the names that are there more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _labels(optimizers: Sequence[Optimizer]) -> list[str]:
    """Return a label for each optimizer: its name, and what sets it apart from its namesakes."""
    names = _names(optimizers)
    namesakes: dict[str, list[Optimizer]] = {}
    for name, optimizer in zip(names, optimizers, strict=True):
        namesakes.setdefault(name, []).append(optimizer)
    labels = {name: iter(_labels_of_namesakes(name, own)) for name, own in namesakes.items()}
    return [next(labels[name]) for name in names]


def _names(optimizers: Sequence[Optimizer]) -> list[str]:
    """Return each optimizer's name; that of a tuned one with a namesake after ``tuned``."""
    names = list(map(optimizer_name, optimizers))
    counts = Counter(names)
    return [
        f"tuned {name}" if isinstance(own, Tuned) and counts[name] > 1 else name
        for name, own in zip(names, optimizers, strict=True)
    ]


def _labels_of_namesakes(name: str, optimizers: Sequence[Optimizer]) -> list[str]:
    if len(optimizers) == 1:
        return [name]
    differing = _differing_fields(optimizers)
    if differing is None:
        return [f"{type(own).__module__}.{name}" for own in optimizers]
    settings = [_settings(own, differing) for own in optimizers]
    keys = dict.fromkeys(key for own in settings for key in own)
    shown = {key: as_shown([own[key] for own in settings if key in own]) for key in keys}
    texts = {key: iter(column) for key, column in shown.items()}
    return [f"{name}({', '.join(f'{key}={next(texts[key])}' for key in own)})" for own in settings]


def _differing_fields(namesakes: Sequence[Optimizer]) -> list[str] | None:
    """Return the fields in which optimizers differ, or None where they are not of one dataclass."""
    first = namesakes[0]
    alike = all(type(other) is type(first) for other in namesakes)
    if not (alike and is_dataclass(first)):
        return None
    return [
        field.name
        for field in fields(first)
        # By repr: fields that hold arrays have no plain equality.
        if len({repr(getattr(other, field.name)) for other in namesakes}) > 1
    ]


def _settings(optimizer: Optimizer, names: Sequence[str]) -> dict[str, object]:
    """Return the values of some fields; of one that holds an adapter's options, each of these."""
    found: dict[str, object] = {}
    for name in names:
        value = getattr(optimizer, name)
        found |= value if isinstance(value, Mapping) else {name: value}
    return found


def _named_problems(problems: Problem | Sequence[Problem]) -> dict[str, Problem]:
    several = _listed(problems, Problem)
    if not several:
        raise ValueError("problems is empty: there is nothing to solve")
    for problem in several:
        require_problem(problem)
    names = [problem.name for problem in several]
    if twins := _twins(names):
        raise ValueError(f"several problems are called {', '.join(twins)}: give each a name=")
    return dict(zip(names, several, strict=True))


def _listed(given: Any, one: type) -> list[Any]:
    """Return one thing or several as a list; what is neither is one, whose check says so."""
    if type(given) is list:  # most often; to compare with a protocol takes longer than the rest
        return list(given)
    is_one = isinstance(given, one | torch.nn.Module | str) or not isinstance(given, Iterable)
    return [given] if is_one or hasattr(given, "shape") else list(given)


def _axis(name: str, values: object, check: Callable[[object], T]) -> tuple[T, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        such = f"[{values!r}]"
        if name == "seeds":
            whole = isinstance(values, numbers.Integral)
            such = f"{such} for one seed, or range({values}) for {values}" if whole else "[0, 1, 2]"
        raise ValueError(f"{name} must be a list, such as {such}, not {values!r}")
    checked = tuple(dict.fromkeys(check(value) for value in values))
    if not checked:
        raise ValueError(f"{name} is empty: give at least one")
    return checked


def _check_dtype(value: object) -> str:
    name = str(value).removeprefix("torch.")
    if name not in {"float32", "float64"}:
        raise ValueError(f"dtype must be float32 or float64, not {name!r}")
    return name


def _check_seed(value: object) -> int:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not 0 <= int(value) < 2**63:  # type: ignore[call-overload]  # whole: a number
        raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1, not {value!r}")
    return int(value)  # type: ignore[call-overload,no-any-return]  # as above
