"""Least squares by scikit-learn's LinearRegression, as a baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import ClassVar

import torch

from optlab.checks import check_positive
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import LinearRegression, Parameters, Problem


@dataclass(frozen=True)
class SklearnLinearRegression:
    """`sklearn.linear_model.LinearRegression`: least squares by `scipy.linalg.lstsq` (gelsd).

    Parameters
    ----------
    tol
        Singular values below ``tol`` times the largest count as zero. Left out: the machine epsilon
        of the data's dtype. scikit-learn's own default is 1e-6 since 1.9, which costs NIST's
        Pontius set all of its digits.

    Raises
    ------
    ValueError
        For a tol that is not positive and finite.

    See Also
    --------
    SklearnEstimator : Any other linear estimator.
    Lstsq : The same by torch.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial())
    >>> solution = ol.minimize(problem, ol.SklearnLinearRegression())
    >>> round(solution.parameters["bias"].item(), 4)
    0.7291

    References
    ----------
    Pedregosa et al., Scikit-learn: Machine Learning in Python (2011); LAPACK xGELSD.
    """

    tol: float | None = None
    uses_batches: ClassVar[bool] = False
    imports: ClassVar[tuple[str, ...]] = ("sklearn.linear_model",)

    def __post_init__(self) -> None:
        if self.tol is not None:
            check_positive("tol", self.tol)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: another loss, a penalty, or another device."""
        if not isinstance(problem, LinearRegression):
            return "scikit-learn's LinearRegression minimises squared error only"
        if problem.l1 or problem.l2:
            return "scikit-learn's LinearRegression has no penalty"
        if device.type != "cpu":
            return f"scikit-learn's LinearRegression computes on the CPU, not on {device.type}"
        return None

    def versions(self) -> dict[str, str]:
        """Return scikit-learn's version."""
        return {"scikit-learn": version("scikit-learn")}

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the solution, once."""
        # A second of import, which only those pay who use it; the first pass, not the warm one.
        from sklearn.linear_model import LinearRegression as SklearnModel  # noqa: PLC0415

        assert isinstance(problem, LinearRegression)
        X, y = problem.X, problem.y
        tol = self.tol if self.tol is not None else torch.finfo(X.dtype).eps
        model = SklearnModel(fit_intercept=problem.fit_intercept, tol=tol)
        weight = problem.row_weight
        model.fit(X.numpy(), y.numpy(), sample_weight=None if weight is None else weight.numpy())
        parameters = {"weight": X.new_tensor(model.coef_)}
        if problem.fit_intercept:
            parameters["bias"] = X.new_tensor(model.intercept_)
        yield Iterate(parameters)
