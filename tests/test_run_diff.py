"""Two runs of one experiment compared: planted regressions are named, and nothing else is."""

import math
import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import optlab as ol
from optlab.analysis.epochs_to_target import epoch_pairs
from optlab.analysis.intervals import holm, trimmed_mean_interval, trimmed_mean_p_value
from optlab.app.cli import app
from optlab.app.exit_status import call
from optlab.lab import Status
from optlab.lab.store.problem_summary import ReferenceSummary
from optlab.report.run_diff.diff_junit import diff_junit
from optlab.report.run_diff.diff_markdown import diff_markdown
from optlab.report.run_diff.diff_terminal import diff_text
from tests.planted_runs import CELLS, Cell, problem, run, store


def changed(name, **how):
    return {**CELLS, name: replace(CELLS[name], **how)}


SLOW_BY_EPOCHS = {"half_lives": CELLS["m2"].half_lives / 1.2}
SLOW_BY_SECONDS = {"seconds": 1.5 * CELLS["m4"].seconds}
PLANTED = {
    **CELLS,
    "m2": replace(CELLS["m2"], **SLOW_BY_EPOCHS),
    "m4": replace(CELLS["m4"], **SLOW_BY_SECONDS),
}


def named(diff):
    """The settings and metrics in which any difference is called shown, with the verdict."""
    rows = diff.table[diff.table["verdict"].isin(["slower", "worse", "faster", "better"])]
    return {(r.optimizer, r.metric): r.verdict for r in rows.itertuples()}


def judged(diff, metric):
    return diff.table.loc[diff.table["metric"] == metric, "verdict"].tolist()


@pytest.fixture(scope="module")
def old():
    return run()


@pytest.fixture(scope="module")
def regressed(old):
    return old.diff(run(PLANTED, seed=1))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    cells = {"old": CELLS, "same": CELLS, "new": PLANTED}
    few = {"seeds": 1, "repeats": 10}
    return [
        store(folder / f"{name}.db", own, seed, **few)
        for seed, (name, own) in enumerate(cells.items())
    ]


# --- the same code twice, and planted regressions ---------------------------------------------


@pytest.mark.parametrize("noise", [0.15])
def test_the_same_code_twice_shows_no_difference_in_20_of_20(noise):
    few = {name: CELLS[name] for name in ("m0", "m1", "m2", "m3")}
    how = {"noise": noise, "seeds": 1, "repeats": 10}
    runs = [run(few, seed, drift=1 + seed % 3, **how) for seed in range(21)]
    for before, after in pairwise(runs):
        assert named(before.diff(after, metrics=["seconds"])) == {}


def test_planted_regressions_are_named_and_nothing_else(regressed):
    assert named(regressed) == {
        ("m2", "epochs"): "slower", ("m2", "seconds"): "slower", ("m4", "seconds"): "slower",
    }  # fmt: skip
    rows = regressed.table.set_index(["optimizer", "metric"])
    assert rows.loc[("m2", "epochs"), "ratio"] == pytest.approx(1.2, abs=0.01)
    assert rows.loc[("m4", "seconds"), "ratio_low"] < 1.5
    assert regressed.verdict().startswith("2 of 6 settings are worse than before: m2 at batch size")


def test_the_way_back_is_faster(old):
    assert set(named(run(PLANTED, seed=1).diff(old)).values()) == {"faster"}


def test_a_machine_that_is_slower_as_a_whole_is_no_regression(old):
    diff = old.diff(run(seed=3, drift=1.7))
    assert named(diff) == {}
    assert diff.drift["cpu"] == pytest.approx(1.7, rel=0.2)
    assert "The median setting on cpu takes 1." in diff.verdict()


# --- what is compared, and judged -------------------------------------------------------------


def test_seconds_of_another_machine_are_told_and_judged_only_if_asked(old):
    other = run(PLANTED, seed=1, machine={"processor": "slide rule", "cores": "8"})
    diff = old.diff(other)
    assert set(judged(diff, "seconds")) == {"not judged"}
    assert named(diff) == {("m2", "epochs"): "slower"}
    assert "another machine, or other threads; --metric seconds judges them" in diff.verdict()
    assert ("machine", "processor", "abacus", "slide rule") in diff.changes
    asked = old.diff(other, metrics=["seconds"])
    assert named(asked) == {("m2", "seconds"): "slower", ("m4", "seconds"): "slower"}


