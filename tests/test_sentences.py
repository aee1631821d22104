"""The page's sentences, computed again from the raw tables by loops in plain Python."""

import math
import re
import statistics
from collections import defaultdict
from itertools import pairwise

import pytest

from optlab.report.words import share, times
from optlab.text import number
from tests.planted_results import plant
from tests.sentence_loops import (
    RANDOM,
    WELL,
    cell_said,
    cells_by_median,
    cells_of,
    findings_of,
    headline,
    median,
    named,
    only,
    paired,
    reached_by_cell,
    sure,
    timed_seconds,
    told_of,
)  # fmt: skip


@pytest.fixture(params=range(len(RANDOM)))
def told(request):
    return told_of(request.param)


def test_who_was_right(told):
    results, sentences, _ = told
    for problem in results.problems:
        digits = {}
        for cell, trials in cells_of(results).items():
            errors = [t["parameter_error"] for t in trials if t["status"] in WELL]
            if cell[0] == problem and errors:
                each = [min(15.95, max(0.0, -math.log10(e))) if e else 15.95 for e in errors]
                digits[cell] = statistics.median(each)
        check_nearest(only(sentences, "right", problem), digits, results, "")
        most = max(digits.values())
        batched = {c: value for c, value in digits.items() if c[2] is not None}
        nearest = only(sentences, "nearest with batches", problem)
        assert (nearest is not None) == bool(batched and max(batched.values()) < most - 0.3)
        if nearest:
            check_nearest(nearest, batched, results, " of methods with batches")


def check_nearest(sentence, digits, results, of):
    """Check who is said to be nearest, who as near, and whose seconds are told."""
    text, said, most = sentence.text, cell_said(sentence), max(digits.values())
    near = cells_by_median(results, [c for c, value in digits.items() if value >= most - 0.3])
    fast = near[0]
    if most < 1:
        assert digits[said] == most
        assert text.startswith("No method " + ("with batches " if of else "") + "got near")
        assert f"{named(said, results)}, has {most:.1f} digits" in text
        return
    if len(near) == len(digits) > 1:
        every = "Both settings" if len(near) == 2 else f"All {len(near)} settings"
        assert text.startswith(f"{every}{of} are equally near the optimum, within 0.3 digits")
        assert said == fast
        if cost := timed_seconds(results, fast):
            told = f"; {named(fast, results)} has the lowest median seconds: {sure(cost)}."
            assert text.endswith(told)
        return
    assert digits[said] == most
    start = f"Of methods with batches, {named(said, results)} comes nearest"
    start = start if of else f"{named(said, results)} is nearest the optimum"
    cost = timed_seconds(results, said)
    assert text.startswith(f"{start}: {most:.1f} digits" + (f" in {sure(cost)}" if cost else ""))
    assert ("within 0.3 digits of it" in text) == (len(near) > 1)
    if len(near) == 2:
        (other,) = {*near} - {said}
        assert f"; {named(other, results)} is within 0.3" in text
    if len(near) > 2:
        assert f"; {len(near) - 1} others are within 0.3" in text
        if timed_seconds(results, fast) and fast != said:
            assert f"of which {named(fast, results)} has the lowest median seconds" in text
            assert text.endswith(f": {sure(timed_seconds(results, fast))}.")
        assert text.endswith(", none with lower median seconds.") == bool(fast == said and cost)


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
        start = {0: f"None of the {len(hits)} settings", len(hits): f"All {len(hits)} settings"}
        assert sentence.text.startswith(start.get(good, f"{good} of {len(hits)} settings"))
        assert f"down to {share(f'{target:.0e}')} of" in sentence.text
        trial = "in every trial" if good or some else "in any trial"
        do = "" if good else " does" if some == 1 else " do"
        assert sentence.text.endswith(f"{trial}, {some}{do} in some." if some else f"{trial}.")


def alone_times(results, target, problem):
    """Return the seconds to a target of cells with batches that always get there."""
    times_of = {}
    for cell, hits in reached_by_cell(results, target).items():
        alone = [hit for trial, hit in hits if not trial["contended"]]
        if cell[0] == problem and cell[2] is not None and alone and all(h for _, h in hits):
            times_of[cell] = [s for s, _ in alone]
    return dict(sorted(times_of.items(), key=lambda one: median(one[1])))


