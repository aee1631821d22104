"""The sentence on ratios, computed again from the raw tables by loops in plain Python."""

import math
import re
from collections import Counter, defaultdict

import pytest

from optlab.report.words import times
from tests.planted_results import plant
from tests.sentence_loops import RANDOM, WELL, cells_of, findings_of, only, ratio_of, told_of


@pytest.fixture(params=range(len(RANDOM)))
def told(request):
    return told_of(request.param)


def test_how_all_compare_with_the_first(told):
    """Ratios by loops: the trimmed mean of the logarithms of pairs of one seed and repeat."""
    results, sentences, _ = told
    cells = cells_of(results)
    for problem in results.problems:
        found = {}
        for baseline in dict.fromkeys(results.trials["optimizer"]):
            found = ratios_by_loops(cells, problem, baseline)
            if any(ratio for found_of in found.values() for ratio in found_of):
                break
        found = {name: compared for name, compared in found.items() if any(compared)}
        sentence = only(sentences, "ratio", problem)
        if not found:
            assert sentence is None
            continue
        assert sentence.text.startswith(f"Beside {baseline}")
        assert sentence.numbers["baseline"] == baseline
        assert set(sentence.numbers["ratios"]) == set(found)
        assert len(sentence.text) <= 250
        counted = []
        for name, compared in found.items():
            ratios = [ratio for ratio, _, _ in filter(None, compared)]
            ends = sentence.numbers["ratios"][name]
            assert ends == pytest.approx((min(ratios), max(ratios)))
            part = re.search(
                rf"{re.escape(name)} (?P<amount>(?:is|takes) [^(]*?)"
                rf"(?: \((?P<said>[^)]*)\))?(?:\.$|, (?=\w+ (?:is|takes))| and )",
                sentence.text,
            )
            if part is None:  # one of those that are only counted
                counted.append(verdicts_of(compared))
                continue
            each = re.search(r"\(each ([^)]*)\)", sentence.text)
            check_amount(part["amount"], compared)
            check_caveats(each[1] if each else part["said"] or "", compared)
        check_counted(sentence.text, counted)


def verdicts_of(compared):
    """Return how many comparisons show faster and slower."""
    made = [c for c in compared if c and not math.isnan(c[1])]
    return sum(high < 1 for _, _, high in made), sum(low > 1 for _, low, _ in made)


def check_amount(amount, compared):
    """Check the words: faster and slower where one side of 1 is all there is, and in the ratio."""
    made = [c for c in compared if c]
    low, high = min(ratio for ratio, _, _ in made), max(ratio for ratio, _, _ in made)
    too_few = all(math.isnan(c[1]) for c in made)
    ends, form = (low, high), "takes {} times its seconds"
    if (sum(verdicts_of(compared)) or too_few) and high < 1:
        ends, form = (1 / high, 1 / low), "is {} times faster"
    elif (sum(verdicts_of(compared)) or too_few) and low > 1:
        form = "is {} times slower"
    ends = list(dict.fromkeys(map(times, ends)))
    assert amount.startswith(form.format(" to ".join(ends)))
    assert ("[" in amount) == (len(made) == 1 and not too_few)


def check_caveats(said, compared):
    made = [c for c in compared if c]
    low, high = min(ratio for ratio, _, _ in made), max(ratio for ratio, _, _ in made)
    faster, slower = verdicts_of(compared)
    n = len(compared)
    too_few = all(math.isnan(c[1]) for c in made)
    assert ("too few pairs" in said) == too_few
    assert ("no difference shown" in said) == (not faster and not slower and not too_few)
    left = n - len(made)
    assert (f"{left} without pairs that ended alike" in said) == bool(left)
    whole = n > 1 and n in (faster, slower)
    assert (f"in {'both' if n == 2 else f'all {n}'} comparisons" in said) == whole
    if (faster or slower) and n > 1 and not whole:
        if high < 1 or low > 1:
            assert f"shown in {faster or slower} of {n} comparisons" in said
        for verdict, count in (("faster", faster), ("slower", slower)) if low < 1 < high else ():
            assert (f"{verdict} in {count}" in said) == bool(count)


