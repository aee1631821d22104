"""The page's sentences, computed again from the raw tables by loops in plain Python."""

import math
import re
import statistics
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from optlab.analysis import ratios as results_ratios
from optlab.report.doubts import doubts
from optlab.report.sentences import findings
from optlab.report.views import TARGETS, all_views
from optlab.report.words import duration, number, share
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


@pytest.fixture(scope="module", params=RANDOM, ids=lambda o: f"seed {o['seed']}")
def told(request):
    results = plant(**request.param)
    views = all_views(results)
    return results, findings(results, views), doubts(results, views)


def cell_said(sentence):
    said = tuple(sentence.numbers["cell"])
    return (*said[:2], None if str(said[2]) in {"nan", "<NA>"} else said[2], *said[3:])


def timed_median(results, cell):
    timed = [t["seconds"] for t in cells_of(results)[cell]
             if t["status"] in WELL and not t["contended"]]  # fmt: skip
    return statistics.median(timed) if timed else math.inf


def only(sentences, kind, problem):
    found = [s for s in sentences if (s.kind, s.problem) == (kind, problem)]
    assert len(found) <= 1
    return found[0] if found else None


def test_who_was_right(told):
    results, sentences, _ = told
    for problem in results.problems:
        digits = {}
        for cell, trials in cells_of(results).items():
            errors = [t["parameter_error"] for t in trials if t["status"] in WELL]
            if cell[0] == problem and errors:
                each = [min(15.95, max(0.0, -math.log10(e))) if e else 15.95 for e in errors]
                digits[cell] = statistics.median(each)
        sentence = only(sentences, "right", problem)
        most = max(digits.values())
        near = [c for c, value in digits.items() if value >= most - 0.3]
        said = cell_said(sentence)
        assert said in near
        batched = {c: value for c, value in digits.items() if c[2] is not None}
        nearest = only(sentences, "nearest with batches", problem)
        assert (nearest is not None) == bool(batched and max(batched.values()) < most - 0.3)
        if nearest:
            cell = cell_said(nearest)
            assert batched[cell] >= max(batched.values()) - 0.3
            start = f"Of methods with batches, {cell[1]} at batch size {cell[2]}"
            assert nearest.text.startswith(start)
            assert f"comes nearest: {batched[cell]:.1f} digits" in nearest.text
            fast = [c for c in batched if batched[c] >= max(batched.values()) - 0.3]
            medians = {c: timed_median(results, c) for c in fast}
            assert medians[cell] == min(medians.values())
        assert f"{digits[said]:.1f} digits" in sentence.text
        seconds = [
            t["seconds"]
            for t in cells_of(results)[said]
            if t["status"] in WELL and not t["contended"]
        ]
        if seconds:
            assert f" in {duration(statistics.median(seconds))}" in sentence.text
        assert said[1] in sentence.text


def test_who_got_there(told):
    results, sentences, _ = told
    target = headline(results)
    for problem in results.problems:
        hits = {
            c: h
            for c, h in reached_by_cell(results, target).items()
            if c[0] == problem and c[2] is not None
        }
        good = sum(all(hit for _, hit in h) for h in hits.values())
        some = sum(0 < sum(hit is not None for _, hit in h) < len(h) for h in hits.values())
        sentence = only(sentences, "reached", problem)
        assert sentence.text.startswith(f"{good} of {len(hits)} settings")
        assert f"down to {share(f'{target:.0e}')} of" in sentence.text
        assert sentence.text.endswith(f", {some} in some." if some else "in every trial.")


def test_who_was_first(told):
    results, sentences, _ = told
    target = headline(results)
    for problem in results.problems:
        times = {}
        for cell, hits in reached_by_cell(results, target).items():
            alone = [hit for trial, hit in hits if not trial["contended"]]
            if cell[0] == problem and cell[2] is not None and alone and all(h for _, h in hits):
                times[cell] = median([s for s, _ in alone])
        sentence = only(sentences, "first", problem)
        if not times:
            assert sentence is None
            continue
        best, *others = sorted(times, key=times.get)
        epochs = median([h[1] for _, h in reached_by_cell(results, target)[best]])
        assert sentence.text.startswith(f"{best[1]} at batch size {best[2]}")
        assert f"among them: {duration(times[best])}" in sentence.text
        assert f", {number(epochs)} epochs" in sentence.text
        if others:
            ratio = paired(reached_by_cell(results, target), best, others[0])
            assert f"takes {number(ratio)} times the seconds" in sentence.text
            low, high = sentence.numbers["low"], sentence.numbers["high"]
            if math.isfinite(low):
                assert low <= ratio <= high
                assert ("no difference shown" in sentence.text) == (low <= 1 <= high)