def check_beside(text, ratio, low, high):
    """Check that one is called slower only where the interval of its paired ratio says so."""
    if math.isnan(low):
        assert f"is not shown to be slower ({times(ratio)} times as long" in text
        assert "too few repeats to say)" in text
    elif low > 1:
        assert re.search(rf"takes {times(ratio)} times as long[\w ]* \[{times(low)}, ", text)
        assert "not shown" not in text
    elif high >= 1:
        assert f"is not shown to be slower ({times(ratio)} times as long" in text
        assert f" [{times(low)}, {times(high)}])" in text
    else:
        assert f"no lower median, but repeat by repeat takes {times(ratio)}" in text


def test_who_was_first(told):
    results, sentences, _ = told
    target = headline(results)
    hits = reached_by_cell(results, target)
    for problem in results.problems:
        found = alone_times(results, target, problem)
        sentence = only(sentences, "first", problem)
        if not found:
            assert sentence is None
            continue
        best, *others = found
        epochs = median([h[1] for _, h in hits[best]])
        assert sentence.text.startswith(f"{named(best, results)} has the lowest median seconds")
        assert f"among them: {sure(found[best])}, {number(epochs)} epoch" in sentence.text
        if not others:
            assert "next" not in sentence.text
            continue
        compared = {cell: paired(hits, best, cell) for cell in others}
        second = f"; next, {named(others[0], results)} "
        assert second in sentence.text
        check_beside(sentence.text.partition(second)[2].partition(";")[0], *compared[others[0]])
        slower = sum(low > 1 for _, low, _ in compared.values())
        assert sentence.numbers["slower"] == slower
        if len(others) > 1:
            count = {0: "none of the", len(others): "all"}.get(slower, f"{slower} of the")
            count = "both" if slower == len(others) == 2 else f"{count} {len(others)}"
            if slower == len(others) or slower > 1:
                assert sentence.text.endswith(f"; {count} others are shown slower.")
            else:
                assert sentence.text.endswith(f"; {count} others is shown slower.")


def test_the_batch_size_that_is_slowest(told):
    """Of the first one's batch sizes, the slowest that gets there every time is told."""
    results, sentences, _ = told
    target = headline(results)
    hits = reached_by_cell(results, target)
    for problem in results.problems:
        ordered = list(alone_times(results, target, problem))
        same = [c for c in ordered if (c[1], *c[3:]) == (ordered[0][1], *ordered[0][3:])]
        sentence = only(sentences, "batch size", problem)
        if len(same) < 2 or same[-1] == ordered[1]:  # that one stands in the sentence before
            assert sentence is None
            continue
        best, slow = same[0], same[-1]
        assert cell_said(sentence) == slow
        epochs = median([hit[1] for _, hit in hits[slow]])
        needs = f"{named(slow, results)} needs {number(epochs)} epoch"
        assert sentence.text.startswith(needs)
        assert f" for {share(f'{target:.0e}')}; it " in sentence.text
        assert f" times as long as batch size {best[2]}" in sentence.text
        check_beside(sentence.text, *paired(hits, best, slow))


def test_a_sentence_of_the_slowest_batch_size_is_among_the_random_results():
    """So that the test above cannot pass by never finding one."""
    results = plant(**RANDOM[3])
    assert any(s.kind == "batch size" for s in findings_of(results))


def test_the_experiments_own_target_is_what_is_spoken_of():
    results = plant(seed=2, mishaps=False, problems=("one",), devices=("cpu",))
    results.definition["stop_at"] = 2.5e-3
    sentences = findings_of(results)
    hits = {c: h for c, h in reached_by_cell(results, 2.5e-3).items() if c[2] is not None}
    assert all(hit for h in hits.values() for _, hit in h)
    assert only(sentences, "reached", "one").text == (
        f"All {len(hits)} settings of methods with batches reach the experiment's target, "
        "0.0025 of the starting suboptimality, in every trial."
    )
    first = only(sentences, "first", "one")
    times = {c: median([h[0] for _, h in hit]) for c, hit in hits.items() if all(h for _, h in hit)}
    assert first.numbers["seconds"] == min(times.values())
    assert "to 0.0025 among them" in first.text


def test_a_target_that_nobody_reached_is_spoken_of_too():
    results = plant(seed=2, mishaps=False, problems=("one",), direct=(), epochs=(1, 2))
    results.definition["stop_at"] = 1e-9
    sentence = only(findings_of(results), "reached", "one")
    assert sentence.text == (
        "None of the 24 settings of methods with batches reaches the experiment's target, 1e-9 of "
        "the starting suboptimality, in any trial."
    )


