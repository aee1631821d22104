"""The parts of a comparison of two runs, on tables small enough to be computed by hand."""

from dataclasses import replace
from math import inf, log, nan
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from optlab.analysis.common_cells import common_cells
from optlab.analysis.comparison import SAME, TOO_FEW
from optlab.analysis.epochs_to_target import _crossing, common_target, epoch_pairs
from optlab.analysis.judge_pairs import NOT_COMPARED, judge_pairs
from optlab.analysis.one_reference import from_one_loss
from optlab.analysis.paired_runs import second_pairs, suboptimality_pairs
from optlab.analysis.run_changes import machine_changes, run_changes
from optlab.analysis.run_differences import METRICS, TOLERANCE, _checked
from optlab.analysis.same_problems import different_problems
from optlab.analysis.status_changes import status_changes
from optlab.lab.store.problem_summary import ReferenceSummary
from optlab.lab.trial.stopping import StopAt
from tests.planted_runs import CELLS, Cell, problem, run

# --- status -----------------------------------------------------------------------------------

STATUSES = [  # cell, device, old, new, its message, and the verdict of the cell
    ("as good", "cpu", "converged", "finished", "", SAME),
    ("diverges", "cpu", "diverged", "converged", "", "worse"),
    ("diverges", "cpu", "finished", "diverged", "too far", "worse"),
    ("as bad", "cpu", "failed", "crashed", "", SAME),
    ("in time", "cpu", "timed out", "diverged", "", "better"),
    ("too long", "cpu", "diverged", "timed out", "", "worse"),
    ("no error", "cpu", "failed", "timed out", "", "better"),
    ("given up", "cpu", "crashed", "skipped", "", "worse"),
    ("skipped", "cpu", "skipped", "skipped", "", NOT_COMPARED),
    ("runs now", "cpu", "skipped", "converged", "", "better"),
    ("new card", "cuda:0", "skipped", "converged", "", NOT_COMPARED),
    ("card", "cuda:0", "converged", "skipped", "refused", "worse"),
    ("lost", "mps", "converged", "skipped", "", NOT_COMPARED),
    ("stopped", "cpu", "interrupted", "converged", "", NOT_COMPARED),
    ("half", "cpu", "diverged", "converged", "", "better"),
    ("half", "cpu", "skipped", "skipped", "", "better"),
    ("other half", "cpu", "skipped", "skipped", "", "worse"),
    ("other half", "cpu", "converged", "diverged", "", "worse"),
]


def test_statuses_have_an_order_and_devices_that_a_machine_lacks_do_not_count():
    columns = ["cell", "device", "status_old", "status_new", "message_new", "verdict"]
    pairs = pd.DataFrame(STATUSES, columns=columns)
    machines = {"device cpu": "2 threads"}, {"device cuda:0": "a card"}
    table = status_changes(pairs.drop(columns="verdict"), machines).set_index("cell")
    assert table["verdict"].to_dict() == dict(zip(pairs["cell"], pairs["verdict"], strict=True))
    assert table["pairs"].to_dict() == {
        cell: 2 if cell == "diverges" else int(table["verdict"][cell] != NOT_COMPARED)
        for cell in table.index
    }
    said = {"as good": "", "as bad": "", "diverges": "finished, now diverged: too far"}
    said |= {"card": "converged, now skipped: refused", "in time": "timed out, now diverged"}
    said |= {"skipped": "skipped, now skipped", "stopped": "interrupted, now converged"}
    said |= {"half": "skipped, now skipped", "other half": "converged, now diverged"}
    assert table["message"][list(said)].to_dict() == said


# --- seconds ----------------------------------------------------------------------------------


def timed(*rows, **changes):
    """Pairs of (cell, repeat, old seconds, new seconds, old epochs, new epochs)."""
    columns = ["cell", "repeat", "seconds_old", "seconds_new", "epochs_old", "epochs_new"]
    alike = dict.fromkeys(["status_old", "status_new"], "converged")
    alike |= dict.fromkeys(["contended_old", "contended_new", "shared_old", "shared_new"], False)
    alike |= {f"{name}_{side}": 0 for side in ("old", "new") for name in ("trial", "message")}
    alike |= {f"suboptimality_{side}": 0.0 for side in ("old", "new")}
    return pd.DataFrame(rows, columns=columns).assign(**(alike | {"device": "cpu"} | changes))


