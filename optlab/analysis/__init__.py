"""Statistics over the tables of results."""

from optlab.analysis.comparison import ratios
from optlab.analysis.expected_cost import expected_cost
from optlab.analysis.profiles import performance_profile
from optlab.analysis.scoring import attempts, scores
from optlab.analysis.statistics import CELL, summary
from optlab.analysis.targets import target_summary, time_to_target
from optlab.analysis.theory_tables import modes, theory
from optlab.analysis.tuning import best_of_k, tuning, tuning_ranks, tuning_settings
from optlab.analysis.win_rates import win_rates

__all__ = [
    "CELL",
    "attempts",
    "best_of_k",
    "expected_cost",
    "modes",
    "performance_profile",
    "ratios",
    "scores",
    "summary",
    "target_summary",
    "theory",
    "time_to_target",
    "tuning",
    "tuning_ranks",
    "tuning_settings",
    "win_rates",
]
