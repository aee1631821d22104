"""What to draw: tidy tables, computed once from the results, that say nothing of ink."""

from __future__ import annotations

from optlab.report.views.accuracy import (
    best_trials,
    digits_view,
    fit_view,
    found_parameters,
    parameters_view,
)
from optlab.report.views.convergence import FLOOR, convergence
from optlab.report.views.convergence import view as convergence_view
from optlab.report.views.targets import (
    TARGETS,
    headline,
    profile,
    profile_view,
    target_view,
    to_targets,
    with_unstable,
)
from optlab.report.views.timing import (
    all_ratios,
    crossover_view,
    phases_view,
    ratios_view,
    seconds,
    seconds_view,
)
from optlab.report.views.view import Axis, Outcome, View, batches_in

__all__ = [
    "FLOOR",
    "TARGETS",
    "Axis",
    "Outcome",
    "View",
    "all_views",
    "batches_in",
    "best_trials",
    "convergence",
    "headline",
    "seconds",
]


def all_views(results: Outcome) -> dict[str, View]:
    """Return every view of the results, by key, in the order a reader asks.

    A view that cannot be made has an empty table and says why in ``missing``.
    """
    trials, traces = results.trials, results.traces
    timed = seconds(trials)
    found = found_parameters(results)
    own = results.definition.get("stop_at")
    reached = to_targets(trials, traces, own)
    target = headline(reached, own)
    views = [
        convergence_view(trials, traces),
        digits_view(trials),
        seconds_view(timed),
        target_view(with_unstable(reached, timed)),
        ratios_view(all_ratios(trials)),
        parameters_view(results, found),
        fit_view(results, found),
        phases_view(trials),
        crossover_view(timed),
        profile_view(profile(trials, traces, target), target),
    ]
    return {view.key: view for view in views}
