"""Stands in for optlab.analysis until the branch `stats` is merged."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis import statistics
from optlab.analysis.statistics import CELL


def _interval(values: np.ndarray) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(0)
    draws = np.median(rng.choice(values, (400, len(values))), axis=1)
    return float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))


def summary(trials: pd.DataFrame) -> pd.DataFrame:
    table = statistics.summary(trials)
    rows = []
    for _, cell in trials.groupby(CELL, sort=False, dropna=False):
        s = cell["seconds"].dropna().to_numpy()
        low, high = _interval(s)
        spread = float("nan") if len(s) < 2 else np.subtract(*np.quantile(s, [0.75, 0.25])) / np.median(s)
        rows.append({"seconds_low": low, "seconds_high": high, "spread": spread,
                     "unstable": bool(spread > 0.1), "contended": bool(cell["contended"].any())})
    return pd.concat([table, pd.DataFrame(rows)], axis=1)


def ratios(trials: pd.DataFrame, baseline: str) -> pd.DataFrame:
    keys = ["problem", "batch_size", "device", "dtype", "seed", "repeat"]
    base = trials[trials["optimizer"] == baseline].set_index(keys)["seconds"]
    direct = trials[(trials["optimizer"] == baseline) & trials["batch_size"].isna()]
    rows = []
    for key, cell in trials.groupby(CELL, sort=False, dropna=False):
        if key[1] == baseline:
            continue
        k = [x for x in keys if x != "batch_size" or direct.empty]
        b = trials[trials["optimizer"] == baseline][[*k, "seconds"]]
        if direct.empty and pd.isna(key[2]):
            continue
        m = cell[[*k, "seconds"]].merge(b, on=k, suffixes=("", "_b"))
        r = (m["seconds"] / m["seconds_b"]).dropna().to_numpy()
        if not len(r):
            continue
        low, high = _interval(r)
        verdict = "faster" if high < 1 else "slower" if low > 1 else "no difference shown"
        rows.append(dict(zip(CELL, key)) | {"baseline": baseline, "pairs": len(r), "ratio": float(np.median(r)), "low": low, "high": high, "verdict": verdict})
    return pd.DataFrame(rows, columns=[*CELL, "baseline", "pairs", "ratio", "low", "high", "verdict"])


def time_to_target(trials: pd.DataFrame, traces: pd.DataFrame, target: float) -> pd.DataFrame:
    start = traces[traces["epoch"] == 0].set_index("trial")["suboptimality"]
    hit = traces[traces["suboptimality"] <= target * traces["trial"].map(start)]
    first = hit.groupby("trial").first()
    rows = []
    for key, cell in trials.groupby(CELL, sort=False, dropna=False):
        f = first.reindex(cell["trial"])
        s, e = f["seconds"].fillna(np.inf), f["epoch"].fillna(np.inf)
        low, high = _interval(s.to_numpy()) if len(s) > 1 else (np.nan, np.nan)
        rows.append(dict(zip(CELL, key)) | {"target": target, "trials": len(cell), "reached": int(np.isfinite(s).sum()), "seconds": s.median(), "low": low, "high": high, "epochs": e.median()})
    return pd.DataFrame(rows)
