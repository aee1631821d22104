"""Checks of a problem's reference: not beaten, and the suboptimality measured from it."""

from __future__ import annotations

import math

import torch

from optlab.lab.trial.best_known import ReferenceLoss
from optlab.problems.problem import Parameters, Reference
from optlab.testing.gradients.differentiable import near
from optlab.testing.problem_checks.problem_subject import (
    HEAD,
    ProblemSubject,
    reference_rounding,
    require,
    start_code,
)
from optlab.testing.run_checks import CheckSkipped

KINDS = ("certified", "computed", "best known")
STARTS = 10

DERIVATION = "the reference's bound, the rounding of losses, and of distances from the reference"


def check_reference(subject: ProblemSubject) -> None:
    """Require that no point has a loss below the reference's, but for its bound and rounding."""
    problem = subject.problem
    reference = _reference(subject)
    example = f"{HEAD}print(problem.reference())"
    require(
        reference.kind in KINDS,
        f"a reference is one of {', '.join(KINDS)}",
        repr(reference.kind),
        example=example,
    )
    require(
        reference.message,
        "a reference says how it was found, in message",
        "nothing",
        example=example,
    )
    if reference.parameters is not None:
        _check_parameters(subject, reference, example)
    if not reference.trusted:
        raise CheckSkipped(f"the reference is not trusted: {reference.message}")
    for point, code in _points(subject, reference):
        loss = problem.evaluate(point).loss
        if not loss < reference.loss:
            continue
        tolerance = _tolerance(subject, reference, point)
        require(
            not loss < reference.loss - tolerance,
            "no point has a loss below the reference's",
            f"{loss!r}, below {reference.loss!r}, at {_short(point)}",
            hint="the reference is of other data, another penalty, or not the minimiser",
            tolerance=f"{tolerance:.2g}, {DERIVATION}",
            example=f"{HEAD}{code}\nprint(problem.evaluate(point).loss, problem.reference().loss)",
        )


def check_suboptimality(subject: ProblemSubject) -> None:
    """Require that the suboptimality is the loss less the reference's, and at least 0."""
    problem = subject.problem
    if problem.reference() is None:
        judged = problem.evaluate(subject.start())
        require(
            math.isnan(judged.suboptimality),
            "without a reference the suboptimality is NaN",
            repr(judged.suboptimality),
            example=f"{HEAD}print(problem.evaluate({start_code('problem', subject.seed)}))",
        )
        return
    reference = _reference(subject)
    if not reference.trusted:
        raise CheckSkipped(f"the reference is not trusted: {reference.message}")
    for point, code in _points(subject, reference):
        judged = problem.evaluate(point)
        if not math.isfinite(judged.loss):
            continue
        gap = judged.loss - reference.loss
        least = 2.0**-50 * (abs(judged.loss) + abs(reference.loss))
        if abs(gap - judged.suboptimality) <= least and judged.suboptimality >= 0:
            continue  # right to a few units in the last place
        _require_gap(subject, reference, point, code)


def _require_gap(
    subject: ProblemSubject, reference: Reference, point: Parameters, code: str
) -> None:
    judged = subject.problem.evaluate(point)
    gap = judged.loss - reference.loss
    off = _tolerance(subject, reference, point) + 2.0**-43 * abs(judged.loss)
    off += _of_exact_fit(subject, reference, judged.loss)
    theory = "the suboptimality is the loss less the reference's, and at least 0"
    require(
        abs(gap - judged.suboptimality) <= off and judged.suboptimality >= -off,
        theory,
        f"{judged.suboptimality!r}, where the losses differ by {gap!r}, at {_short(point)}",
        tolerance=f"{off:.2g}, {DERIVATION}",
        example=f"{HEAD}{code}\njudged = problem.evaluate(point)\n"
        "print(judged.suboptimality, judged.loss - problem.reference().loss)",
    )


def _reference(subject: ProblemSubject) -> Reference:
    reference = subject.problem.reference()
    if reference is None:
        raise CheckSkipped("the problem has no reference")
    return reference


