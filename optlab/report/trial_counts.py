"""Say in words how many trials there are, how they ended, and which stage was reached."""

from __future__ import annotations

import pandas as pd

from optlab.analysis.statistics import measured
from optlab.text import pluralize


def trial_counts(trials: pd.DataFrame) -> str:
    """Return how many trials were measured and how they ended, then how many tuned.

    Examples
    --------
    >>> stages = {"stage": ["measured", "tuning"], "status": ["finished", "diverged"]}
    >>> trial_counts(pd.DataFrame(stages))
    '1 trial: 1 finished; 1 to tune'
    """
    own = measured(trials)
    counts = ", ".join(f"{n} {status}" for status, n in own["status"].value_counts().items())
    more = f"; {len(trials) - len(own)} to tune" if len(own) < len(trials) else ""
    return f"{pluralize(len(own), 'trial')}: {counts or 'none measured'}{more}"


def stopped_while_tuning(trials: pd.DataFrame) -> str:
    """Return the sentence that an experiment was stopped before it measured, or an empty text.

    Examples
    --------
    >>> ended = {"stage": ["tuning", "tuning"], "status": ["finished", "interrupted"]}
    >>> stopped_while_tuning(pd.DataFrame(ended)).split(":")[0]
    'Nothing was measured'
    """
    if trials.empty or len(measured(trials)):
        return ""
    ended = int((trials["status"] != "interrupted").sum())
    return (
        f"Nothing was measured: the experiment was stopped while it tuned, when {ended} of the "
        f"{pluralize(len(trials), 'tuning trial')} asked for so far had ended. Run it again with "
        "the same store: it goes on from there."
    )
