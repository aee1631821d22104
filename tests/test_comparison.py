import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optlab.analysis.comparison import FASTER, SAME, SLOWER, TOO_FEW, ratios
from optlab.analysis.intervals import trimmed_mean_interval


def repeats(optimizer, seconds, **changes):
    run = {"problem": "p", "batch": "full", "device": "cpu", "dtype": "float32", "seed": 0}
    run |= {"status": "finished", "contended": False, "optimizer": optimizer} | changes
    return [run | {"repeat": r, "seconds": s} for r, s in enumerate(seconds, 1)]


def verdict(seconds, baseline_seconds, **changes):
    rows = repeats("A", baseline_seconds) + repeats("B", seconds, **changes)
    return ratios(pd.DataFrame(rows), "A").iloc[0]


def logs(generator, kind, experiments, repeats_each):
    """Noise on the logarithms of seconds, (experiments, repeats, 2 optimizers in random order)."""
    shape = (experiments, 2 * repeats_each)
    noise = 0.03 * generator.standard_normal(shape)
    slowed = np.log(generator.uniform(1.5, 3, shape))
    if kind.startswith("slowdowns"):
        noise += np.where(generator.random(shape) < float(kind.split()[1]) / 100, slowed, 0)
    elif kind == "drift":
        noise += np.cumsum(0.03 * generator.standard_normal(shape), axis=1)
    elif kind == "bursts":
        level = np.zeros(experiments)
        for i in range(2 * repeats_each):
            busy = np.log(generator.uniform(1.2, 2, experiments))
            new = np.where(generator.random(experiments) < 0.3, busy, 0)
            level = np.where(generator.random(experiments) < 0.15, new, level)
            noise[:, i] += level
    elif kind == "heavy tails":
        noise = 0.03 * generator.standard_t(2, shape)
    pairs = noise.reshape(experiments, repeats_each, 2)
    return generator.permuted(pairs, axis=2)


def experiments(kind, times_slower, seed, number=400, repeats_each=5):
    """The verdicts on B against A in ten times forty experiments."""
    noise = logs(np.random.default_rng(seed), kind, number, repeats_each)
    seconds = np.exp(noise) * [1.0, times_slower]
    rows = []
    for e in range(number):
        for side, name in enumerate("AB"):
            rows += repeats(name, seconds[e, :, side], problem=f"p{e}")
    return ratios(pd.DataFrame(rows), "A")["verdict"]


KINDS = ["noise", "slowdowns 2", "slowdowns 5", "bursts", "drift", "heavy tails"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_optimizer_under_two_names_is_not_called_different(kind):
    assert (experiments(kind, 1.0, seed=1) == SAME).sum() >= 360


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_one_that_takes_1_3_times_as_long_is_called_slower(kind):
    assert (experiments(kind, 1.3, seed=2) == SLOWER).sum() >= 360
    assert (experiments(kind, 1 / 1.3, seed=3) == FASTER).sum() >= 360


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("kind", [*KINDS, "slowdowns 10"])
def test_false_alarms_stay_at_5_percent(kind, n):
    noise = logs(np.random.default_rng([n, len(kind)]), kind, 20_000, n)
    _, low, high = trimmed_mean_interval(noise[:, :, 1] - noise[:, :, 0])
    # The standard error of 5 % over 20 000 is 0.15 %; the seed is fixed.
    assert np.mean((low > 0) | (high < 0)) < 0.055


POWER = {("noise", 5): 99, ("slowdowns 2", 5): 97, ("slowdowns 5", 5): 93, ("bursts", 5): 95,
         ("drift", 5): 96.5, ("slowdowns 10", 5): 82, ("slowdowns 10", 10): 89}  # fmt: skip


@pytest.mark.parametrize(("kind", "n"), POWER)
def test_the_power_is_what_the_docstring_says(kind, n):
    noise = logs(np.random.default_rng([9, n, len(kind)]), kind, 20_000, n)
    _, low, _ = trimmed_mean_interval(noise[:, :, 1] - noise[:, :, 0] + math.log(1.3))
    assert 100 * np.mean(low > 0) > POWER[kind, n]


seconds_lists = st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=9)


