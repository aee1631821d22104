"""Nonlinear least squares: the mean squared error of any torch function of parameters and X."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.func import grad

from optlab.datasets.dataset import Dataset
from optlab.datasets.validation import checked_design, checked_features, unwrapped
from optlab.problems.curves.computed_reference import computed_reference
from optlab.problems.curves.curve_judge import CurveJudge
from optlab.problems.curves.derivatives import hessian, jacobian
from optlab.problems.curves.known_reference import checked_reference, dataset_reference
from optlab.problems.curves.model_check import check_model, model_argument
from optlab.problems.curves.starts import checked_starts
from optlab.problems.problem import Batch, Evaluation, Parameters, Reference
from optlab.problems.row_weights import given_weights, mean_one
from optlab.problems.vector import flatten, unflatten

Model = Callable[[Any, Tensor], Tensor]


@final
class NonlinearLeastSquares:
    r"""Fit ``y`` by a curve, a torch function of parameters and X, by least squares.

    .. math:: f(p) = \frac{1}{n} \sum_i u_i \, (m(p, x_i) - y_i)^2

    where the weights :math:`u_i` have mean 1; all are 1 where ``sample_weight`` is left out. A
    batch's loss is the mean over that batch. Derivatives are torch's, exact to rounding. A Jacobian
    has n p entries: this is for some hundred parameters, not for a network's millions.

    Parameters
    ----------
    model
        ``model(parameters, X)`` returns the prediction ``(n,)``, in torch operations.
        ``parameters`` is a dict of tensors, or one vector where ``start`` is a vector.
    X
        Features, an array, tensor or data frame of shape ``(n, d)`` or ``(n,)``; the model gets
        them as they are given. float32 and float64 are kept, other numbers become float64.
    y
        Target, shape ``(n,)``.
    start
        Where descent starts: a dict of named parameters (numbers or arrays), a vector ``(p,)``, or
        several of either. Of k starts, a trial of seed s takes number ``s % k``.
    sample_weight
        Weights of the rows, shape ``(n,)``: at least 0, not all 0, only their ratios count.
    name, feature_names, target_name
        The names that stand in tables and beside axes.
    provenance
        What was done to the data, in plain sentences.
    reference
        The minimum, where it is known: its parameters, which must be a stationary point of this
        problem, and the loss there. Otherwise it is computed, by Levenberg-Marquardt from the
        starts and others near them.

    Raises
    ------
    ValueError
        For bad data as `LinearRegression`; for a model that cannot be called with the start or
        differentiated by torch, or whose output has another shape than y; for a start that is not
        finite or gives a prediction that is not, with the first such row; for parameters that the
        model does not use; for starts of different parameters; for a reference without parameters,
        one that is no stationary point, and one that has another loss than its parameters.

    See Also
    --------
    LevenbergMarquardt, GaussNewton, ScipyLeastSquares : Methods for it.
    optlab.datasets.nist_nonlinear : Curves with certified answers.
    ModuleProblem : A torch module as the model.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> def decay(parameters, x):
    ...     return parameters["height"] * torch.exp(-parameters["rate"] * x)
    >>> problem = ol.NonlinearLeastSquares(
    ...     decay, [0.0, 1.0, 2.0, 3.0], [4.0, 2.0, 1.0, 0.5], start={"height": 1.0, "rate": 1.0}
    ... )
    >>> problem
    NonlinearLeastSquares('curve', n=4, p=2, float64, cpu)
    >>> reference = problem.reference()
    >>> reference.kind, round(reference.parameters["rate"].item(), 12)
    ('computed', 0.69314718056)

    References
    ----------
    Seber and Wild, Nonlinear Regression (1989), chapters 2 and 14.
    """

    measures: ClassVar[tuple[str, ...]] = ("correct_digits",)

    def __init__(
        self,
        model: Model,
        X: ArrayLike | Tensor,
        y: ArrayLike | Tensor,
        *,
        start: Any,
        sample_weight: ArrayLike | Tensor | None = None,
        name: str = "curve",
        feature_names: Sequence[str] | None = None,
        target_name: str = "y",
        provenance: Sequence[str] = (),
        reference: Reference | None = None,
    ) -> None:
        if not callable(model):
            raise ValueError(f"model must be a function of parameters and X, not {model!r}")
        if not isinstance(name, str):
            raise ValueError(f"name must be text, not {name!r}")
        columns, is_vector = _as_columns(X)
        design = checked_design(columns, y, feature_names)
        # A copy: whoever changes the arrays later does not change the problem.
        self.X = design.X[:, 0].clone() if is_vector else design.X.clone()
        self.y = design.y.clone()
        self.sample_weight = given_weights(sample_weight, X, len(design.y))
        self.row_weight = self.row_weight_as(self.y)
        self.model, self.name = model, name
        self.feature_names, self.target_name = design.feature_names, target_name
        self.provenance = tuple(provenance)
        self.starts = checked_starts(start)
        check_model(model, self.starts[0], self.X, self.y)
        for number in range(len(self.starts)):
            self._check_start(number)
        self.known_reference = reference
        self.further_starts: tuple[Parameters, ...] = ()  # of the computed reference alone
        if reference is not None:
            checked_reference(reference, self)

    @classmethod
    def from_dataset(
        cls, dataset: Dataset, *, start: int | Any = None, name: str | None = None
    ) -> Self:
        """Make the problem of a dataset that knows its model, such as NIST's.

        Parameters
        ----------
        dataset
            With ``known["model"]`` and ``known["starts"]``; its known answer, where it has one, is
            the problem's reference: see `optlab.datasets.nist_nonlinear`.
        start
            The number of one of the dataset's starts, from 1, or a start; all of its where left
            out.
        name
            The dataset's name where left out.

        Raises
        ------
        ValueError
            For a dataset without a model, and a number that none of its starts has.

        Examples
        --------
        >>> import optlab as ol
        >>> misra1a = ol.datasets.nist_nonlinear("Misra1a")
        >>> problem = ol.NonlinearLeastSquares.from_dataset(misra1a, start=2)
        >>> problem.reference().kind
        'certified'
        """
        if "model" not in dataset.known:
            raise ValueError(
                f"dataset {dataset.name!r} does not know its model: use NonlinearLeastSquares("
                "model, dataset.X, dataset.y, start=...)"
            )
        return cls(
            dataset.known["model"],
            dataset.X,
            dataset.y,
            start=_chosen(dataset.known["starts"], start, dataset.name),
            sample_weight=dataset.sample_weight,
            name=name or dataset.name,
            feature_names=dataset.feature_names,
            target_name=dataset.target_name,
            provenance=dataset.provenance,
            reference=dataset_reference(dataset),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again."""
        return {k: v for k, v in vars(self).items() if k not in {"_original", "_judge"}}

    def __repr__(self) -> str:
        p = flatten(self.starts[0]).numel()
        dtype = str(self.y.dtype).removeprefix("torch.")
        extra = f", {len(self.starts)} starts" if len(self.starts) > 1 else ""
        extra += ", weighted" if self.sample_weight is not None else ""
        shape = f"n={len(self.y)}, p={p}, {dtype}, {self.y.device}{extra}"
        return f"NonlinearLeastSquares({self.name!r}, {shape})"

    @property
    def data(self) -> Batch:
        """All rows: ``X (n, d)`` or ``(n,)``, ``y (n,)``, and the weights of mean 1, or None."""
        return Batch(self.X, self.y, self.row_weight)

    def row_weight_as(self, like: Tensor) -> Tensor | None:
        """Return the weights of mean 1 in a tensor's dtype and on its device, or None."""
        return None if self.sample_weight is None else mean_one(self.sample_weight, like)

    def predict(self, parameters: Parameters, X: Any = None) -> Tensor:
        """Return the model's prediction ``(B,)``, over the problem's own ``X`` by default.

        ``X`` is a tensor, which the model is given as it is, or an array or a data frame, whose
        columns are taken by name.

        Raises
        ------
        ValueError
            Where the model returns anything else than a tensor of shape ``(B,)``, and for rows that
            do not fit the features.
        """
        if X is None:
            X = self.X
        elif not isinstance(X, Tensor):
            rows = checked_features(_as_columns(X)[0], self.feature_names).to(self.X)
            X = rows[:, 0] if self.X.ndim == 1 else rows
        output: Any = self.model(model_argument(parameters), X)
        expected = (len(X),)
        if not isinstance(output, Tensor) or output.shape != expected:
            kind = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            hint = ""
            if isinstance(output, Tensor) and output.ndim == 2 and X.ndim == 2:
                hint = "; for one feature, take the column X[:, 0], or give X of shape (n,)"
            raise ValueError(
                f"the model of {self.name!r} must return a tensor of shape {expected} for X of "
                f"shape {tuple(X.shape)}, not {kind}{hint}"
            )
        return output

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Mean squared error over a batch (all data where none is given)."""
        X, y, weight = self._rows(batch)
        squares = (self.predict(parameters, X) - y).square()
        return (squares if weight is None else weight * squares).mean()

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

    def residuals(self, parameters: Parameters) -> Tensor:
        """Residuals ``sqrt(u) (m(p, x) - y)``, shape ``(n,)``; the loss is their mean square."""
        residual = self.predict(parameters) - self.y
        return residual if self.row_weight is None else self.row_weight.sqrt() * residual

    def jacobian(self, parameters: Parameters) -> Tensor:
        """Jacobian of `residuals`, ``(n, p)``: a column for each entry of the flat parameters."""
        return jacobian(
            lambda point: self.residuals(unflatten(point, parameters)), flatten(parameters)
        )

    def hessian_product(
        self, parameters: Parameters, direction: Parameters, batch: Batch | None = None
    ) -> Parameters:
        """Product of the Hessian of `loss` with a direction."""

        def slope(point: Parameters) -> Tensor:
            gradient: Any = grad(lambda at: self.loss(at, batch))(point)
            parts = [(gradient[name] * direction[name]).sum() for name in direction]
            return torch.stack(parts).sum()

        product: Any = grad(slope)(parameters)
        return dict(product)

    def hessian(self, parameters: Parameters) -> Tensor:
        """Hessian of `loss` over all data, ``(p, p)``, in the order of the flat parameters."""
        return hessian(lambda point: self.loss(unflatten(point, parameters)), flatten(parameters))

    def start(self, generator: torch.Generator) -> Parameters:
        """Return a start: of k starts the one of number ``seed % k``, the generator's first seed.

        Nothing is drawn from the generator.
        """
        chosen = self.starts[generator.initial_seed() % len(self.starts)]
        return {k: v.to(self.y.device, self.y.dtype, copy=True) for k, v in chosen.items()}

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same problem with its data on another device or in another dtype.

        With ``copy`` the data are the new problem's own even where nothing had to be converted. A
        reference that is known goes along where no value of the data was rounded.
        """
        y = self.y.to(device, dtype, copy=copy)
        if y is self.y:
            return self
        moved = object.__new__(type(self))
        own = {k: v for k, v in vars(self).items() if k not in {"_original", "_judge", "_found"}}
        moved.__dict__.update(own, X=self.X.to(device, dtype, copy=copy), y=y)
        moved.row_weight = self.row_weight_as(y)
        if torch.promote_types(dtype, self.y.dtype) == dtype:  # nothing was rounded
            moved.__dict__["_original"] = self._original or self
        elif self.known_reference is not None and self.known_reference.parameters is not None:
            moved.known_reference = None
            moved.further_starts = (self.known_reference.parameters,)
        return moved

    @cached_property
    def _original(self) -> NonlinearLeastSquares | None:
        """The problem of which `to` made this copy without rounding, or None."""
        return None

    @cached_property
    def _found(self) -> Reference:
        if self._original:
            return self._original._found
        if self.known_reference is not None:
            return self.known_reference
        return computed_reference(self.to("cpu", torch.float64))

    def reference(self) -> Reference:
        """Return the known minimum, or the one computed from the starts, solved once and kept."""
        return self._found

    @cached_property
    def _judge(self) -> CurveJudge:
        if self._original:
            return self._original._judge
        return CurveJudge(self.to("cpu", torch.float64), self._found)

    def evaluate(self, parameters: Parameters) -> Evaluation:
        """Judge a point against the reference, in float64 on the CPU whatever the point's dtype.

        Near the reference the suboptimality is the quadratic form ``d' H d / 2`` of the distance d
        and the Hessian there, where a difference of two losses would have no digits left. It can be
        negative where a reference that was computed is not the least minimum.

        The parameter error is the distance to the reference's parameters over their norm.
        ``correct_digits``, of ``more``, counts the correct decimal digits of the worst parameter,
        ``-log10(max |p - p*| / |p*|)``, between 0 and 15: NIST's LRE.
        """
        return self._judge(parameters)

    def _check_start(self, number: int) -> None:
        """Raise where the prediction at a start is not finite."""
        given = self.starts[number]
        start = {k: v.to(self.y.device, self.y.dtype) for k, v in given.items()}
        with torch.no_grad():
            prediction = self.predict(start)
        bad = ~torch.isfinite((prediction - self.y).square())
        if not bad.any():
            return
        row = int(bad.nonzero()[0])
        values = ", ".join(f"{k}={v.tolist():g}" if v.ndim == 0 else k for k, v in given.items())
        which = "start" if len(self.starts) == 1 else f"start {number + 1}"
        raise ValueError(
            f"{which} ({values}) of {self.name!r} gives no finite loss: the prediction is "
            f"{prediction[row].item()} in row {row} (rows counted from 0), where X is "
            f"{self.X[row].tolist()}; {int(bad.sum())} of {len(bad)} rows are such: start elsewhere"
        )


def _as_columns(X: Any) -> tuple[Any, bool]:
    """Return X with columns, and whether it was a vector."""
    X = unwrapped(X)
    if getattr(X, "ndim", None) == 1:
        frame = X.to_frame() if hasattr(X, "to_frame") else X.reshape(-1, 1)
        return frame, True
    if isinstance(X, list | tuple) and X and all(np.ndim(value) == 0 for value in X):
        return [[value] for value in X], True
    return X, False


def _chosen(starts: Sequence[Any], start: Any, name: str) -> Any:
    """Return a dataset's start of a number, all of them for None, or a start that is given."""
    if start is None:
        return starts
    if isinstance(start, bool) or not isinstance(start, int):
        return start
    if not 1 <= start <= len(starts):
        raise ValueError(
            f"start must be a number from 1 to {len(starts)}, the starts that {name!r} has, or a "
            f"start of your own, not {start!r}"
        )
    return starts[start - 1]
