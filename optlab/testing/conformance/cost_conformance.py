"""Checks of the cost: an iterate counts every gradient and loss that was evaluated."""

from __future__ import annotations

from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped


@check()
def the_cost_counts_every_evaluation(subject: Subject) -> None:
    """The cost of an iterate is at least the gradients and losses that the problem was asked for.

    A cost left out stands for one of each for every row visited.
    """
    for size in (3, "full") if subject.uses_batches else ("full",):
        run = subject.setting(batch_size=size, count=3)
        points, calls = subject.record(run)
        n, last = len(run.y), points[-1]
        seen = {"gradients": 0.0, "losses": 0.0, "hessian_products": 0.0}
        for call in calls:
            kinds = {"loss": "losses", "product": "hessian_products"}
            counted = ["gradients"] if call.is_gradient or call.kind == "prediction" else []
            counted += [kinds[call.kind]] if call.kind in kinds else []
            for kind in counted:
                seen[kind] += len(call.rows) / n
        if last.cost is None and subject.is_direct:
            raise CheckSkipped("what a direct method does is not counted")
        passes = float(sum(point.epochs for point in points))
        claimed = {"gradients": passes, "losses": passes, "hessian_products": 0.0}
        if last.cost is not None:
            claimed = last.cost._asdict()
        short = {k: v for k, v in seen.items() if v > claimed[k] + 1e-9}
        if short:
            kind, count = next(iter(short.items()))
            fail(
                subject,
                theory=f"after {passes:g} passes in batches of {size} the cost "
                + ("is left out, which says" if last.cost is None else "says")
                + f" {claimed[kind]:.6g} {kind.replace('_', ' ')} (in passes over all rows)",
                seen=f"{count:.6g}",
                tolerance="none: evaluations are counted",
                runs=[run],
                show=["print([iterate.cost for iterate in run])"],
            )
