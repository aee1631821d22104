"""What the page's sentences say, computed from the raw tables by loops in plain Python."""

import math
import statistics
from collections import defaultdict
from functools import cache

import numpy as np

from optlab.analysis.intervals import trimmed_mean_interval
from optlab.report.findings.caveats import caveats
from optlab.report.findings.findings import findings
from optlab.report.views import TARGETS, all_views
from optlab.report.words import duration
from tests.planted_results import plant

WELL = {"finished", "converged"}
NEVER = {"diverged", "failed", "crashed"}


def key(row):
    size = row["batch_size"]
    size = None if size is None or size != size or str(size) == "<NA>" else size  # noqa: PLR0124
    return (row["problem"], row["optimizer"], size, row["device"], row["dtype"])


def cells_of(results):
    cells = defaultdict(list)
    for row in results.trials.to_dict("records"):
        cells[key(row)].append(row)
    return cells


def traces_of(results):
    traces = defaultdict(list)
    for row in results.traces.sort_values("epoch").to_dict("records"):
        traces[row["trial"]].append(row)
    return traces


def first_hit(trial, trace, target):
    """Return (seconds, epochs) at the target, or None."""
    if trial["status"] in NEVER:
        return None
    start = trace[0]["suboptimality"]
    for row in trace[1:]:
        if row["suboptimality"] <= target * start:
            return row["seconds"], row["epoch"]
    return None


def median(values):
    return statistics.median(values)


def reached_by_cell(results, target):
    """Return, for each cell that ran, its hits, one (or None) a trial."""
    traces = traces_of(results)
    found = {}
    for cell, trials in cells_of(results).items():
        ran = [t for t in trials if t["status"] != "skipped" and traces[t["trial"]]]
        if ran:
            found[cell] = [(t, first_hit(t, traces[t["trial"]], target)) for t in ran]
    return found


def headline(results):
    """Return the smallest target that half of the cells with batches reach in all trials."""
    best = None
    for target in TARGETS:
        hits = {c: h for c, h in reached_by_cell(results, target).items() if c[2] is not None}
        good = sum(all(hit for _, hit in h) for h in hits.values())
        if hits and good >= 0.5 * len(hits):
            best = target
    return best


RANDOM = [
    {"seed": 1},
    {"seed": 2, "mishaps": False, "repeats": 5, "seeds": 1},
    {"seed": 3, "repeats": 1},
    {"seed": 4, "sizes": (1, 2, 4, 8, "full"), "devices": ("cpu",)},
    {"seed": 5, "problems": ("one",), "dtypes": ("float32", "float64"), "seeds": 1},
    {"seed": 6, "optimizers": ("ManualSGD", "Lstsq"), "seeds": 4},
    {"seed": 7, "direct": (), "mishaps": False},
    {"seed": 8, "epochs": (1, 3, 10, 30, 100, 300, 1000), "seeds": 3},
]


@cache
def told_of(number):
    """Return random results, and the findings and doubts that are told of them."""
    results = plant(**RANDOM[number])
    views = all_views(results)
    return results, findings(results, views), doubts(results, views)


def findings_of(results):
    return findings(results, all_views(results))


def doubts_of(results):
    return doubts(results, all_views(results))


def cell_said(sentence):
    said = tuple(sentence.numbers["cell"])
    return (*said[:2], None if str(said[2]) in {"nan", "<NA>"} else said[2], *said[3:])


def timed_median(results, cell):
    timed = timed_seconds(results, cell)
    return statistics.median(timed) if timed else math.inf


def only(sentences, kind, problem):
    found = [s for s in sentences if (s.kind, s.problem) == (kind, problem)]
    assert len(found) <= 1
    return found[0] if found else None


def paired(hits, best, other):
    """Return the ratio of two cells' seconds to a target and its interval, by seed and repeat."""
    sides = [{(t["seed"], t["repeat"]): h[0] for t, h in hits[cell]} for cell in (best, other)]
    return ratio_of([math.log(sides[1][k] / sides[0][k]) for k in sides[0]])


def ratio_of(logs):
    """Return exp of the trimmed mean of log ratios, and its interval: NaN below three."""
    ordered = sorted(logs)
    cut = (len(logs) + 1) // 4 if len(logs) >= 5 else 0
    ratio = math.exp(statistics.fmean(ordered[cut : len(logs) - cut]))
    if len(logs) < 3:
        return ratio, math.nan, math.nan
    _, low, high = trimmed_mean_interval(np.array([logs]))
    return ratio, math.exp(low[0]), math.exp(high[0])


def sure(seconds):
    """Return a median of seconds as sentences tell it, with how sure it is."""
    n, text, ordered = len(seconds), duration(statistics.median(seconds)), sorted(seconds)
    rank = 1
    while n > 5 and 2 * sum(math.comb(n, i) for i in range(rank + 1)) / 2**n <= 0.05:
        rank += 1
    ends = duration(ordered[rank - 1]), duration(ordered[n - rank])
    if n == 1:
        return f"{text} (1 trial)"
    if n < 5:
        return f"{text} ({ends[0]} to {ends[1]} in {n} trials)"
    return f"{text} [{ends[0]}, {ends[1]}]"


def named(cell, results):
    """Return a cell as sentences name it."""
    size = "" if cell[2] is None else f" at batch size {cell[2]}"
    on = f" on {cell[3]}" if len({c[3] for c in ended(results)}) > 1 else ""
    return f"{cell[1]}{size}{on}" + (
        f" in {cell[4]}" if len({c[4] for c in ended(results)}) > 1 else ""
    )


def ended(results):
    return {c: t for c, t in cells_of(results).items() if any(one["status"] in WELL for one in t)}


def cells_by_median(results, cells):
    """Return cells from the least median seconds to the most, those never timed last."""
    return sorted(cells, key=lambda cell: timed_median(results, cell))


def timed_seconds(results, cell):
    """Return the seconds of a cell's trials that ended well and ran alone."""
    return [t["seconds"] for t in cells_of(results)[cell]
            if t["status"] in WELL and not t["contended"]]  # fmt: skip
