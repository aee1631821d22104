"""What the tables say."""

from optlab.analysis.comparison import ratios
from optlab.analysis.profiles import data_profile, performance_profile
from optlab.analysis.statistics import CELL, summary
from optlab.analysis.targets import target_summary, time_to_target

__all__ = [
    "CELL",
    "data_profile",
    "performance_profile",
    "ratios",
    "summary",
    "target_summary",
    "time_to_target",
]
