"""Linear regression: mean squared error over weight and bias."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, Self

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.datasets.dataset import Dataset
from optlab.datasets.validation import checked_design
from optlab.linalg import LeastSquaresSolution, least_squares
from optlab.problems.judge import Judge
from optlab.problems.least_squares_system import LeastSquaresSystem, least_squares_system
from optlab.problems.problem import Batch, Evaluation, Optimum, Parameters


class LinearRegression:
    r"""Fit ``y`` by ``X @ weight + bias``, minimising the mean squared error.

    .. math::
        f(w, b) = \frac{1}{n} \sum_i (x_i \cdot w + b - y_i)^2 + \frac{l_2}{2} \lVert w \rVert^2

    The intercept ``b`` is not penalised. A batch's loss is the mean over that batch, so its
    gradient is an unbiased estimate of the full one.

    Parameters
    ----------
    X
        Features, an array, tensor or data frame of shape ``(n, d)``; float32 and float64 are kept,
        other numbers become float64.
    y
        Target, shape ``(n,)``; it takes the dtype of ``X`` where that holds each of its values
        exactly, else both become float64.
    fit_intercept
        Whether there is a bias.
    l2
        Strength of the penalty on the weights, as `torch.optim`'s ``weight_decay``; at least 0.
    name, feature_names, target_name
        The names that stand in tables and beside axes; those of a data frame's columns where none
        are given.

    Raises
    ------
    ValueError
        Where the shapes or row labels do not fit, the data are empty, not numbers (dates, text,
        masked values), not finite, or integers that float64 would round.

    Examples
    --------
    >>> import numpy as np
    >>> import optlab as ol
    >>> problem = ol.LinearRegression(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]))
    >>> problem
    LinearRegression('data', n=3, d=1, float64, cpu)
    >>> optimum = problem.optimum()
    >>> round(optimum.parameters["weight"].item(), 12), round(optimum.parameters["bias"].item(), 12)
    (2.0, 1.0)

    References
    ----------
    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), section 3.2.
    """

    def __init__(
        self,
        X: ArrayLike | Tensor,
        y: ArrayLike | Tensor,
        *,
        fit_intercept: bool = True,
        l2: float = 0.0,
        name: str = "data",
        feature_names: tuple[str, ...] | None = None,
        target_name: str = "y",
    ) -> None:
        if not (isinstance(l2, int | float) and math.isfinite(l2) and l2 >= 0):
            raise ValueError(f"l2 must be finite and at least 0, not {l2!r}")
        if not isinstance(name, str):
            raise ValueError(f"name must be text, not {name!r}")
        design = checked_design(X, y, feature_names)
        # A copy: whoever changes the arrays later does not change the problem.
        self.X, self.y = design.X.clone(), design.y.clone()
        self.fit_intercept = fit_intercept
        self.l2 = float(l2)
        self.name = name
        self.feature_names = design.feature_names
        self.target_name = target_name

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        *,
        fit_intercept: bool | None = None,
        l2: float = 0.0,
        name: str | None = None,
    ) -> Self:
        """Make the problem of fitting a dataset's target by its features.

        ``fit_intercept`` left out follows the dataset, which may say that its model has none.
        """
        return cls(
            dataset.X,
            dataset.y,
            fit_intercept=dataset.fit_intercept if fit_intercept is None else fit_intercept,
            l2=l2,
            name=name or dataset.name,
            feature_names=dataset.feature_names,
            target_name=dataset.target_name,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again: for large data it is most of what would be sent."""
        kept = {k: v for k, v in self._shared.items() if k in {"solution", "optimum"}}
        return vars(self) | {"_shared": kept}

    def __repr__(self) -> str:
        n, d = self.X.shape
        dtype = str(self.X.dtype).removeprefix("torch.")
        extra = ("" if self.fit_intercept else ", no intercept") + (
            f", l2={self.l2:g}" if self.l2 else ""
        )
        return f"LinearRegression({self.name!r}, n={n}, d={d}, {dtype}, {self.X.device}{extra})"

    def predict(self, parameters: Parameters, X: Tensor | None = None) -> Tensor:
        """Return ``X @ weight + bias``, shape ``(B,)``; over the problem's own ``X`` by default."""
        prediction = (self.X if X is None else X) @ parameters["weight"]
        return prediction + parameters["bias"] if self.fit_intercept else prediction

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Mean squared error over a batch (all data where none is given), plus the penalty."""
        X, y = (self.X, self.y) if batch is None else batch
        error = (self.predict(parameters, X) - y).pow(2).mean()
        return error + self.l2 / 2 * parameters["weight"].pow(2).sum() if self.l2 else error

    def gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Gradient of `loss` in closed form: ``2 X'r / B + l2 w`` and ``2 mean(r)``."""
        X, y = (self.X, self.y) if batch is None else batch
        residual = self.predict(parameters, X) - y
        weight = X.T @ residual * (2 / len(y))
        if self.l2:
            weight = weight + self.l2 * parameters["weight"]
        return {"weight": weight} | ({"bias": 2 * residual.mean()} if self.fit_intercept else {})

    def start(self, generator: torch.Generator) -> Parameters:
        """Draw the weight from a standard normal and set the bias to zero.

        The draw is in float32 for every dtype, so that all dtypes of one seed start at the same
        point and leave the generator in the same state.
        """
        d = self.X.shape[1]
        weight = torch.randn(d, generator=generator, dtype=torch.float32, device="cpu")
        start = {"weight": weight.to(self.X.device, self.X.dtype)}
        return start | ({"bias": self.X.new_zeros(())} if self.fit_intercept else {})

    def constant_fit(self) -> Parameters:
        """Return the parameters of the best constant prediction, float64 on the CPU.

        That is the mean of ``y`` with an intercept, and 0 without one.
        """
        y = self.y.to("cpu", torch.float64)
        weight = y.new_zeros(self.X.shape[1])
        return {"weight": weight} | ({"bias": y.mean()} if self.fit_intercept else {})

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same problem with its data on another device or in another dtype.

        With ``copy`` the data are the new problem's own even where nothing had to be converted.
        """
        X = self.X.to(device, dtype, copy=copy)
        if X is self.X:
            return self
        moved = object.__new__(type(self))
        # All that a subclass has too; what is computed of the data, and kept, is computed anew.
        own = {k: v for k, v in vars(self).items() if not _is_cached(type(self), k)}
        moved.__dict__.update(own, X=X, y=self.y.to(device, dtype, copy=copy))
        same_values = torch.promote_types(dtype, self.X.dtype) == dtype
        moved.__dict__["_shared"] = (
            self._shared if same_values else self._shared.setdefault(dtype, {})
        )
        return moved

    def as_least_squares(self) -> LeastSquaresSystem:
        """Return the least-squares system whose minimum-norm solution is this problem's.

        Centring the columns takes the intercept out, so that the norm minimised is that of the
        weights alone; the penalty becomes d more rows, ``sqrt(n l2 / 2) I``.
        """
        return least_squares_system(self.X, self.y, fit_intercept=self.fit_intercept, l2=self.l2)

    @cached_property
    def _shared(self) -> dict[Any, Any]:
        """Values that are computed once for all copies of the same data; by dtype, of rounded ones.

        A trial works on a copy: without this, each would solve for the optimum again.
        """
        return {}

    def _once(self, name: str, compute: Callable[[], Any]) -> Any:
        if name not in self._shared:
            self._shared[name] = compute()
        return self._shared[name]

    @property
    def _solution(self) -> LeastSquaresSolution:
        solution: LeastSquaresSolution = self._once("solution", self._solve)
        return solution

    def _solve(self) -> LeastSquaresSolution:
        try:
            return least_squares(
                self.X.cpu(),
                self.y.cpu(),
                fit_intercept=self.fit_intercept,
                l2=self.l2,
                column_names=self.feature_names,
            )
        except OverflowError as error:
            raise ValueError(f"problem {self.name!r} has no optimum in float64: {error}") from error

    def _find_optimum(self) -> Optimum:
        solution = self._solution
        parameters = solution.parameters if self.fit_intercept else {"weight": solution.weight}
        # The certificate's residual is the exact optimum's: that of the rounded may be far above.
        loss = solution.certificate.residual_sum_of_squares / len(self.y)
        loss += self.l2 / 2 * solution.weight.square().sum().item() if self.l2 else 0.0
        return Optimum(parameters, loss, solution.certificate)

    def why_no_unique_optimum(self) -> str | None:
        """Say why methods that take full rank for granted cannot solve this problem, or None.

        Judged in the dtype of the data: a design whose condition number leaves no digit of it has,
        for such methods, no full rank.
        """
        optimum = self.optimum()
        certificate = optimum.certificate
        if certificate.rank < certificate.unknowns:
            return f"the rank is {optimum.rank} of {self.X.shape[1]}"
        condition = certificate.condition_scaled
        if condition * torch.finfo(self.X.dtype).eps > 0.1:
            dtype = str(self.X.dtype).removeprefix("torch.")
            return f"the design's condition number {condition:.1e} leaves no digit in {dtype}"
        return None

    def optimum(self) -> Optimum:
        """Return the minimiser of this problem's own data, solved once and kept."""
        optimum: Optimum = self._once("optimum", self._find_optimum)
        return optimum

    def evaluate(self, parameters: Parameters) -> Evaluation:
        r"""Judge a point against the optimum, in float64 on the CPU whatever the point's dtype.

        The suboptimality is not a difference of two losses, which would lose all digits near the
        optimum, but the quadratic form it equals, as ``f`` is quadratic and its gradient zero at
        the optimum:

        .. math:: f(w) - f(w_*) = \frac{1}{n} \lVert X (w - w_*) + (b - b_*) \rVert^2
            + \frac{l_2}{2} \lVert w - w_* \rVert^2

        The optimum is taken before rounding to float64, and the loss from the optimum's residuals,
        so that loss, suboptimality and certificate agree also where rounding the optimum is felt.

        The parameter error is the distance to the optimum's parameters over the optimum's norm
        (the distance itself where that norm is zero); nan where the minimiser is not unique.
        """
        judge: Judge = self._once("judge", self._make_judge)
        return judge(parameters)

    def _make_judge(self) -> Judge:
        X, y = self.X.cpu(), self.y.cpu()
        return Judge(X, y, self._solution, self.fit_intercept, self.l2)


def _is_cached(cls: type, name: str) -> bool:
    return isinstance(getattr(cls, name, None), cached_property)