def test_the_batch_size_that_is_slowest(told):
    """Of the first one's batch sizes, the slowest that gets there every time is told."""
    results, sentences, _ = told
    target = headline(results)
    hits = reached_by_cell(results, target)
    for problem in results.problems:
        times = {}
        for cell, found in hits.items():
            alone = [hit for trial, hit in found if not trial["contended"]]
            if cell[0] == problem and cell[2] is not None and alone and all(h for _, h in found):
                times[cell] = median([s for s, _ in alone])
        ordered = sorted(times, key=times.get)
        same = [c for c in ordered if (c[1], *c[3:]) == (ordered[0][1], *ordered[0][3:])]
        sentence = only(sentences, "batch size", problem)
        if len(same) < 2 or same[-1] == ordered[1]:  # that one stands in the sentence before
            assert sentence is None
            continue
        best, slow = same[0], same[-1]
        assert cell_said(sentence) == slow
        assert sentence.text.startswith(f"{slow[1]} at batch size {slow[2]}")
        epochs = median([hit[1] for _, hit in hits[slow]])
        assert f" needs {number(epochs)} epochs for {share(f'{target:.0e}')}, " in sentence.text
        ratio = paired(hits, best, slow)
        told_ratio = f", {number(ratio)} times the seconds of batch size {best[2]}"
        assert told_ratio in sentence.text
        low, high = sentence.numbers["low"], sentence.numbers["high"]
        if math.isfinite(low):
            assert low <= ratio <= high
            assert ("no difference shown" in sentence.text) == (low <= 1 <= high)
        else:
            assert "too few repeats" in sentence.text


def test_a_sentence_of_the_slowest_batch_size_is_among_the_random_results():
    """So that the test above cannot pass by never finding one."""
    results = plant(**RANDOM[3])
    assert any(s.kind == "batch size" for s in findings(results, all_views(results)))


def paired(hits, best, other):
    """Return exp of the trimmed mean of log ratios, paired by seed and repeat."""
    sides = [{(t["seed"], t["repeat"]): h[0] for t, h in hits[cell]} for cell in (best, other)]
    logs = sorted(math.log(sides[1][k] / sides[0][k]) for k in sides[0])
    cut = (len(logs) + 1) // 4 if len(logs) >= 5 else 0
    return math.exp(statistics.fmean(logs[cut : len(logs) - cut]))


def test_how_all_compare_with_the_first(told):
    """Ratios by loops: the trimmed mean of the logarithms of pairs of one seed and repeat."""
    results, sentences, _ = told
    cells = cells_of(results)
    for problem in results.problems:
        found = {}
        for baseline in dict.fromkeys(results.trials["optimizer"]):
            found = ratios_by_loops(cells, problem, baseline)
            if found:
                break
        sentence = only(sentences, "ratio", problem)
        if not found:
            assert sentence is None
            continue
        assert sentence.text.startswith(f"Beside {baseline}, ")
        assert sentence.numbers["baseline"] == baseline
        assert set(sentence.numbers["ratios"]) == set(found)
        table = results_ratios(results.trials[results.trials["status"] != "skipped"], baseline)
        for name, ratios in found.items():
            low, high = sentence.numbers["ratios"][name]
            assert (low, high) == pytest.approx((min(ratios), max(ratios)))
            rows = table[(table["optimizer"] == name) & (table["problem"] == problem)]
            made, rows = rows[rows["pairs"] > 0], rows[~rows["message"].str.contains("no trial")]
            same = "(?P<same> at the same batch size)?"
            text = re.search(
                rf"{re.escape(name)}{same}(?: takes)? (?P<low>[\d.e+-]+)"
                r"(?: to [\d.e+-]+)? times its seconds(?: \[[^]]*\])?(?: \((?P<said>[^)]*)\))?",
                sentence.text,
            )
            if text is None:  # one of those that are only counted
                assert " more." in sentence.text
                continue
            both = rows["batch_size"].notna() & rows["baseline_batch_size"].notna()
            assert bool(text["same"]) == both.any()
            assert text["low"] == number(min(ratios))
            said, verdicts = text["said"] or "", Counter(made["verdict"])
            if len(rows) == 1:
                assert ("no difference shown" in said) == ("no difference shown" in verdicts)
                continue
            assert f"{len(rows)} comparisons" in said
            assert ("unstable" in said) == made["unstable"].any()
            for verdict in ("faster", "slower", "no difference shown"):
                count = verdicts[verdict]
                several = count and f"{verdict} in {count}" in said
                assert bool(count) == bool(several or f"{verdict} in all" in said)
            left = len(rows) - len(made)
            assert (f"no pair ended alike in {left}" in said) == bool(left)


