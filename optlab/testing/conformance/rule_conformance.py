"""Checks against a rule: that of a reference, or the plain recomputation of a known one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from optlab.optimizers import Batches, optimizer_name
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import differ, fail, shown
from optlab.testing.conformance.rounding_of_runs import rounding
from optlab.testing.conformance.single_run import Run, iterates
from optlab.testing.conformance.subject import Subject
from optlab.testing.known_rules import known_rule
from optlab.testing.plain_rules import PlainRule, explained
from optlab.testing.report import NO_RULE
from optlab.testing.run_checks import CheckSkipped


def _claim(subject: Subject) -> tuple[Any, PlainRule | None]:
    """Return the optimizer to follow, if one is given, and the plain rule that it is, if known."""
    reference = subject.reference
    if isinstance(reference, PlainRule):
        return None, reference
    rule = known_rule(subject.optimizer if reference is None else reference)
    if reference is None and rule is None:
        subject.require(is_direct=False)
        raise CheckSkipped(f"{NO_RULE}: name one by reference=")
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


def _runs(subject: Subject) -> Iterator[Run]:
    """Yield the runs on which the rule is followed.

    Far from the minimum the mini-batches' gradients agree in sign, and so does all that was ever
    made of them: a rule that takes signs shows its momentum only where they differ. So the last run
    goes round the minimum, where the rows that do not fit pull to all sides.
    """
    yield subject.setting(batch_size=2, count=5)
    yield subject.setting(count=3)
    late = subject.setting(batch_size=2, count=25)
    if subject.is_linear:
        best = late.problem().reference().parameters
        # Of one decimal: at the minimum itself gradients are rounding, and their signs chance.
        late = late.but(start={name: (10 * value).round() / 10 for name, value in best.items()})
    yield late


def _hint(subject: Subject, rule: PlainRule | None, run: Run, seen: Tensor) -> str:
    if others := _other_settings(subject, run, seen):
        return f"other settings: {others}"
    if rule is None or not subject.is_linear:
        return ""
    found = explained(rule, _epochs(run), _vector(run), seen.numpy(), 1e-9)
    return f"these are the numbers of {found}" if found else ""


def _other_settings(subject: Subject, run: Run, seen: Tensor) -> str:
    """Return the settings that differ, where with them the reference has the numbers seen."""
    own, right = (
        {field.name: getattr(one, field.name) for field in fields(one) if field.init}
        if is_dataclass(one) and not isinstance(one, PlainRule) else {}
        for one in (subject.optimizer, subject.reference)
    )  # fmt: skip
    changed = {k: own[k] for k in own.keys() & right.keys() if repr(own[k]) != repr(right[k])}
    if not changed:
        return ""
    try:
        point = iterates(replace(subject.reference, **changed), run)[-1]
    except Exception:  # what it is given may be no value of its own
        return ""
    if differ(point.vector, seen) > rounding(run):
        return ""
    named = (f"{k} {own[k]!r} here, {right[k]!r} in the reference" for k in sorted(changed))
    return "; ".join(named)


@check()
def follows_its_rule(subject: Subject) -> None:
    """Each iterate is that of the rule which the method claims, recomputed step by step."""
    reference, rule = _claim(subject)
    for run in _runs(subject):
        found = subject.run(run)
        expected = _expected(subject, run, reference, rule)
        bound = rounding(run)
        for i, (point, right) in enumerate(zip(found, expected, strict=False), start=1):
            gap = differ(point.vector, right)
            if gap > bound:
                called = optimizer_name(reference) if reference is not None else ""
                whose = rule.name if rule is not None else called
                fail(
                    subject,
                    theory=f"{whose} is at {shown(right)} after epoch {i} in batches of "
                    f"{run.batch_size}",
                    seen=f"{shown(point.vector)}, a difference of {gap:.2e}",
                    tolerance=f"{bound:.1e} of the largest parameter, for rounding",
                    hint=_hint(subject, rule, run.but(count=i), point.vector),
                    runs=[run.but(count=i)],
                )


def _expected(subject: Subject, run: Run, reference: Any, rule: PlainRule | None) -> list[Tensor]:
    """Return the iterates of the reference, or of the plain rule."""
    if reference is not None:
        return [point.vector for point in iterates(reference, run)]
    subject.require(is_linear=True)
    assert rule is not None
    return [torch.from_numpy(w) for w in rule.descend(_epochs(run), _vector(run))]
