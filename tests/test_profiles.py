import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.analysis.profiles import performance_profile
from optlab.analysis.targets import target_summary, time_to_target
from optlab.lab.trial.stop_at import StopAt

CELL = {"problem": "p", "optimizer": "A", "batch": "1", "device": "cpu", "dtype": "float32"}


def run(curve, status="finished", **changes):
    """A trial and its trace: suboptimality by epoch, from the start on, a second each."""
    row = CELL | {"seed": 0, "repeat": 1, "status": status, "contended": False} | changes
    return row, [
        {"epoch": e, "samples": 10 * e, "seconds": 1.0 * e, "suboptimality": value}
        for e, value in enumerate(curve)
    ]


def tables(runs):
    trials = pd.DataFrame([row | {"trial": i} for i, (row, _) in enumerate(runs)])
    traces = [point | {"trial": i} for i, (_, trace) in enumerate(runs) for point in trace]
    columns = ["trial", "epoch", "samples", "seconds", "suboptimality"]
    return trials, pd.DataFrame(traces, columns=columns)


def one(curve, target=0.1, **changes):
    return time_to_target(*tables([run(curve, **changes)]), target).iloc[0]


def test_the_target_is_reached_at_the_first_iterate_below_a_share_of_the_start():
    row = one([10.0, 5.0, 1.0, 2.0, 0.5])
    assert row[["reached", "epochs", "samples", "seconds"]].tolist() == [True, 2, 20, 2]
    assert row["spent_seconds"] == 2


def test_the_target_is_a_share_of_the_scale_and_the_start_may_reach_it():
    assert one([10.0, 0.5, 0.05], stop_scale=1.0)[["reached", "epochs"]].tolist() == [True, 2]
    assert one([0.01, 0.5], stop_scale=1.0)[["reached", "epochs"]].tolist() == [True, 0]
    assert one([0.0, 0.0], stop_scale=0.0)["epochs"] == 0
    assert not one([10.0, 0.0], stop_scale=math.inf)["reached"]


def test_files_that_hold_no_scale_take_the_starts_suboptimality():
    runs = [run([10.0, 0.5], stop_scale=math.nan, file="old.db"),
            run([10.0, 0.5], stop_scale=math.nan, file="new.db"),
            run([10.0, 0.5], stop_scale=1.0, file="new.db", repeat=2)]  # fmt: skip
    assert time_to_target(*tables(runs), 0.1)["reached"].tolist() == [True, False, False]


def test_any_recorded_measure_has_a_target():
    trials, traces = tables([run([10.0, 5.0, 1.0])])
    traces["loss"] = traces["suboptimality"] + 2
    assert time_to_target(trials, traces, StopAt("loss", value=3.5))["epochs"].tolist() == [2]
    assert time_to_target(trials, traces, StopAt("loss", share=0.6))["epochs"].tolist() == [1]
    with pytest.raises(ValueError, match="no measure 'accuracy'"):
        time_to_target(trials, traces, StopAt("accuracy", value=1))


@pytest.mark.parametrize("status", ["finished", "timed out", "interrupted"])
def test_a_run_that_did_not_get_there_is_censored_at_its_last_iterate(status):
    row = one([10.0, 9.0, 8.0], status=status)
    assert row[["reached", "epochs", "samples", "seconds"]].tolist() == [False, 2, 20, 2]


@pytest.mark.parametrize("status", ["diverged", "failed", "crashed"])
@pytest.mark.parametrize("curve", [[10.0, 0.1, math.nan], [10.0, 20.0], []])
def test_one_that_broke_never_gets_there_even_if_it_passed_the_target(status, curve):
    row = one(curve, status=status)
    assert row[["reached", "epochs", "samples", "seconds"]].tolist() == [False, *[math.inf] * 3]
    np.testing.assert_equal(row["spent_seconds"], len(curve) - 1.0 if curve else math.nan)


def test_a_skipped_trial_has_no_costs_and_is_not_counted():
    trials, traces = tables([run([], status="skipped"), run([1.0, 0.0], optimizer="B")])
    times = time_to_target(trials, traces, 0.1)
    assert times.loc[0, ["epochs", "samples", "seconds", "spent_seconds"]].isna().all()
    rows = target_summary(times)
    assert rows["trials"].tolist() == [0, 1]
    assert rows.loc[0, ["share_reached", "share_low", "seconds", "expected_seconds"]].isna().all()