def test_the_drift_is_the_median_cells_and_is_taken_from_each():
    rows = [("a", 1, 1, 2, 5, 5), ("b", 1, 1, 4, 0, 1), ("c", 1, 1, 6, 10, 20)]
    other = [("a", 2, 1, 8, 5, 5), ("b", 2, 1, 9, 5, 5)]  # of two cells it is not known
    found = second_pairs(timed(*rows, *other))
    assert list(found) == ["cell", "old", "new", "log_ratio", "left_out", "drift"]
    np.testing.assert_allclose(found["drift"], [log(3)] * 3 + [nan] * 2)
    expected = [log(2 / 3), log(4 / 3), log(2), log(8), log(9)]
    np.testing.assert_allclose(found["log_ratio"], expected)
    assert found[["old", "new"]].to_numpy().tolist()[1:3] == [[1, 4], [1, 6]]
    assert set(found["left_out"]) == {""}


def test_of_a_cells_seeds_the_median_counts_for_the_drift_and_devices_have_their_own():
    seeds = [("a", 1, 1, new, 1, 1) for new in (2, 3, 50)]
    rows = [*seeds, ("b", 1, 1, 5, 1, 1), ("c", 1, 1, 7, 1, 1)]
    both = pd.concat([timed(*rows), timed(*rows[-2:], device="cuda:0")], ignore_index=True)
    found = second_pairs(both)
    np.testing.assert_allclose(found["drift"], [log(5)] * 5 + [nan] * 2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status_old": "diverged"}, "did not end with an answer"),
        ({"status_new": "failed"}, "did not end with an answer"),
        ({"contended_old": True}, "ran beside others"),
        ({"contended_new": True, "shared_new": True}, "ran beside others"),
        ({"shared_old": True}, "ran in a sweep"),
        ({"shared_new": True, "status_new": "finished"}, "ran in a sweep"),
        ({"status_new": "finished"}, "reached stop_at in one of the two only"),
        ({"seconds_old": 0.0}, "took no time the clock could see"),
        ({"seconds_new": 0.0, "seconds_old": 0.0}, "took no time the clock could see"),
        ({"seconds_new": 3.0}, "is the same trial in both"),
    ],
)
def test_seconds_that_cannot_be_compared_say_why_and_move_no_drift(change, why):
    rows = [(cell, 1, 3.0, 6.0, 1, 1) for cell in "abc"]
    out = timed(("d", 1, 3.0, 30.0, 1, 1), **change)
    found = second_pairs(pd.concat([timed(*rows), out], ignore_index=True))
    assert found["left_out"].tolist() == ["", "", "", why]
    np.testing.assert_allclose(found["log_ratio"], [0, 0, 0, nan], atol=1e-15)
    np.testing.assert_allclose(found["drift"], log(2))


# --- suboptimality ----------------------------------------------------------------------------

