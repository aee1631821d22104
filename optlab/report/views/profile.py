"""Performance profiles: on what share of the problems is each setting within a factor of the best."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.report.views.view import Axis, View, answered, uncontended

_KEYS = ["optimizer", "batch_size", "device", "dtype"]


def profile(trials: pd.DataFrame, tolerance: float = 1e-6) -> pd.DataFrame:
    """Return Dolan and Moré's performance profile over problems and seeds.

    An instance is a problem with a seed. A setting solved it where its trial ended with a relative
    parameter error of at most ``tolerance``, which is told apart from how fast it ended. Columns:
    the cell's without the problem, ``factor`` and ``share``: the share of instances that the
    setting solved within ``factor`` times the best median seconds.
    """
    chosen = uncontended(answered(trials))
    solved = chosen[chosen["parameter_error"] <= tolerance]
    instances = solved[["problem", "seed"]].drop_duplicates()
    columns = [*_KEYS, "factor", "share"]
    if len(instances) < 2:
        return pd.DataFrame(columns=columns)
    total = len(trials[["problem", "seed"]].drop_duplicates())
    times = solved.groupby([*_KEYS, "problem", "seed"], sort=False, dropna=False)["seconds"]
    table = times.median().reset_index()
    best = table.groupby(["problem", "seed"])["seconds"].transform("min")
    table["factor"] = table["seconds"] / best.clip(lower=1e-12)
    end = table["factor"].max() * 1.1
    parts = []
    for key, rows in table.groupby(_KEYS, sort=False, dropna=False):
        factors = np.sort(rows["factor"].to_numpy())
        steps = np.unique(np.concatenate([[1.0], factors, [end]]))
        share = np.searchsorted(factors, steps, side="right") / total
        part = pd.DataFrame({"factor": steps, "share": share})
        parts.append(part.assign(**dict(zip(_KEYS, key, strict=True))))
    return pd.concat(parts, ignore_index=True)[columns]


def profile_view(trials: pd.DataFrame) -> View:
    """Return the view of the profile."""
    return View(
        key="profile",
        title="Performance profile",
        question="Who is reliably near the fastest, over all problems?",
        how="The share of instances (problem and seed) that a setting solved, to a relative "
        "parameter error of 1e-6, within a factor of the fastest's seconds. High and to the left is "
        "good (Dolan and Moré, 2002). The problem filter does not act here.",
        kind="lines",
        table=profile(trials),
        x=(Axis("factor", "seconds, as a multiple of the fastest's", "", "log", "linear"),),
        y=(Axis("share", "share of instances solved"),),
        facets=False,
        missing="A profile needs at least two problems or seeds that some trial solved to 1e-6.",
    )