def few_cells(digits, seconds=None, sizes=(8,)):
    """Make results of one problem, with each optimizer's digits and seconds by repeat."""
    results = plant(problems=("line",), optimizers=tuple(digits), direct=(), devices=("cpu",),
                    sizes=sizes, mishaps=False, seeds=1, repeats=5)  # fmt: skip
    trials, traces = results.trials, results.traces
    trials["parameter_error"] = [10 ** -digits[name] for name in trials["optimizer"]]
    traces["suboptimality"] = 5 * 0.9 ** traces["epoch"]
    for row in trials.to_dict("records") if seconds else ():
        took = seconds[row["optimizer"]][row["repeat"] - 1]
        trials.loc[trials["trial"] == row["trial"], "seconds"] = took
        mine = traces["trial"] == row["trial"]
        traces.loc[mine, "seconds"] = took * traces.loc[mine, "epoch"] / traces["epoch"].max()
    return results


def said_of(results, kind):
    return only(findings_of(results), kind, "line").text


def test_the_nearest_is_named_with_its_own_digits_though_another_as_near_is_faster():
    fast, slow = [1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.1, 2.2, 2.3, 2.4]
    seconds = {"A": fast, "B": slow, "C": slow}
    text = said_of(few_cells({"A": 4.8, "B": 5.06, "C": 2.0}, seconds), "right")
    assert text == (
        "B at batch size 8 is nearest the optimum: 5.1 digits in 2.2 s [2 s, 2.4 s]; "
        "A at batch size 8 is within 0.3 digits of it, in 1.2 s [1 s, 1.4 s]."
    )
    text = said_of(
        few_cells({"A": 4.8, "B": 5.06, "C": 4.9, "D": 1}, seconds | {"D": slow}), "right"
    )
    assert text.startswith("B at batch size 8 is nearest the optimum: 5.1 digits in 2.2 s")
    assert text.endswith(
        "; 2 others are within 0.3 digits of it, of which A at batch size 8 has the lowest median "
        "seconds: 1.2 s [1 s, 1.4 s]."
    )


def test_nobody_is_called_near_below_one_digit_and_nobody_nearest_where_all_are_alike():
    far = said_of(few_cells({"A": 0.9, "B": 0.8}), "right")
    assert far.startswith("No method got near the optimum: the nearest, A at batch size 8, has 0.9")
    none = said_of(few_cells({"A": 0.0, "B": 0.0}), "right")
    assert none == "No method got near the optimum: 0.0 digits at best."
    alike = said_of(few_cells({"A": 7.0, "B": 7.2, "C": 7.1}), "right")
    assert alike.startswith(
        "All 3 settings are equally near the optimum, within 0.3 digits (7.0 to"
    )
    both = said_of(few_cells({"A": 7.0, "B": 7.0}), "right")
    assert both.startswith("Both settings are equally near the optimum, within 0.3 digits (7.0); ")


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ([2.0, 0.9, 3.15, 3.5, 3.9], "is not shown to be slower (0.895 times as long [0.492, "),
        ([100, 1.8, 2.7, 3.6, 4.5], "has no lower median, but repeat by repeat takes 0.900 times"),
        ([2.2, 4.4, 6.6, 8.8, 11.0], "takes 2.20 times as long [2.20, "),
    ],
)
def test_a_higher_median_is_called_slower_only_where_the_pairs_are(second, told):
    first = [1.0, 2.0, 3.0, 4.0, 5.0]
    results = few_cells({"A": 5.0, "B": 5.0}, {"A": first, "B": second})
    text = said_of(results, "first")
    assert text.startswith("A at batch size 8 has the lowest median seconds")
    assert f"; next, B at batch size 8 {told}" in text


def test_where_all_ran_beside_others_it_is_said_that_nobody_is_ranked():
    results = few_cells({"A": 5.0, "B": 4.0})
    assert only(findings_of(results), "not ranked", "line") is None
    results.trials["contended"] = True
    assert only(findings_of(results), "first", "line") is None
    assert said_of(results, "not ranked") == (
        "All 10 trials that ended with an answer ran beside others: who was fast cannot be said. "
        "Run them again one at a time to learn it."
    )
    results.trials["contended"] = results.trials["optimizer"] == "A"
    mine = results.trials.loc[results.trials["optimizer"] == "B", "trial"]
    results.traces.loc[results.traces["trial"].isin(mine), "suboptimality"] = 5.0
    assert said_of(results, "not ranked").startswith(
        "The trials of those that got there ran beside"
    )