SINGLE, DOUBLE = 2.0**-23, 64 * 2.0**-52
ENDS = [  # cell, dtype, trial, status old and new, ends old and new, expected
    ("plain", "float64", 1, "finished", "finished", 1e-2, 3e-2, log(3)),
    ("better", "float64", 1, "finished", "finished", 3e-2, 1e-2, -log(3)),
    ("single", "float32", 1, "finished", "finished", 1e-9, 1e-3, log(1e-3 / (10 * SINGLE))),
    ("double", "float64", 1, "finished", "finished", 0.0, 1e-12, log(1e-12 / (10 * DOUBLE))),
    ("no start", "float64", 3, "finished", "finished", 0.0, 1e-300, log(1e-300 / 2.0**-1022)),
    ("one there", "float64", 1, "converged", "finished", 1e-6, 1e-2, log(1e2)),
    ("new there", "float64", 1, "finished", "converged", 1e-2, 1e-6, -log(1e2)),
    ("no stop", "float64", 2, "finished", "converged", 1e-4, 1e-2, log(1e2)),
    ("unused stop", "float64", 1, "finished", "finished", 1e-6, 1e-5, log(10)),
    ("both there", "float64", 1, "converged", "converged", 1e-6, 1e-5, nan),
    ("broken", "float64", 1, "diverged", "finished", 1e-6, 1e-5, nan),
    ("unknown", "float64", 1, "finished", "finished", nan, 1e-5, nan),
    ("repeats", "float64", 1, "finished", "finished", 1.0, 2.0, log(4)),
    ("repeats", "float64", 1, "finished", "finished", 1.0, 4.0, log(4)),
    ("repeats", "float64", 1, "finished", "finished", 1.0, 64.0, log(4)),
]
LEFT_OUT = {
    "both there": "reached the target in both", "broken": "did not end with an answer",
    "unknown": "has no suboptimality",
}  # fmt: skip


@pytest.mark.parametrize("same", [True, False])
def test_suboptimality_counts_down_to_its_rounding_or_to_the_limit(same):
    names = ["cell", "dtype", "trial_new", "status_old", "status_new"]
    columns = [*names, "suboptimality_old", "suboptimality_new", "expected"]
    pairs = pd.DataFrame(ENDS, columns=columns).assign(seed=0)
    start, limit = pd.Series({1: -10.0, 2: 0.0}), pd.Series({1: 1e-4, 2: nan, 3: nan})
    found = suboptimality_pairs(pairs, start, limit, same_budget=same).set_index("cell")
    budget = "had another budget of epochs"
    known = dict.fromkeys(found.index, "" if same else budget) | LEFT_OUT
    known |= {} if same else {"unknown": budget}
    assert found["left_out"].to_dict() == known
    expected = pairs.drop_duplicates("cell")["expected"] if same else nan
    np.testing.assert_allclose(found["log_ratio"], expected, rtol=1e-12)
    assert found.loc["repeats", ["old", "new"]].tolist() == [1.0, 4.0]


# --- verdicts ---------------------------------------------------------------------------------


def judged(exact=True, tolerance=0.1, level=0.05, **cells):
    """Judge cells given as lists of ratios, those below 0 left out."""
    rows = [(cell, r) for cell, ratios in cells.items() for r in ratios]
    pairs = pd.DataFrame(rows, columns=["cell", "ratio"])
    pairs = pairs.assign(
        log_ratio=np.log(pairs["ratio"].abs()), old=1.0, new=pairs["ratio"],
        left_out=np.where(pairs["ratio"] < 0, "ran beside others", ""),
    )  # fmt: skip
    how = {"tolerance": tolerance, "level": level, "exact": exact}
    return judge_pairs(pairs, ("faster", "slower"), **how).set_index("cell")


def test_few_exact_pairs_differ_where_all_are_beyond_the_tolerance_to_one_side():
    cells = {"up": [1.2, 1.12], "down": [0.8, 0.9], "within": [1.2, 1.09], "across": [0.2, 1.2]}
    cells |= {"one": [1.11], "small": [1.05], "none": [-2.0, -3.0], "same": [1.0, 1.0]}
    table = judged(**cells)
    assert table["verdict"].tolist() == [
        "slower", "faster", SAME, SAME, "slower", SAME, NOT_COMPARED, SAME,
    ]  # fmt: skip
    assert table["pairs"].tolist() == [2, 2, 2, 2, 1, 1, 0, 2]
    np.testing.assert_allclose(table["ratio"]["up"], (1.2 * 1.12) ** 0.5)
    assert table[["ratio_low", "ratio_high", "p"]].isna().all(axis=None)
    assert table.loc["none", "message"] == "pairs left out: 2 ran beside others"
    assert np.isnan(table.loc["none", "ratio"])
    assert table.loc["up", "message"] == ""
    noisy = judged(exact=False, **cells)
    assert set(noisy["verdict"]) == {TOO_FEW, NOT_COMPARED}
    assert noisy.loc["none", "verdict"] == NOT_COMPARED


