"""An adapter of scipy.optimize.least_squares, one iterate for each of its iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import torch

from optlab.checks import check_count, check_positive
from optlab.optimizers.adapters.callback_iterates import callback_iterates
from optlab.optimizers.adapters.flat_problem import FlatProblem
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasResiduals, has

Array = np.ndarray[Any, np.dtype[np.float64]]

_CHOICES: dict[str, tuple[str, ...]] = {
    "method": ("trf", "dogbox", "lm"),
    "jacobian": ("exact", "2-point", "3-point"),
    "scale": ("jac", "none"),
}


@dataclass(frozen=True)
class ScipyLeastSquares:
    """Adapt `scipy.optimize.least_squares`: trust regions, or MINPACK's Levenberg-Marquardt.

    scipy gets the residuals over all data as they are (it minimises half the sum of their squares,
    which has the same minimiser as the mean) and their exact Jacobian. Each iteration of ``trf``
    and ``dogbox`` is an iterate, and scipy waits between two of them, so the clock stands still
    there; ``lm`` calls nothing back and answers at once. The bits are those of a direct call.

    scipy computes in float64; residuals and Jacobian are computed in the dtype and on the device of
    the problem. A Jacobian counts as p gradients; those of finite differences as the residuals
    that they take.

    Parameters
    ----------
    method
        ``"trf"`` (trust region reflective), ``"dogbox"`` or ``"lm"`` (MINPACK).
    jacobian
        ``"exact"``, the problem's own, or scipy's finite differences, ``"2-point"``, ``"3-point"``.
    scale
        ``"jac"``: units of the Jacobian's columns (``x_scale="jac"``); ``"none"``: as they are.
    tolerance
        ``ftol``, ``xtol`` and ``gtol``; scipy's own, 1e-8, where left out.
    max_evaluations
        The most evaluations of the residuals (``max_nfev``); scipy's own limit where left out.

    Raises
    ------
    ValueError
        For any other choice, or a tolerance that is not positive.

    See Also
    --------
    LevenbergMarquardt, GaussNewton : Our own.
    ScipyMinimize : Methods for any loss.

    Examples
    --------
    >>> import optlab as ol
    >>> dataset = ol.datasets.nist_nonlinear("Misra1a")
    >>> problem = ol.NonlinearLeastSquares.from_dataset(dataset, start=1)
    >>> solution = ol.minimize(problem, ol.ScipyLeastSquares("trf", tolerance=1e-15))
    >>> round(solution.parameters["b1"].item(), 6)
    238.942129

    References
    ----------
    Branch, Coleman and Li (1999) for trf; Voglis and Lagaris (2004) for dogbox; More, Garbow and
    Hillstrom, User Guide for MINPACK-1 (1980) for lm.
    """

    method: str = "trf"
    jacobian: str = "exact"
    scale: str = "jac"
    tolerance: float | None = None
    max_evaluations: int | None = None
    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    needs: ClassVar[tuple[type[Any], ...]] = (HasResiduals,)
    imports: ClassVar[tuple[str, ...]] = ("scipy.optimize",)

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        if self.tolerance is not None:
            check_positive("tolerance", self.tolerance)
        if self.max_evaluations is not None:
            check_count("max_evaluations", self.max_evaluations)

    @property
    def name(self) -> str:
        """The method, as scipy's: ``scipy trf``."""
        return f"scipy {self.method}"

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that MINPACK's method has fewer residuals than parameters, or None."""
        if self.method != "lm":
            return None
        assert has(problem, HasResiduals)
        start = problem.start(torch.Generator())
        residuals, p = len(problem.residuals(start)), sum(v.numel() for v in start.values())
        if residuals >= p:
            return None
        return (
            f"scipy's lm needs as many residuals as parameters, and here are {residuals} for {p}: "
            "take trf or dogbox"
        )

    def versions(self) -> dict[str, str]:
        """Return scipy's version."""
        return {"scipy": version("scipy")}

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each of scipy's iterations; for ``lm`` at the end only."""
        functions = _Residuals(problem, start)

        def solve(callback: Callable[..., None]) -> Any:
            # A second of import, which only those pay who use it.
            from scipy.optimize import least_squares  # noqa: PLC0415

            options: dict[str, Any] = {"x_scale": "jac"} if self.scale == "jac" else {}
            if self.tolerance is not None:
                options |= dict.fromkeys(("ftol", "xtol", "gtol"), self.tolerance)
            if self.method != "lm":
                options["callback"] = callback
            with np.errstate(all="ignore"):  # scipy refuses a step that overflows by itself
                return least_squares(
                    functions.residuals,
                    functions.flat.vector(start),
                    jac=functions.jacobian if self.jacobian == "exact" else self.jacobian,
                    method=self.method,
                    max_nfev=self.max_evaluations,
                    **options,
                ).x

        for point in callback_iterates(solve):
            yield Iterate(functions.flat.parameters(point), cost=functions.cost)


class _Residuals:
    """Residuals and Jacobian of a float64 vector, as scipy wants them, counted."""

    def __init__(self, problem: Problem, start: Parameters) -> None:
        assert has(problem, HasResiduals)
        self.problem, self.flat, self.cost = problem, FlatProblem(problem, start), Cost()

    def residuals(self, vector: Array) -> Array:
        self.cost = self.cost._replace(losses=self.cost.losses + 1)
        return _array(self.problem.residuals(self.flat.parameters(vector)))

    def jacobian(self, vector: Array) -> Array:
        self.cost = self.cost._replace(gradients=self.cost.gradients + len(vector))
        return _array(self.problem.jacobian(self.flat.parameters(vector)))


def _array(values: Any) -> Array:
    array: Array = values.detach().cpu().double().numpy()
    return array