def test_a_contended_trial_has_all_costs_but_seconds():
    row = one([1.0, 0.5, 0.0], contended=True)
    assert row[["epochs", "samples", "spent_epochs", "spent_samples"]].tolist() == [2, 20, 2, 20]
    assert row[["seconds", "spent_seconds"]].isna().all()


def test_contended_seconds_are_not_ranked_but_their_epochs_are():
    runs = [run([1.0, 0.0], contended=True), run([1.0, 0.5, 0.0], repeat=2, contended=True)]
    times = time_to_target(*tables(runs), 0.1)
    assert times["seconds"].isna().all()
    assert times["epochs"].tolist() == [1, 2]
    row = target_summary(times).iloc[0]
    assert row["epochs"] == 1.5
    assert math.isnan(row["seconds"])
    assert math.isnan(row["expected_seconds"])
    assert row["share_reached"] == 1


@pytest.mark.parametrize("start", [math.nan, math.inf, 0.0])
def test_from_a_start_that_says_nothing_no_target_is_reached(start):
    assert not one([start, min(start, 1.0)])["reached"]


@pytest.mark.parametrize("target", [0.0, -1.0, 1.0, math.nan, math.inf])
def test_a_target_that_is_none_is_refused(target):
    with pytest.raises(ValueError, match="stop_at must be above 0 and below 1"):
        one([1.0, 0.0], target=target)


def test_it_agrees_with_the_runners_own_verdict(tutorial):
    optimizers = [ol.ManualSGD(0.01), ol.ManualSGD(0.1), ol.ManualSGD(5.0), ol.Lstsq()]
    results = ol.compare(tutorial, optimizers, batch_sizes=[1, "full"], epochs=60, stop_at=1e-3)
    times = time_to_target(results.trials, results.traces, 1e-3)
    assert (times["reached"] == (results.trials["status"] == "converged")).all()
    ended = times["reached"]
    assert 0 < ended.sum() < len(ended)
    columns = ["epochs", "samples", "seconds"]
    pd.testing.assert_frame_equal(
        times.loc[ended, columns], results.trials.loc[ended, columns], check_dtype=False
    )


