"""The words of findings and caveats, as tests/data/sentences.md has them.

OPTLAB_GOLDEN=write python -m pytest tests/test_sentences.py writes that file anew; read what has
changed before you commit it. The numbers are checked in test_findings.py.
"""

import os
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.lab.tables import batch_column
from optlab.report.findings.all_findings import findings, problem_findings
from optlab.report.findings.caveats import caveats
from optlab.report.views import views_of
from optlab.report.views.time_to_target import common_target
from tests.planted_results import facts, plant

GOLDEN = Path(__file__).parent / "data" / "sentences.md"
HEADER = """# The words of findings and caveats

Written by `OPTLAB_GOLDEN=write python -m pytest tests/test_sentences.py`. A heading names the
results that the sentences are made from: see that file.
"""

ONE_THREAD = {"torch threads": "4", "threads of a trial": "1"}

FAST, MIDDLE, SLOW = ([start + 0.1 * i for i in range(5)] for start in (1.0, 1.5, 2.0))


def cells(digits, seconds=None, reached=None):
    """Make results of one problem: each optimizer's digits, seconds by repeat, reached trials."""
    results = plant(problems=("line",), optimizers=tuple(digits), direct=(), devices=("cpu",),
                    sizes=(8,), mishaps=False, seeds=1, repeats=5)  # fmt: skip
    trials, traces = results.trials, results.traces
    trials["parameter_error"] = [10 ** -digits[name] for name in trials["optimizer"]]
    traces["suboptimality"] = 5 * 0.9 ** traces["epoch"]
    if reached is not None:
        traces.loc[traces["trial"] >= reached, "suboptimality"] = 5.0
    if seconds:
        trials["seconds"] = [
            seconds[name][repeat - 1]
            for name, repeat in zip(trials["optimizer"], trials["repeat"], strict=True)
        ]
        share = traces["epoch"] / traces["epoch"].max()
        traces["seconds"] = share * traces["trial"].map(trials.set_index("trial")["seconds"])
    return results


def paced(factors, *, repeats=5, sizes=(8,)):
    """Make results of optimizers that take some times the first one's seconds, in turns."""
    results = plant(problems=("line",), optimizers=tuple(factors), direct=(), sizes=sizes,
                    devices=("cpu",), mishaps=False, seeds=1, repeats=repeats)  # fmt: skip
    results.trials["seconds"] = [
        factors[row["optimizer"]][row["repeat"] % 2] * (1 + 0.001 * row["repeat"])
        for row in results.trials.to_dict("records")
    ]
    return results


def on_devices(cuda_from, sizes=(1, 8, 64)):
    """Make results in which cuda is the faster device at the given batch sizes."""
    results = plant(problems=("line",), optimizers=tuple(cuda_from), direct=(), sizes=sizes,
                    mishaps=False, seeds=1)  # fmt: skip
    results.trials["seconds"] = [
        0.5 if (row["device"] == "cuda") == (row["batch"] in cuda_from[row["optimizer"]].split())
        else 1.0
        for row in results.trials.to_dict("records")
    ]  # fmt: skip
    return results


def limit(results):
    """Put into results all that the caveats speak of."""
    trials = results.trials
    line = results.problems["line"]
    results.problems["line"] = replace(line, reference=replace(line.reference, trusted=False))
    trials["machine"] = ["abacus"] + ["slide rule"] * (len(trials) - 1)
    results.definition["left out"] = "3 trials of data or code changed since"
    results.definition["settings"] = "epochs 3 and 5"
    results.definition["files"] = {f"{name}.db": {"problems": {"line": "..."}} for name in "abc"}
    trials.loc[[0, 1], "cores_short"] = [0.3, 1.25]
    trials.loc[2, ["cores_short", "contended"]] = [3.0, True]
    bad = (trials["optimizer"] == "B") & (trials["problem"] == "plane") & (trials["seed"] == 0)
    bad &= trials["batch"] == "1"
    trials.loc[bad, "status"] = "diverged"
    trials.loc[bad, "message"] = [f"the loss is {k}.5e+1{k} times its start" for k in range(5)]
    trials.loc[trials["optimizer"] == "C", ["status", "message"]] = ["skipped", "needs a GPU"]
    trials.loc[trials.index[-1], ["status", "message"]] = ["crashed", ""]


