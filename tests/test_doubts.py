"""What cannot be said, counted again from the raw tables by loops in plain Python."""

import statistics
from collections import Counter, defaultdict

import pytest

from optlab.report.findings.caveats import caveats
from optlab.report.findings.findings import findings
from optlab.report.views import all_views
from tests.planted_results import plant
from tests.sentence_loops import RANDOM, WELL, cells_of, doubts_of, key, told_of


@pytest.fixture(params=range(len(RANDOM)))
def told(request):
    return told_of(request.param)


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
        were = "settings was" if few == 1 else "settings were"
        some = f"{few} of {len(timed)} {were} timed fewer than three times"
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
        told = f"({100 * worst:.0f} %)" if len(unstable) > 1 else f"of {100 * worst:.0f} %."
        assert told in said[0].text
        assert ("settings are unstable" in said[0].text) == (len(unstable) > 1)


def test_nothing_is_claimed_of_nothing():
    results = plant(optimizers=("Adam",), direct=(), devices=("cuda",))
    views = all_views(results)
    (sentence,) = findings(results, views)
    assert sentence.kind == "nothing"
    assert {s.kind for s in doubts(results, views)} == {"skipped"}
    results = plant(mishaps=False)
    results.trials["status"] = "failed"
    results.definition["stop_at"] = 0.01
    assert [s.kind for s in findings(results, all_views(results))] == ["nothing"]


def test_one_unstable_setting_is_named():
    results = plant(problems=("line",), optimizers=("A", "B"), direct=(), devices=("cpu",),
                    sizes=(8,), mishaps=False)  # fmt: skip
    mine = results.trials["optimizer"] == "B"
    results.trials.loc[mine, "seconds"] = [1.0, 2.0, 3.0] * (mine.sum() // 3)
    (sentence,) = [s for s in doubts_of(results) if s.kind == "unstable"]
    assert sentence.text.startswith(
        "The seconds of B at batch size 8 are unstable, with a spread over repeats (IQR / median) "
        "of 50 %. Ask for more repeats"
    )


def test_files_that_share_a_problem_did_not_run_in_turns():
    results = plant(mishaps=False)
    own = {"a.db": {"problems": {"line": "..."}}, "b.db": {"problems": {"plane": "..."}}}
    results.definition["files"] = own
    assert not [s for s in doubts_of(results) if s.kind == "files"]
    own["c.db"] = {"problems": {"line": "..."}}
    (sentence,) = [s for s in doubts_of(results) if s.kind == "files"]
    assert sentence.text.startswith("a.db, b.db and c.db ran at different times, not in turns: ")
    assert sentence.numbers["problems"] == ["line"]


def test_trials_on_a_crowded_machine_are_counted():
    results = plant(seed=1, mishaps=False)
    assert "crowded" not in {s.kind for s in doubts(results, all_views(results))}
    results.trials.loc[[0, 1], "cores_short"] = [0.3, 1.25]
    results.trials.loc[2, ["cores_short", "contended"]] = [3.0, True]
    results.trials.loc[3, ["cores_short", "status"]] = [3.0, "failed"]
    (said,) = [s for s in doubts(results, all_views(results)) if s.kind == "crowded"]
    assert said.text.startswith("While 2 trials ran, other processes used cores")
    assert "up to 1.2: " in said.text
