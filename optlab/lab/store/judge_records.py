"""Judge the trials of a problem without a reference by the least loss that any of them recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from optlab.lab.store.problem_summary import ProblemSummary, ReferenceSummary
from optlab.lab.trial.best_known import least_loss, measure_from
from optlab.lab.trial.record import TrialRecord


def with_best_known(
    records: Collection[TrialRecord], problems: Mapping[str, ProblemSummary]
) -> dict[str, ProblemSummary]:
    """Return the summaries, with the best known loss as the reference of problems that have none.

    The records of their trials are changed: the suboptimality of an iterate is its loss above the
    best known. Other records and problems stay as they are.
    """
    found = dict(problems)
    for name, summary in problems.items():
        if summary.reference is not None:
            continue
        own = [record for record in records if record.trial.problem == name]
        if least := least_loss(own):
            loss, record = least
            measure_from(own, loss)
            found[name] = replace(summary, reference=_best_known(loss, record))
    return found


def _best_known(loss: float, record: TrialRecord) -> ReferenceSummary:
    trial = record.trial
    return ReferenceSummary(
        kind="best known",
        loss=loss,
        trusted=False,
        message=f"the least loss that any trial recorded, {loss:.6g} by {trial.optimizer} "
        f"(trial {trial.number}); the infimum may be lower",
    )
