"""Views: tidy tables with the axes they are drawn on, computed once from the results."""

from __future__ import annotations

from optlab.analysis.result_tables import ResultTables
from optlab.report.views.accuracy import digits_view, fit_view, parameters_view
from optlab.report.views.convergence import FLOOR, convergence_view
from optlab.report.views.plane_path import path_view
from optlab.report.views.predicted_curves import theory_view
from optlab.report.views.time_to_target import TARGETS, headline, profile_view, target_view
from optlab.report.views.timing import crossover_view, phases_view, ratio_view, seconds_view
from optlab.report.views.view import Axis, View, batches_in

__all__ = [
    "FLOOR",
    "KEYS",
    "TARGETS",
    "Axis",
    "View",
    "batches_in",
    "convergence_view",
    "fit_view",
    "headline",
    "seconds_view",
    "theory_view",
    "views_of",
]

_VIEWS = (
    convergence_view,
    theory_view,
    path_view,
    digits_view,
    seconds_view,
    target_view,
    ratio_view,
    parameters_view,
    fit_view,
    phases_view,
    crossover_view,
    profile_view,
)

KEYS = tuple(view.__name__.removesuffix("_view") for view in _VIEWS)
"""The keys of all views."""


def views_of(results: ResultTables) -> dict[str, View]:
    """Return every view of the results, by key, in the order a reader asks.

    A view that cannot be made has an empty table and says why in ``missing``. Each is computed once
    for the same results.
    """
    views = [view(results) for view in _VIEWS]
    return {view.key: view for view in views}