@pytest.mark.parametrize("exact", [True, False])
def test_more_pairs_need_a_small_p_value_and_a_large_ratio(exact):
    cells = {"up": [1.2, 1.21, 1.22], "down": [0.8, 0.81, 0.82], "noise": [1.0, 1.5, 4.0]}
    cells |= {"small": [1.05, 1.051, 1.052], "some": [1.3, 1.31, 1.29, -9.0]}
    table = judged(exact, **cells)
    assert table["verdict"].tolist() == ["slower", "faster", SAME, SAME, "slower"]
    assert (table["ratio_low"] < table["ratio"]).all()
    assert (table["ratio"] < table["ratio_high"]).all()
    assert table.loc["some", ["pairs", "old", "new"]].tolist() == [3, 1.0, 1.3]
    assert table.loc["some", "message"] == "pairs left out: 1 ran beside others"


def test_holm_counts_the_cells_in_which_anything_differs():
    row = [1.2, 1.3, 1.4]
    alone = judged(a=row)["p"]["a"]
    assert judged(a=row, b=[1.0] * 3)["p"]["a"] == alone
    assert judged(a=row, b=[1.0, 1.5, 4.0])["p"]["a"] == pytest.approx(2 * alone)


# --- epochs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "hit", "limit", "crossed"),
    [
        ([(0, 1.0), (10, 0.01), (20, 0.0001)], 20, 0.001, 15.0),
        ([(0, 1.0), (10, 0.01), (20, 0.0001)], 10, 0.1, 5.0),
        ([(0, 4.0), (8, 0.0)], 8, 1.0, 6.0),  # linear: 0 has no logarithm
        ([(2, 4.0), (10, -4.0)], 10, 2.0, 4.0),
        ([(0, 4.0), (8, 2.0)], 0, 5.0, 0.0),  # reached by the start
        ([(0, 4.0), (8, 2.0)], 8, inf, 8.0),
        ([(0, 2.0), (8, 2.0)], 8, 2.0, 8.0),
        ([(0, inf), (8, 2.0)], 8, 3.0, 8.0),
        ([(0, 4.0), (8, 2.0)], 8, 5.0, 0.0),  # within the ends
        ([(0, 4.0), (8, 2.0)], 8, 1.0, 8.0),
    ],
)
def test_a_crossing_is_interpolated_between_the_recorded_epochs(rows, hit, limit, crossed):
    assert _crossing(np.array(rows, dtype=float), hit, limit) == pytest.approx(crossed, abs=1e-12)


def experiment(stop_at):
    return SimpleNamespace(definition={"stop_at": stop_at})


def test_the_common_target_is_the_easier_of_two_shares_or_the_only_one():
    assert common_target(experiment(1e-3), experiment(1e-2)).share == 1e-2
    assert common_target(experiment(1e-3), experiment(1e-3)) == StopAt.of(1e-3)
    assert common_target(experiment(None), experiment(1e-3)) == StopAt.of(1e-3)
    value = {"measure": "loss", "share": None, "value": 2.0}
    assert common_target(experiment(value), experiment(value)).value == 2.0
    apart = common_target(experiment(value), experiment(1e-3))
    assert apart.startswith("the experiments stop at ")
    assert " and at " in apart
    other = {"measure": "gradient_norm", "share": 1e-3, "value": None}
    assert isinstance(common_target(experiment(other), experiment(1e-3)), str)
    assert common_target(experiment(None), experiment(None)).startswith("the experiments have no")


