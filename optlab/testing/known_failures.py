"""The checks that methods of the lab and adapted ones are known to fail, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from optlab.optimizers import hyperparameters
from optlab.testing.conformance.check import all_checks

_ROW_ORDER = "a full batch is indifferent to row order"
_WEIGHTS = "weights of rows count"
_MEANS = "gradients are means not sums"
_DOUBLE, _SINGLE = "float64 is float64", "float32 agrees with float64"
_DTYPE = "the default dtype makes no difference"

Reasons = Mapping[str, str]


def known_failures(optimizer: Any) -> dict[str, str]:
    """Return the reason for each check that an optimizer of the lab may fail, by its name.

    Returns
    -------
    dict of str and str
        Reasons by the name of the check.

    See Also
    --------
    check_optimizer : Takes them as ``expected_failures``.

    Examples
    --------
    >>> import optlab as ol
    >>> known_failures(ol.SGD())
    {}
    >>> known_failures(ol.SAGA())
    {'weights of rows count': 'its rate is 1/(3 L) of the heaviest row, and a row of weight 2 is \
heavier than the same row twice'}
    """
    if not type(optimizer).__module__.startswith("optlab."):
        return {}
    return {check: reason for found in _found(optimizer) for check, reason in found.items()}


def _found(optimizer: Any) -> Iterator[Reasons]:
    make = _OF_THE_LAB.get(type(optimizer).__name__)
    if make is not None:
        yield make(optimizer)
    cls = getattr(type(optimizer), "torch_class", getattr(optimizer, "cls", None))
    if cls is not None and cls.__module__.startswith(("torch.optim", "sklearn.")):
        found = _OF_OTHERS.get(cls.__name__, {})
        yield found(optimizer) if callable(found) else found


def _differences(of: str, *more: str) -> Reasons:
    reason = f"{of} by finite differences, which are good to half of the digits"
    return dict.fromkeys((_ROW_ORDER, _WEIGHTS, _MEANS, _DOUBLE, *more), reason)


def _saga(optimizer: Any) -> Reasons:
    reason = (
        "its rate is 1/(3 L) of the heaviest row, and a row of weight 2 is heavier than the same "
        "row twice"
    )
    return {_WEIGHTS: reason} if optimizer.learning_rate is None else {}


def _scipy_minimize(optimizer: Any) -> Reasons:
    if optimizer.method == "TNC":
        return _differences("scipy's TNC takes products with the Hessian", _SINGLE)
    if optimizer.method == "trust-constr":
        reason = "scipy's trust-constr calls back with the start before its first step"
        names = "every row counts", "the first step descends", "every parameter is updated"
        return dict.fromkeys(names, reason)
    return {}


def _lstsq(optimizer: Any) -> Reasons:
    if optimizer.driver != "gelsy":
        return {}
    return dict.fromkeys((one.name for one in all_checks()), BY_CHANCE)


BY_CHANCE = (
    "torch 2.13 hands LAPACK's gelsy pivots that are not initialised (pytorch #71222): its "
    "answers differ from call to call, and any check may see it"
)
"""The reason for failures of which each is seen in few runs."""


_ONE_BY_ONE = "scikit-learn visits the rows one by one: its steps depend on their order and number"
_AT_ZERO = "scikit-learn begins at zero weights, whatever the start"
_OWN_DTYPE = "torch.optim.{} makes a state of its own in torch's default dtype"

_STOCHASTIC = {
    _ROW_ORDER: _ONE_BY_ONE,
    _WEIGHTS: "a row of weight 2 is one long step of scikit-learn's, the same row twice two steps",
    _MEANS: _ONE_BY_ONE,
    "begins at the start": _AT_ZERO,
    "stays at the optimum": _AT_ZERO,
}


def _sgd_regressor(optimizer: Any) -> Reasons:
    if optimizer.options.get("learning_rate") != "constant":
        return _STOCHASTIC
    floor = "at a constant rate the steps of single rows leave a noise floor"
    return {**_STOCHASTIC, "iterates reach the reference or still descend": floor}


def _logistic(optimizer: Any) -> Reasons:
    is_exact = optimizer.options.get("solver") == "newton-cholesky"
    return {"begins at the start": _AT_ZERO} if is_exact else {}


def _torch_lbfgs(optimizer: Any) -> Reasons:
    found = {"refuses bad hyperparameters": "torch.optim.LBFGS does not check history_size"}
    options = getattr(optimizer, "options", hyperparameters(optimizer))
    if options.get("line_search_fn") is None:
        reason = "without a line search its steps on mini-batches are unstable, so that {} grows"
        found |= {_SINGLE: reason.format("rounding"), _DOUBLE: reason.format("any change")}
    return found


_OF_THE_LAB: dict[str, Callable[[Any], Reasons]] = {
    "BarzilaiBorwein": lambda o: _differences(
        "its first step size is a curvature", "invariance to rotation", "invariance to translation"
    ),
    "Lstsq": _lstsq,
    "SAGA": _saga,
    "SDCA": lambda o: {
        _WEIGHTS: "the same row twice has two dual numbers, whose safe steps are shorter"
    },
    "ScipyMinimize": _scipy_minimize,
    "ScipyLeastSquares": lambda o: (
        {} if o.jacobian == "exact" else _differences("scipy computes the Jacobian", _SINGLE)
    ),
}
_OF_OTHERS: dict[str, Reasons | Callable[[Any], Reasons]] = {
    "SGDRegressor": _sgd_regressor,
    "SGDClassifier": _STOCHASTIC,
    "Lasso": {"begins at the start": _AT_ZERO},
    "LogisticRegression": _logistic,
    "NAdam": {_DTYPE: _OWN_DTYPE.format("NAdam")},
    "ASGD": {
        _DTYPE: _OWN_DTYPE.format("ASGD"),
        "stays at the optimum": "torch.optim.ASGD decays the parameters by lambd, 1e-4",
    },
    "LBFGS": _torch_lbfgs,
}