def of_one_device():
    """Return results by a title, with the kinds of sentences that are shown."""
    digits, seconds = {"A": 4.8, "B": 5.06, "C": 2.0}, {"A": FAST, "B": SLOW, "C": SLOW}
    third = cells(digits | {"C": 4.9, "D": 1}, seconds | {"D": SLOW})
    found = {
        "the nearest is named though another is faster": (cells(digits, seconds), "accuracy"),
        "two of several are as near": (third, "accuracy"),
        "none is near": (cells({"A": 0.9, "B": 0.8}, seconds), "accuracy"),
        "no digit": (cells({"A": 0.0, "B": 0.0}), "accuracy"),
        "three are alike": (cells({"A": 7.0, "B": 7.2, "C": 7.1}, seconds), "accuracy"),
        "both are alike": (cells({"A": 7.0, "B": 7.0}, seconds), "accuracy"),
    }
    for names, there in (("A", 5), ("A", 3), ("AB", 10), ("ABC", 15), ("ABC", 5), ("ABC", 3),
                         ("AB", 0)):  # fmt: skip
        results = cells(dict.fromkeys(names, 5.0), reached=there)
        found[f"{there} of {results.trials.shape[0]} trials reach the target"] = results, "reached"
    first = [1.0, 2.0, 3.0, 4.0, 5.0]
    for name, second in {
        "has the lower pairs": [2.0, 0.9, 3.15, 3.5, 3.9],
        "is faster in pairs": [100, 1.8, 2.7, 3.6, 4.5],
        "is slower": [2.2, 4.4, 6.6, 8.8, 11.0],
    }.items():
        results = cells({"A": 5.0, "B": 5.0}, {"A": first, "B": second})
        found[f"the second {name}"] = results, "fastest"
    results = cells({"A": 5.0, "B": 4.0}, {"A": [1.0, 1.1, 1.2, 1.3, 9.0], "B": SLOW})
    results.trials.loc[4, "contended"] = True
    found["four trials ran alone"] = results, "accuracy, fastest"
    results = cells(dict.fromkeys("ABC", 5.0), {"A": FAST, "B": MIDDLE, "C": SLOW})
    found["all others are slower"] = results, "fastest"
    results = cells({"A": 5.0, "B": 4.0})
    results.trials["contended"] = True
    found["all ran beside others"] = results, "not ranked, fastest"
    results = cells({"A": 5.0, "B": 4.0}, reached=5)
    results.trials.loc[:4, "contended"] = True
    found["those that reached the target ran beside others"] = results, "not ranked, fastest"
    few = paced({"A": (1, 1), "B": (1.5, 1.5), "C": (1e-3, 1e-3)}, repeats=2, sizes=(1, 8))
    found["too few pairs"] = few, "ratio"
    both = paced({"A": (1, 1), "B": (1.5, 1.6), "C": (0.01, 0.011)})
    found["one is faster, one slower"] = both, "ratio"
    found["no difference is shown"] = paced({"A": (1, 1), "B": (0.2, 1.9)}), "ratio"
    factors = {"A": (1, 1)} | dict.fromkeys("BCDEF", (2, 2)) | {"G": (0.5, 0.5), "H": (0.2, 1.9)}
    found["many ratios"] = paced(factors), "ratio"
    found["many ratios of one verdict"] = paced(dict(list(factors.items())[:6])), "ratio"
    sizes = plant(seed=1, problems=("line",), optimizers=("A",), direct=(), devices=("cpu",),
                  mishaps=False)  # fmt: skip
    found["batch sizes"] = sizes, "fastest, batch size"
    long = [f"{letter}{'x' * 120}" for letter in "ABCD"]
    long = dict(zip(long, [(1, 1), (2, 2), (2, 2), (0.5, 0.5)], strict=True))
    found["long names"] = paced(long), "ratio"
    return found


