"""Named arrays: features, target, where they came from, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from optlab.datasets.checks import checked_design
from optlab.markup import facts_html

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and target of one regression task.

    Parameters
    ----------
    name
        The name that stands in tables.
    X
        Features, shape ``(n, d)``, float32 or float64 (other numbers become float64).
    y
        Target, shape ``(n,)``, in the dtype of ``X``.
    feature_names, target_name
        What the columns are called.
    fit_intercept
        Whether the data's own model has an intercept.
    source
        Where the data come from, in a sentence.
    known
        What is known about the data: certified values, the condition number it was made with.

    Raises
    ------
    ValueError
        As `optlab.LinearRegression`.

    Examples
    --------
    >>> import optlab as ol
    >>> ol.datasets.tutorial()
    Dataset('tutorial', n=10, d=1, float32)
    """

    name: str
    X: FloatArray
    y: FloatArray
    feature_names: tuple[str, ...] = ()
    target_name: str = "y"
    fit_intercept: bool = True
    source: str = ""
    known: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        X, y = checked_design(self.X, self.y, self.feature_names or None)
        names = self.feature_names or tuple(f"x{j}" for j in range(X.shape[1]))
        for key, value in {"X": X.numpy(), "y": y.numpy(), "feature_names": names}.items():
            object.__setattr__(self, key, value)

    def __repr__(self) -> str:
        n, d = self.X.shape
        return f"Dataset({self.name!r}, n={n}, d={d}, {self.X.dtype})"

    def _repr_html_(self) -> str:
        n, d = self.X.shape
        names = ", ".join(self.feature_names[:8]) + (", ..." if d > 8 else "")
        facts = {"rows": n, "features": f"{d} ({names})", "target": self.target_name}
        facts |= {"dtype": self.X.dtype, "source": self.source, "known": ", ".join(self.known)}
        return facts_html(self.name, {name: value for name, value in facts.items() if value})

    def standardized(self) -> Self:
        """Return the dataset with each column at mean 0 and standard deviation 1.

        Computed in the data's own dtype, with ``numpy.std``'s divisor n, as the tutorial does it.
        A constant column is centred and otherwise left as it is. The target is not touched. The
        means and standard deviations taken out are kept in ``known["standardized"]``.

        Examples
        --------
        >>> import optlab as ol
        >>> ol.datasets.tutorial().standardized().X[:2, 0]
        array([-1.5666989, -1.2185436], dtype=float32)
        """
        mean, deviation = self.X.mean(axis=0), self.X.std(axis=0)
        # The mean of equal numbers can be rounded, so that their deviation comes out tiny instead
        # of zero: constant is judged on the values.
        deviation[np.ptp(self.X, axis=0) == 0] = 1
        X = (self.X - mean) / deviation
        known = {**self.known, "standardized": {"mean": mean, "deviation": deviation}}
        # Coefficients certified for the raw columns say nothing about the standardized ones.
        known.pop("certified", None)
        return replace(self, name=f"{self.name}, standardized", X=X, known=known)
