"""Count trials by their status, in words."""

from __future__ import annotations

import pandas as pd

from optlab.analysis.statistics import measured


def trial_counts(trials: pd.DataFrame) -> str:
    """Return how many trials were measured and how they ended, then how many tuned.

    Examples
    --------
    >>> stages = {"stage": ["measured", "tuning"], "status": ["finished", "diverged"]}
    >>> trial_counts(pd.DataFrame(stages))
    '1 trials: 1 finished; 1 to tune'
    """
    own = measured(trials)
    counts = ", ".join(f"{n} {status}" for status, n in own["status"].value_counts().items())
    more = f"; {len(trials) - len(own)} to tune" if len(own) < len(trials) else ""
    return f"{len(own)} trials: {counts}{more}"