def test_intervals_of_few_trials_say_so_and_count_those_that_ran_alone():
    seconds = {"A": [1.0, 1.1, 1.2, 1.3, 9.0], "B": [2.0] * 5}
    results = few_cells({"A": 5.0, "B": 4.0}, seconds)
    assert " among them: 1.2 s [1 s, 9 s], " in said_of(results, "first")
    results.trials["contended"] = results.trials["trial"] == 4  # A's that took 9 s
    assert " among them: 1.15 s (1 s to 1.3 s in 4 trials), " in said_of(results, "first")
    assert " digits in 1.15 s (1 s to 1.3 s in 4 trials)." in said_of(results, "right")


def test_that_nobody_came_down_to_a_tenth_is_said():
    results = few_cells({"A": 0.5, "B": 0.4})
    results.traces["suboptimality"] = 5.0
    assert said_of(results, "reached") == (
        "Neither of the 2 settings of methods with batches comes down to 0.1 of the starting "
        "suboptimality in any trial."
    )


@pytest.mark.parametrize(
    ("names", "there", "told"),
    [
        ("A", 5, "The only setting of methods with batches comes down to "),
        ("A", 3, "The only setting of methods with batches does not come down to "),
        ("AB", 10, "Both settings of methods with batches come down to "),
        ("ABC", 15, "All 3 settings of methods with batches come down to "),
        ("ABC", 5, "1 of 3 settings of methods with batches comes down to "),
        ("ABC", 3, "None of the 3 settings of methods with batches comes down to "),
    ],
)
def test_counts_are_grammatical(names, there, told):
    results = few_cells(dict.fromkeys(names, 5.0))
    results.traces.loc[results.traces["trial"] >= there, "suboptimality"] = 5.0
    text = said_of(results, "reached")
    assert text.startswith(told)
    ends = {("A", 3): ", but does in some.", ("ABC", 3): ", 1 does in some."}
    assert text.endswith(ends.get((names, there), "in every trial."))


def test_a_crossover_is_told_with_its_batch_size():
    results = plant(optimizers=("A",), direct=(), sizes=(1, 8, 64), mishaps=False)
    trials = results.trials
    slow = {("cpu", 1): 1.0, ("cuda", 1): 2.0, ("cpu", 8): 1.0, ("cuda", 8): 0.5,
            ("cpu", 64): 1.0, ("cuda", 64): 0.25}  # fmt: skip
    trials["seconds"] = [
        slow[d, int(b)] for d, b in zip(trials["device"], trials["batch"], strict=True)
    ]
    sentences = findings_of(results)
    told = [s.text for s in sentences if s.kind == "device" and s.problem == "line"]
    assert told == ["For A, cuda has the lowest median seconds from batch size 8 on."]


def test_of_many_crossovers_the_most_frequent_are_told_and_the_others_counted():
    names = "ABCDEFG"
    results = plant(problems=("line",), optimizers=tuple(names), direct=(),
                    sizes=(1, 8, 64, "full"),
                    mishaps=False)  # fmt: skip
    first = dict(zip(names, (0, 1, 1, 2, 2, 2, 3), strict=True))  # where cuda takes over
    place = {"1": 0, "8": 1, "64": 2, "full": 3}
    results.trials["seconds"] = [
        0.5 if (row["device"] == "cuda") == (place[row["batch"]] >= first[row["optimizer"]])
        else 1.0
        for row in results.trials.to_dict("records")
    ]  # fmt: skip
    told = [s.text for s in findings_of(results) if s.kind == "device"]
    assert told == [
        "For D, E and F, cuda has the lowest median seconds from batch size 64 on.",
        "For B and C, cuda has the lowest median seconds from batch size 8 on.",
        "For 2 more the fastest device is told in the table of batch sizes.",
    ]


def test_which_device_is_fastest(told):
    results, sentences, _ = told
    order = {"1": 1, "2": 2, "4": 4, "8": 8, "full": math.inf}
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
            if mine.startswith("For ") and "more the fastest device is told" in mine:
                assert len(said) == 3
            elif turns > 1:
                assert "to and fro" in mine
            elif turns:
                assert f"{fastest[-1]} has the lowest median seconds from batch size" in mine
            else:
                assert f"{fastest[0]} has the lowest median seconds wherever" in mine
        assert bool(text) == any(len(d) > 1 for s in medians.values() for d in s.values())