@settings(max_examples=15)
@given(seconds_lists, st.data())
def test_a_ratio_turns_round_with_its_sides_and_ignores_the_unit(a, data):
    b = data.draw(st.lists(st.floats(1e-3, 1e3), min_size=len(a), max_size=len(a)))
    table = pd.DataFrame(repeats("A", a) + repeats("B", b))
    one, back = ratios(table, "A").iloc[0], ratios(table, "B").iloc[0]
    in_ms = ratios(table.assign(seconds=table["seconds"] * 1000), "A").iloc[0]
    ends = np.log([one["ratio"], one["ratio_low"], one["ratio_high"]])
    turned = -np.log([back["ratio"], back["ratio_high"], back["ratio_low"]])
    np.testing.assert_allclose(ends, turned, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(in_ms["ratio_low"], one["ratio_low"], rtol=1e-6)
    assert one["ratio_low"] <= one["ratio"] <= one["ratio_high"]


def test_pairs_are_made_by_seed_and_repeat_not_by_position():
    rows = []
    for seed in (3, 1):
        rows += repeats("A", [1.0 * 10**seed, 2.0 * 10**seed], seed=seed)
        rows += repeats("B", [1.5 * 10**seed, 3.0 * 10**seed], seed=seed)
    table = pd.DataFrame(rows).sample(frac=1, random_state=4)
    row = ratios(table, "A").iloc[0]
    assert row["pairs"] == 4
    assert row[["ratio", "ratio_low", "ratio_high"]].tolist() == pytest.approx([1.5] * 3)
    assert row["verdict"] == SLOWER


@pytest.mark.parametrize("n", [1, 2])
def test_two_pairs_are_too_few(n):
    row = verdict([2.0] * n, [1.0] * n)
    assert row["verdict"] == TOO_FEW
    assert row["ratio"] == pytest.approx(2)
    assert math.isnan(row["ratio_low"])


@pytest.mark.parametrize(
    ("seconds", "changes", "reason"),
    [
        ([1.0] * 3, {"contended": True}, "3 contended"),
        ([1.0] * 3, {"status": "diverged"}, "3 did not end well"),
        ([math.nan] * 3, {"status": "skipped"}, "3 did not end well"),
        ([1.0] * 3, {"status": "converged"}, "3 reached stop_at in one of the two only"),
        ([0.0, 1.0, 1.0], {}, "1 took no time the clock could see"),
        ([math.nan, 0.0, 1.0], {}, "2 took no time the clock could see"),
    ],
)
def test_pairs_that_cannot_be_compared_are_left_out_and_counted(seconds, changes, reason):
    row = verdict(seconds, [1.0, 1.1, 1.2], **changes)
    assert row["message"] == f"pairs left out: {reason}"
    assert row["pairs"] == 3 - int(reason[0])
    assert row["verdict"] == TOO_FEW


def test_batch_sizes_are_compared_with_their_like_and_direct_methods_with_all():
    rows = repeats("A", [1.0] * 3, batch="1") + repeats("A", [1.0] * 3, batch="full")
    rows += repeats("B", [2.0] * 3, batch="1") + repeats("B", [2.0] * 3, batch="5")
    rows += repeats("D", [0.5] * 3, batch="direct")
    table = pd.DataFrame(rows)
    found = ratios(table, "A")
    sizes = [(str(r.optimizer), str(r.batch), str(r.baseline_batch), r.verdict)
             for r in found.itertuples()]  # fmt: skip
    assert sizes == [
        ("B", "1", "1", SLOWER),
        ("B", "5", "nan", TOO_FEW),
        ("D", "direct", "1", FASTER),
        ("D", "direct", "full", FASTER),
    ]
    assert found["message"].tolist() == ["", "A has no trial here to compare with", "", ""]
    against_direct = ratios(table, "D")
    assert (against_direct["verdict"] == SLOWER).all()
    assert (against_direct["baseline_batch"] == "direct").all()
    assert len(against_direct) == 4


def test_a_cell_is_compared_with_every_other_cell_of_its_problem():
    rows = repeats("A", [1.0] * 3, batch="1") + repeats("A", [2.0] * 3, batch="5")
    rows += repeats("D", [0.5] * 3, batch="direct", device="cuda", dtype="float64")
    rows += repeats("D", [9.0] * 3, problem="q")
    cell = {"problem": "p", "optimizer": "A", "batch": "1", "device": "cpu", "dtype": "float32"}
    found = ratios(pd.DataFrame(rows), cell)
    assert found["optimizer"].tolist() == ["A", "D", "D"]
    assert found["ratio"].tolist()[:2] == pytest.approx([2.0, 0.5])
    assert found["pairs"].tolist() == [3, 3, 0]
    with pytest.raises(ValueError, match="baseline must be one of"):
        ratios(pd.DataFrame(rows), cell | {"batch": "7"})


def test_an_unstable_side_is_marked_and_still_compared():
    row = verdict([1.0, 1.5, 2.0, 2.5, 3.0], [1.0] * 5)
    assert row["unstable"]
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert not verdict([1.0, 1.01, 1.02], [1.0] * 3)["unstable"]


def test_only_a_baseline_gives_no_rows():
    assert ratios(pd.DataFrame(repeats("A", [1.0, 2.0])), "A").empty


def test_row_labels_of_the_table_do_not_matter():
    table = pd.DataFrame(repeats("A", [1.0, 2.0, 3.0]) + repeats("B", [1.0, 1.0, 1.0]))
    relabelled = table.set_index(pd.Index([7, 7, 7, 5, 5, 5]))
    pd.testing.assert_frame_equal(ratios(table, "A"), ratios(relabelled, "A"))


def test_what_cannot_be_is_refused():
    table = pd.DataFrame(repeats("A", [1.0]) + repeats("B", [1.0]))
    with pytest.raises(ValueError, match="baseline must be one of 'A', 'B', not 'C'"):
        ratios(table, "C")
    with pytest.raises(ValueError, match="trials must have each repeat once"):
        ratios(pd.concat([table, table], ignore_index=True), "A")
