"""A problem's summary: plain values that can be stored and drawn without the problem."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd
import torch

from optlab.lab.trial.best_known import ReferenceLoss
from optlab.linalg import Certificate
from optlab.problems import Batch, Problem, Reference, problem_dtype
from optlab.problems.capabilities import HasContours, HasLeastSquares, has
from optlab.theory.setting_theory import problem_theory

Array = np.ndarray[Any, Any]

MOST_POINTS = 5000
"""Of a one-feature problem, at most so many points are kept for drawing, evenly spread."""

ARRAYS = ("parameters", "x", "y")
"""Fields that are kept as arrays; the others are JSON."""


@dataclass(frozen=True, eq=False)
class ReferenceSummary:
    """A summary of a reference solution, but for its parameters: see `optlab.problems.Reference`.

    ``certificate`` holds how a least-squares solution was found and how far it can be trusted, as
    values that JSON can hold; empty for others.
    """

    kind: str
    loss: float
    bound: float = math.nan
    digits: float = math.nan
    unique: bool | None = None
    trusted: bool = True
    message: str = ""
    certificate: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, reference: Reference) -> ReferenceSummary:
        """Return the summary of a reference."""
        plain = {f.name: getattr(reference, f.name) for f in fields(cls)}
        known = reference.certificate
        return cls(**plain | {"certificate": {} if known is None else _plain(known)})


@dataclass(frozen=True, eq=False)
class ProblemSummary:
    """A summary of a problem.

    Parameters
    ----------
    name, kind
        Its name, and its class's.
    n, d, dtype
        Rows, columns, and the dtype of its data.
    feature_names, target_name
        The names of the columns and of the target.
    reference
        The reference that trials are judged against; None where the problem has none.
    parameters
        The reference's parameters, float64; empty where none are known.
    loss_rounding
        By how much evaluated losses may be off by rounding; NaN in files of older versions.
    provenance
        What was done to the data, in plain sentences.
    coefficients
        The reference's coefficients by column, as JSON can hold them: see `coefficient_table`.
    measures
        Further measures of the reference by name, such as the loss on held-out rows.
    contours
        The suboptimality over a grid of a function of two variables: ``x1`` and ``x2``, ``(g,)``,
        and ``suboptimality``, ``(g, g)``, as JSON can hold them; empty otherwise.
    quantity
        The quantity that a linear model's coefficients add up to, where it is not the prediction
        itself: ``log-odds of 'yes' against 'no'``; empty in files of older versions.
    eigenvalues
        Of the Hessian of the loss at the reference, the largest first; empty where they are not
        known, or would take long: see `optlab.theory.setting_theory.problem_theory`.
    quadratic
        Whether they are the same everywhere.
    data_hash
        A hash of the rows, which no change of code changes: see `data_hash`. Empty in files of
        older versions.
    x, y
        The points of a one-feature problem, for drawing; empty otherwise.
    """

    name: str
    kind: str
    n: int
    d: int
    dtype: str
    feature_names: tuple[str, ...]
    reference: ReferenceSummary | None = None
    parameters: Mapping[str, Array] = field(default_factory=dict)
    x: Array = field(default_factory=lambda: np.empty(0), repr=False)
    y: Array = field(default_factory=lambda: np.empty(0), repr=False)
    target_name: str = "y"
    loss_rounding: float = float("nan")
    provenance: Sequence[str] = ()
    coefficients: Mapping[str, Any] = field(default_factory=dict, repr=False)
    measures: Mapping[str, float] = field(default_factory=dict)
    contours: Mapping[str, Any] = field(default_factory=dict, repr=False)
    quantity: str = ""
    eigenvalues: Sequence[float] = field(default=(), repr=False)
    quadratic: bool = False
    data_hash: str = ""

    @classmethod
    def of(cls, name: str, problem: Problem) -> ProblemSummary:
        """Return the summary of a problem; its reference is solved for where it has not been."""
        X, y, _ = problem.data
        n, d = len(y), X[:1].numel()
        reference = problem.reference()
        known = (reference and reference.parameters) or {}
        points, theory = {}, problem_theory(problem)
        # By its methods, not by `has`: with an l1 penalty too its prediction is a line.
        if d == 1 and y.ndim == 1 and isinstance(problem, HasLeastSquares):
            rows = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(int))
            points = {"x": X[rows].reshape(-1).cpu().numpy(), "y": y[rows].cpu().numpy()}
        return cls(
            name=name,
            kind=type(problem).__name__,
            n=n,
            d=d,
            dtype=str(problem_dtype(problem)).removeprefix("torch."),
            feature_names=tuple(getattr(problem, "feature_names", ())),
            target_name=getattr(problem, "target_name", "y"),
            reference=None if reference is None else ReferenceSummary.of(reference),
            parameters={key: value.numpy() for key, value in known.items()},
            loss_rounding=ReferenceLoss.of(problem).rounding,
            provenance=tuple(getattr(problem, "provenance", ())),
            coefficients=_coefficients(problem) if known else {},
            measures=dict(getattr(problem.evaluate(known), "more", {})) if known else {},
            contours=problem.contours() if has(problem, HasContours) else {},
            quantity=getattr(problem, "quantity", ""),
            eigenvalues=() if theory is None else theory.modes.eigenvalues.tolist(),
            quadratic=theory is not None and theory.modes.quadratic,
            data_hash=data_hash(problem.data),
            **points,
        )

    @property
    def reference_loss(self) -> ReferenceLoss:
        """The reference's loss, with the rounding of losses; NaN where there is none."""
        loss = math.nan if self.reference is None else self.reference.loss
        return ReferenceLoss(loss, self.loss_rounding)

    @property
    def certificate(self) -> Mapping[str, Any]:
        """The certificate of a least-squares solution; empty where there is none."""
        return {} if self.reference is None else self.reference.certificate

    def coefficient_table(self) -> pd.DataFrame:
        """Return the reference's coefficients as `optlab.LinearRegression.coefficients` does.

        Without rows where the problem has none.
        """
        table = pd.DataFrame(dict(self.coefficients), columns=list(COEFFICIENTS.values()))
        table.columns = pd.Index(COEFFICIENTS)
        return table.astype(dict.fromkeys(table.columns[1:], "float64"))

    def parameter_names(self, key: str, size: int) -> list[str]:
        """Return the names of a parameter's entries: weights have the names of their features.

        Examples
        --------
        >>> facts = ProblemSummary("p", "kind", 3, 2, "float64", ("age", "bmi"))
        >>> facts.parameter_names("weight", 2), facts.parameter_names("bias", 1)
        (['age', 'bmi'], ['bias'])
        """
        if key == "weight" and len(self.feature_names) == size:
            return list(self.feature_names)
        return [key] if size == 1 else [f"{key}[{place}]" for place in range(size)]


