"""Theory beside measurement, as tables: each setting's limits and epochs, and its modes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.optimizers.linear_descent import LinearDescent

SETTING = ["problem", "optimizer", "batch"]
"""The columns that name a setting: theory is the same on every device and in every dtype."""

_OF_SETTING = ["learning_rate", "momentum", "stable_rate", "stable_rate_of", "half_life",
               "noise_floor", "exact"]  # fmt: skip

THEORY = [*SETTING, "learning_rate", "momentum", "stable_rate", "stable_rate_of", "stable",
          "half_life", "noise_floor", "predicted_suboptimality", "suboptimality",
          "predicted_epochs", "measured_epochs", "largest_eigenvalue", "smallest_eigenvalue",
          "condition", "exact"]  # fmt: skip
"""The columns of a table of theory."""

MODES = [*SETTING, "mode", "eigenvalue", "half_life"]
"""The columns of a table of modes."""


def theory(results: ResultTables) -> pd.DataFrame:
    """Return what theory says of each setting, beside what was measured; a row a setting.

    A setting is an optimizer at a batch size on a problem. There is a row for those that theory
    describes: gradient descent at a constant rate, with or without momentum, on a problem whose
    modes are known.

    Returns
    -------
    pandas.DataFrame
        The setting's columns, then

        - ``learning_rate, momentum``;
        - ``stable_rate``, the largest stable learning rate for these data, and ``stable_rate_of``:
          ``"full batch"``, ``"mean square"`` (the second moment of mini-batch descent is bounded
          below it) or ``"mean"`` (the limit of the mean, which is necessary and not sufficient);
          ``stable``, whether the learning rate is below it;
        - ``half_life``, the epochs in which the slowest mode's mean error halves;
        - ``noise_floor``, the expected suboptimality in the long run, of batches drawn
          independently of each other; infinite where there is none, NaN where it is not known;
        - ``predicted_suboptimality`` and ``suboptimality`` at the trials' last epochs, and
          ``predicted_epochs`` and ``measured_epochs`` to ``stop_at``, infinite where it is never
          reached, NaN where there is none: medians over trials;
        - ``largest_eigenvalue, smallest_eigenvalue, condition`` of the Hessian, L, mu and L / mu
          (of the modes that change the loss);
        - ``exact``: False where the loss is no quadratic, and theory holds near the minimiser.

    See Also
    --------
    modes : A row for each mode.
    """
    rows = _predicted(results)
    if rows.empty:
        return pd.DataFrame(columns=THEORY)
    last = results.traces.groupby("trial")["predicted_suboptimality"].last()
    reached = rows["status"] == "converged"
    measured = rows["epochs"].astype(float).where(reached, math.inf)
    rows = rows.assign(
        predicted_suboptimality=rows["trial"].map(last),
        measured_epochs=measured.where(rows["predicted_epochs"].notna()),
    )
    groups = rows.groupby(SETTING, sort=False, observed=True)
    medians = ["predicted_suboptimality", "suboptimality", "predicted_epochs", "measured_epochs"]
    table = groups[_OF_SETTING].first().join(groups[medians].median()).reset_index()
    table["stable"] = table["learning_rate"] < table["stable_rate"]
    spectra = [_spectrum(results, problem) for problem in table["problem"]]
    table["largest_eigenvalue"] = [h[0] for h in spectra]
    table["smallest_eigenvalue"] = [h[-1] for h in spectra]
    table["condition"] = table["largest_eigenvalue"] / table["smallest_eigenvalue"]
    return table[THEORY]


def modes(results: ResultTables, most: int = 12) -> pd.DataFrame:
    """Return the half-life of each mode in each setting that theory describes.

    Parameters
    ----------
    results
        The results of an experiment.
    most
        Of more modes that change the loss, as many are taken, evenly, the first and last among
        them.

    Returns
    -------
    pandas.DataFrame
        A row for each setting and mode: the setting's columns, ``mode`` (from 1, the largest
        eigenvalue first), ``eigenvalue``, and ``half_life`` in epochs, infinite where the mode does
        not shrink.

    See Also
    --------
    theory : A row for each setting.
    """
    rows = _predicted(results)
    tables = []
    for setting, own in rows.groupby(SETTING, sort=False, observed=True):
        first, h = own.iloc[0], _spectrum(results, str(setting[0]))
        if math.isnan(h[0]):
            continue
        places = np.unique(np.linspace(0, len(h) - 1, min(most, len(h))).round().astype(int))
        descent = LinearDescent(
            float(first["learning_rate"]),
            float(first["momentum"]),
            nesterov=bool(first["nesterov"]),
            weight_decay=float(first["weight_decay"]),
        )
        half = descent.half_life(h[places]) / float(first["epoch_steps"])
        table = pd.DataFrame({"mode": places + 1, "eigenvalue": h[places], "half_life": half})
        for name, value in zip(SETTING, setting, strict=True):
            table[name] = str(value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)[MODES] if tables else pd.DataFrame(columns=MODES)


def _predicted(results: ResultTables) -> pd.DataFrame:
    """Return the predictions with what was measured of the same trials."""
    measured = results.trials[["trial", *SETTING, "status", "epochs", "suboptimality"]]
    return measured.merge(results.predictions, on="trial")


def _spectrum(results: ResultTables, problem: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the eigenvalues above zero, the largest first; a NaN where none are known."""
    h = np.array(results.problems[problem].eigenvalues, dtype=float)
    h = h[h > 0]
    return h if len(h) else np.array([math.nan])