def ratios_by_loops(cells, problem, baseline):
    found = defaultdict(list)
    theirs = {c: t for c, t in cells.items() if c[0] == problem and c[1] == baseline}
    for cell, trials in cells.items():
        if cell[0] != problem or cell[1] == baseline:
            continue
        for other, others in theirs.items():
            if cell[3:] != other[3:] or (None not in (cell[2], other[2]) and cell[2] != other[2]):
                continue
            by_run = {(t["seed"], t["repeat"]): t for t in others}
            logs = []
            for mine in trials:
                its = by_run[mine["seed"], mine["repeat"]]
                good = {mine["status"], its["status"]} <= WELL and mine["status"] == its["status"]
                if good and not (mine["contended"] or its["contended"]):
                    logs.append(math.log(mine["seconds"] / its["seconds"]))
            if logs:
                cut = (len(logs) + 1) // 4 if len(logs) >= 5 else 0
                found[cell[1]].append(
                    math.exp(statistics.fmean(sorted(logs)[cut : len(logs) - cut]))
                )
    return found


def test_the_experiments_own_target_is_what_is_spoken_of():
    results = plant(seed=2, mishaps=False, problems=("one",), devices=("cpu",))
    results.definition["target"] = 2.5e-3
    sentences = findings(results, all_views(results))
    hits = {c: h for c, h in reached_by_cell(results, 2.5e-3).items() if c[2] is not None}
    good = sum(all(hit for _, hit in h) for h in hits.values())
    assert only(sentences, "reached", "one").text.startswith(
        f"{good} of {len(hits)} settings of methods with batches reach the experiment's target, "
        "0.0025 of the starting suboptimality, in every trial"
    )
    first = only(sentences, "first", "one")
    times = {c: median([h[0] for _, h in hit]) for c, hit in hits.items() if all(h for _, h in hit)}
    assert first.numbers["seconds"] == min(times.values())
    assert "to 0.0025 among them" in first.text


def test_a_target_that_nobody_reached_is_spoken_of_too():
    results = plant(seed=2, mishaps=False, problems=("one",), direct=(), epochs=(1, 2))
    results.definition["target"] = 1e-9
    sentence = only(findings(results, all_views(results)), "reached", "one")
    assert sentence.text.startswith("0 of 24 settings of methods with batches reach the experiment")


def test_mishaps_that_differ_in_numbers_alone_are_one_sentence_that_names_their_problem():
    results = plant(seed=1, mishaps=False, devices=("cpu",))
    bad = (results.trials["problem"] == "plane") & (results.trials["optimizer"] == "ManualSGD")
    results.trials.loc[bad, "status"] = "diverged"
    results.trials.loc[bad, "message"] = [
        f"the loss is {k}.5e+{10 + k} times its start after epoch {k}" for k in range(bad.sum())
    ]
    (sentence,) = [s for s in doubts_of(results) if s.kind == "diverged"]
    assert sentence.text == (
        f"{bad.sum()} trials diverged (ManualSGD, plane): "
        "the loss is 0.5e+10 times its start after epoch 0, and the like"
    )


def test_an_uncertain_optimum_other_machines_and_changed_data_are_told():
    results = plant(seed=1, mishaps=False)
    assert not {"optimum", "machines", "left out"} & {s.kind for s in doubts_of(results)}
    results.problems["line"].certificate["trusted"] = False
    results.trials["machine"] = ["abacus"] + ["slide rule"] * (len(results.trials) - 1)
    results.definition["left out"] = "3 trials of data or code changed since"
    said = {s.kind: s.text for s in doubts_of(results)}
    assert "found by hand for line" in said["optimum"]
    assert "2 machines (abacus and slide rule)" in said["machines"]
    assert "3 trials of data or code changed since" in said["left out"]


def doubts_of(results):
    return doubts(results, all_views(results))


