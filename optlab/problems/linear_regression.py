"""Linear regression: mean squared error over weight and bias."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Unpack

import torch
from torch import Tensor

from optlab.linalg import LeastSquaresSolution, least_squares
from optlab.problems.judge import Judge
from optlab.problems.least_squares_system import LeastSquaresSystem, least_squares_system
from optlab.problems.linear_model import ModelOptions, Values
from optlab.problems.linear_residuals import linear_jacobian, linear_residuals
from optlab.problems.losses.squared import Squared
from optlab.problems.problem import Evaluation, Parameters, Reference
from optlab.problems.row_weights import moderate, shares
from optlab.problems.smooth_linear_model import SmoothLinearModel


class LinearRegression(SmoothLinearModel):
    r"""Fit ``y`` by ``X @ weight + bias``, minimising the mean squared error.

    .. math::
        f(w, b) = \frac{1}{n} \sum_i (x_i \cdot w + b - y_i)^2
            + l_1 \lVert w \rVert_1 + \frac{l_2}{2} \lVert w \rVert^2

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
    validation
        A dataset, or a pair of X and y, of rows that are not fitted: `evaluate` measures the
        (weighted) mean squared error on them, ``validation_loss``.
    fit_intercept
        Whether there is a bias.
    l1
        Strength of the lasso's penalty on the weights, at least 0. scikit-learn's Lasso minimises
        half of this: its ``alpha`` is ``l1 / 2``; of ElasticNet, ``alpha l1_ratio = l1 / 2`` and
        ``alpha (1 - l1_ratio) = l2 / 2``.
    l2
        Strength of ridge's penalty on the weights, as `torch.optim`'s ``weight_decay``; at least 0.
        scikit-learn's Ridge has ``alpha = n l2 / 2``.
    name, feature_names, target_name
        The names that stand in tables and beside axes; those of a data frame's columns where none
        are given.
    provenance
        What was done to the data, in plain sentences.
    standardized
        The ``mean``, ``mean_low`` and ``deviation`` of each column before it was standardized, as
        `optlab.datasets.Dataset.standardized` keeps them: `coefficients` are told in these units.
    encoding
        The way from a table's columns to those of X, before they were standardized:
        `optlab.datasets.Dataset.encoding`.

    Raises
    ------
    ValueError
        Where the shapes or row labels do not fit, the data are empty, not numbers (dates, text,
        masked values), not finite, or integers that float64 would round; for weights below 0, not
        finite, or all 0; for validation rows of other columns; for l1 or l2 below 0.

    See Also
    --------
    LinearModel : What all linear models share.
    HuberRegression, QuantileRegression : Losses that outliers move less.
    NonlinearLeastSquares : Models that are not linear.
    optlab.datasets : Where data come from.

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

    solved_members: ClassVar[tuple[str, ...]] = ("_optimum", "_solution", "_certified")

    def __init__(self, X: Values, y: Values, **options: Unpack[ModelOptions]) -> None:
        super().__init__(X, y, Squared(), **options)

    def residuals(self, parameters: Parameters) -> Tensor:
        """Residuals of all rows and of the penalty, ``(n,)`` or ``(n + d,)``."""
        return linear_residuals(self.data, parameters, self.l2)

    def jacobian(self, parameters: Parameters) -> Tensor:
        """Jacobian of `residuals`, the same everywhere: columns of the weight, then the bias."""
        return linear_jacobian(self.data, parameters, self.l2)

    def constant_fit(self) -> Parameters:
        """Return the parameters of the best constant prediction, float64 on the CPU.

        That is the (weighted) mean of ``y`` with an intercept, and 0 without one.
        """
        y = self.y.to("cpu", torch.float64)
        row_weight = self.row_weight_as(y)
        mean = (y if row_weight is None else row_weight * y).mean()
        weight = y.new_zeros(self.X.shape[1])
        return {"weight": weight} | ({"bias": mean} if self.fit_intercept else {})

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

    def reference(self) -> Reference:
        """Return the minimiser of this problem's own data, solved once and kept.

        Without an l1 penalty it is the solution of least squares, whose certificate comes with it.
        """
        return super().reference() if self.l1 else self._certified

    def evaluate_together(self, points: Parameters) -> list[Evaluation]:
        """Evaluate several points, to the bit as `evaluate` does each.

        ``points`` are the parameters with a leading axis: ``weight`` (k, d) and ``bias`` (k,).

        Examples
        --------
        >>> import torch
        >>> import optlab as ol
        >>> problem = ol.LinearRegression([[0.0], [1.0]], [0.0, 2.0])
        >>> points = {"weight": torch.tensor([[0.0], [2.0]]), "bias": torch.zeros(2)}
        >>> [evaluation.loss for evaluation in problem.evaluate_together(points)]
        [2.0, 0.0]
        """
        if isinstance(self._judge, Judge) and self.validation is None:
            return self._judge.together(points)
        each = zip(*points.values(), strict=True)
        return [self.evaluate(dict(zip(points, point, strict=True))) for point in each]

    @cached_property
    def _judge(self) -> Callable[[Parameters], Evaluation]:
        if self.l1:
            return super()._judge
        if self._original:
            return self._original._judge
        X, y, share = self.X.cpu(), self.y.cpu(), None
        if (weight := self.moderate_weight) is not None:
            if not (counts := weight > 0).all():  # a row that does not count may be out of range
                X, y, weight = X[counts], y[counts], weight[counts]
            share = shares(weight)
        return Judge(X, y, self._solution, self.fit_intercept, self.l2, share=share)
