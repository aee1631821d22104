"""The numbers of findings and caveats, computed again from the tables by loops in plain Python."""

import math
import statistics
from collections import Counter, defaultdict

import numpy as np
import pytest

from optlab.analysis.intervals import trimmed_mean_interval
from optlab.report.findings.all_findings import findings
from optlab.report.findings.caveats import caveats
from optlab.report.views import TARGETS, views_of
from tests.planted_results import plant

WELL = {"finished", "converged"}
MANY = {"device", "batch sizes"}  # kinds with several sentences on a problem
COST_WORDS = {
    "steps": "the fewest steps", "epochs": "the fewest epochs", "samples": "the fewest samples",
    "seconds": "the lowest median seconds",
}  # fmt: skip
RANDOM = [
    {"seed": 1},
    {"seed": 2, "mishaps": False, "repeats": 5, "seeds": 1, "devices": ("cpu",)},
    {"seed": 3, "repeats": 1},
    {"seed": 4, "sizes": (1, 2, 4, 8, "full"), "devices": ("cpu",)},
    {"seed": 5, "problems": ("one",), "dtypes": ("float32", "float64"), "seeds": 1},
    {"seed": 6, "optimizers": ("ManualSGD", "Lstsq"), "seeds": 4},
    {"seed": 7, "direct": (), "mishaps": False, "problems": ("one",)},
    {"seed": 8, "epochs": (1, 3, 10, 30, 100, 300, 1000), "seeds": 3, "devices": ("cpu",)},
]


@pytest.mark.parametrize("settings", RANDOM, ids=lambda settings: f"seed {settings['seed']}")
def test_the_numbers_are_those_of_plain_loops(settings):
    results = plant(**settings)
    views = views_of(results)
    sentences, limits = findings(results, views), caveats(results, views)
    found = {(s.kind, s.problem): s for s in sentences if s.kind not in MANY}
    hits = hits_of(results, target := headline(results))
    for problem in results.problems:
        check_accuracy(results, found, problem)
        mine = {c: h for c, h in hits.items() if c[0] == problem and c[2] is not None}
        check_reached(found.pop(("reached", problem)).numbers, mine, target)
        check_fastest(found, mine, problem)
        sizes = [s for s in sentences if (s.kind, s.problem) == ("batch sizes", problem)]
        check_batch_sizes(results, sizes, mine, target)
        check_ratios(results, found.pop(("ratio", problem), None), problem)
        devices = [s for s in sentences if (s.kind, s.problem) == ("device", problem)]
        check_devices(results, devices, problem)
    assert not found
    check_caveats(results, {s.kind: s.numbers for s in limits})
    check_mishaps(results, [s for s in limits if "messages" in s.numbers])


def test_sentences_of_every_kind_are_among_the_random_results():
    """So that no check above passes by never finding its sentence."""
    results = plant(**RANDOM[3])
    views = views_of(results)
    kinds = {s.kind for s in findings(results, views)}
    assert kinds == {"accuracy", "reached", "fastest", "batch size", "batch sizes", "ratio"}
    kinds = {s.kind for s in caveats(results, views)}
    assert kinds == {"diverged", "failed", "crashed", "unstable", "contended"}


def key(row):
    """Return the cell of a row; None stands for a method without batches."""
    batch = None if row["batch"] == "direct" else row["batch"]
    return (row["problem"], row["optimizer"], batch, row["device"], row["dtype"])


def cell_in(numbers):
    return key(dict(zip(("problem", "optimizer", "batch", "device", "dtype"),
                        numbers["cell"], strict=True)))  # fmt: skip


def cells_of(results):
    cells = defaultdict(list)
    for row in results.trials.to_dict("records"):
        cells[key(row)].append(row)
    return cells


def timed_by_cell(results):
    """Return the seconds of each cell's trials that ended well and ran alone."""
    return {
        cell: [t["seconds"] for t in trials if t["status"] in WELL and not t["contended"]]
        for cell, trials in cells_of(results).items()
    }