def traced(*trials):
    """Trials (cell, seed, repeat, status) with traces of suboptimality at epochs 0, 4, 8."""
    names = ["cell", "seed", "repeat", "status"]
    table = pd.DataFrame([t[:4] for t in trials], columns=names)
    table = table.assign(
        trial=range(len(table)), problem="p", optimizer=table["cell"], batch="full", device="cpu",
        dtype="float64", stage="measured", stop_scale=1.0, contended=False, shared=False,
        epochs=[4 * (len(t[4]) - 1) for t in trials], seconds=1.0, samples=1, steps=1,
    )  # fmt: skip
    rows = [
        (trial, 4 * k, value, value, 1.0 * k, k, k)
        for trial, (*_, values) in enumerate(trials)
        for k, value in enumerate(values)
    ]
    names = ["trial", "epoch", "suboptimality", "loss", "seconds", "samples", "steps"]
    return table, pd.DataFrame(rows, columns=names)


def test_epochs_to_a_target_are_paired_by_seed_and_censored_where_one_did_not_get_there():
    good, late, short = [1.0, 2e-3, 2e-5], [1.0, 2e-1, 2e-3], [1.0, 2e-1]
    at = [  # cell, old, new, status new
        ("same", good, good, "converged"), ("slower", [1.0, 1e-3], [1.0, 1e-1, 1e-3], "converged"),
        ("missed", good, late, "finished"), ("early", late, short, "finished"),
        ("neither", short, short, "finished"), ("broke", good, good, "failed"),
        ("ended", good, short, "finished"),
    ]  # fmt: skip
    old = traced(*((cell, 0, 1, "converged", before) for cell, before, *_ in at))
    new = traced(*((cell, 0, 1, status, after) for cell, _, after, status in at))
    found = epoch_pairs(old, new, StopAt("suboptimality", value=1e-3)).set_index("cell")
    assert found["left_out"].to_dict() == {
        "same": "", "slower": "", "missed": "", "early": "did not reach the target in either",
        "neither": "did not reach the target in either", "broke": "did not end with an answer",
        "ended": "ended before the target in one of the two",
    }  # fmt: skip
    assert found.loc["same", ["old", "new", "log_ratio"]].tolist() == [8, 8, 0]
    assert found.loc["slower", ["old", "new"]].tolist() == [4, 8]
    assert found.loc["slower", "log_ratio"] == pytest.approx(log(2))
    assert found.loc["missed", ["old", "new"]].tolist() == [8, inf]
    crossed = 4 + 4 * log(2) / log(100)
    assert found.loc["missed", "log_ratio"] == pytest.approx(log(8 / crossed))
    assert found.loc[["neither", "ended"], "log_ratio"].isna().all()
    back = epoch_pairs(new, old, StopAt("suboptimality", value=1e-3)).set_index("cell")
    assert back.loc["missed", "log_ratio"] == pytest.approx(-log(8 / crossed))
    assert back.loc["ended", "left_out"] == "ended before the target in one of the two"
    with pytest.raises(ValueError, match="no measure 'accuracy', at which a target stands"):
        epoch_pairs(old, new, StopAt("accuracy", value=1.0))


# --- what changed, and the problems -----------------------------------------------------------


def test_changes_are_listed_by_kind_each_once():
    code = {"optlab": {f"linalg/{k}.py": "1" for k in "abcdef"}, "optimizers": {"m0": "1"}}
    later = {"optlab": dict.fromkeys(code["optlab"], "2"), "optimizers": {"m0": "2"}}
    old = run({"m0": CELLS["m0"]}, code=code)
    machine = {"torch": "2.14", "cores": "4", "device cpu": "3 threads", "device cuda:0": "a card"}
    how = {"machine": machine | {"system": "Linux"}, "definition": {"seeds": (1, 2), "order": "x"}}
    new = run({"m0": CELLS["m0"]}, code=later, **how)
    changes = run_changes(old, new)
    assert [tuple(change) for change in changes] == [
        ("version", "torch", "2.13", "2.14"),
        ("code", "optlab's", "",
         "(linalg/a.py, linalg/b.py, linalg/c.py, linalg/d.py and 2 more)"),
        ("code", "that of", "", "m0, or of what it uses"),
        ("machine", "cores", "2", "4"),
        ("machine", "device cuda:0", "-", "a card"),
        ("machine", "system", "-", "Linux"),
        ("experiment", "order", "-", "x"),
        ("experiment", "seeds", "-", "1, 2"),
    ]  # fmt: skip
    assert [change.name for change in machine_changes(changes)] == ["cores", "device cuda:0"]
    four = {"optlab": later["optlab"] | {"linalg/a.py": "1", "linalg/b.py": "1"}}
    few = [c.new for c in run_changes(old, run(code=four)) if c.name == "optlab's"]
    assert few == ["(linalg/c.py, linalg/d.py, linalg/e.py, linalg/f.py)"]
    assert run_changes(old, old) == []
    unknown = run_changes(run(code={"optimizers": {}}), run(code=code), ("then", "now"))
    assert [c.name for c in unknown] == ["that of then is not known (written by results.save)"]
    # Results that were never in a file have no code to compare.
    assert run_changes(run(code={}), run(code=code)) == run_changes(run(code=code), run(code={}))
    assert run_changes(run(code={}), run(code=code)) == []


