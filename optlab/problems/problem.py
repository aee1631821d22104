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
    """Rows of a dataset: ``X`` of shape ``(B, d)``, ``y`` and, where rows have some, ``weight``.

    ``y`` and ``weight`` have shape ``(B,)``; the weights' mean over all rows is 1.
    """

    X: Tensor
    y: Tensor
    weight: Tensor | None = None


class Evaluation(NamedTuple):
    """The evaluation of one point, in float64: see `Problem.evaluate`.

    ``more`` holds further measures by name, which become columns of the tables.
    """

    loss: float
    suboptimality: float
    gradient_norm: float
    parameter_error: float
    more: Mapping[str, float] = {}


@dataclass(frozen=True, eq=False)
class Optimum:
    """The minimiser that every trial is judged against.

    Parameters
    ----------
    parameters
        The minimiser, float64 on the CPU. Where there are many, the one of minimum norm over the
        weights.
    loss
        Its loss.
    certificate
        The proof that it is right: rank, condition, backward error, predicted digits, and whether
        it can be trusted.
    """

    parameters: Parameters
    loss: float
    certificate: Certificate

    @property
    def rank(self) -> int:
        """Numerical rank of the design, the intercept's column left out; d where unique."""
        return self.certificate.rank - ("bias" in self.parameters)


ReferenceKind: TypeAlias = Literal["certified", "computed", "best known"]
"""How well a reference is known: by a proof, by a solver, or from the trials themselves."""


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
    """A dataset and the mean loss to minimise over parameters.

    Implementations are immutable: `to` returns another problem.
    """

    @property
    def name(self) -> str:
        """The name that stands in tables."""

    @property
    def X(self) -> Tensor:  # noqa: N802 - the field's name for the design matrix
        """The features, shape ``(n, d)``."""

    @property
    def y(self) -> Tensor:
        """The target, shape ``(n,)``."""

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Mean loss over a batch (all data where none is given), a 0-dimensional tensor."""

    def gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Gradient of `loss`, in closed form."""

    def start(self, generator: torch.Generator) -> Parameters:
        """Draw the point where descent starts from a CPU generator."""

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same problem with its data on another device or in another dtype.

        With ``copy`` the data are the new problem's own even where nothing had to be converted.
        """

    def optimum(self) -> Optimum:
        """Return the minimiser of this problem's own data, solved once and kept."""

    def evaluate(self, parameters: Parameters) -> Evaluation:
        """Judge a point against the optimum, in float64 on the CPU whatever the point's dtype."""
