"""Statistics over the tables of results."""

from optlab.analysis.comparison import ratios
from optlab.analysis.profiles import performance_profile
from optlab.analysis.statistics import CELL, summary
from optlab.analysis.targets import target_summary, time_to_target
from optlab.analysis.theory_tables import modes, theory

__all__ = [
    "CELL",
    "modes",
    "performance_profile",
    "ratios",
    "summary",
    "target_summary",
    "theory",
    "time_to_target",
]