def test_another_version_leaves_seconds_judged_and_is_told_once(old):
    diff = old.diff(run(seed=1, machine={"torch": "2.14"}))
    assert "not judged" not in judged(diff, "seconds")
    assert diff_text(diff, 80).count("torch 2.13 -> 2.14") == 1


def test_code_that_changed_is_told():
    hashes = [
        {"optlab": {"optimizers/sgd.py": str(k)}, "optimizers": {"m0": str(k), "m1": "1"}}
        for k in (1, 2)
    ]
    diff = run(code=hashes[0]).diff(run(seed=1, code=hashes[1]))
    line = "code: optlab's (optimizers/sgd.py), that of m0, or of what it uses"
    assert line in " ".join(diff_text(diff, 200).split())


def test_of_a_file_that_was_saved_the_code_is_not_known():
    hashes = {"optlab": {"checks.py": "1"}, "optimizers": {"m0": "1"}}
    diff = run(code={"optlab": {}, "optimizers": {"m0": "2"}}).diff(
        run(seed=1, code=hashes), names=("py.db", "cli.db")
    )
    text = " ".join(diff_text(diff, 200).split())
    assert text.endswith("code: that of py.db is not known (written by results.save)")


def test_an_integer_is_the_float_that_equals_it():
    assert len(run(sgd(SGD=1)).diff(run(sgd(SGD=1.0), seed=1)).only_new) == 0


def test_two_settings_cannot_tell_the_machines_drift():
    two = {name: CELLS[name] for name in ("m0", "m1")}
    diff = run(two).diff(run(two, seed=1, drift=1.4))
    assert set(judged(diff, "seconds")) == {"not judged"}
    assert "too few settings to tell the machine's own drift" in diff.verdict()


@pytest.mark.parametrize(("mark", "words"), [("contended", "beside others"), ("shared", "a sweep")])
def test_seconds_that_count_nowhere_are_not_compared(old, mark, words):
    diff = old.diff(run(seed=1, **{mark: True}))
    assert set(judged(diff, "seconds")) == {"not compared"}
    assert re.search(rf"Seconds are not compared: .*{words}", diff.verdict())


def test_two_repeats_are_too_few_for_seconds():
    diff = run(seeds=1, repeats=2).diff(run(PLANTED, seed=1, seeds=1, repeats=2))
    assert set(judged(diff, "seconds")) == {"too few repeats to say"}
    assert named(diff) == {("m2", "epochs"): "slower"}
    assert "exact, but of 1 seed" in diff.verdict()


def test_trials_that_a_resumed_file_took_over_are_no_second_measurement(old):
    taken = old.trials["optimizer"] == "m0"
    new = run(seed=1)
    trials = new.trials.copy()
    trials.loc[taken, "seconds"] = old.trials.loc[taken, "seconds"]
    diff = old.diff(replace(new, trials=trials))
    row = diff.table[(diff.table["optimizer"] == "m0") & (diff.table["metric"] == "seconds")]
    assert row["verdict"].item() == "not compared"
    assert "same trial in both" in row["message"].item()


def test_other_data_are_not_compared(old):
    with pytest.raises(ValueError, match=r"the data differ.*nothing to compare"):
        old.diff(run(seed=1, facts=problem(data_hash="other")))


def test_another_loss_of_the_same_data_is_not_compared(old):
    with pytest.raises(ValueError, match=r"its least loss differs \(0.25, now 0.26\)"):
        old.diff(run(seed=1, facts=problem(reference=ReferenceSummary("certified", 0.26))))
    with pytest.raises(ValueError, match="the loss where a seed starts differs"):
        old.diff(run(seed=1, start=1.5))


def test_the_same_run_is_not_compared_with_itself(old):
    with pytest.raises(ValueError, match="both hold the same trials"):
        old.diff(old)


