"""Each view's numbers, computed again in another way."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from optlab import analysis
from optlab.analysis.targets import target_summary, time_to_target
from optlab.lab.tables import batch_column
from optlab.report import views
from optlab.report.findings.all_findings import findings
from optlab.report.page.render import render_page
from optlab.report.style import DASHES, MARKERS, PALETTE, Styles
from optlab.report.views.accuracy import digits_view
from optlab.report.views.time_to_target import profile_view, target_view
from optlab.report.views.timing import crossover, crossover_view, phases_view
from tests.planted_results import plant


@pytest.fixture(scope="module")
def results():
    return plant(seed=11)


def one(table, **cell):
    for name, value in cell.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


CELL = {"problem": "line", "optimizer": "ManualSGD", "batch": "8", "device": "cpu"}


def on_line(view):
    return view.table[view.table["problem"] == "line"]


def trials_of(results, **cell):
    table = results.trials
    for name, value in cell.items():
        table = table[table[name] == value]
    return table


def test_convergence_is_the_median_over_trials_relative_to_each_start(results):
    view = on_line(views.convergence_view(results))
    shares = []
    for number in trials_of(results, **CELL)["trial"]:
        trace = results.traces[results.traces["trial"] == number].set_index("epoch")
        shares.append(trace["suboptimality"][32] / trace["suboptimality"][0])
    row = one(view, **CELL, epoch=32)
    assert row["suboptimality"] == pytest.approx(statistics.median(shares))
    assert (row["low"], row["high"]) == pytest.approx((min(shares), max(shares)))
    assert (view["suboptimality"] >= views.FLOOR).all()
    assert set(view.loc[view["direct"], "optimizer"]) == {"Lstsq"}


def test_what_a_sweep_cannot_rank_is_not_drawn(results):
    swept = replace(results, trials=results.trials.assign(shared=True))
    view = target_view(swept)
    assert view.title == "Epochs to a target"
    assert [axis.column for axis in view.y] == ["epochs", "steps", "samples"]
    page = render_page(swept)
    assert 'data-view="target"' in page
    assert 'data-view="ratio"' not in page


def test_a_trial_that_ended_counts_on_with_its_last_iterate():
    results = plant(problems=("line",), optimizers=("A",), direct=(), sizes=(1,), devices=("cpu",),
                    seeds=3, repeats=1, mishaps=False)  # fmt: skip
    traces = results.traces
    traces = traces[~((traces["trial"] == 0) & (traces["epoch"] > 8))]
    view = on_line(views.convergence_view(replace(results, traces=traces)))
    last = one(view, epoch=400)
    stopped = traces[traces["trial"] == 0]
    share = stopped["suboptimality"].iloc[-1] / stopped["suboptimality"].iloc[0]
    assert last["high"] == pytest.approx(share)  # not dropped: the median is over all three


def test_long_traces_are_thinned_but_keep_their_last_epoch():
    results = plant(problems=("line",), optimizers=("A",), direct=(), sizes=(1,), devices=("cpu",),
                    epochs=tuple(range(1, 1000)), mishaps=False)  # fmt: skip
    view = views.convergence_view(results).table
    assert len(view) <= 152
    assert view["epoch"].max() == 999


def test_seconds_leave_out_contended_and_unanswered_trials(results):
    view = views.seconds_view(results).table
    assert not len(view[(view["problem"] == "plane") & (view["optimizer"] == "TorchSGD")
                        & (view["batch"] == "8")])  # fmt: skip
    assert not len(view[(view["optimizer"] == "TorchSGD") & (view["batch"] == "1")])
    row, seconds = one(view, **CELL), sorted(trials_of(results, **CELL)["seconds"])
    assert row["median"] == pytest.approx(statistics.median(seconds))
    assert (row["min"], row["max"]) == (seconds[0], seconds[-1])
    assert (row["low"], row["high"]) == (seconds[0], seconds[-1])  # what six trials can cover
    assert row["timed"] == 6


def test_targets_count_those_that_never_arrive_as_longer(results):
    traces = results.traces.copy()
    cell = trials_of(results, **CELL)["trial"].tolist()
    late = traces["trial"].isin(cell[:4]) & (traces["epoch"] > 0)
    traces.loc[late, "suboptimality"] = traces["suboptimality"].max()
    row = one(target_view(replace(results, traces=traces)).table, **CELL, target="1e-01")
    assert (row["reached"], row["trials"]) == (2, 6)
    assert math.isnan(row["seconds"])
    late = traces["trial"].isin(cell[2:4]) & (traces["epoch"] > 0)
    traces.loc[late, "suboptimality"] = 0
    row = one(target_view(replace(results, traces=traces)).table, **CELL, target="1e-01")
    assert row["reached"] == 4
    assert math.isfinite(row["seconds"])
    assert math.isnan(row["high"])


def test_digits_stop_where_float64_does(results):
    trials = results.trials.copy()
    trials.loc[trials["optimizer"] == "Lstsq", "parameter_error"] = 0.0
    view = digits_view(replace(results, trials=trials)).table
    assert (view.loc[view["optimizer"] == "Lstsq", "digits"] == 15.95).all()
    row, errors = one(view, **CELL), trials_of(results, **CELL)["parameter_error"]
    assert row["digits"] == pytest.approx(statistics.median(-math.log10(e) for e in errors))


def test_phases_are_apart(results):
    row = one(phases_view(results).table, **CELL, phase="warm pass")
    per_pass = [t["seconds"] / t["epochs"] for _, t in trials_of(results, **CELL).iterrows()]
    assert row["seconds"] == pytest.approx(statistics.median(per_pass))


def test_the_crossover_is_the_first_batch_size_with_another_fastest_device():
    seconds = {"cpu": [1, 1, 1, 1], "cuda": [4, 2, 0.5, 0.2]}
    rows = [
        {"problem": "p", "optimizer": "A", "batch": size, "device": device,
         "dtype": "float32", "median": s, "low": s, "high": s}
        for device, each in seconds.items()
        for size, s in zip([1, 8, 64, "full"], each, strict=True)
    ]  # fmt: skip
    table = pd.DataFrame(rows).assign(batch=lambda t: batch_column(t["batch"]))
    view = crossover(table.sample(frac=1, random_state=0))
    marked = view[view["crossover"]]
    assert marked[["batch", "device"]].to_numpy().tolist() == [["64", "cuda"]]
    assert view["fastest"].sum() == 4


def test_one_device_has_no_fastest(results):
    on_cpu = results.trials[results.trials["device"] == "cpu"]
    table = crossover_view(replace(results, trials=on_cpu)).table
    assert not table["fastest"].any()


def test_parameters_are_those_of_the_trial_of_median_loss(results):
    view = views.views_of(results)["parameters"]
    cell = trials_of(results, **CELL).sort_values("loss")
    middle = results.final_parameters[int(cell["trial"].iloc[(len(cell) - 1) // 2])]
    row = one(view.table, **CELL, parameter="bias")
    assert row["value"] == pytest.approx(float(middle["bias"]))
    assert row["error"] == pytest.approx(abs(float(middle["bias"]) - 1.0))
    assert "TorchSGD" not in set(
        view.table.loc[(view.table["batch"] == "1") & (view.table["device"] == "cpu"),
                       "optimizer"]
    )  # it diverged  # fmt: skip


def test_biases_of_softmax_regression_are_shown_less_the_mean_that_no_loss_sees():
    random = np.random.default_rng(0)
    z = random.standard_normal((60, 2))
    y = np.digitize(z[:, 0] + random.standard_normal(60), [-0.5, 0.5])
    problem = ol.SoftmaxRegression(z, y, l2=0.1)
    reference = problem.reference()
    assert "changes no loss" in reference.message
    # From biases whose mean is 5, which no gradient changes.
    shifted = {"weight": reference.parameters["weight"], "bias": reference.parameters["bias"] + 5}

    class Shifted(ol.ManualSGD):
        def iterates(self, problem, batches, start):
            yield ol.Iterate(shifted)

    view = views.parameters_view(ol.compare(problem, Shifted(), epochs=1))
    assert view.table["error"].max() < 1e-12
    assert "less their mean" in view.how


def test_the_profile_is_dolan_and_mores(results):
    found = views.views_of(results)
    profile, target = found["profile"].table, views.headline(results)
    trials, traces = results.trials, results.traces
    times = {}
    for row in trials[~trials["contended"]].to_dict("records"):
        trace = traces[traces["trial"] == row["trial"]]
        hit = trace[(trace["epoch"] > 0)
                    & (trace["suboptimality"] <= float(target) * 5)]["seconds"]  # fmt: skip
        solver = (row["optimizer"], row["batch"], row["device"])
        bad = row["status"] in {"diverged", "failed", "crashed", "skipped"} or hit.empty
        times.setdefault((row["problem"], row["seed"]), {}).setdefault(solver, []).append(
            math.inf if bad else hit.iloc[0]
        )
    solver = ("ManualSGD", "8", "cpu")
    ratios = []
    for solvers in times.values():
        medians = {s: np.median(t) for s, t in solvers.items()}
        ratios.append(medians[solver] / min(medians.values()))
    mine = profile[(profile["optimizer"] == "ManualSGD") & (profile["batch"] == "8")
                   & (profile["device"] == "cpu")]  # fmt: skip
    for _, row in mine.iterrows():
        expected = sum(r <= row["factor"] * (1 + 1e-9) for r in ratios) / len(ratios)
        assert row["share"] == pytest.approx(expected)


def test_a_profile_steps_where_the_ratios_are(results):
    """A share of a slow setting's is not lost, however slow it is, and no grid moves a step."""
    slow = results.trials["optimizer"] == "ManualSGD"
    traces = results.traces.copy()
    traces.loc[traces["trial"].isin(results.trials.loc[slow, "trial"]), "seconds"] *= 1e7
    changed = replace(results, traces=traces, definition={"stop_at": 0.1})
    table = profile_view(changed).table
    mine = table[(table["optimizer"] == "ManualSGD") & (table["batch"] == "8")
                 & (table["device"] == "cpu")]  # fmt: skip
    assert mine["share"].max() > 0
    steps = mine.loc[mine["share"].diff() > 0, "factor"]
    assert (steps > 1e5).any()
    assert mine["factor"].max() == pytest.approx(
        1.5 * table["factor"].drop_duplicates().nlargest(2).iloc[1]
    )