def hits_of(results, target):
    """Return each cell's trials with (seconds, epochs, samples, steps) at a target, or None."""
    traces = defaultdict(list)
    for row in results.traces.sort_values("epoch").to_dict("records"):
        traces[row["trial"]].append(row)
    hits = defaultdict(list)
    for cell, trials in cells_of(results).items():
        for trial in trials:
            trace = traces[trial["trial"]]
            if trial["status"] == "skipped" or not trace:
                continue
            there = [(r["seconds"], r["epoch"], r["samples"], r["steps"]) for r in trace[1:]
                     if r["suboptimality"] <= target * trace[0]["suboptimality"]
                     and trial["status"] not in {"diverged", "failed", "crashed"}]  # fmt: skip
            hits[cell].append((trial, there[0] if there else None))
    return hits


def headline(results):
    """Return the smallest target that half of the cells with batches reach in all trials."""
    best = None
    for target in TARGETS:
        hits = [h for c, h in hits_of(results, target).items() if c[2] is not None]
        if sum(all(hit for _, hit in h) for h in hits) >= 0.5 * len(hits):
            best = target
    return best


def ratio_of(pairs):
    """Return exp of the trimmed mean of log ratios, and its interval: NaN below three pairs."""
    logs = sorted(math.log(mine / its) for mine, its in pairs)
    cut = (len(logs) + 1) // 4 if len(logs) >= 5 else 0
    ratio = math.exp(statistics.fmean(logs[cut : len(logs) - cut]))
    if len(logs) < 3:
        return ratio, math.nan, math.nan
    _, low, high = trimmed_mean_interval(np.array([logs]))
    return ratio, math.exp(low[0]), math.exp(high[0])


def verdict_of(low, high):
    if math.isnan(low):
        return "too few repeats to say"
    return "faster" if high < 1 else "slower" if low > 1 else "no difference shown"


def check_accuracy(results, found, problem):
    timed = timed_by_cell(results)
    digits = {}
    for cell, trials in cells_of(results).items():
        errors = [t["parameter_error"] for t in trials if t["status"] in WELL]
        if cell[0] == problem and errors:
            each = [min(15.95, max(0.0, -math.log10(e))) if e else 15.95 for e in errors]
            digits[cell] = statistics.median(each)
    with_batches = {c: value for c, value in digits.items() if c[2] is not None}
    check_nearest(found.pop(("accuracy", problem)).numbers, digits, timed)
    nearest = found.pop(("iterative accuracy", problem), None)
    apart = with_batches and max(with_batches.values()) < max(digits.values()) - 0.3
    assert (nearest is not None) == bool(apart)
    if nearest:
        check_nearest(nearest.numbers, with_batches, timed)


def check_nearest(numbers, digits, timed):
    most, cell = max(digits.values()), cell_in(numbers)
    near = [c for c, value in digits.items() if value >= most - 0.3]
    cost = {c: statistics.median(timed[c]) if timed[c] else math.inf for c in near}
    fastest = min(near, key=cost.get)
    assert (numbers["most"], numbers["near"]) == (pytest.approx(most), len(near))
    assert cell_in({"cell": numbers["fastest"]}) == fastest
    assert numbers["digits"] == pytest.approx(digits[cell])
    if len(near) == len(digits) > 1 and most >= 1:
        assert cell == fastest
    else:
        assert digits[cell] == most
    assert numbers.get("seconds", math.inf) == pytest.approx(cost[cell])
    assert numbers.get("timed", 0) == len(timed[cell])


def check_reached(numbers, hits, target):
    reached = [sum(hit is not None for _, hit in h) / len(h) for h in hits.values()]
    assert float(numbers["target"]) == target
    assert numbers["settings"] == len(reached)
    assert numbers["good"] == sum(share == 1 for share in reached)
    assert numbers["some"] == sum(0 < share < 1 for share in reached)


def check_fastest(found, hits, problem):
    """Check the fastest of the cells that always get there, and those beside it."""
    alone = {
        cell: {(t["seed"], t["repeat"]): hit[0] for t, hit in h if not t["contended"]}
        for cell, h in hits.items()
        if all(hit for _, hit in h)
    }
    alone = {cell: seconds for cell, seconds in alone.items() if seconds}
    ordered = sorted(alone, key=lambda cell: statistics.median(alone[cell].values()))
    sentence = found.pop(("fastest", problem), None)
    assert (sentence is not None) == bool(ordered)
    if not ordered:
        return
    best, *others = ordered
    check_costs(sentence.numbers, best, alone, hits)
    assert sentence.numbers["timed"] == len(alone[best])
    ratios = {
        cell: ratio_of([(seconds, alone[best][k]) for k, seconds in alone[cell].items()])
        for cell in others
    }
    if others:
        check_ratio(sentence.numbers["next"], others[0], ratios)
        assert sentence.numbers["others"] == len(others)
        assert sentence.numbers["slower"] == sum(low > 1 for _, low, _ in ratios.values())
    same = [c for c in others if (c[1], *c[3:]) == (best[1], *best[3:])]
    slowest = found.pop(("batch size", problem), None)
    # The second cell stands in the sentence before.
    assert (slowest is not None) == bool(same and same[-1] != others[0])
    if slowest:
        check_costs(slowest.numbers, same[-1], alone, hits)
        check_ratio(slowest.numbers["than"], same[-1], ratios)