def test_results_without_a_common_setting_are_refused(old):
    with pytest.raises(ValueError, match=r"no setting is in both: one has m0 on p.*has other on p"):
        old.diff(run({"other": Cell()}, seed=1))


def test_settings_of_one_run_alone_are_listed(old):
    cells = {name: cell for name, cell in CELLS.items() if name != "m5"} | {"mine": Cell()}
    diff = old.diff(run(cells, seed=1), names=("a.db", "b.db"))
    assert diff.only_old["optimizer"].tolist() == ["m5"]
    assert diff.only_new["optimizer"].tolist() == ["mine"]
    assert "Only in a.db: m5 at batch size full." in diff.verdict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["time"]}, "metrics must be of epochs, seconds, suboptimality, not 'time'"),
        ({"tolerance": 2}, "tolerance must be a share"),
        ({"stop_at": 2}, "stop_at must be above 0 and below 1"),
    ],
)
def test_bad_arguments_are_refused(old, arguments, message):
    with pytest.raises(ValueError, match=message):
        old.diff(run(seed=1), **arguments)


# --- optimizers are matched by what the user wrote --------------------------------------------


def sgd(**rates):
    return {
        name: Cell(half_lives=0.3, optimizer="SGD", hyperparameters={"learning_rate": rate})
        for name, rate in rates.items()
    }


def test_an_optimizer_is_known_again_beside_others_of_its_class():
    one, two = (
        sgd(SGD=0.1),
        {f"SGD({r})": c for r, c in zip("12", sgd(a=0.1, b=0.2).values(), strict=True)},
    )
    diff = run(one).diff(run(two, seed=1))
    assert set(diff.table["optimizer"]) == {"SGD(1)"}
    assert diff.only_new["optimizer"].tolist() == ["SGD(2)"]


def test_another_rate_under_the_same_name_is_another_setting():
    with pytest.raises(ValueError, match="no setting is in both"):
        run(sgd(SGD=0.1)).diff(run(sgd(SGD=0.2), seed=1))


def test_a_hyperparameter_that_the_class_has_gained_is_no_difference():
    gained = {"SGD": replace(sgd(SGD=0.1)["SGD"], hyperparameters={"learning_rate": 0.1, "nu": 0})}
    assert len(run(sgd(SGD=0.1)).diff(run(gained, seed=1)).only_new) == 0


# --- epochs, suboptimality and status ---------------------------------------------------------


def test_a_target_that_is_no_longer_reached_is_slower(old):
    diff = old.diff(run(changed("m1", half_lives=0.03), seed=1))
    assert named(diff)["m1", "epochs"] == "slower"
    row = diff.table[(diff.table["optimizer"] == "m1") & (diff.table["metric"] == "epochs")].iloc[0]
    assert math.isinf(row["new"])
    assert "reached the target after 51 epochs, now never" in diff.verdict()


def test_a_target_that_is_just_missed_at_the_end_of_the_budget_is_no_regression():
    cells = {"near": Cell(half_lives=math.log2(1000) / 196)}
    late = {"near": Cell(half_lives=math.log2(1000) / 201)}
    runs = run(cells, seeds=1, repeats=1), run(late, seed=1, seeds=1, repeats=1)
    assert [r.trials["status"].item() for r in runs] == ["converged", "finished"]
    assert named(runs[0].diff(runs[1])) == {}


def test_rounding_that_moves_a_crossing_beyond_a_recorded_epoch_is_no_difference():
    # The target is reached at a recorded epoch, once just so and once just not.
    pair = [
        run({"a": Cell(half_lives=pace)}, seed, repeats=1) for seed, pace in enumerate((0.25, 0.25))
    ]
    tables = [(r.trials.assign(cell=0), r.traces) for r in pair]
    rule = ol.StopAt(share=float(pair[0].traces["suboptimality"].iloc[-8]))
    moved = tables[1][1].assign(suboptimality=tables[1][1]["suboptimality"] * (1 + 1e-9))
    found = epoch_pairs(tables[0], (tables[1][0], moved), rule)
    assert (found["old"] < found["new"]).any()  # the recorded epochs do differ
    assert found["log_ratio"].abs().max() < 1e-6


