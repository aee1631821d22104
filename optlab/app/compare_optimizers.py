"""The optimizers that `optlab compare` makes of names and hyperparameters, and its epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from optlab.checks import did_you_mean

if TYPE_CHECKING:
    from optlab.optimizers import BatchSize, Optimizer
    from optlab.problems import Problem

LEARNING_RATE = "learning_rate"

MOST_EPOCHS, LEAST_EPOCHS = 10_000, 100
MOST_NUMBERS, MOST_STEPS = 2_000_000_000, 50_000
"""Entries of the data that a trial reads at most, and steps that it makes, by default."""


def usual_epochs(problem: Problem, batch_sizes: Iterable[BatchSize]) -> int:
    """Return how many epochs are made where none are asked for: what some seconds allow.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.load("diabetes"))
    >>> usual_epochs(problem, ["full"]), usual_epochs(problem, [1, "full"])
    (10000, 113)
    """
    rows = len(problem.data.y)
    whole = [size for size in batch_sizes if isinstance(size, int)]
    steps = -(-rows // max(1, min(whole, default=rows)))  # a size of 0 is refused elsewhere
    fitting = min(MOST_NUMBERS // max(1, problem.data.X.numel()), MOST_STEPS // steps)
    return min(max(fitting, LEAST_EPOCHS), MOST_EPOCHS)


def parsed_settings(learning_rate: str | None, settings: Sequence[str]) -> dict[str, list[str]]:
    """Return the texts of each hyperparameter's values, of the options that give them.

    Raises
    ------
    ValueError
        For a setting that is no ``name=value``, or given twice.

    Examples
    --------
    >>> parsed_settings("0.1, 1/L", ["momentum=0.5,0.9"])
    {'learning_rate': ['0.1', '1/L'], 'momentum': ['0.5', '0.9']}
    """
    found = {} if learning_rate is None else {LEARNING_RATE: _values(learning_rate)}
    for setting in settings:
        name, equals, values = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not (equals and name and values.strip()):
            raise ValueError(f"--set takes name=value, such as momentum=0.9, not {setting!r}")
        if name in found:
            raise ValueError(f"{name} is given twice: write its values with commas between")
        found[name] = _values(values)
    return found


def named_optimizers(texts: Iterable[str]) -> dict[str, Any]:
    """Return the class or the optimizer that each text names: see `load_classes`."""
    from optlab.testing.load_target import load_classes  # noqa: PLC0415 - the command line loads no torch for its help

    found: dict[str, Any] = {}
    for text in texts:
        found |= load_classes(text.strip())
    return found


def made_optimizers(
    named: Mapping[str, Any], settings: Mapping[str, Sequence[str]]
) -> list[Optimizer]:
    """Return an optimizer of each class or optimizer, and combination of the settings it has.

    A class of descent methods whose learning rate is not set gets ``"auto"``; an optimizer keeps
    what is not set.

    Raises
    ------
    ValueError
        For a hyperparameter that none of the classes has, a text that is no value of it, and what a
        class refuses.

    Examples
    --------
    >>> import optlab as ol
    >>> classes = {"sgd": ol.SGD, "heavy-ball": ol.HeavyBall, "lstsq": ol.Lstsq}
    >>> made_optimizers(classes, {"momentum": ["0.5", "0.9"]})[1:3]
    [HeavyBall(learning_rate='auto', momentum=0.5), HeavyBall(learning_rate='auto', momentum=0.9)]
    """
    own = {name: _hyperparameters(one) for name, one in named.items()}
    for setting in settings:
        if not any(setting in fields for fields in own.values()):
            raise ValueError(_unknown(setting, own))
    made: list[Optimizer] = []
    for name, one in named.items():
        given = {setting: settings[setting] for setting in settings if setting in own[name]}
        choices = [
            [(own[name][setting].name, _value(own[name][setting], text, name)) for text in texts]
            for setting, texts in given.items()
        ]
        made += [_made(name, one, dict(chosen)) for chosen in product(*choices)]
    return made


def _made(name: str, one: Any, keywords: dict[str, Any]) -> Any:
    from optlab.optimizers.rate_text import is_rate_text  # noqa: PLC0415 - the command line loads no torch for its help

    if not isinstance(one, type):
        return dataclasses.replace(one, **keywords) if keywords else one
    try:
        return _with_rate(one, keywords)
    except TypeError as error:
        texts = {key: value for key, value in keywords.items() if is_rate_text(value)}
        if texts:
            raise ValueError(_no_text(name, *texts.popitem())) from error
        raise ValueError(
            f"{name} cannot be made: {error}; give its hyperparameters by --set, or name an "
            "object in place of the class"
        ) from error


def _no_text(name: str, rate: str, text: str) -> str:
    return (
        f"{name} takes no text as {rate}: {text!r} is computed for classes that take it "
        "where they check their hyperparameters, and that say what their descent is by a member "
        "linear_descent() or automatic_rate(); give a number, or --tune"
    )


def _with_rate(cls: type[Any], keywords: dict[str, Any]) -> Any:
    from optlab.optimizers.linear_descent import linear_descent  # noqa: PLC0415 - the command line loads no torch for its help

    made = cls(**keywords)
    rate = _hyperparameters(cls).get(LEARNING_RATE)
    computes = linear_descent(made) is not None or hasattr(made, "automatic_rate")
    if rate is None or rate.name in keywords or not computes:
        return made
    return cls(**keywords, **{rate.name: "auto"})


def _hyperparameters(one: Any) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields of a class or an object; torch's ``lr`` as ``learning_rate`` too."""
    found = dataclasses.fields(one) if dataclasses.is_dataclass(one) else ()
    named = {field.name: field for field in found if field.init}
    return named | ({LEARNING_RATE: named["lr"]} if "lr" in named else {})


def _unknown(setting: str, own: Mapping[str, Mapping[str, Any]]) -> str:
    names = {field for fields in own.values() for field in fields}
    lists = [
        f"{name} has {', '.join(fields) if fields else 'none'}" for name, fields in own.items()
    ]
    return (
        f"no chosen optimizer has the hyperparameter {setting!r}: {did_you_mean(setting, names)}"
        f"{'; '.join(lists)}"
    )


def _values(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _value(field: dataclasses.Field[Any], text: str, optimizer: str) -> Any:
    """Return a text as a value of a field, by the type of its default."""
    from optlab.optimizers.rate_text import is_rate_name  # noqa: PLC0415 - the command line loads no torch for its help

    words = {"true": True, "yes": True, "false": False, "no": False, "none": None}
    number, default = _number(text), field.default
    if isinstance(default, float) or is_rate_name(field.name) or field.type in {"float", float}:
        number = None if number is None else float(number)  # 1 is 1.0, as a script writes it
    if isinstance(default, bool):
        if not isinstance(words.get(text.lower()), bool):
            raise ValueError(f"{optimizer}: {field.name} must be true or false, not {text!r}")
        return words[text.lower()]
    if isinstance(default, str):
        return text
    if isinstance(default, int | float) and number is None and not is_rate_name(field.name):
        raise ValueError(f"{optimizer}: {field.name} must be a number, not {text!r}")
    is_required = default is field.default_factory is dataclasses.MISSING
    if default is None or is_required or isinstance(default, int | float):
        if default is None and text.lower() in {"none", "auto"}:
            return None
        return text if number is None else number
    raise ValueError(f"{optimizer}: {field.name} cannot be set here: use a script")


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None
