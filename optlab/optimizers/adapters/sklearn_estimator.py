"""An adapter of scikit-learn's linear estimators, each on the problem that it minimises."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from optlab.optimizers.adapters.sklearn_translations import OF_THE_PROBLEM, TRANSLATIONS
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.problems import Parameters, Problem


@dataclass(frozen=True, init=False)
class SklearnEstimator:
    """Adapt an estimator of `sklearn.linear_model` that minimises a problem of ours.

    Give the estimator with the settings of its method (``solver``, ``tol``, ``max_iter``,
    ``learning_rate``, ``random_state``). What says which problem it solves (``alpha``, ``C``,
    ``l1_ratio``, ``fit_intercept``, ``loss``, ...) comes from the problem: each estimator scales
    its loss and its penalty in a way of its own, and the adapter translates. Where the estimator
    minimises another problem, the trial is skipped, with a sentence that says why.

    - `Ridge`, `Lasso`, `ElasticNet`: squared error.
    - `LogisticRegression`: log loss of two classes or more.
    - `PoissonRegressor`, `QuantileRegressor`.
    - `SGDRegressor`: squared error, Huber's loss, the median; `SGDClassifier`: log loss.
    - `HuberRegressor`: never, as it estimates a scale too.

    `SGDRegressor` and `SGDClassifier` yield an iterate after each epoch, by ``partial_fit``. Where
    the next iteration depends on the weights alone (cyclic coordinate descent, solver
    ``newton-cholesky``), each one is an iterate, by ``warm_start`` with ``max_iter=1``. The others
    answer once. scikit-learn begins at zero weights, whatever the trial's start; it computes on the
    CPU and visits rows one by one or all at once, so that no batch size is chosen. Where the
    estimator has a ``random_state`` and none is given, it is the trial's seed.

    Parameters
    ----------
    estimator
        An instance, such as ``Ridge(solver="svd")``.

    Raises
    ------
    ValueError
        For another estimator, and for settings that the problem decides.

    See Also
    --------
    SklearnLinearRegression : The baseline of least squares.
    TorchOptimizer, ScipyMinimize : Methods of other packages.

    Examples
    --------
    >>> from sklearn.linear_model import Lasso
    >>> import optlab as ol
    >>> data = ol.datasets.diabetes().standardized()
    >>> problem = ol.LinearRegression.from_dataset(data, l1=10.0)
    >>> lasso = ol.SklearnEstimator(Lasso(tol=1e-10))
    >>> ol.minimize(problem, lasso, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Pedregosa et al., Scikit-learn: Machine Learning in Python (2011).
    """

    cls: type[Any]
    options: Mapping[str, Any]
    uses_batches: ClassVar[bool] = False
    imports: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)

    def __init__(self, estimator: Any) -> None:
        cls = type(estimator)
        name = cls.__name__
        if name not in TRANSLATIONS or not cls.__module__.startswith("sklearn.linear_model"):
            known = ", ".join(TRANSLATIONS)
            given = f"the class {estimator.__name__}" if isinstance(estimator, type) else estimator
            raise ValueError(f"estimator must be one of {known} of scikit-learn, not {given!r}")
        usual = cls().get_params()
        options = {k: v for k, v in estimator.get_params().items() if v is not usual[k]}
        options = {k: v for k, v in options.items() if v != usual[k]}
        if decided := sorted(options.keys() & OF_THE_PROBLEM):
            raise ValueError(
                f"{name}({decided[0]}={options[decided[0]]!r}): leave {', '.join(decided)} out, "
                "the adapter takes it from the problem (its loss, l1, l2, fit_intercept, ...)"
            )
        object.__setattr__(self, "cls", cls)
        object.__setattr__(self, "options", options)

    def __hash__(self) -> int:
        return hash((self.cls, repr(sorted(self.options.items()))))

    @property
    def name(self) -> str:
        """The estimator's class name, after scikit-learn's: ``"sklearn Ridge"``."""
        return f"sklearn {self.cls.__name__}"

    @property
    def direct(self) -> bool:
        """Whether it answers once."""
        return not (hasattr(self.cls, "partial_fit") or self._can_continue)

    @property
    def _can_continue(self) -> bool:
        """Whether an iteration depends on the weights alone, so that a warm start continues it."""
        if self.cls.__name__ in {"Lasso", "ElasticNet"}:
            return bool(self.options.get("selection", "cyclic") == "cyclic")
        return self.options.get("solver") == "newton-cholesky"

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: another loss or penalty, or another device."""
        translated = TRANSLATIONS[self.cls.__name__](problem, self.options)
        if isinstance(translated, str):
            return translated
        if device.type != "cpu":
            return f"scikit-learn's {self.cls.__name__} computes on the CPU, not on {device.type}"
        return None

    def versions(self) -> dict[str, str]:
        """Return scikit-learn's version."""
        return {"scikit-learn": version("scikit-learn")}

    def translated(self, problem: Problem) -> Any:
        """Return an estimator that is not fitted yet and minimises a multiple of a problem's loss.

        Raises
        ------
        ValueError
            Where there is none, with the reason.

        Examples
        --------
        >>> from sklearn.linear_model import Ridge
        >>> import optlab as ol
        >>> problem = ol.LinearRegression([[1.0], [2.0]], [1.0, 2.0], l2=3.0)
        >>> ol.SklearnEstimator(Ridge(solver="svd")).translated(problem)
        Ridge(alpha=3.0, solver='svd')
        """
        arguments = TRANSLATIONS[self.cls.__name__](problem, self.options)
        if isinstance(arguments, str):
            raise ValueError(arguments)
        linear: Any = problem
        options = copy.deepcopy(dict(self.options))
        return self.cls(**options, **arguments, fit_intercept=linear.fit_intercept)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch or iteration, or the solution once."""
        estimator = self.translated(problem)
        if "random_state" not in self.options and hasattr(estimator, "random_state"):
            # The trial's seed; an object, as a number would give every epoch the same order.
            seed = batches.generator.initial_seed() % 2**32
            estimator.set_params(random_state=np.random.RandomState(seed))
        X, y = problem.data.X.numpy(), problem.data.y.numpy()
        weight = None if problem.data.weight is None else problem.data.weight.numpy()
        if hasattr(estimator, "partial_fit"):
            classes = {"classes": np.unique(y)} if self.cls.__name__ == "SGDClassifier" else {}
            while True:
                estimator.partial_fit(X, y, sample_weight=weight, **classes)
                yield Iterate(_parameters(estimator, start))
        elif self._can_continue:
            most = estimator.max_iter
            estimator.set_params(warm_start=True, max_iter=1)
            for passes in range(1, most + 1):
                has_converged = _fit_quietly(estimator, X, y, weight)
                yield Iterate(_parameters(estimator, start), cost=Cost(passes, passes))
                if has_converged:
                    return
        else:
            yield Iterate(_parameters(estimator.fit(X, y, sample_weight=weight), start))


def _fit_quietly(estimator: Any, X: Any, y: Any, weight: Any) -> bool:
    """Fit, and return whether scikit-learn does not warn that more iterations are needed."""
    # A second of import, which only those pay who use it.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        estimator.fit(X, y, sample_weight=weight)
    of_iterations = [issubclass(one.category, ConvergenceWarning) for one in caught]
    for one, is_expected in zip(caught, of_iterations, strict=True):
        if not is_expected:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return not any(of_iterations)


def _parameters(estimator: Any, start: Parameters) -> Parameters:
    """Return an estimator's coefficients in the shapes, the dtype and on the device of a start."""

    def like(values: Any, given: Tensor) -> Tensor:
        return torch.as_tensor(np.array(values)).reshape(given.shape).to(given)

    parameters = {"weight": like(np.transpose(estimator.coef_), start["weight"])}
    if "bias" in start:
        parameters["bias"] = like(estimator.intercept_, start["bias"])
    return parameters
