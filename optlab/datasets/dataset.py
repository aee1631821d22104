"""A dataset: features, target, provenance and known values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from optlab.datasets.class_labels import text_labels
from optlab.datasets.raw_units import Coefficients, raw_coefficients
from optlab.datasets.rounding import FloatArray
from optlab.datasets.scaling import ColumnScaling
from optlab.datasets.table_encoding import TableEncoding
from optlab.datasets.validation import checked_design, checked_sample_weight
from optlab.html_templates import facts_html

STANDARDIZED = "each feature standardized: less its mean, over its standard deviation"
"""The sentence of `Dataset.standardized` in the provenance."""

_TAKEN = ("mean", "mean_low", "deviation")
_OF_RAW_COLUMNS = {"certified", "exact", "X_low", "weight", "bias", "condition"}
_OF_RAW_COLUMNS |= {"exact_float64_data", "model", "starts", "formula"}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and target of one regression or classification task.

    Parameters
    ----------
    name
        The name that stands in tables.
    X
        Features, shape ``(n, d)``, an array or a data frame: float32 or float64 (other numbers
        become float64).
    y
        Target, shape ``(n,)``, in the dtype of ``X`` where that holds each of its values exactly;
        else both become float64. Class labels of text stay as they are, an array of text.
    feature_names, target_name
        The names of the columns; those of a data frame where none are given.
    fit_intercept
        Whether the data's own model has an intercept.
    source
        Where the data come from, in a sentence.
    known
        What is known about the data: certified values, the condition number it was made with.
    sample_weight
        Weights of the rows, shape ``(n,)``, float64, at least 0 and not all 0; None where all rows
        count alike.
    validation
        Rows of the same columns that are kept back for validation; None where there are none.
    provenance
        What was done to the data on their way here, in plain sentences.
    encoding
        The way from a table's columns to those of ``X``, before they were standardized, which
        `Solution.predict` goes with new tables; None where ``X`` was not made of a table.

    Raises
    ------
    ValueError
        As `optlab.LinearRegression`; for weights that are not finite, below 0 or all 0; for
        validation rows or an encoding of other columns.

    See Also
    --------
    from_pandas, read_table, load : What makes one.
    optlab.LinearRegression.from_dataset : Makes a problem of it.

    Examples
    --------
    >>> import optlab as ol
    >>> ol.datasets.tutorial()
    Dataset('tutorial', n=10, d=1, float32)
    """

    name: str
    X: FloatArray
    y: np.ndarray[Any, Any]
    feature_names: tuple[str, ...] = ()
    target_name: str = "y"
    fit_intercept: bool = True
    source: str = ""
    known: Mapping[str, Any] = field(default_factory=dict)
    sample_weight: FloatArray | None = None
    validation: Dataset | None = None
    provenance: tuple[str, ...] = ()
    encoding: TableEncoding | None = None

    def __post_init__(self) -> None:
        labels = text_labels(self.y)
        numbers = self.y if labels is None else np.zeros(len(labels), np.float32)
        X, y, names = checked_design(self.X, numbers, self.feature_names or None)
        checked: dict[str, Any] = {"X": X.numpy(), "feature_names": names}
        checked["y"] = y.numpy() if labels is None else labels
        if self.sample_weight is not None:
            checked["sample_weight"] = checked_sample_weight(self.sample_weight, len(y), self.X)
        if self.validation is not None and self.validation.feature_names != names:
            raise ValueError(
                f"validation must have the columns of X, {names}, not "
                f"{self.validation.feature_names}"
            )
        if self.encoding is not None and self.encoding.encoded_names != names:
            raise ValueError(
                f"encoding must make the columns of X, {names}, not {self.encoding.encoded_names}: "
                "leave it out (encoding=None)"
            )
        checked["provenance"] = tuple(self.provenance)
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    def __repr__(self) -> str:
        n, d = self.X.shape
        held = "" if self.validation is None else f", validation={len(self.validation.y)}"
        classes = f", classes={len(np.unique(self.y))}" if self.y.dtype.kind == "U" else ""
        return f"Dataset({self.name!r}, n={n}, d={d}, {self.X.dtype}{classes}{held})"

    def _repr_html_(self) -> str:
        n, d = self.X.shape
        names = ", ".join(self.feature_names[:8]) + (", ..." if d > 8 else "")
        facts = {"rows": n, "features": f"{d} ({names})", "target": self.target_name}
        if self.validation is not None:
            facts["held-out rows"] = len(self.validation.y)
        facts |= {"dtype": self.X.dtype, "source": self.source, "known": ", ".join(self.known)}
        facts["provenance"] = "; ".join(self.provenance)
        return facts_html(self.name, {name: value for name, value in facts.items() if value})

    def standardized(self) -> Self:
        """Return the dataset with each column at mean 0 and standard deviation 1.

        ``x' = (x - mean) / deviation`` with divisor n, computed in float64 and rounded once to the
        data's dtype, for all finite data: neither the scale (1e-308 to 1e308) nor an offset that
        dwarfs the spread costs digits. A constant column becomes zeros. The target is not touched;
        validation rows are transformed by the same means and deviations, in which they have no
        part. These are kept in ``known["standardized"]``: ``mean``, ``mean_low`` (what float64
        rounds off the mean) and ``deviation``, each ``(d,)`` float64. All rows count alike,
        whatever their weights.

        Examples
        --------
        >>> import optlab as ol
        >>> ol.datasets.tutorial().standardized().X[:2, 0]
        array([-1.5666989, -1.2185436], dtype=float32)
        """
        scalings = [ColumnScaling.of(column) for column in self.X.T]
        taken = dict(zip(_TAKEN, np.array([s.in_units for s in scalings]).T, strict=True))
        if "standardized" in self.known:
            taken = _composed(self.known["standardized"], taken)
        # What is known of the raw columns says nothing about the standardized ones.
        known = {key: value for key, value in self.known.items() if key not in _OF_RAW_COLUMNS}
        known["standardized"] = taken

        def transformed(data: Dataset, **changes: Any) -> Any:
            X = np.empty_like(data.X)
            for j, scaling in enumerate(scalings):
                X[:, j] = scaling.apply(data.X[:, j])
            return replace(data, name=f"{data.name}, standardized", X=X, known=known, **changes)

        validation = None if self.validation is None else transformed(self.validation)
        provenance = (*self.provenance, STANDARDIZED)
        new: Self = transformed(self, validation=validation, provenance=provenance)
        return new

    def raw_coefficients(self, weight: ArrayLike, bias: ArrayLike = 0.0) -> Coefficients:
        """Return coefficients of the standardized columns as those of the columns in their units.

        ``weight_raw = weight / deviation`` and ``bias_raw = bias - sum(weight_raw * mean)``, in 80
        decimal digits, rounded once: the sum may cancel. Coefficients of data that were not
        standardized are returned as they are.

        Parameters
        ----------
        weight, bias
            Shapes ``(d,)`` and ``()``, arrays or tensors on the CPU; a model without an intercept
            has the bias 0, and may have another in the columns' units.

        Raises
        ------
        ValueError
            For another shape, or coefficients beyond the range of float64.

        Examples
        --------
        >>> import optlab as ol
        >>> data = ol.datasets.Dataset("a", [[0.0], [10.0]], [1.0, 3.0]).standardized()
        >>> data.raw_coefficients([1.0], 2.0)
        Coefficients(weight=array([0.2]), bias=1.0)
        """
        weights = np.asarray(weight, np.float64)
        if weights.shape != (self.X.shape[1],):
            raise ValueError(f"weight must have shape ({self.X.shape[1]},), not {weights.shape}")
        return raw_coefficients(
            weights, float(np.asarray(bias, np.float64)), self.known.get("standardized"), self.name
        )


def _composed(
    first: Mapping[str, FloatArray], second: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Return the mean and deviation of standardizing twice: ``((x - m) / s - m') / s'``."""
    rows = []
    columns = zip(
        *(taken[key].tolist() for taken in (first, second) for key in _TAKEN), strict=True
    )
    for mean, low, deviation, *again in columns:
        exact = Fraction(mean) + Fraction(low)
        exact += Fraction(deviation) * (Fraction(again[0]) + Fraction(again[1]))
        rows.append((float(exact), float(exact - Fraction(float(exact))), deviation * again[2]))
    return dict(zip(_TAKEN, np.array(rows).T, strict=True))