def check_counted(text, counted):
    """Check the verdicts on those who are only counted."""
    rest = re.search(r" and (\d+) more(.*)\.$", text)
    assert (int(rest[1]) if rest else 0) == len(counted)
    kinds = Counter(
        "mixed" if faster and slower
        else "shown faster" if faster else "shown slower" if slower else "not told apart"
        for faster, slower in counted
    )  # fmt: skip
    for kind, count in kinds.items():
        assert (f"{count} {kind}" if len(kinds) > 1 else kind) in rest[2]


def ratios_by_loops(cells, problem, baseline):
    """Return each optimizer's comparisons: ratio, low and high, or None without pairs."""
    found = defaultdict(list)
    theirs = {c: t for c, t in cells.items() if c[0] == problem and c[1] == baseline}
    for cell, trials in cells.items():
        if cell[0] != problem or cell[1] == baseline:
            continue
        for other, others in theirs.items():
            if cell[3:] != other[3:] or (None not in (cell[2], other[2]) and cell[2] != other[2]):
                continue
            by_run = {(t["seed"], t["repeat"]): t for t in others}
            logs, ran = [], True
            for mine in trials:
                its = by_run[mine["seed"], mine["repeat"]]
                ran &= "skipped" not in (mine["status"], its["status"])
                good = {mine["status"], its["status"]} <= WELL and mine["status"] == its["status"]
                if good and not (mine["contended"] or its["contended"]):
                    logs.append(math.log(mine["seconds"] / its["seconds"]))
            if ran:
                found[cell[1]].append(ratio_of(logs) if logs else None)
    return found


def paced(factors, *, repeats=5, sizes=(8,), direct=()):
    """Make results of one problem: optimizers that take some times the first one's seconds."""
    results = plant(problems=("line",), optimizers=tuple(factors), direct=direct, sizes=sizes,
                    devices=("cpu",), mishaps=False, seeds=1, repeats=repeats)  # fmt: skip
    results.trials["seconds"] = [
        factors[row["optimizer"]][row["repeat"] % 2] * (1 + 0.001 * row["repeat"])
        for row in results.trials.to_dict("records")
    ]
    return results


def said_of(results):
    return only(findings_of(results), "ratio", "line").text


def test_ratios_below_one_are_told_as_times_faster_and_shared_doubts_once():
    results = paced({"A": (1, 1), "B": (1.5, 1.5), "C": (0.001, 0.001)}, repeats=2, sizes=(1, 8))
    assert said_of(results) == (
        "Beside A at each batch size, B is 1.50 times slower and C is 1 000 times faster "
        "(each by too few pairs to be sure)."
    ).replace("1 000", "1\u202f000")
    results = paced({"A": (1, 1), "B": (1.5, 1.6), "C": (0.01, 0.011)}, sizes=(8,))
    assert re.fullmatch(
        r"Beside A at batch size 8, B is 1\.5\d times slower \[1\.\d\d, 1\.\d\d\] and "
        r"C is 9\d\.\d times faster \[\d\d\.\d, \d+(\.\d)?\]\.",
        said_of(results),
    )


def test_what_is_not_shown_is_called_neither_faster_nor_slower():
    text = said_of(paced({"A": (1, 1), "B": (0.2, 1.9)}))
    assert re.match(r"Beside A at batch size 8, B takes \S+ times its seconds \[0\.", text)
    assert "no difference shown" in text


def test_three_at_most_are_told_and_the_others_counted_by_verdict():
    factors = {"A": (1, 1)} | dict.fromkeys("BCDEF", (2, 2)) | {"G": (0.5, 0.5)}
    factors |= {"H": (0.2, 1.9)}
    text = said_of(paced(factors))
    assert text.count(" slower [") == 3
    assert re.search(r" and 4 more: 1 shown faster, 2 shown slower, 1 not told apart\.$", text)
    assert re.search(
        r"\] and 2 more, shown slower\.$", said_of(paced(dict(list(factors.items())[:6])))
    )


def test_long_names_are_counted_rather_than_told():
    names = [f"{letter}{'x' * 120}" for letter in "ABCD"]
    factors = dict(zip(names, [(1, 1), (2, 2), (2, 2), (0.5, 0.5)], strict=True))
    assert said_of(paced(factors)) == (
        f"Beside {names[0]} at batch size 8, of the 3 others 1 is shown faster, 2 are shown slower."
    )