def test_the_summary_counts_seeds_and_keeps_the_censored():
    curves = [[1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    runs = [run(curve, seed=s, repeat=r) for s, curve in enumerate(curves) for r in (1, 2)]
    row = target_summary(time_to_target(*tables(runs), 0.1)).iloc[0]
    assert row[["trials", "seeds", "reached"]].tolist() == [6, 3, 4]
    assert row["share_reached"] == pytest.approx(2 / 3)
    assert [row["share_low"], row["share_high"]] == pytest.approx([0.2077, 0.9385], abs=1e-4)
    assert row[["epochs", "samples", "seconds"]].tolist() == [2, 20, 2]
    assert row[["seconds_low", "seconds_high", "timed"]].tolist() == [1, math.inf, 6]
    assert row["expected_seconds"] == pytest.approx((1 + 2 + 2) * 2 / 4)


def test_where_too_few_get_there_the_median_is_infinite_and_a_diverged_runs_time_is_spent():
    runs = [run([1.0, 0.0], seed=0), run([1.0, 9.0, 9.0], "diverged", seed=1),
            run([1.0, 1.0, 1.0, 1.0], seed=2)]  # fmt: skip
    row = target_summary(time_to_target(*tables(runs), 0.1)).iloc[0]
    assert row["seconds"] == math.inf
    assert row["expected_seconds"] == 1 + 2 + 3
    runs = [run([1.0, 9.0], "diverged")]
    assert target_summary(time_to_target(*tables(runs), 0.1))["expected_seconds"][0] == math.inf


def test_no_trials_give_no_rows():
    trials, traces = tables([run([1.0, 0.0])])
    times = time_to_target(trials.iloc[:0], traces.iloc[:0], 0.1)
    assert times.empty
    assert target_summary(times).empty
    assert performance_profile(times).empty


def costs_table(costs):
    """Times of instances by solvers; inf for what did not get there, None for what was not run."""
    rows = [
        CELL | {"problem": f"p{i}", "optimizer": f"s{j}", "seed": 0, "reached": math.isfinite(cost),
                "epochs": 7.0 if cost == math.inf else cost}
        for i, row in enumerate(costs) for j, cost in enumerate(row) if cost is not None
    ]  # fmt: skip
    return pd.DataFrame(rows)


some_costs = st.sampled_from([1.0, 2.0, 3.0, 10.0, math.inf])
grids = st.integers(1, 4).flatmap(
    lambda solvers: st.lists(
        st.lists(some_costs, min_size=solvers, max_size=solvers), min_size=1, max_size=6
    )
)


@given(grids)
def test_a_profile_is_what_its_definition_counts(costs):
    times = costs_table(costs)
    for _, row in performance_profile(times, "epochs").iterrows():
        j = int(row["optimizer"][1:])
        within = [p[j] <= row["tau"] * min(p) and p[j] < math.inf for p in costs]
        assert row["share"] == np.mean(within)


@given(grids)
def test_a_profile_climbs_to_the_share_solved_and_somebody_is_best(costs):
    table = performance_profile(costs_table(costs), "epochs")
    for solver, steps in table.groupby("solver"):
        j = int(solver[1])
        assert steps["tau"].is_monotonic_increasing
        assert steps["share"].is_monotonic_increasing
        assert steps["share"].iloc[-1] == np.mean([p[j] < math.inf for p in costs])
    best = performance_profile(costs_table(costs), "epochs", taus=[1])
    assert best["share"].sum() >= np.mean([min(p) < math.inf for p in costs]) - 1e-12


def test_ties_share_the_first_place_and_where_all_fail_nobody_gains():
    tie = performance_profile(costs_table([[2.0, 2.0]]), "epochs")
    assert tie[["tau", "share"]].to_numpy().tolist() == [[1, 1], [1, 1]]
    none = performance_profile(costs_table([[math.inf, math.inf]]), "epochs")
    assert none[["tau", "share"]].to_numpy().tolist() == [[1, 0], [1, 0]]


def test_what_was_not_run_counts_as_failed():
    table = performance_profile(costs_table([[1.0, 2.0], [1.0, None]]), "epochs", taus=[1e9])
    assert table["share"].tolist() == [1.0, 0.5]


def test_a_cost_of_nothing_is_within_reach_of_nothing_only():
    table = performance_profile(costs_table([[0.0, 1.0, 0.0]]), "epochs", taus=[1, 1e300])
    assert table["share"].tolist() == [1, 1, 0, 0, 1, 1]


def test_repeats_are_medians_failures_included():
    rows = [CELL | {"seed": 0, "repeat": r, "reached": r < 4, "epochs": float(r)}
            for r in range(1, 6)]  # fmt: skip
    best = [CELL | {"optimizer": "B", "seed": 0, "repeat": 1, "reached": True, "epochs": 1.0}]
    table = performance_profile(pd.DataFrame(rows + best), "epochs")
    assert table.query("solver.str.startswith('A') and share > 0")["tau"].tolist() == [3.0]
    table = performance_profile(pd.DataFrame(rows[1:] + best), "epochs", taus=[1e9])
    assert table["share"].tolist() == [0.0, 1.0]


def test_solvers_are_labelled_and_devices_are_instances_unless_asked_for():
    rows = [
        CELL | {"optimizer": o, "batch": b, "device": d, "seed": 0, "reached": True}
        | {"seconds": s}
        for o, b, d, s in [("A", "5", "cpu", 1.0), ("A", "5", "cuda", 4.0),
                           ("D", "direct", "cpu", 2.0), ("D", "direct", "cuda", 2.0)]
    ]  # fmt: skip
    times = pd.DataFrame(rows)
    first = performance_profile(times, taus=[1])
    assert dict(zip(first["solver"], first["share"], strict=True)) == {
        "A at batch size 5": 0.5, "D": 0.5,
    }  # fmt: skip
    by_device = performance_profile(times, solver=["optimizer", "device"], taus=[1])
    # Batch size is part of the instance then: A and D have none in common.
    assert by_device["solver"].tolist() == ["A on cpu", "A on cuda", "D on cpu", "D on cuda"]


def test_contended_seconds_are_refused_and_epochs_are_not():
    trials, traces = tables([run([1.0, 0.0], contended=True)])
    times = time_to_target(trials, traces, 0.1)
    with pytest.raises(ValueError, match="seconds of contended trials cannot be ranked"):
        performance_profile(times)
    assert performance_profile(times, "epochs")["share"].tolist() == [1.0]


def test_what_cannot_be_is_refused():
    times = costs_table([[1.0]])
    with pytest.raises(ValueError, match="cost must be one of epochs, samples, steps, seconds"):
        performance_profile(times, "hours")
    with pytest.raises(ValueError, match="solver must be columns among optimizer"):
        performance_profile(times, "epochs", solver=["problem"])