def of_two_devices():
    """Return results by a title, with the kinds of sentences that are shown."""
    turns = dict(zip("ABCDEFG", ["1 8 64", "8 64", "8 64", *["64"] * 3, ""], strict=True))
    return {
        "one device is the fastest": (on_devices({"A": "", "B": ""}), "device"),
        "two crossovers": (on_devices({"A": "8"}), "device"),
        "many crossovers": (on_devices(turns), "device"),
    }


def together(named):
    """Return results that hold each of some results as a problem of its title."""
    trials, traces, number = [], [], 0
    for title, (results, _) in named.items():
        trials.append(results.trials.assign(problem=title, trial=results.trials["trial"] + number))
        traces.append(results.traces.assign(trial=results.traces["trial"] + number))
        number += len(results.trials)
    problems = {title: facts(title) for title in named}
    tables = [pd.concat(parts, ignore_index=True) for parts in (trials, traces)]
    tables[0]["batch"] = batch_column(tables[0]["batch"])
    return ResultTables("together", *tables, problems)


def found_together(named):
    """Yield each title with its findings; the target is the one that its own cells reach."""
    results = together(named)
    views = views_of(results)
    table = views["target"].table
    for title, (_, kinds) in named.items():
        target = common_target(table[table["problem"] == title])
        said = problem_findings(results, views, title, target)
        yield title, [s for s in said if s.kind in kinds.split(", ")]


def found_alone():
    """Yield titles with the findings and caveats of all of some results."""
    own = cells({"A": 5.0})
    own.definition["stop_at"] = 2.5e-3
    yield "the experiment's own target", of_kinds(own, "reached", "fastest")
    several = plant(problems=("line", "plane"), optimizers=("A", "B", "C"), direct=(), seeds=1,
                    sizes=(1, 8), devices=("cpu",), repeats=5, mishaps=False)  # fmt: skip
    limit(several)
    yield "limits", caveats(several, views_of(several))
    unstable = cells({"A": 5.0, "B": 5.0}, {"A": [1.0] * 5, "B": [1.0, 2.0, 3.0, 1.0, 2.0]})
    yield "an unstable setting", of_kinds(unstable, "unstable")
    once = plant(problems=("line",), devices=("cpu",), repeats=1, seeds=2, mishaps=False)
    yield "nothing is repeated", of_kinds(once, "once", "not repeated")
    for title, slow in (("numba is missing", ""), ("numba was asked for", "needs numba on cpu: ")):
        bare = replace(cells({"A": 5.0, "FusedSGD": 5.0}), machine={"numba": "not installed"})
        is_fused = bare.trials["optimizer"] == "FusedSGD"
        if slow:
            message = f"FusedSGD {slow}pip install optlab[fast]"
            bare.trials.loc[is_fused, ["status", "message"]] = ["skipped", message]
        yield title, of_kinds(bare, "without numba", "skipped")
    failed = cells({"A": 5.0})
    failed.trials["status"] = "failed"
    yield "no answer", of_kinds(failed, "nothing")
    busy = cells({"A": 5.0})
    busy.trials["cores_short"] = 0.5
    yield "crowded on one thread", of_kinds(replace(busy, machine=ONE_THREAD), "crowded")
    four = plant(problems=tuple("abcd"), optimizers=("A",), direct=(), sizes=(8,), seeds=1,
                 repeats=1, devices=("cpu",), mishaps=False)  # fmt: skip
    yield "four problems", of_kinds(four, "more")


def of_kinds(results, *kinds):
    views = views_of(results)
    said = [*findings(results, views), *caveats(results, views)]
    return [s for s in said if s.kind in kinds]


def test_the_words_are_those_of_the_golden_file():
    parts = [HEADER]
    found = [found_together(of_one_device()), found_together(of_two_devices()), found_alone()]
    for title, said in chain.from_iterable(found):
        assert said, title  # a heading without a sentence keeps nothing
        parts.append("\n".join([f"## {title}", *(f"- {s.kind}: {s.text}" for s in said), ""]))
    text = "\n".join(parts)
    if os.environ.get("OPTLAB_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()