def test_only_answers_are_drawn_as_answers():
    results = plant(problems=("line",), optimizers=("A",), direct=(), sizes=(1, 8),
                    devices=("cpu",), mishaps=False)  # fmt: skip
    failed = results.trials["batch"] == "1"
    for status in ("failed", "timed out", "crashed", "interrupted", "diverged"):
        results.trials.loc[failed, "status"] = status
        found = views.views_of(results)
        for key in ("parameters", "fit"):
            assert set(found[key].table["batch"]) == {"8"}, (key, status)


def test_what_is_unstable_is_so_in_seconds_and_to_a_target(results):
    found = views.views_of(results)
    for key in ("seconds", "target"):
        table = found[key].table
        shaky = table[table["unstable"].astype(bool)]
        assert set(zip(shaky["optimizer"], shaky["batch"], strict=True)) == {("Adam", "8")}, key


def test_batch_sizes_by_device_are_in_order():
    results = plant(problems=("line",), sizes=("full", 8, 1), dtypes=("float32", "float64"),
                    mishaps=False)  # fmt: skip
    table = views.views_of(results)["crossover"].table
    rows = table[table["optimizer"] == "Adam"].drop_duplicates(["dtype", "batch"])
    assert rows["batch"].tolist() == ["1", "8", "full"] * 2
    assert rows["dtype"].tolist() == ["float32"] * 3 + ["float64"] * 3