def test_two_own_optimizers_that_changed_are_told_as_several_and_optlabs_are_not():
    cells = {"a": Cell(), "b": Cell(), "c": Cell(optimizer="ManualSGD")}
    runs = [
        run(cells, code={"optlab": {"x": "1"}, "optimizers": dict.fromkeys(cells, k)}) for k in "12"
    ]
    assert [c.new for c in run_changes(*runs)] == ["a, b, or of what they use"]


def tables(facts, starts=(1.0,), seed=0):
    trials = pd.DataFrame({"trial": range(len(starts)), "problem": "p", "dtype": "float64"})
    trials["seed"] = seed + trials["trial"]
    traces = pd.DataFrame({"trial": trials["trial"], "epoch": 0, "loss": starts})
    later = traces.assign(epoch=1, loss=0.0)
    return SimpleNamespace(problems={"p": facts}, trials=trials, traces=pd.concat([traces, later]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"n": 12, "d": 2}, "the number of rows differs (10, now 12)"),
        ({"d": 2, "dtype": "float32"},
         ("the number of columns differs (1, now 2), "
          "the dtype of the data differs (float64, now float32)")),
        ({"data_hash": "xyz"}, "the data differs"),
        ({"data_hash": ""}, None),
        ({"feature_names": ("z",)}, "the names of the columns differ (('x',), now ('z',))"),
        ({"feature_names": ("a name of thirty letters...",)}, "the names of the columns differ"),
        ({"reference": ReferenceSummary("certified", 0.5)},
         "its least loss differs (0.25, now 0.5)"),
        ({"reference": ReferenceSummary("certified", 0.25 * (1 + 9e-7))}, None),
        ({"reference": ReferenceSummary("best known", 0.5)}, None),
        ({"reference": None}, None),
    ],
)  # fmt: skip
def test_problems_differ_by_a_fact_or_by_their_least_loss(change, why):
    found = different_problems(tables(problem()), tables(problem(**change)))
    assert found == ({} if why is None else {"p": why})


def test_problems_differ_where_a_common_seed_starts_at_another_loss():
    one, told = tables(problem(), (1.0, 2.0)), {"p": "the loss where a seed starts differs"}
    assert different_problems(one, tables(problem(), (1.0, 2.0 + 1e-6))) == {}
    assert different_problems(one, tables(problem(), (1.0, 2.1))) == told
    assert different_problems(one, tables(problem(), (nan, 2.0))) == {}
    assert different_problems(one, tables(problem(), (2.0, 9.0), seed=1)) == {}
    assert different_problems(one, tables(problem(), (2.0, 9.0), seed=5)) == {}


