"""Linear models: a loss of ``x . w + b``, its mean over rows, and a penalty on the weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self, TypeAlias, TypedDict

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.datasets.dataset import Dataset
from optlab.datasets.table_encoding import TableEncoding
from optlab.datasets.validation import checked_design, checked_features
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.linear_reference import LinearOptimum, constant_optimum, optimum
from optlab.problems.coefficients import coefficient_table
from optlab.problems.losses.loss import Loss
from optlab.problems.model_judge import ModelJudge
from optlab.problems.penalties.elastic_net import ElasticNet
from optlab.problems.problem import Batch, Evaluation, Parameters, Reference
from optlab.problems.row_weights import given_weights, mean_one, moderate, share_pairs, times
from optlab.problems.validation_rows import ValidationRows
from optlab.remedies import remedy

Values: TypeAlias = ArrayLike | Tensor
"""An array, a tensor, a data frame or a series."""


class ModelOptions(TypedDict, total=False):
    """The arguments that every linear model takes: see `LinearModel`."""

    sample_weight: Values | None
    validation: Dataset | tuple[Values, Values] | None
    fit_intercept: bool
    l1: float
    l2: float
    name: str
    feature_names: tuple[str, ...] | None
    target_name: str
    provenance: Sequence[str]
    standardized: Mapping[str, np.ndarray[Any, Any]] | None
    encoding: TableEncoding | None


class LinearModel:
    r"""Fit the prediction ``X @ weight + bias``, minimising a mean loss plus a penalty.

    .. math::
        f(w, b) = \frac{1}{n} \sum_i u_i \, \ell(x_i \cdot w + b, y_i)
            + l_1 \lVert w \rVert_1 + \frac{l_2}{2} \lVert w \rVert^2,
        \quad u_i = \frac{n v_i}{\sum_k v_k}

    The intercept b is never penalised. :math:`v_i` are the rows' weights; without them every
    :math:`u_i` is 1. A batch's loss is the mean of :math:`u_i \ell_i` over that batch.

    Parameters
    ----------
    X
        Features, an array, tensor or data frame of shape ``(n, d)``; float32 and float64 are kept,
        other numbers become float64.
    y
        Target, shape ``(n,)``.
    loss
        The loss of a row.
    sample_weight
        Weights of the rows, shape ``(n,)``: at least 0, not all 0, only their ratios count. A row
        of weight 2 counts as the same row twice, one of weight 0 as none.
    validation
        A dataset, or a pair of X and y, of rows that are not fitted: `evaluate` measures the
        (weighted) mean loss on them, without the penalty: ``validation_loss``.
    fit_intercept
        Whether there is a bias.
    l1, l2
        Strengths of the penalty on the weights, at least 0.
    name, feature_names, target_name
        The names that stand in tables and beside axes; those of a data frame's columns where none
        are given.
    provenance
        What was done to the data, in plain sentences.
    standardized
        The ``mean``, ``mean_low`` and ``deviation`` of each column before it was standardized.
    encoding
        The way from a table's columns to those of X, before they were standardized.

    Raises
    ------
    ValueError
        Where the shapes or row labels do not fit, the data are empty, not numbers, not finite, or
        integers that float64 would round; for targets that the loss does not allow; for weights
        below 0, not finite, or all 0; for validation rows of other columns; for l1 or l2 below 0.

    See Also
    --------
    LinearRegression, HuberRegression, QuantileRegression : Targets that are numbers.
    LogisticRegression, SoftmaxRegression : Classes.
    PoissonRegression : Counts.

    Examples
    --------
    >>> from optlab.problems.losses.huber import Huber
    >>> LinearModel([[0.0], [1.0]], [0.0, 2.0], Huber(1.0), l2=0.5)
    LinearModel('data', n=2, d=1, float64, cpu, l2=0.5)

    References
    ----------
    Hastie, Tibshirani and Wainwright, Statistical Learning with Sparsity (2015), chapter 3.
    """

    def __init__(
        self,
        X: Values,
        y: Values,
        loss: Loss,
        *,
        sample_weight: Values | None = None,
        validation: Dataset | tuple[Values, Values] | None = None,
        fit_intercept: bool = True,
        l1: float = 0.0,
        l2: float = 0.0,
        name: str = "data",
        feature_names: tuple[str, ...] | None = None,
        target_name: str = "y",
        provenance: Sequence[str] = (),
        standardized: Mapping[str, np.ndarray[Any, Any]] | None = None,
        encoding: TableEncoding | None = None,
    ) -> None:
        self.penalty = ElasticNet(l1, l2)
        self.l1, self.l2 = float(l1), float(l2)
        if not isinstance(name, str):
            raise ValueError(f"name must be text, not {name!r}")
        self.loss_function = loss
        target = loss.encoded(y)
        self.classes = target.classes
        design = checked_design(X, target.y, feature_names)
        loss.check(design.y)
        # A copy: whoever changes the arrays later does not change the problem.
        self.X = design.X.clone()
        self.y = design.y.long() if loss.outputs else design.y.clone()
        self.sample_weight = given_weights(sample_weight, X, len(design.y))
        self.row_weight = self.row_weight_as(self.X)
        self.validation = None
        if validation is not None:
            names = design.feature_names
            self.validation = ValidationRows.of(validation, names, loss, self.classes)
        self.fit_intercept = fit_intercept
        self.name = name
        self.feature_names = design.feature_names
        self.target_name = target_name
        self.provenance = tuple(provenance)
        self.standardized = standardized
        self.encoding = encoding

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Write out the options in the signature, for `help` and for the command line."""
        super().__init_subclass__(**kwargs)
        own = inspect.signature(cls.__init__).parameters.values()
        if not any(p.kind is p.VAR_KEYWORD for p in own):
            return
        named = [p for p in own if p.kind is not p.VAR_KEYWORD and p.name != "self"]
        given = inspect.signature(LinearModel.__init__).parameters.values()
        options = [p for p in given if p.kind is p.KEYWORD_ONLY]
        unique = {p.name: p for p in [*named, *options]}.values()
        signature = inspect.Signature([p for p in unique if p.name != "loss"])
        type.__setattr__(cls, "__signature__", signature)

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        *,
        fit_intercept: bool | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Self:
        """Make the problem of fitting a dataset's target by its features.

        ``fit_intercept`` left out follows the dataset, which may say that its model has none.
        Options are the constructor's: l1, l2, and the loss's own.
        """
        if not isinstance(dataset, Dataset):
            raise ValueError(
                f"from_dataset takes a Dataset, not {type(dataset).__name__}: "
                f"{remedy(dataset) or f'{cls.__name__}(X, y) takes arrays'}"
            )
        given: dict[str, Any] = {
            "sample_weight": dataset.sample_weight,
            "validation": dataset.validation,
            "fit_intercept": dataset.fit_intercept if fit_intercept is None else fit_intercept,
            "name": name or dataset.name,
            "feature_names": dataset.feature_names,
            "target_name": dataset.target_name,
            "provenance": dataset.provenance,
            "standardized": dataset.known.get("standardized"),
            "encoding": dataset.encoding,
        }
        make: Any = cls
        problem: Self = make(dataset.X, dataset.y, **given | options)
        return problem

    def row_weight_as(self, like: Tensor) -> Tensor | None:
        """Return the weights of mean 1 in a tensor's dtype and on its device, or None."""
        return None if self.sample_weight is None else mean_one(self.sample_weight, like)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again: for large data it is most of what would be sent."""
        return {k: v for k, v in vars(self).items() if not _is_cached(type(self), k)}

    solved_members: ClassVar[tuple[str, ...]] = ("_optimum",)
    """Members that take long to compute, and little to send to another process."""

    @property
    def quantity(self) -> str:
        """Return what ``X @ weight + bias`` is in words, empty where it is the prediction."""
        return ""

    def __repr__(self) -> str:
        n, d = self.X.shape
        dtype = str(self.X.dtype).removeprefix("torch.")
        extra = "" if self.classes is None else f", classes={len(self.classes)}"
        extra += f", {self.quantity}" if self.quantity else ""
        extra += "" if self.fit_intercept else ", no intercept"
        extra += f", l1={self.l1:g}" if self.l1 else ""
        extra += f", l2={self.l2:g}" if self.l2 else ""
        extra += ", weighted" if self.sample_weight is not None else ""
        extra += f", validation={len(self.validation.y)}" if self.validation is not None else ""
        return (
            f"{type(self).__name__}({self.name!r}, n={n}, d={d}, {dtype}, {self.X.device}{extra})"
        )

    @property
    def data(self) -> Batch:
        """All rows, on the problem's device and in its dtype."""
        return Batch(self.X, self.y, self.row_weight)

    @property
    def is_smooth(self) -> bool:
        """Whether the loss and the penalty have no kinks."""
        return not self.l1 and self.loss_function.kink is None

    def linear_predictor(self, parameters: Parameters, X: Tensor | None = None) -> Tensor:
        """Return ``X @ weight + bias``, shape ``(B,)`` or ``(B, K)``, of the problem's X if None.

        For classes these are log-odds, for counts logarithms. The problem's own X takes the dtype
        and the device of the parameters.
        """
        prediction = (self.X.to(parameters["weight"]) if X is None else X) @ parameters["weight"]
        return prediction + parameters["bias"] if self.fit_intercept else prediction

    def predict(self, parameters: Parameters, X: Any = None) -> Any:
        """Return the predicted targets of rows ``(B,)``, in the parameters' dtype and device.

        X ``(B, d)`` is an array, a tensor or a data frame, whose columns are taken by name; the
        problem's own rows if None.

        Raises
        ------
        ValueError
            For rows that are no finite numbers, for another number of columns, and for a data frame
            without one of the columns that were fitted.
        """
        return self.loss_function.mean(
            self.linear_predictor(parameters, self._features(X, parameters))
        )

    def _features(self, X: Any, parameters: Parameters) -> Tensor | None:
        """Return rows to predict as a tensor like the weight, or None for the problem's own."""
        if X is None:
            return None
        return checked_features(X, self.feature_names).to(parameters["weight"])

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Mean loss over a batch (all data where none is given), plus the penalty."""
        loss = self._mean_loss(parameters, batch)
        weight = parameters["weight"]
        return loss + self.penalty.value(weight) if self.l1 or self.l2 else loss

    def gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Gradient of `loss` in closed form: ``X's / B`` plus the penalty's, and ``mean(s)``.

        s is the slopes of the loss, times the rows' weights where there are some; at kinks, the
        subgradient that autograd takes.
        """
        gradient = self._smooth_gradient(parameters, batch)
        if self.l1:
            gradient["weight"] = gradient["weight"] + self.l1 * parameters["weight"].sign()
        return gradient

    def _mean_loss(self, parameters: Parameters, batch: Batch | None) -> Tensor:
        X, y, row_weight = self._rows(batch)
        values = self.loss_function.value(self.linear_predictor(parameters, X), y)
        return (values if row_weight is None else row_weight * values).mean()

    def _smooth_gradient(self, parameters: Parameters, batch: Batch | None) -> Parameters:
        X, y, row_weight = self._rows(batch)
        slope = self.loss_function.slope(self.linear_predictor(parameters, X), y)
        if row_weight is not None:
            slope = times(row_weight, slope)
        weight = X.T @ slope * (1 / len(y))
        if self.l2:
            weight = weight + self.l2 * parameters["weight"]
        return {"weight": weight} | ({"bias": slope.mean(0)} if self.fit_intercept else {})

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
        outputs = self.loss_function.outputs
        shape = (self.X.shape[1], *outputs)
        weight = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
        start = {"weight": weight.to(self.X.device, self.X.dtype)}
        return start | ({"bias": self.X.new_zeros(outputs)} if self.fit_intercept else {})

    def constant_fit(self) -> Parameters:
        """Return the parameters of the best constant prediction, float64 on the CPU.

        Without an intercept, or where no finite one is best, all are zero.
        """
        return constant_optimum(self.objective, self.fit_intercept)

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same problem with its data on another device or in another dtype.

        With ``copy`` the data are the new problem's own even where nothing had to be converted.
        """
        X = self.X.to(device, dtype, copy=copy)
        if X is self.X:
            return self
        y = self.y.to(device, dtype if self.y.is_floating_point() else self.y.dtype, copy=copy)
        return self.with_data(Batch(X, y, self.row_weight_as(X)))

    def with_data(self, data: Batch) -> Self:
        """Return the same problem over data that equal its own, on any device and in any dtype."""
        moved = object.__new__(type(self))
        # All that a subclass has too; what is computed of the data, and kept, is computed anew.
        own = {k: v for k, v in vars(self).items() if not _is_cached(type(self), k)}
        moved.__dict__.update(own, X=data.X, y=data.y, row_weight=data.weight)
        if torch.promote_types(data.X.dtype, self.X.dtype) == data.X.dtype:  # nothing was rounded
            moved.__dict__["_original"] = self._original or self
        return moved

    @cached_property
    def _original(self) -> Self | None:
        """The problem of which `to` made this copy without rounding, or None.

        What is computed of the data is kept there: it is computed once, and of data that an
        optimizer, which is given a copy, cannot have changed.
        """
        return None

    @cached_property
    def objective(self) -> Objective:
        """The objective in float64 on the CPU, of the rows that count."""
        X, y = self.X.to("cpu", torch.float64), self.y.cpu()
        y = y.double() if y.is_floating_point() else y
        weight = torch.ones(len(y), dtype=torch.float64)
        if self.sample_weight is not None:
            weight = moderate(self.sample_weight)
            counts = weight > 0
            X, y, weight = X[counts], y[counts], weight[counts]
        share = share_pairs(weight)
        penalised = torch.ones(X.shape[1], dtype=torch.float64)
        if self.fit_intercept:
            X = torch.cat([torch.ones_like(X[:, :1]), X], 1)
            penalised = torch.cat([torch.zeros_like(penalised[:1]), penalised])
        return Objective(X, y, *share, self.loss_function, self.l1 * penalised, self.l2 * penalised)

    @cached_property
    def _optimum(self) -> LinearOptimum:
        if self._original:
            return self._original._optimum
        return optimum(self.objective, self.fit_intercept)

    def reference(self) -> Reference:
        """Return the minimiser of this problem's own data and its bound, solved once and kept."""
        return self._optimum.reference

    def coefficients(self, parameters: Parameters | None = None) -> pd.DataFrame:
        """Return a table of coefficients, in the units of the data and as fitted.

        Parameters
        ----------
        parameters
            Of this problem; the optimum's where left out.

        Returns
        -------
        A row for the intercept and for each feature: ``name``, ``coefficient`` and
        ``standard_error`` in the units of the columns before they were standardized, ``as_fitted``
        and ``standard_error_as_fitted`` in those of the fit. Standard errors are the optimum's,
        classical (independent residuals of one variance; with row weights, of variances in inverse
        proportion to these), and NaN for other parameters, with a penalty, where the rank is
        deficient, and where there are no more rows than coefficients. Numbers beyond float64 are
        NaN.

        Examples
        --------
        >>> import optlab as ol
        >>> data = ol.datasets.Dataset("a", [[10.0], [20.0], [40.0]], [1.0, 2.0, 4.0])
        >>> table = ol.LinearRegression.from_dataset(data.standardized()).coefficients()
        >>> table[["name", "coefficient", "as_fitted"]].round(6)
                name  coefficient  as_fitted
        0  intercept          0.0   2.333333
        1         x0          0.1   1.247219

        References
        ----------
        Seber and Lee, Linear Regression Analysis (2003), sections 3.2 and 3.10.
        """
        certificate = None
        if parameters is None:
            reference = self.reference()
            parameters, certificate = reference.parameters, reference.certificate
            if parameters is None:
                raise ValueError(f"{self.name!r} has no minimiser: {reference.message}")
        if not self.loss_function.outputs or self.classes is None:
            return coefficient_table(parameters, self.feature_names, self.standardized, certificate)
        tables = []
        for k, label in enumerate(self.classes):
            own = {name: value[..., k] for name, value in parameters.items()}
            table = coefficient_table(own, self.feature_names, self.standardized, None)
            tables.append(table.assign(name=[f"{name} of {label}" for name in table["name"]]))
        return pd.concat(tables, ignore_index=True)

    def evaluate(self, parameters: Parameters) -> Evaluation:
        r"""Judge a point against the reference, in float64 on the CPU whatever the point's dtype.

        The suboptimality is not a difference of two losses, which would lose all digits near the
        optimum. The gradient being zero at the optimum,

        .. math:: f(w) - f(w_*) = \frac{1}{n} \sum_i u_i D_i + \frac{l_2}{2} \lVert w - w_* \rVert^2
            + \sum_j (l_1 |w_j| - z_j w_j)

        with :math:`D_i = \ell(\eta_i) - \ell(\eta_{i*}) - \ell'(\eta_{i*}) (\eta_i - \eta_{i*})`
        (`Loss.divergence`), z in :math:`l_1 \partial \lVert w_* \rVert_1` the slope that holds the
        loss's balance, and every term at least 0: tiny ones keep their digits. A reference that is
        not exact leaves slopes unbalanced: these, times the distance, are added. Where the infimum
        is not attained, it is the difference of losses.

        The parameter error is the distance to the reference's parameters over their norm (the
        distance itself where that is zero); nan where the minimiser is not unique. ``more`` has
        ``validation_loss`` where rows are held out.
        """
        evaluation = self._judge(parameters)
        if self.validation is None:
            return evaluation
        return evaluation._replace(more={"validation_loss": self.validation.loss(parameters)})

    @cached_property
    def _judge(self) -> Callable[[Parameters], Evaluation]:
        if self._original:
            return self._original._judge
        return ModelJudge(self.objective, self._optimum, self.penalty, self.fit_intercept)


def _is_cached(cls: type, name: str) -> bool:
    return isinstance(getattr(cls, name, None), cached_property)
