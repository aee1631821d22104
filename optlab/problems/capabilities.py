"""Capabilities of problems beyond a loss, and gradients in closed form or by autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from optlab.problems.least_squares_system import LeastSquaresSystem
from optlab.problems.problem import Batch, Evaluation, Parameters, Problem

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Capability = TypeVar("Capability")


@runtime_checkable
class HasGradient(Protocol):
    """Problems with a gradient in closed form."""

    def gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Gradient of the loss over a batch (all data where none is given)."""


@runtime_checkable
class HasJointEvaluation(Protocol):
    """Problems that evaluate several points in less time than one by one."""

    def evaluate_together(self, points: Parameters) -> Sequence[Evaluation]:
        """Evaluate points, to the bit as `Problem.evaluate` does each.

        ``points`` are the parameters by name with a leading axis, one entry a point.
        """


@runtime_checkable
class HasCurvature(Protocol):
    """Problems with products of the Hessian and a direction.

    With a penalty that has kinks, whose second derivative is 0 elsewhere, it is that of
    `HasProximal.smooth_loss`.
    """

    def hessian_product(
        self, parameters: Parameters, direction: Parameters, batch: Batch | None = None
    ) -> Parameters:
        """Product of the Hessian at the parameters with a direction."""


@runtime_checkable
class HasResiduals(Protocol):
    """Problems whose loss is the mean of squared residuals."""

    def residuals(self, parameters: Parameters) -> Tensor:
        """Residuals of all rows, shape ``(m,)``."""

    def jacobian(self, parameters: Parameters) -> Tensor:
        """Jacobian of the residuals, ``(m, p)``: columns in the order of the flat parameters."""


@runtime_checkable
class HasLeastSquares(Protocol):
    """Problems that are a linear least-squares system."""

    def as_least_squares(self) -> LeastSquaresSystem:
        """Return the system whose minimum-norm solution is the problem's."""


@runtime_checkable
class HasProximal(Protocol):
    """Problems that are a smooth loss and a penalty with a proximal operator."""

    def smooth_loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Mean loss without the penalty that has kinks."""

    def smooth_gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Gradient of `smooth_loss`."""

    def proximal(self, parameters: Parameters, step: float | Tensor) -> Parameters:
        """Proximal operator of ``step`` times the penalty that has kinks."""


@runtime_checkable
class HasLipschitz(Protocol):
    """Problems whose gradient has a known Lipschitz constant."""

    def lipschitz(self) -> float:
        """Upper bound of the largest eigenvalue of the Hessian of the smooth part."""


@runtime_checkable
class IsLinearModel(Protocol):
    """Problems with a loss of ``eta = X @ weight + bias`` and a penalty on the weight.

    ``loss_function`` has ``slope(eta, y)``, the derivative in eta, and ``steepest``, an upper bound
    of the second; ``penalty`` has ``l1``, ``l2`` and ``proximal(weight, step)``.
    """

    data: Batch
    X: Tensor
    y: Tensor
    row_weight: Tensor | None
    fit_intercept: bool
    loss_function: Any
    penalty: Any

    def linear_predictor(self, parameters: Parameters, X: Tensor | None = None) -> Tensor:
        """Linear predictor of some rows (all where none are given): ``X @ weight + bias``."""


@runtime_checkable
class HasConstantFit(Protocol):
    """Problems with a best constant prediction."""

    def constant_fit(self) -> Parameters:
        """Parameters of the best constant prediction, float64 on the CPU."""


@runtime_checkable
class HasRowWeights(Protocol):
    """Problems whose rows may have weights of their own."""

    def row_weight_as(self, like: Tensor) -> Tensor | None:
        """Weights of mean 1, in the dtype and on the device of a tensor, or None."""


@runtime_checkable
class TakesData(Protocol):
    """Problems that can be put over a copy of their data that stands on a device already."""

    def with_data(self, data: Batch) -> Self:
        """Return the problem over these data, which equal its own but for their dtype."""


@runtime_checkable
class HasBuffers(Protocol):
    """Problems whose loss changes tensors of its own as it trains: statistics of a batch norm."""

    def begin(self, generator: torch.Generator) -> Parameters:
        """Set these tensors back, seed what the loss draws, and return `start` of the generator."""

    def buffers(self) -> Parameters:
        """Return these tensors by name, as they are now."""


