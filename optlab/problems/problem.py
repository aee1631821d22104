"""The problem protocol, and the values that problems take and return."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, Self, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from optlab.linalg import Certificate

Parameters: TypeAlias = dict[str, Tensor]
"""Named parameters; for linear models ``{"weight": (d,), "bias": ()}``."""


class Batch(NamedTuple):
    """Rows of a dataset: ``X`` of shape ``(B, ...)``, ``y`` and, where rows have some, ``weight``.

    A row is a vector of features for linear models, ``(B, d)``, and of any other shape elsewhere
    (an image, ``(B, channels, height, width)``). ``y`` has shape ``(B,)``, or ``(B, ...)`` where a
    row has several targets, and ``weight`` shape ``(B,)``; the weights' mean over all rows is 1.

    See Also
    --------
    Batches : The order in which they are visited.
    Problem : What takes their loss.
    """

    X: Tensor
    y: Tensor
    weight: Tensor | None = None


class Evaluation(NamedTuple):
    """The evaluation of one point, in float64: see `Problem.evaluate`.

    ``more`` holds further measures by name, which become columns of the tables.

    See Also
    --------
    Problem : What evaluates.
    Solution : The evaluation of the last iterate.
    """

    loss: float
    suboptimality: float
    gradient_norm: float
    parameter_error: float
    more: Mapping[str, float] = {}


ReferenceKind: TypeAlias = Literal["certified", "computed", "best known"]
"""The kind of a reference: known by a proof, by a solver, or from the trials themselves."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reference:
    """A reference solution, which every trial of a problem is judged against.

    Parameters
    ----------
    kind
        ``"certified"``: a proof comes with it (a bound, or a certificate of least squares);
        ``"computed"``: a solver's answer; ``"best known"``: the least loss that any trial recorded.
    loss
        Its loss, penalty included.
    parameters
        Its parameters, float64 on the CPU; None where none are known. Of many minimisers of least
        squares, the one of minimum norm over the weights.
    bound
        A proven bound: ``loss`` is at most this far above the infimum. NaN where none is proven.
    digits
        The correct decimal digits of the parameters that can be expected; NaN where not known.
    unique
        Whether the minimiser is unique; None where not known.
    trusted
        Whether trials can be judged by it.
    message
        How it was found and how far it can be trusted, in a sentence.
    certificate
        The certificate of a least-squares solution: rank, condition, backward error.

    See Also
    --------
    Problem : What it is the reference of.
    optlab.linalg.Certificate : The proof that a certified one comes with.
    """

    kind: ReferenceKind
    loss: float
    parameters: Parameters | None = None
    bound: float = math.nan
    digits: float = math.nan
    unique: bool | None = None
    trusted: bool = True
    message: str = ""
    certificate: Certificate | None = None


@runtime_checkable
class Problem(Protocol):
    """Data and the mean loss to minimise over parameters.

    Implementations are immutable: `to` returns another problem. What else a problem can do (a
    gradient in closed form, residuals, a proximal step) is a capability: see
    `optlab.problems.capabilities`. More members are looked for and may be left out:

    - ``is_smooth``, False where the loss has kinks (an l1 penalty); True is taken for granted.
    - ``feature_names``, ``target_name``, ``provenance``, for tables and axes.
    - ``constant_fit()``, the parameters of the best constant prediction.

    See Also
    --------
    LinearRegression, ModuleProblem : Problems to begin with.
    optlab.testing.check_problem : Checks a problem of your own.
    """

    @property
    def name(self) -> str:
        """The name that stands in tables."""

    @property
    def data(self) -> Batch:
        """All rows, on the problem's device and in its dtype.

        A function of the parameters alone has one row without features: ``X`` of shape ``(1, 0)``,
        ``y`` of shape ``(1,)``.
        """

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Mean loss over a batch (all data where none is given), a 0-dimensional tensor."""

    def start(self, generator: torch.Generator) -> Parameters:
        """Draw the point where descent starts from a CPU generator."""

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same problem with its data on another device or in another dtype.

        With ``copy`` the data are the new problem's own even where nothing had to be converted.
        """

    def reference(self) -> Reference | None:
        """Return the reference solution of this problem's own data, solved once and kept, or None.

        Where there is none, trials are judged after the experiment, against the least loss that any
        of them recorded.
        """

    def evaluate(self, parameters: Parameters) -> Evaluation:
        """Judge a point against the reference, in float64 on the CPU whatever the point's dtype."""


def problem_dtype(problem: Problem) -> torch.dtype:
    """Return the dtype that a problem computes in: that of the first of its data with fractions.

    Where features and targets are all whole numbers (words, classes), it is the dtype of its start.
    """
    start = problem.start(torch.Generator()).values()
    tensors = [problem.data.X, problem.data.y, *start]
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.get_default_dtype())
