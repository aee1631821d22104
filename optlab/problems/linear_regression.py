"""Linear regression: mean squared error over weight and bias."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.datasets.dataset import Dataset
from optlab.datasets.validation import checked_design
from optlab.linalg import LeastSquaresSolution, least_squares
from optlab.problems.coefficients import coefficient_table
from optlab.problems.holdout import Holdout
from optlab.problems.judge import Judge
from optlab.problems.least_squares_system import LeastSquaresSystem, least_squares_system
from optlab.problems.problem import Batch, Evaluation, Parameters, Reference
from optlab.problems.row_weights import given_weights, mean_one, moderate, shares


class LinearRegression:
    r"""Fit ``y`` by ``X @ weight + bias``, minimising the mean squared error.

    .. math::
        f(w, b) = \frac{1}{n} \sum_i (x_i \cdot w + b - y_i)^2 + \frac{l_2}{2} \lVert w \rVert^2

    The intercept ``b`` is not penalised. A batch's loss is the mean over that batch, so its
    gradient is an unbiased estimate of the full one.

    Where rows have weights :math:`v_i`, the first term is the weighted mean

    .. math::
        \frac{\sum_i v_i r_i^2}{\sum_i v_i} = \frac{1}{n} \sum_i u_i r_i^2,
        \quad u_i = \frac{n v_i}{\sum_k v_k}, \quad r_i = x_i \cdot w + b - y_i

    and a batch's loss is the mean of :math:`u_i r_i^2` over that batch, with the weights normalised
    over all data: its expectation over shuffled batches is the full loss, and weights that are all
    alike are no weights. A row of weight 2 counts as the same row twice, one of weight 0 as none.

    Parameters
    ----------
    X
        Features, an array, tensor or data frame of shape ``(n, d)``; float32 and float64 are kept,
        other numbers become float64.
    y
        Target, shape ``(n,)``; it takes the dtype of ``X`` where that holds each of its values
        exactly, else both become float64.
    sample_weight
        Weights of the rows, shape ``(n,)``: at least 0, not all 0, only their ratios count. The
        optimum's standard errors take them for inverse variances.
    holdout
        A dataset, or a pair of X and y, of rows that are not fitted: `evaluate` measures the
        (weighted) mean squared error on them, ``holdout_loss``.
    fit_intercept
        Whether there is a bias.
    l2
        Strength of the penalty on the weights, as `torch.optim`'s ``weight_decay``; at least 0.
    name, feature_names, target_name
        The names that stand in tables and beside axes; those of a data frame's columns where none
        are given.
    provenance
        What was done to the data, in plain sentences.
    standardized
        The ``mean``, ``mean_low`` and ``deviation`` of each column before it was standardized, as
        `optlab.datasets.Dataset.standardized` keeps them: `coefficients` are told in these units.

    Raises
    ------
    ValueError
        Where the shapes or row labels do not fit, the data are empty, not numbers (dates, text,
        masked values), not finite, or integers that float64 would round; for weights below 0, not
        finite, or all 0; for a holdout of other columns.

    Examples
    --------
    >>> import numpy as np
    >>> import optlab as ol
    >>> problem = ol.LinearRegression(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]))
    >>> problem
    LinearRegression('data', n=3, d=1, float64, cpu)
    >>> best = problem.reference().parameters
    >>> round(best["weight"].item(), 12), round(best["bias"].item(), 12)
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
        sample_weight: ArrayLike | Tensor | None = None,
        holdout: Dataset | tuple[ArrayLike | Tensor, ArrayLike | Tensor] | None = None,
        fit_intercept: bool = True,
        l2: float = 0.0,
        name: str = "data",
        feature_names: tuple[str, ...] | None = None,
        target_name: str = "y",
        provenance: Sequence[str] = (),
        standardized: Mapping[str, np.ndarray[Any, Any]] | None = None,
    ) -> None:
        if not (isinstance(l2, int | float) and math.isfinite(l2) and l2 >= 0):
            raise ValueError(f"l2 must be finite and at least 0, not {l2!r}")
        if not isinstance(name, str):
            raise ValueError(f"name must be text, not {name!r}")
        design = checked_design(X, y, feature_names)
        # A copy: whoever changes the arrays later does not change the problem.
        self.X, self.y = design.X.clone(), design.y.clone()
        self.sample_weight = given_weights(sample_weight, X, len(design.y))
        self.row_weight = self.row_weight_as(self.X)
        self.holdout = None if holdout is None else Holdout.of(holdout, design.feature_names)
        self.fit_intercept = fit_intercept
        self.l2 = float(l2)
        self.name = name
        self.feature_names = design.feature_names
        self.target_name = target_name
        self.provenance = tuple(provenance)
        self.standardized = standardized

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
            sample_weight=dataset.sample_weight,
            holdout=dataset.holdout,
            fit_intercept=dataset.fit_intercept if fit_intercept is None else fit_intercept,
            l2=l2,
            name=name or dataset.name,
            feature_names=dataset.feature_names,
            target_name=dataset.target_name,
            provenance=dataset.provenance,
            standardized=dataset.known.get("standardized"),
        )

    def row_weight_as(self, like: Tensor) -> Tensor | None:
        """Return the weights of mean 1 in a tensor's dtype and on its device, or None."""
        return None if self.sample_weight is None else mean_one(self.sample_weight, like)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again: for large data it is most of what would be sent."""
        return {k: v for k, v in vars(self).items() if k not in {"_original", "_judge"}}

    def __repr__(self) -> str:
        n, d = self.X.shape
        dtype = str(self.X.dtype).removeprefix("torch.")
        extra = ("" if self.fit_intercept else ", no intercept") + (
            f", l2={self.l2:g}" if self.l2 else ""
        )
        extra += ", weighted" if self.sample_weight is not None else ""
        extra += f", holdout={len(self.holdout.y)}" if self.holdout is not None else ""
        return f"LinearRegression({self.name!r}, n={n}, d={d}, {dtype}, {self.X.device}{extra})"

    @property
    def data(self) -> Batch:
        """All rows: ``X (n, d)``, ``y (n,)``, and the weights of mean 1, ``(n,)``, or None."""
        return Batch(self.X, self.y, self.row_weight)

    def predict(self, parameters: Parameters, X: Tensor | None = None) -> Tensor:
        """Return ``X @ weight + bias``, shape ``(B,)``; over the problem's own ``X`` by default."""
        prediction = (self.X if X is None else X) @ parameters["weight"]
        return prediction + parameters["bias"] if self.fit_intercept else prediction

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Mean squared error over a batch (all data where none is given), plus the penalty."""
        X, y, weight = self._rows(batch)
        squares = (self.predict(parameters, X) - y).pow(2)
        error = (squares if weight is None else weight * squares).mean()
        return error + self.l2 / 2 * parameters["weight"].pow(2).sum() if self.l2 else error

    def gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Gradient of `loss` in closed form: ``2 X'r / B + l2 w`` and ``2 mean(r)``.

        Where rows have weights, r is the residuals times these.
        """
        X, y, row_weight = self._rows(batch)
        residual = self.predict(parameters, X) - y
        if row_weight is not None:
            residual = row_weight * residual
        weight = X.T @ residual * (2 / len(y))
        if self.l2:
            weight = weight + self.l2 * parameters["weight"]
        return {"weight": weight} | ({"bias": 2 * residual.mean()} if self.fit_intercept else {})

    def _rows(self, batch: Batch | None) -> Batch:
        """Return a batch, or all rows for None."""
        if batch is None:
            return self.data
        if batch.weight is None and self.row_weight is not None:
            raise ValueError(
                f"the rows of {self.name!r} have weights, but the batch has none: take batches "
                "from Batches(..., weight=problem.row_weight), or Batch(X, y, weight)"
            )
        return batch

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

        That is the (weighted) mean of ``y`` with an intercept, and 0 without one.
        """
        y = self.y.to("cpu", torch.float64)
        row_weight = self.row_weight_as(y)
        mean = (y if row_weight is None else row_weight * y).mean()
        weight = y.new_zeros(self.X.shape[1])
        return {"weight": weight} | ({"bias": mean} if self.fit_intercept else {})

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
        moved.row_weight = self.row_weight_as(X)
        if torch.promote_types(dtype, self.X.dtype) == dtype:  # nothing was rounded
            moved.__dict__["_original"] = self._original or self
        return moved

    def as_least_squares(self) -> LeastSquaresSystem:
        """Return the least-squares system whose minimum-norm solution is this problem's.

        Centring the columns takes the intercept out, so that the norm minimised is that of the
        weights alone; the penalty becomes d more rows, ``sqrt(n l2 / 2) I``. A row with a weight of
        its own is multiplied by the root of it, mean 1 over all rows.
        """
        return least_squares_system(
            self.X,
            self.y,
            fit_intercept=self.fit_intercept,
            l2=self.l2,
            weight=self.row_weight,
        )

    @cached_property
    def _original(self) -> LinearRegression | None:
        """The problem of which `to` made this copy without rounding, or None.

        What is computed of the data is kept there: it is computed once, and of data that an
        optimizer, which is given a copy, cannot have changed.
        """
        return None

    @property
    def moderate_weight(self) -> Tensor | None:
        """The weights as given but for a power of two, which keeps their squares in range."""
        return None if self.sample_weight is None else moderate(self.sample_weight)

    @cached_property
    def _solution(self) -> LeastSquaresSolution:
        if self._original:
            return self._original._solution
        try:
            return least_squares(
                self.X.cpu(),
                self.y.cpu(),
                fit_intercept=self.fit_intercept,
                l2=self.l2,
                weights=self.moderate_weight,
                column_names=self.feature_names,
            )
        except OverflowError as error:
            raise ValueError(f"problem {self.name!r} has no optimum in float64: {error}") from error

    @cached_property
    def _certified(self) -> Reference:
        if self._original:
            return self._original._certified
        solution, certificate = self._solution, self._solution.certificate
        parameters = solution.parameters if self.fit_intercept else {"weight": solution.weight}
        # The certificate's residual is the exact optimum's: that of the rounded may be far above.
        weight = self.moderate_weight
        total = len(self.y) if weight is None else math.fsum(weight.tolist())
        loss = certificate.residual_sum_of_squares / total
        loss += self.l2 / 2 * solution.weight.square().sum().item() if self.l2 else 0.0
        return Reference(
            kind="certified",
            loss=loss,
            parameters=parameters,
            digits=certificate.digits,
            unique=certificate.rank == certificate.unknowns,
            trusted=certificate.trusted,
            message=certificate.message,
            certificate=certificate,
        )

    def why_no_unique_optimum(self) -> str | None:
        """Say why methods that take full rank for granted cannot solve this problem, or None.

        Judged in the dtype of the data: a design whose condition number leaves no digit of it has,
        for such methods, no full rank.
        """
        certificate = self._solution.certificate
        if certificate.rank < certificate.unknowns:
            return f"the rank is {self.rank} of {self.X.shape[1]}"
        condition = certificate.condition_scaled
        if condition * torch.finfo(self.X.dtype).eps > 0.1:
            dtype = str(self.X.dtype).removeprefix("torch.")
            return f"the design's condition number {condition:.1e} leaves no digit in {dtype}"
        return None

    @property
    def rank(self) -> int:
        """Numerical rank of the design, the intercept's column left out."""
        return self._solution.certificate.rank - self.fit_intercept

    def reference(self) -> Reference:
        """Return the minimiser of this problem's own data, solved once and kept."""
        return self._certified

    def coefficients(self, parameters: Parameters | None = None) -> pd.DataFrame:
        """Return a table of coefficients, as fitted and in the units of the data.

        Parameters
        ----------
        parameters
            Of this problem; the optimum's where left out.

        Returns
        -------
        A row for the intercept and for each feature: ``name``, ``coefficient`` and
        ``standard_error`` as fitted, ``raw_coefficient`` and ``raw_standard_error`` in the units
        of the columns before they were standardized. Standard errors are the optimum's, classical
        (independent residuals of one variance; with row weights, of variances in inverse proportion
        to these), and NaN for other parameters, with a penalty, where the rank is deficient, and
        where there are no more rows than coefficients. Raw numbers beyond float64 are NaN.

        Examples
        --------
        >>> import optlab as ol
        >>> data = ol.datasets.Dataset("a", [[10.0], [20.0], [40.0]], [1.0, 2.0, 4.0])
        >>> table = ol.LinearRegression.from_dataset(data.standardized()).coefficients()
        >>> table[["name", "coefficient", "raw_coefficient"]].round(6)
                name  coefficient  raw_coefficient
        0  intercept     2.333333              0.0
        1         x0     1.247219              0.1

        References
        ----------
        Seber and Lee, Linear Regression Analysis (2003), sections 3.2 and 3.10.
        """
        solution = self._solution
        return coefficient_table(
            self._certified.parameters or {} if parameters is None else parameters,
            self.feature_names,
            self.standardized,
            solution.certificate if parameters is None else None,
        )

    def evaluate(self, parameters: Parameters) -> Evaluation:
        r"""Judge a point against the optimum, in float64 on the CPU whatever the point's dtype.

        The suboptimality is not a difference of two losses, which would lose all digits near the
        optimum, but the quadratic form it equals, as ``f`` is quadratic and its gradient zero at
        the optimum:

        .. math:: f(w) - f(w_*) = \frac{1}{n} \lVert X (w - w_*) + (b - b_*) \rVert^2
            + \frac{l_2}{2} \lVert w - w_* \rVert^2

        The optimum is taken before rounding to float64, and the loss from the optimum's residuals,
        so that loss, suboptimality and certificate agree also where rounding the optimum is felt.

        With weights, the first sum is weighted as the loss is. ``more`` has ``holdout_loss`` where
        rows are held out.

        The parameter error is the distance to the optimum's parameters over the optimum's norm
        (the distance itself where that norm is zero); nan where the minimiser is not unique.
        """
        evaluation = self._judge(parameters)
        if self.holdout is None:
            return evaluation
        return evaluation._replace(more={"holdout_loss": self.holdout.loss(parameters)})

    @cached_property
    def _judge(self) -> Judge:
        if self._original:
            return self._original._judge
        X, y, share = self.X.cpu(), self.y.cpu(), None
        if (weight := self.moderate_weight) is not None:
            if not (counts := weight > 0).all():  # a row that does not count may be out of range
                X, y, weight = X[counts], y[counts], weight[counts]
            share = shares(weight)
        return Judge(X, y, self._solution, self.fit_intercept, self.l2, share=share)


def _is_cached(cls: type, name: str) -> bool:
    return isinstance(getattr(cls, name, None), cached_property)