@runtime_checkable
class HasContours(Protocol):
    """Problems that can be drawn over a plane, where they have two variables.

    Their evaluations then have the variables as the measures ``x1`` and ``x2``.
    """

    def contours(self) -> dict[str, Any]:
        """Return ``x1`` and ``x2``, ``(g,)``, and ``suboptimality``, ``(g, g)``, as lists.

        Empty where there are not two variables.
        """


DESCRIPTIONS: dict[type, str] = {
    HasGradient: "a gradient in closed form",
    HasCurvature: "products with the Hessian",
    HasResiduals: "residuals and their Jacobian",
    HasLeastSquares: "a linear least-squares system",
    HasProximal: "a smooth loss and a penalty with a proximal operator",
    IsLinearModel: "a linear predictor with a loss and a penalty",
    HasLipschitz: "a known Lipschitz constant of the gradient",
}
"""The capabilities in words, for the sentence on a pair that cannot run."""


def has(problem: object, capability: Callable[..., Capability]) -> TypeIs[Capability]:
    """Return whether a problem has a capability, one of this module's protocols.

    Squared residuals and least-squares systems know of no l1 penalty: a problem with one has
    neither, though it may have the methods.

    Examples
    --------
    >>> import optlab as ol
    >>> X, y = [[1.0], [2.0]], [1.0, 2.0]
    >>> has(ol.LinearRegression(X, y, l2=0.1), HasResiduals)
    True
    >>> has(ol.LinearRegression(X, y, l1=0.1), HasResiduals)
    False
    """
    if not _by_class(type(problem), capability) and not isinstance(problem, capability):  # type: ignore[arg-type]  # a protocol, for mypy none
        return False
    return capability not in {HasLeastSquares, HasResiduals} or is_smooth(problem)


@cache
def _by_class(kind: type, capability: type) -> bool:
    """Return whether a class has all methods of a protocol that has no other members.

    It is kept, as until Python 3.12 a protocol's members are found anew each time.
    """
    try:
        return issubclass(kind, capability)
    except TypeError:  # the protocol has members that are no methods: only instances can be asked
        return False


def begin_run(problem: Problem, generator: torch.Generator) -> Parameters:
    """Begin a run of a problem, and return the parameters that it starts from."""
    if has(problem, HasBuffers):
        return problem.begin(generator)
    return problem.start(generator)


def gradient(problem: Problem, parameters: Parameters, batch: Batch | None = None) -> Parameters:
    """Return the gradient of a problem's loss: in closed form where there is one, else by autograd.

    Parameters
    ----------
    problem
        The problem.
    parameters
        Where the gradient is taken; the tensors are left as they are.
    batch
        Rows of its data; all of them where left out.

    Returns
    -------
    A tensor for each parameter, of its shape; zeros for one that the loss does not depend on.

    See Also
    --------
    Problem : What has a loss.
    optlab.testing.check_gradient : Checks it.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> from optlab.problems.capabilities import gradient
    >>> problem = ol.LinearRegression([[1.0], [2.0]], [1.0, 2.0], fit_intercept=False)
    >>> gradient(problem, {"weight": torch.zeros(1, dtype=torch.float64)})
    {'weight': tensor([-5.], dtype=torch.float64)}
    """
    if has(problem, HasGradient):
        return problem.gradient(parameters, batch)
    return loss_and_gradient(problem, parameters, batch)[1]


def loss_and_gradient(
    problem: Problem, parameters: Parameters, batch: Batch | None = None
) -> tuple[Tensor, Parameters]:
    """Return a problem's loss and its gradient: see `gradient`.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[1.0], [2.0]], [1.0, 2.0], fit_intercept=False)
    >>> loss, gradients = loss_and_gradient(problem, {"weight": torch.ones(1).double()})
    >>> loss.item(), gradients["weight"].item()
    (0.0, 0.0)
    """
    if has(problem, HasGradient):
        with torch.no_grad():
            return problem.loss(parameters, batch), problem.gradient(parameters, batch)
    with torch.enable_grad():
        point = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        loss = problem.loss(point, batch)
        slopes: Any = torch.autograd.grad(
            loss, list(point.values()), allow_unused=True, materialize_grads=True
        )
    return loss.detach(), dict(zip(point, slopes, strict=True))


def is_smooth(problem: object) -> bool:
    """Return whether a problem's loss has no kinks, as far as it says."""
    return bool(getattr(problem, "is_smooth", True))


def is_quadratic(problem: Problem) -> bool:
    """Return whether a problem's loss on all data is quadratic: as it says, or by least squares."""
    return bool(getattr(problem, "is_quadratic", has(problem, HasLeastSquares)))