def test_a_larger_suboptimality_at_the_end_is_worse():
    stalls = {**CELLS, "m3": replace(CELLS["m3"], stalls_at=0.010)}
    more = {**CELLS, "m3": replace(CELLS["m3"], stalls_at=0.013)}
    diff = run(stalls).diff(run(more, seed=1))
    assert named(diff) == {("m3", "suboptimality"): "worse"}
    assert "m3 at batch size full ends at 1.30 times the suboptimality" in diff.verdict()


def test_suboptimality_within_rounding_is_no_difference():
    ends = [
        {"exact": Cell(half_lives=5, stalls_at=s, status=Status.FINISHED)} for s in (1e-17, 9e-16)
    ]
    runs = [run(cells, seed) for seed, cells in enumerate(ends)]
    assert named(runs[0].diff(runs[1], stop_at=1e-12)) == {}


def test_statuses_that_became_worse_are_named(old):
    worse = [Status.DIVERGED, Status.FAILED, Status.TIMED_OUT, Status.SKIPPED]
    how = {"message": "its reason"}
    cells = {f"m{k}": replace(CELLS[f"m{k}"], status=s, **how) for k, s in enumerate(worse)}
    diff = old.diff(run({**CELLS, **cells}, seed=1))
    for number, status in enumerate(worse):
        assert named(diff)[f"m{number}", "status"] == "worse"
        assert f"was converged, now {status}: its reason" in diff.verdict()


def test_a_device_that_the_other_machine_lacks_is_not_compared():
    there, gone = {"device cuda:0": "a card"}, changed("m1", status=Status.SKIPPED, message="no")
    runs = run(device="cuda", machine=there), run(gone, seed=1, device="cuda")
    diff = runs[0].diff(runs[1])
    assert ("m1", "status") not in named(diff)


def test_without_a_reference_both_are_measured_from_the_least_loss():
    facts = [problem(reference=ReferenceSummary("best known", loss)) for loss in (0.25, 0.2498)]
    # The new run found a loss that is lower by 0.0002: its suboptimality is measured from there.
    cells = {**CELLS, "m3": replace(CELLS["m3"], stalls_at=0.01)}
    diff = run(cells, facts=facts[0]).diff(run(cells, seed=1, facts=facts[1]))
    rows = diff.table[diff.table["metric"] == "suboptimality"].set_index("optimizer")
    assert rows.loc["m3", "old"] == rows.loc["m3", "new"] == pytest.approx(0.0102)
    assert named(diff) == {}


def test_epochs_without_a_target_say_how_to_name_one(old):
    none = {"definition": {"stop_at": None}}
    runs = run(**none), run(seed=1, **none)
    diff = runs[0].diff(runs[1])
    assert judged(diff, "epochs") == []
    assert "name a target with --stop-at" in diff.verdict()
    assert len(judged(runs[0].diff(runs[1], stop_at=0.01), "epochs")) == len(CELLS)


# --- statistics -------------------------------------------------------------------------------


def test_p_values_agree_with_intervals():
    rng = np.random.default_rng(1)
    for n in (3, 5, 12):
        samples = rng.normal(0.4, 1, (500, n))
        _, low, high = trimmed_mean_interval(samples)
        assert ((trimmed_mean_p_value(samples) < 0.05) == ((low > 0) | (high < 0))).all()
    one_draw = np.array([[0.0], [1.0]])
    assert np.isnan([*trimmed_mean_interval(one_draw)[1:], trimmed_mean_p_value(one_draw)]).all()


def test_holm_is_what_its_definition_says():
    p = np.random.default_rng(2).uniform(size=7) ** 3
    adjusted, ordered = holm(p), np.sort(p)
    for value, own in zip(p, adjusted, strict=True):
        least = [min(1, (7 - k) * ordered[k]) for k in range(7) if ordered[k] <= value]
        assert own == pytest.approx(max(least))


# --- what is written, and the command ---------------------------------------------------------