def test_without_a_reference_the_lesser_of_both_least_losses_counts():
    def side(least, losses, scale):
        trials = pd.DataFrame({"trial": [0, 1], "problem": ["p", "q"], "loss": losses})
        trials = trials.assign(suboptimality=9.0, stop_scale=scale)
        rows = [(0, 0, 8.0), (0, 1, losses[0]), (1, 0, 8.0), (1, 1, losses[1]), (2, 0, 7.0)]
        traces = pd.DataFrame(rows, columns=["trial", "epoch", "loss"]).assign(suboptimality=9.0)
        kinds = {"p": ReferenceSummary("best known", least), "q": ReferenceSummary("certified", 0)}
        facts = {name: problem(reference=kind) for name, kind in kinds.items()}
        return SimpleNamespace(problems=facts | {"r": problem(reference=None)}, traces=traces,
                               trials=trials)  # fmt: skip

    old, new = side(2.0, [2.0, 3.0], 6.0), side(1.5, [1.5, 3.0], 6.5)
    for way in [(old, new), (new, old)]:
        both = from_one_loss(*way, (way[0].trials, way[1].trials))
        for (trials, traces), own in zip(both, way, strict=True):
            assert trials["suboptimality"].tolist() == [own.trials["loss"][0] - 1.5, 9.0]
            assert trials["stop_scale"].tolist() == [6.5, own.trials["stop_scale"][1]]
            assert traces["trial"].tolist() == [0, 0, 1, 1]
            own_loss = own.trials["loss"][0]
            assert traces["suboptimality"].tolist() == [6.5, own_loss - 1.5, 9.0, 9.0]


def test_a_tolerance_is_a_share_of_all_metrics_that_are_asked_for():
    asked, tolerances = _checked(None, None)
    assert asked == list(METRICS)
    assert tolerances == TOLERANCE
    assert tolerances is not TOLERANCE
    for share in (0, 0.5):
        assert _checked(["epochs"], share) == (["epochs"], dict.fromkeys(TOLERANCE, share))
    for wrong in (-0.1, 1, nan):
        with pytest.raises(ValueError, match="at least 0 and below 1, not "):
            _checked(None, wrong)
    with pytest.raises(ValueError, match="not 'speed'"):
        _checked(["epochs", "speed"], None)


def test_cells_of_both_runs_are_matched_by_name_in_the_order_of_the_new_one():
    small = {"seeds": 1, "repeats": 1}
    old = run({"a": Cell(), "b": Cell(), "c": Cell()}, **small)
    new = run({"d": Cell(), "c": Cell(), "b": Cell(), "e": Cell()}, **small)
    found = common_cells(old, new)
    assert found.cells["optimizer"].tolist() == ["c", "b"]
    assert found.cells["cell"].tolist() == [0, 1]
    assert found.old[["optimizer", "written", "cell"]].to_numpy().tolist() == [
        ["b", "b", 1],
        ["c", "c", 0],
    ]
    assert found.new[["optimizer", "cell"]].to_numpy().tolist() == [["c", 0], ["b", 1]]
    assert found.only_old["optimizer"].tolist() == ["a"]
    assert found.only_new["optimizer"].tolist() == ["d", "e"]
    assert found.problems == {}


def test_an_old_optimizer_of_another_rate_does_not_meet_its_namesake():
    rates = ({"class": "SGD", "learning_rate": rate} for rate in (0.1, 0.2))
    cells = [
        {"SGD": Cell(optimizer="SGD", hyperparameters={"learning_rate": own["learning_rate"]})}
        for own in rates
    ]
    found = common_cells(*(run(one, seeds=1, repeats=1) for one in cells))
    assert found.cells.empty
    assert found.only_old["optimizer"].tolist() == ["SGD"]
    assert found.only_new["optimizer"].tolist() == ["SGD"]


def test_measured_results_are_without_the_trials_of_tuning():
    results = run({"a": Cell()}, seeds=3, repeats=1)
    assert results.measured is results
    some = results.of_trials(results.trials.iloc[[2, 0]])
    assert some.trials["trial"].tolist() == [2, 0]
    assert some.trials.index.tolist() == [0, 1]
    assert sorted(some.traces["trial"].unique()) == [0, 2]
    tuned = results.trials.assign(stage=["tuning", "measured", "tuning"])
    left = replace(results, trials=tuned).measured
    assert left.trials["trial"].tolist() == [1]
    assert left.traces["trial"].unique().tolist() == [1]