def test_what_cannot_be_said(told):
    results, _, sentences = told
    rows = results.trials.to_dict("records")
    bad = Counter((r["status"], r["message"]) for r in rows if r["status"] not in WELL)
    said = {(s.kind, s.numbers["messages"][0]): s for s in sentences if "messages" in s.numbers}
    assert {k: s.numbers["trials"] for k, s in said.items()} == dict(bad)
    for (_, message), sentence in said.items():
        assert sentence.text.endswith(message)
        assert sentence.text.startswith(f"{sentence.numbers['trials']} trial")
    kinds = {s.kind: s for s in sentences}
    contended = sum(r["contended"] for r in rows)
    assert ("contended" in kinds) == bool(contended)
    if contended:
        assert kinds["contended"].text.startswith(f"{contended} trials")
    timed = Counter(key(r) for r in rows if r["status"] in WELL and not r["contended"])
    few = sum(count < 3 for count in timed.values())
    assert ("once" in kinds) == bool(few)
    if few:
        some = f"{few} of {len(timed)} settings were timed fewer than three times"
        assert kinds["once"].text.startswith(
            some if few < len(timed) else "No setting was timed three times"
        )
    seeds = {r["seed"] for r in rows if key(r)[2] is not None}
    assert ("one seed" in kinds) == (len(seeds) == 1)


def test_unstable_settings_are_named_with_their_spread(told):
    results, _, sentences = told
    unstable = {}
    for cell, trials in cells_of(results).items():
        by_seed = defaultdict(list)
        for t in trials:
            if t["status"] in WELL and not t["contended"]:
                by_seed[t["seed"]].append(t["seconds"])
        spreads = []
        for seconds in by_seed.values():
            if len(seconds) > 1:
                low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
                spreads.append((high - low) / middle)
        if spreads and statistics.median(spreads) > 0.1:
            unstable[cell] = statistics.median(spreads)
    said = [s for s in sentences if s.kind == "unstable"]
    assert bool(said) == bool(unstable)
    if said:
        assert said[0].numbers["settings"] == len(unstable)
        worst = max(unstable.values())
        assert re.search(rf"\({100 * worst:.0f} %\)", said[0].text)


def test_nothing_is_claimed_of_nothing():
    results = plant(optimizers=("Adam",), direct=(), devices=("cuda",))
    views = all_views(results)
    (sentence,) = findings(results, views)
    assert sentence.kind == "nothing"
    assert {s.kind for s in doubts(results, views)} == {"skipped", "timed out"} - {"timed out"}


def test_a_crossover_is_told_with_its_batch_size():
    results = plant(optimizers=("A",), direct=(), sizes=(1, 8, 64), mishaps=False)
    trials = results.trials
    slow = {("cpu", 1): 1.0, ("cuda", 1): 2.0, ("cpu", 8): 1.0, ("cuda", 8): 0.5,
            ("cpu", 64): 1.0, ("cuda", 64): 0.25}  # fmt: skip
    trials["seconds"] = [
        slow[d, b] for d, b in zip(trials["device"], trials["batch_size"], strict=True)
    ]
    sentences = findings(results, all_views(results))
    told = [s.text for s in sentences if s.kind == "device" and s.problem == "line"]
    assert told == ["For A, cuda has the lowest median seconds from batch size 8 on."]


def test_which_device_is_fastest(told):
    results, sentences, _ = told
    order = {1: 1, 2: 2, 4: 4, 8: 8, "full": math.inf}
    for problem in results.problems:
        medians = defaultdict(lambda: defaultdict(dict))
        for (name, optimizer, size, device, dtype), trials in cells_of(results).items():
            good = [t["seconds"] for t in trials if t["status"] in WELL and not t["contended"]]
            if name == problem and size is not None and good:
                medians[optimizer, dtype][order[size]][device] = statistics.median(good)
        said = [s for s in sentences if (s.kind, s.problem) == ("device", problem)]
        text = " ".join(s.text for s in said)
        for (optimizer, dtype), by_size in medians.items():
            fastest = [min(d, key=d.get) for _, d in sorted(by_size.items()) if len(d) > 1]
            if not fastest:
                continue
            turns = sum(a != b for a, b in pairwise(fastest))
            several = len(set(results.trials["dtype"])) > 1
            name = f"{optimizer} in {dtype}" if several else optimizer
            (mine,) = {s.text for s in said if name in s.numbers["optimizers"]}
            if turns > 1:
                assert "to and fro" in mine
            elif turns:
                assert f"{fastest[-1]} has the lowest median seconds from batch size" in mine
            else:
                assert f"{fastest[0]} has the lowest median seconds wherever" in mine
        assert bool(text) == any(len(d) > 1 for s in medians.values() for d in s.values())