def _check_parameters(subject: ProblemSubject, reference: Reference, example: str) -> None:
    assert reference.parameters is not None
    start = subject.start()
    shapes = {name: tuple(value.shape) for name, value in start.items()}
    own = {name: tuple(value.shape) for name, value in reference.parameters.items()}
    require(own == shapes, f"the reference's parameters are {shapes}", str(own), example=example)
    for name, value in reference.parameters.items():
        is_double = value.dtype == torch.float64 and value.device.type == "cpu"
        require(
            is_double,
            "the reference's parameters are float64 on the CPU",
            f"{name} in {value.dtype} on {value.device}",
            example=example,
        )
    judged = subject.problem.evaluate(reference.parameters)
    tolerance = _tolerance(subject, reference, reference.parameters)
    require(
        abs(judged.loss - reference.loss) <= tolerance or not reference.trusted,
        "the reference's loss is that of its parameters",
        f"{reference.loss!r}, where evaluate gives {judged.loss!r}",
        tolerance=f"{tolerance:.2g}, {DERIVATION}",
        example=f"{example}\nprint(problem.evaluate(problem.reference().parameters).loss)",
    )


def _tolerance(subject: ProblemSubject, reference: Reference, point: Parameters) -> float:
    """Return the reference's bound, the rounding of losses, and that of distances from it."""
    slack = 0.0 if math.isnan(reference.bound) else reference.bound
    rounding = ReferenceLoss.of(subject.problem).rounding
    exact = {name: value.double() for name, value in point.items()}
    own = 2.0**-46 * abs(reference.loss) + (0.0 if math.isnan(rounding) else rounding)
    own += 4 * subject.gradients.bound_at(exact, None).loss
    return slack + own + reference_rounding(subject, exact)


def _of_exact_fit(subject: ProblemSubject, reference: Reference, loss: float) -> float:
    r"""Return a bound on what the residuals of an exact fit, zero but for rounding, make of a gap.

    With r the minimiser's residuals, and g the change of predictions to a point, the losses differ
    by :math:`\overline{(r + g)^2} - \overline{r^2} = \overline{g^2} + 2\, \overline{r g}`, of which
    the last term is zero, as r is orthogonal to every g. Of an exact fit r is what rounding left of
    zero, and orthogonal to nothing: the term is at most 2 (mean r**2 mean g**2)**.5, where mean
    g**2 is at most (loss**.5 + (mean r**2)**.5)**2. Other losses are squares where residuals
    vanish. A fit is exact where the reference's loss is below the rounding of losses there.
    """
    if reference.parameters is None:
        return 0.0
    if abs(reference.loss) > subject.gradients.bound_at(reference.parameters, None).loss:
        return 0.0
    least = math.sqrt(abs(reference.loss))
    return 2 * least * (math.sqrt(abs(loss)) + least)


def _points(subject: ProblemSubject, reference: Reference) -> list[tuple[Parameters, str]]:
    """Return starts, the reference's parameters and points near them, with code for each."""
    seeds = range(subject.seed, subject.seed + STARTS)
    found = [(subject.start(seed=seed), f"point = {start_code('problem', seed)}") for seed in seeds]
    if reference.parameters is None:
        return found
    best = "point = problem.reference().parameters"
    found.append((reference.parameters, best))
    lines = f"from optlab.testing.gradients.differentiable import near\n{best}\n"
    for radius in (1e-1, 1e-4):
        for seed in seeds:
            code = f"{lines}point = near(point, {seed}, {radius})"
            found.append((near(reference.parameters, seed, radius), code))
    return found


def _short(point: Parameters) -> str:
    """Return a point in at most four numbers a parameter."""
    parts = []
    for name, value in point.items():
        flat = value.reshape(-1)
        more = ", ..." if len(flat) > 4 else ""
        parts.append(f"{name} = [{', '.join(f'{v:.6g}' for v in flat[:4].tolist())}{more}]")
    return "; ".join(parts)