def check_costs(numbers, cell, alone, hits):
    assert cell_in(numbers) == cell
    assert numbers["seconds"] == pytest.approx(statistics.median(alone[cell].values()))
    assert numbers["epochs"] == statistics.median(hit[1] for _, hit in hits[cell])


def check_batch_sizes(results, sentences, hits, target):
    """Check the least batch sizes of each optimizer none of whose sizes is the least in all."""
    costs = defaultdict(dict)
    for cell, h in hits.items():
        if all(hit for _, hit in h):
            alone = [hit[0] for t, hit in h if not t["contended"]]
            made = {name: statistics.median(hit[at] for _, hit in h)
                    for at, name in enumerate(("epochs", "samples", "steps"), 1)}  # fmt: skip
            made["seconds"] = statistics.median(alone) if alone else math.nan
            costs[cell[1], *cell[3:]][str(cell[2])] = made
    expected = {}
    for where, sizes in costs.items():
        least = {}
        for name in ("steps", "epochs", "samples", "seconds"):
            values = {size: made[name] for size, made in sizes.items()}
            if not any(math.isnan(value) for value in values.values()):
                lowest = min(values.values())
                least[name] = [s for s, value in values.items() if value == lowest], lowest
        if not any(all(size in of for of, _ in least.values()) for size in sizes):
            expected[where] = len(sizes), least
    found = {tuple(s.numbers[n] for n in ("optimizer", "device", "dtype")): s for s in sentences}
    assert len(found) == len(sentences)
    assert set(found) == set(expected)
    assert len({s.text.split(":")[0] for s in sentences}) == len(sentences)
    for where, (sizes, least) in expected.items():
        numbers, text = found[where].numbers, found[where].text
        assert (float(numbers["target"]), numbers["sizes"]) == (target, sizes)
        assert text.startswith(f"Of {sizes} batch sizes at which {where[0]} ")
        for at, name in enumerate(("device", "dtype"), 1):
            assert (where[at] in text) == (len(set(results.trials[name])) > 1)
        costs_of = {name: numbers[name] for name in COST_WORDS if name in numbers}
        assert set(costs_of) == set(least)
        for name, (of, value) in least.items():
            assert costs_of[name] == (", ".join(of), pytest.approx(value))
            words = " and ".join(filter(None, (", ".join(of[:-1]), of[-1])))
            assert len(of) > 3 or f"{COST_WORDS[name]} at {words} (" in text


def check_ratio(numbers, cell, ratios):
    assert cell_in(numbers) == cell
    measured = numbers["ratio"], numbers["low"], numbers["high"]
    assert measured == pytest.approx(ratios[cell], nan_ok=True)
    assert numbers["verdict"] == verdict_of(*ratios[cell][1:])


def check_ratios(results, sentence, problem):
    """Check the comparisons with the first optimizer that has a pair with another."""
    cells = {c: t for c, t in cells_of(results).items() if c[0] == problem}
    for baseline in dict.fromkeys(results.trials["optimizer"]):
        compared = comparisons(cells, baseline)
        if compared:
            break
    assert (sentence is not None) == bool(compared)
    if not compared:
        return
    assert sentence.numbers["baseline"] == baseline
    assert set(sentence.numbers["ratios"]) == set(compared)
    assert len(sentence.text) <= 250
    for name, ratios in compared.items():
        made = [ratio for ratio in ratios if ratio]
        ends = min(ratio for ratio, _, _ in made), max(ratio for ratio, _, _ in made)
        assert sentence.numbers["ratios"][name] == pytest.approx(ends)
        counts = Counter(verdict_of(low, high) for _, low, high in made)
        counts["without pairs"] = len(ratios) - len(made)
        assert sentence.numbers["verdicts"][name] == dict(counts)


