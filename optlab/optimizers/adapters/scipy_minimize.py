"""An adapter of scipy.optimize.minimize, one iterate for each of its iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, ClassVar

import torch

from optlab.checks import check_not_negative
from optlab.optimizers.adapters.callback_iterates import callback_iterates
from optlab.optimizers.adapters.flat_problem import FlatProblem
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import is_smooth

_NEEDS_PRODUCTS = {"Newton-CG", "trust-ncg", "trust-krylov", "trust-constr"}
_NEEDS_HESSIAN = {"dogleg", "trust-exact"}
METHODS = ("CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", *sorted(_NEEDS_PRODUCTS | _NEEDS_HESSIAN))
"""The methods of `scipy.optimize.minimize` that use gradients."""


@dataclass(frozen=True)
class ScipyMinimize:
    """Adapt `scipy.optimize.minimize`: its methods that use the gradient.

    scipy gets the loss over all data with its exact gradient, and where the method takes them
    products with the exact Hessian (or the Hessian, from d products). Each of its iterations is an
    iterate; scipy waits between two of them, so the clock stands still there. The bits are those of
    a direct call.

    scipy computes in float64; loss and gradient are computed in the dtype and on the device of the
    problem.

    Parameters
    ----------
    method
        One of `optlab.optimizers.adapters.scipy_minimize.METHODS`, in scipy's spelling.
    tol
        scipy's tolerance for termination; the method's own where left out. A method that has
        reached it stops by itself.
    options
        The method's options, such as ``{"gtol": 1e-12, "maxiter": 500}``.

    Raises
    ------
    ValueError
        For an unknown method, and a tolerance below 0.

    See Also
    --------
    ScipyLeastSquares : Methods for residuals.
    LBFGS : Our own, for every device.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes().standardized())
    >>> solution = ol.minimize(problem, ol.ScipyMinimize("BFGS"), stop_at=1e-9)
    >>> solution.status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Virtanen et al., SciPy 1.0 (2020). Nocedal and Wright, Numerical Optimization (2006).
    """

    method: str = "L-BFGS-B"
    tol: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    extra_evaluations: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("scipy.optimize",)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {self.method!r}")
        if self.tol is not None:
            check_not_negative("tol", self.tol)

    def __hash__(self) -> int:
        return hash((self.method, self.tol, repr(sorted(self.options.items()))))

    @property
    def name(self) -> str:
        """The method's name, after scipy's: ``"scipy BFGS"``."""
        return f"scipy {self.method}"

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: a loss with kinks."""
        if is_smooth(problem):
            return None
        return f"scipy's {self.method} is for smooth losses, and that of {problem.name} has kinks"

    def versions(self) -> dict[str, str]:
        """Return scipy's version."""
        return {"scipy": version("scipy")}

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each of scipy's iterations."""
        flat = FlatProblem(problem, start)

        def solve(callback: Callable[..., None]) -> Any:
            # A second of import, which only those pay who use it.
            from scipy.optimize import minimize  # noqa: PLC0415

            return minimize(
                flat.loss_and_gradient,
                flat.vector(start),
                jac=True,
                hess=flat.hessian if self.method in _NEEDS_HESSIAN else None,
                hessp=flat.hessian_product if self.method in _NEEDS_PRODUCTS else None,
                method=self.method,
                tol=self.tol,
                callback=callback,
                options=dict(self.options),
            ).x

        for point in callback_iterates(solve):
            yield Iterate(flat.parameters(point), cost=flat.cost)
