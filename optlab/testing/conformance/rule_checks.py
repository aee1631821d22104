"""Checks against a rule: that of a reference, or the plain recomputation of a known one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from optlab.optimizers import Batches, optimizer_name
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import differ, fail, shown
from optlab.testing.conformance.rounding import rounding
from optlab.testing.conformance.single_run import Run, iterates
from optlab.testing.conformance.subject import Subject
from optlab.testing.known_rules import known_rule
from optlab.testing.plain_rules import PlainRule, explained
from optlab.testing.run_checks import CheckSkipped


def _claim(subject: Subject) -> tuple[Any, PlainRule | None]:
    """Return the optimizer to follow, if one is given, and the plain rule that it is, if known."""
    reference = subject.reference
    if isinstance(reference, PlainRule):
        return None, reference
    rule = known_rule(subject.optimizer if reference is None else reference)
    if reference is None and rule is None:
        raise CheckSkipped("it claims no known rule: name one by reference=")
    return reference, rule


def _epochs(run: Run) -> list[list[tuple[Any, Any]]]:
    """Return the mini-batches of each epoch, as numpy arrays."""
    problem = run.problem()
    generator = torch.Generator().manual_seed(run.seed)
    drawn = iter(Batches(problem.X, problem.y, run.batch_size, generator, shuffle=run.shuffle))
    return [
        [(batch.X.double().numpy(), batch.y.double().numpy()) for batch in next(drawn)]
        for _ in range(run.count)
    ]


def _vector(run: Run) -> Any:
    start = run.begin(run.problem())
    return torch.cat([value.double().reshape(-1) for value in start.values()]).numpy()


def _hint(subject: Subject, rule: PlainRule | None, run: Run, seen: Tensor) -> str:
    if rule is None or not subject.is_linear:
        return ""
    found = explained(rule, _epochs(run), _vector(run), seen.numpy(), 1e-9)
    return f"; these are the numbers of {found}" if found else ""


@check()
def follows_its_rule(subject: Subject) -> None:
    """Each iterate is that of the rule which the method claims, recomputed step by step."""
    reference, rule = _claim(subject)
    for size in (2, "full"):
        run = subject.setting(batch_size=size, count=3)
        found = subject.run(run)
        expected = _expected(subject, run, reference, rule)
        bound = rounding(run)
        for i, (point, right) in enumerate(zip(found, expected, strict=False), start=1):
            gap = differ(point.vector, right)
            if gap > bound:
                called = optimizer_name(reference) if reference is not None else ""
                whose = rule.name if rule is not None else called
                hint = _hint(subject, rule, run.but(count=i), point.vector)
                fail(
                    subject,
                    theory=f"{whose} is at {shown(right)} after epoch {i} in batches of {size}",
                    seen=f"{shown(point.vector)}, a difference of {gap:.2e}{hint}",
                    tolerance=f"{bound:.1e} of the largest parameter, for rounding",
                    runs=[run.but(count=i)],
                )


def _expected(subject: Subject, run: Run, reference: Any, rule: PlainRule | None) -> list[Tensor]:
    """Return the iterates of the reference, or of the plain rule."""
    if reference is not None:
        return [point.vector for point in iterates(reference, run)]
    subject.require(is_linear=True)
    assert rule is not None
    return [torch.from_numpy(w) for w in rule.descend(_epochs(run), _vector(run))]


def _linear(rule: PlainRule | None) -> tuple[float, float, bool] | None:
    """Return rate, momentum and whether it looks ahead, of descent with a constant rate."""
    if rule is None or "weight_decay" in rule.name or "clipped" in rule.name:
        return None
    kind = rule.name.partition("(")[0]
    if kind not in {"SGD", "heavy ball", "nesterov"} or rule.rate(0) != rule.rate(0.5):
        return None
    one = np.ones(1)
    step = rule.make()
    first, second = float(step(one, one, 1)[0]), float(step(0 * one, one, 2)[0])
    # Of gradients 1 and 0 the heavy ball makes 1 and m, Nesterov 1 + m and m^2.
    return rule.rate(0), (first - 1 if kind == "nesterov" else second), kind == "nesterov"


@check("full")
def each_mode_contracts_as_theory_says(subject: Subject) -> None:
    """On all rows each eigenvector's share of the error follows its own linear recurrence."""
    _, rule = _claim(subject)
    linear = _linear(rule)
    if linear is None:
        raise CheckSkipped("there is no linear theory of its rule")
    subject.require(is_linear=True)
    rate, m, nesterov = linear
    run = subject.setting(count=60)
    X = np.c_[run.X.numpy(), np.ones(len(run.y))]
    values, vectors = np.linalg.eigh(2 * X.T @ X / len(X))
    best = np.linalg.lstsq(X, run.y.numpy(), rcond=None)[0]
    before = at = vectors.T @ (_vector(run) - best)
    for i, point in enumerate(subject.run(run)):
        a = 1 - rate * values
        if i == 0:
            before, at = at, (at * (1 - rate * values * (1 + m * nesterov)))
        elif nesterov:
            before, at = at, (1 + m) * a * at - m * a * before
        else:
            before, at = at, (a + m) * at - m * before
        seen = vectors.T @ (point.vector.numpy() - best)
        bound = 1e-10 * max(1.0, float(np.abs(at).max()), float(np.abs(best).max()))
        if not np.abs(seen - at).max() <= bound:
            worst = int(np.abs(seen - at).argmax())
            fail(
                subject,
                theory=f"the mode of eigenvalue h = {values[worst]:.6g} has the error "
                f"{at[worst]:.6g} after step {i + 1}, by the roots of z^2 - "
                + ("(1+m)(1-lr h) z + m (1-lr h)" if nesterov else "(1+m-lr h) z + m")
                + f" at lr={rate:g}, m={m:g}",
                seen=f"{seen[worst]:.6g}",
                tolerance=f"{bound:.1e}: 60 steps of rounding, some 1e-13, with room",
                runs=[run.but(count=i + 1)],
            )