def data_hash(data: Batch) -> str:
    """Return a hash of rows: the dtypes, the shapes and every bit of their values.

    Examples
    --------
    >>> X, y = torch.zeros(3, 1), torch.arange(3)
    >>> data_hash(Batch(X, y)) == data_hash(Batch(X.clone(), y)) != data_hash(Batch(X + 1, y))
    True
    """
    digest = hashlib.sha256()
    for part in data:
        digest.update(repr(None if part is None else (part.dtype, tuple(part.shape))).encode())
        if part is not None:
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


COEFFICIENTS = {
    "name": "name",
    "coefficient": "raw_coefficient",
    "standard_error": "raw_standard_error",
    "as_fitted": "coefficient",
    "standard_error_as_fitted": "standard_error",
}
"""The columns of a table of coefficients, with the names that results files have for them."""


def _coefficients(problem: Problem) -> dict[str, Any]:
    """Return a problem's table of coefficients as values that JSON can hold, NaN as None."""
    tabulate = getattr(problem, "coefficients", None)
    if tabulate is None:
        return {}
    table = tabulate().rename(columns=COEFFICIENTS).astype(object)
    plain: dict[str, Any] = table.where(table.notna(), None).to_dict("list")
    return plain


CERTIFICATE = (
    "route",
    "rank",
    "unknowns",
    "rank_tolerance",
    "condition_raw",
    "condition_scaled",
    "backward_error",
    "digits",
    "refinement_steps",
    "residual_sum_of_squares",
    "standard_errors",
    "trusted",
    "message",
)
"""The fields of `optlab.linalg.Certificate` that are kept."""


def _plain(certificate: Certificate) -> dict[str, Any]:
    """Return a certificate as values that JSON can hold."""
    kept = {name: getattr(certificate, name) for name in CERTIFICATE}
    errors = kept["standard_errors"]
    if errors is not None:
        kept["standard_errors"] = {name: value.tolist() for name, value in errors.items()}
    return kept