def test_a_view_without_marks_says_why():
    results = plant(optimizers=("Adam",), direct=(), devices=("cuda",), problems=("one",))
    for view in views.views_of(results).values():
        assert view.table.empty
        assert view.missing.endswith(".")


def test_results_page_and_figures_have_one_time_to_a_target(results):
    table = target_view(results).table
    for text in table["target"].unique():
        times = time_to_target(results.trials, results.traces, float(text))
        mine = table[table["target"] == text].merge(target_summary(times), on=analysis.CELL)
        assert len(mine) == (table["target"] == text).sum()
        for cost in ("seconds", "epochs"):
            theirs = mine[f"{cost}_y"].replace(math.inf, math.nan)
            np.testing.assert_array_equal(mine[f"{cost}_x"], theirs)


def test_views_are_computed_once_until_a_table_changes():
    results = plant(problems=("line",), devices=("cpu",), seeds=1, repeats=1)
    before = views.views_of(results)
    assert all(view is before[key] for key, view in views.views_of(results).items())
    results.trials.loc[0, "seconds"] *= 2
    assert views.views_of(results)["seconds"] is not before["seconds"]
    results.definition["stop_at"] = 2.5e-3
    assert views.headline(results) == "0.0025"


@pytest.mark.parametrize("stop_at", [2.0, {"measure": "loss", "value": 0.26}])
def test_a_stop_at_of_any_version_and_measure_has_its_views(stop_at):
    results = plant(problems=("line",), devices=("cpu",), seeds=1, repeats=1)
    results.definition["stop_at"] = stop_at
    own = "loss <= 0.26" if stop_at != 2.0 else "1e-12"
    assert (views.headline(results) == own) == (stop_at != 2.0)
    found = views.views_of(results)
    assert ("loss <= 0.26" in set(found["target"].table["target"])) == (stop_at != 2.0)
    assert findings(results, found)


def test_styles_tell_many_optimizers_apart():
    styles = Styles.of([f"o{i}" for i in range(24)], ["1", "8", "full"])
    looks = {(s.shades[-1], s.dash, s.marker) for s in styles.by_optimizer.values()}
    assert len(looks) == 24
    assert len(PALETTE) * len(DASHES) * len(MARKERS) > 24


@pytest.mark.parametrize("ground", ["shades", "dark"])
def test_base_colours_stand_out_from_their_ground(ground):
    """At least 3 to 1 at every batch size, and no shade is nearly black or white for all."""
    back = luminance("#ffffff" if ground == "shades" else "#12161b")
    for style in Styles.of([str(i) for i in range(7)], ["1", "8", "full"]).by_optimizer.values():
        for colour in getattr(style, ground):
            front = luminance(colour)
            assert (max(front, back) + 0.05) / (min(front, back) + 0.05) >= 2.99


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