def comparisons(cells, baseline):
    """Return the ratios of optimizers with a pair, None for a comparison without one."""
    found = defaultdict(list)
    for cell, trials in cells.items():
        for other, others in cells.items():
            alike = cell[3:] == other[3:] and (None in (cell[2], other[2]) or cell[2] == other[2])
            if cell[1] == baseline or other[1] != baseline or not alike:
                continue
            if "skipped" in {t["status"] for t in (*trials, *others)}:
                continue
            its = {(t["seed"], t["repeat"]): t for t in others}
            both = [(t, its[t["seed"], t["repeat"]]) for t in trials]
            pairs = [
                (a["seconds"], b["seconds"])
                for a, b in both
                if a["status"] == b["status"] in WELL and not (a["contended"] or b["contended"])
            ]
            found[cell[1]].append(ratio_of(pairs) if pairs else None)
    return {name: ratios for name, ratios in found.items() if any(ratios)}


def check_devices(results, sentences, problem):
    """Check the fastest device of each optimizer and batch size that several devices timed."""
    expected = defaultdict(lambda: defaultdict(dict))
    for (name, optimizer, size, device, dtype), seconds in timed_by_cell(results).items():
        if name == problem and size is not None and seconds:
            of = f"{optimizer} in {dtype}" if len(set(results.trials["dtype"])) > 1 else optimizer
            expected[of][size][device] = statistics.median(seconds)
    expected = {
        name: {size: min(d, key=d.get) for size, d in sizes.items() if len(d) > 1}
        for name, sizes in expected.items()
    }
    fastest = {name: value for s in sentences for name, value in s.numbers["fastest"].items()}
    assert fastest == {name: sizes for name, sizes in expected.items() if sizes}


def check_mishaps(results, sentences):
    rows = results.trials.to_dict("records")
    bad = Counter((r["status"], r["message"]) for r in rows if r["status"] not in WELL)
    said = {(s.kind, *s.numbers["messages"]): s.numbers["trials"] for s in sentences}
    assert said == dict(bad)
    assert all(s.text.endswith(s.numbers["messages"][0]) for s in sentences)


def check_caveats(results, numbers):
    rows = results.trials.to_dict("records")
    contended = sum(r["contended"] for r in rows)
    assert numbers.get("contended", {"trials": 0}) == {"trials": contended}
    timed = {cell: seconds for cell, seconds in timed_by_cell(results).items() if seconds}
    few = sum(len(seconds) < 3 for seconds in timed.values())
    once = sum(len(seconds) == 1 for seconds in timed.values())
    expected = {"few": few, "once": once, "settings": len(timed)} if few else None
    assert numbers.get("once") == expected
    seeds = {r["seed"] for r in rows if key(r)[2] is not None}
    assert ("one seed" in numbers) == (len(seeds) == 1)
    unstable = [s for s in map(spread, cells_of(results).values()) if s > 0.1]
    assert ("unstable" in numbers) == bool(unstable)
    if unstable:
        assert numbers["unstable"]["settings"] == len(unstable)
        assert numbers["unstable"]["most"] == pytest.approx(max(unstable))


def spread(trials):
    """Return the median over seeds of IQR / median of a cell's seconds; 0 where none repeats."""
    by_seed = defaultdict(list)
    for t in trials:
        if t["status"] in WELL and not t["contended"]:
            by_seed[t["seed"]].append(t["seconds"])
    spreads = []
    for seconds in by_seed.values():
        if len(seconds) > 1:
            low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
            spreads.append((high - low) / middle)
    return statistics.median(spreads) if spreads else 0.0


def test_nothing_is_claimed_of_nothing():
    results = plant(optimizers=("Adam",), direct=(), devices=("cuda",))
    views = views_of(results)
    assert [s.kind for s in findings(results, views)] == ["nothing"]
    assert {s.kind for s in caveats(results, views)} == {"skipped"}
    results = plant(mishaps=False, problems=("line",))
    results.trials["status"] = "failed"
    results.definition["stop_at"] = 0.01
    assert [s.kind for s in findings(results, views_of(results))] == ["nothing"]