def test_the_table_fits_80_columns_and_begins_with_what_is_worse(regressed):
    lines = diff_text(regressed, 80).splitlines()
    assert max(map(len, lines)) <= 80
    body = lines[next(k for k, line in enumerate(lines) if line.startswith("──")) + 1 :]
    assert [line[:2] for line in body if line[:1] == "m"][:3] == ["m2", "m4", "m0"]


def test_junit_has_a_test_for_each_metric_and_fails_those_that_regressed(regressed):
    suite = ET.fromstring(diff_junit(regressed, ["slower"])).find("testsuite")
    cases = suite.findall("testcase")
    assert len(cases) == int(suite.get("tests")) == 4 * len(CELLS)
    failed = {case.get("name") for case in cases if case.find("failure") is not None}
    assert failed == {
        "m2 at batch size full: epochs", "m2 at batch size full: seconds",
        "m4 at batch size full: seconds",
    }  # fmt: skip
    assert int(suite.get("skipped")) == len(CELLS)  # all reached the target: no suboptimality
    assert suite.get("failures") == "3"
    assert ET.fromstring(diff_junit(regressed, ["worse"])).find(".//failure") is None


def test_hostile_names_are_no_markup():
    evil = "<b>|`x`\x00]]>\n*y*"
    diff = run({evil: CELLS["m1"]}).diff(run({evil: CELLS["m1"]}, seed=1))
    page = diff_markdown(diff)
    assert "<b>" not in page
    assert "|`x`" not in page
    assert ET.fromstring(diff_junit(diff, ["worse"])).find(".//testcase") is not None


def test_the_command_returns_1_for_a_regression_and_0_for_none(files, capsys, tmp_path):
    old, same, new = map(str, files)
    assert call(app, ["diff", old, same]) == 0
    assert capsys.readouterr().out.startswith("No regression: 6 settings compared by status")
    page, xml = tmp_path / "d.md", tmp_path / "d.xml"
    asked = ["diff", old, new, "--markdown", str(page), "--junit", str(xml)]
    assert call(app, asked) == 1
    told = capsys.readouterr().out
    assert told.startswith("2 of 6 settings are worse than before: m2")
    assert "code: optlab's (linalg/a.py)" in told
    assert "**2 of 6 settings are worse than before" in page.read_text()
    assert ET.parse(xml).find("testsuite").get("failures") == "3"
    # The files are its own, and are written again.
    assert call(app, [*asked, "--fail-on", "worse"]) == 0
    assert ET.parse(xml).find("testsuite").get("failures") == "0"
    assert call(app, ["diff", old, new, "--metric", "suboptimality"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["old.db", "old.db"], "old.db and old.db are the same file, or copies"),
        (["old.db", "copy.db"], "are the same file, or copies"),
        (["old.db", "nothing.db"], "there is no file nothing.db"),
        (["old.db", "notes.md"], "notes.md cannot be opened"),
        (["old.db", "other.db"], "no setting is in both"),
        (["old.db", "same.db", "--fail-on", "sloer"], "--fail-on takes slower, worse"),
        (["old.db", "same.db", "--metric", "time"], "--metric takes epochs, seconds"),
        (["old.db", "same.db", "--markdown", "old.db"], "--markdown would overwrite old.db"),
        (["old.db", "same.db", "--junit", "notes.md"], "optlab did not write it"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(
    files, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    for name, source in zip(("old.db", "same.db", "copy.db"), (*files[:2], files[0]), strict=True):
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / "notes.md").write_text("mine")
    if "other.db" in arguments:
        store(tmp_path / "other.db", {"other": Cell()}, 5)
    assert call(app, ["diff", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "notes.md").read_text() == "mine"


def test_real_runs_of_the_same_code_differ_in_no_epoch():
    line = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    methods = [ol.SGD(0.05), ol.Adam(0.1), ol.Lstsq()]
    grid = {"batch_sizes": [5, "full"], "epochs": 40, "stop_at": 1e-2}
    runs = [ol.compare(line, methods, **grid) for _ in range(2)]
    diff = runs[0].diff(runs[1], metrics=["epochs", "suboptimality"])
    assert named(diff) == {}
    compared = diff.table[diff.table["pairs"] > 0]
    assert len(compared) >= 10
    assert (compared["ratio"].dropna() == 1).all()
