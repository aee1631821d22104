"""Each check of numbers catches an error of a millionth or less, and blames no rounding."""

import dataclasses

import pytest

import optlab as ol
from optlab.testing import strategies
from optlab.testing.check_problem import PROTOCOL_CHECKS
from optlab.testing.gradients.check_gradient import CHECKS as GRADIENT_CHECKS
from optlab.testing.problem_checks.problem_subject import ProblemSubject, frozen
from optlab.testing.run_checks import CheckFailedError

SMALL = 1e-6


def larger(found, by=SMALL):
    """What a method returned, all numbers in it larger by a share."""
    if isinstance(found, dict):
        return {name: (1 + by) * value for name, value in found.items()}
    return (1 + by) * found


def with_fault(method, change):
    """Return linear regression whose one method returns something else."""

    def changed(self, *args, **options):
        return change(getattr(ol.LinearRegression, method)(self, *args, **options))

    return type("Faulty", (ol.LinearRegression,), {method: changed})


def moved_bias(found):
    return found | {"bias": found["bias"] + 1e-3}


FAULTS = {
    "closed form": ("gradient", lambda found: larger(found, 1e-10)),
    "smooth gradient": ("smooth_gradient", lambda found: larger(found, 1e-10)),
    "Hessian product": ("hessian_product", lambda found: larger(found, 1e-8)),
    "residuals": ("residuals", lambda found: larger(found, 1e-10)),
    "residuals of the Jacobian": ("jacobian", lambda found: larger(found, 1e-8)),
    "least squares": ("as_least_squares", lambda found: found._replace(b=larger(found.b, 1e-10))),
    "proximal": ("proximal", larger),
    "Lipschitz constant": ("lipschitz", lambda found: 0.999 * found),
    "constant fit": ("constant_fit", moved_bias),
    "evaluation": ("evaluate", lambda found: found._replace(loss=larger(found.loss, 1e-10))),
    "evaluation of the norm": (
        "evaluate", lambda found: found._replace(gradient_norm=larger(found.gradient_norm, 1e-9)),
    ),
    "suboptimality": (
        "evaluate", lambda found: found._replace(suboptimality=larger(found.suboptimality)),
    ),
    "reference": (
        "reference", lambda found: dataclasses.replace(found, loss=larger(found.loss, 1e-9)),
    ),
}  # fmt: skip


def problem_of(cls, seed=0):
    # Curvatures of 1, 1/8 and 1/64: the first alone is left after 20 products with them.
    design = strategies.Design(n=8, d=3, rank=3, condition=8.0, seed=seed)
    y = design.X @ [3.0, -2.0, 1.0] + design.draws().normal(size=8) + 1.0
    return cls(design.X, y, l1=0.01)


def run(name, problem):
    if check := GRADIENT_CHECKS.get(name):
        check(ProblemSubject(problem, 0, frozen(problem.data)).gradients)
    else:
        PROTOCOL_CHECKS[name](ProblemSubject(problem, 0, frozen(problem.data)))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_small_error_is_caught_and_none_is_seen_where_there_is_none(fault):
    method, change = FAULTS[fault]
    name = fault.partition(" of the ")[0]
    for cls, is_right in ((ol.LinearRegression, True), (with_fault(method, change), False)):
        problem = problem_of(cls)
        if name in {"residuals", "least squares", "evaluation"}:  # not of a loss with a kink
            problem = cls(problem.X, problem.y, l2=0.1)
        if is_right:
            run(name, problem)
            continue
        with pytest.raises(CheckFailedError):
            run(name, problem)
