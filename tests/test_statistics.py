import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from optlab.analysis.intervals import (
    _widening,
    median_ranks,
    trimmed_mean_interval,
    wilson_interval,
)
from optlab.analysis.statistics import CELL, median_intervals, summary

OUTCOMES = {"loss": 1.0, "suboptimality": 0.1, "parameter_error": 0.1, "gradient_norm": 0.1}
OUTCOMES |= {"peak_bytes": pd.NA, "cores_short": 0.0}
STATUSES = ["finished", "converged", "diverged", "failed", "skipped", "timed out"]


def trial(optimizer="A", seconds=1.0, **changes):
    cell = {"problem": "p", "batch": "full", "device": "cpu", "dtype": "float32"}
    run = {"seed": 0, "repeat": 1, "status": "finished", "message": "", "contended": False}
    took = {"epochs": 5, "samples": 50, "transfer_seconds": 0.0, "first_pass_seconds": 0.1}
    return cell | run | took | OUTCOMES | {"optimizer": optimizer, "seconds": seconds} | changes


@st.composite
def tables(draw):
    row = st.fixed_dictionaries({
        "optimizer": st.sampled_from("AB"),
        "batch": st.sampled_from(["1", "full", "direct"]),
        "seed": st.integers(0, 2),
        "repeat": st.integers(1, 4),
        "status": st.sampled_from(STATUSES),
        "contended": st.booleans(),
        "seconds": st.one_of(st.floats(1e-6, 1e3), st.just(0.0), st.just(math.nan)),
    })  # fmt: skip

    def key(row):
        return tuple(str(row[column]) for column in ("optimizer", "batch", "seed", "repeat"))

    rows = draw(st.lists(row, min_size=1, max_size=25, unique_by=key))
    return pd.DataFrame([trial(**row) for row in rows])


def cells_of(table):
    """The cells by brute force, in order of appearance."""
    cells = {}
    for _, row in table.iterrows():
        cells.setdefault(tuple(str(row[column]) for column in CELL), []).append(row)
    return cells


def test_peak_memory_is_the_median_of_what_was_measured():
    table = pd.DataFrame([trial(repeat=r, peak_bytes=b) for r, b in enumerate([7, pd.NA, 9, 11])])
    assert summary(table)["peak_bytes"].tolist() == [9]
    assert summary(table[table["repeat"] == 1])["peak_bytes"].isna().all()


@given(tables())
def test_a_summary_is_what_counting_by_hand_gives(table):
    rows, cells = summary(table), cells_of(table)
    assert list(cells_of(rows)) == list(cells)
    for (_, row), members in zip(rows.iterrows(), cells.values(), strict=True):
        assert row["trials"] == len(members)
        assert row["contended"] == any(m["contended"] for m in members)
        good = [m for m in members if m["status"] in {"finished", "converged"}]
        alone = [m for m in good if not m["contended"] and not math.isnan(m["seconds"])]
        values = sorted(m["seconds"] for m in alone)
        assert row["timed"] == len(values)
        np.testing.assert_equal(row["seconds"], np.median(values) if values else math.nan)
        if len(values) < 2:
            assert row[["seconds_low", "seconds_high", "seconds_coverage"]].isna().all()
        else:
            k, coverage = median_ranks(len(values))
            assert row["seconds_low"] == values[k - 1] <= row["seconds"]
            assert row["seconds_high"] == values[-k] >= row["seconds"]
            assert row["seconds_coverage"] == coverage
        expected = spread_by_hand(alone)
        np.testing.assert_allclose(row["spread"], expected, rtol=1e-9, atol=1e-12)
        if not abs(expected - 0.1) <= 1e-9:
            assert row["unstable"] == (expected > 0.1)


def spread_by_hand(members):
    spreads = []
    for seed in {m["seed"] for m in members}:
        own = [m["seconds"] for m in members if m["seed"] == seed]
        iqr, median = stats.iqr(own), np.median(own)
        if len(own) > 1 and (iqr or median):
            spreads.append(iqr / median if median else math.inf)
    return np.median(spreads) if spreads else math.nan


def test_statuses_are_counted_and_the_message_is_of_the_first_that_did_not_end_well():
    rows = [
        trial(message="fine"),
        trial(status="failed", message="first", repeat=2),
        trial(repeat=3),
        trial(status="skipped", message="second", repeat=4),
    ]
    row = summary(pd.DataFrame(rows)).iloc[0]
    assert row["status"] == "2 finished, 1 failed, 1 skipped"
    assert row["message"] == "first"
    assert summary(pd.DataFrame(rows[:1]))["message"][0] == "fine"


def test_no_trials_give_no_rows():
    assert summary(pd.DataFrame([trial()]).iloc[:0]).empty


def test_row_labels_of_the_table_do_not_matter():
    table = pd.DataFrame([trial(o, s, repeat=s) for o in "AB" for s in (1, 2, 3)])
    relabelled = table.set_index(pd.Index([7, 7, 7, 5, 5, 5]))
    pd.testing.assert_frame_equal(summary(table), summary(relabelled))


def test_seeds_that_differ_are_not_called_unstable():
    rows = [trial(seconds=s + r / 100, seed=s, repeat=r) for s in (1, 2, 9) for r in (1, 2, 3)]
    row = summary(pd.DataFrame(rows)).iloc[0]
    assert row["spread"] == pytest.approx(0.01 / 2.02)
    assert not row["unstable"]


@pytest.mark.parametrize("n", range(1, 13))
def test_the_median_intervals_coverage_is_what_all_coin_tosses_say(n):
    k, coverage = median_ranks(n)
    below = [sum(sides) for sides in itertools.product([0, 1], repeat=n)]
    covered = [k <= count <= n - k for count in below]
    assert np.mean(covered) == pytest.approx(coverage, abs=1e-12)
    assert coverage >= 0.95 or k == 1


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.floats(-2, 2), st.floats(0.1, 10))
def test_the_trimmed_interval_moves_and_grows_with_the_samples(values, shift, scale):
    n, samples = len(values), np.array([values])
    one = np.array(trimmed_mean_interval(samples))
    two = np.array(trimmed_mean_interval(scale * samples[:, ::-1] + shift))
    np.testing.assert_allclose(two, scale * one + shift, rtol=1e-6, atol=1e-6)
    flipped = np.array(trimmed_mean_interval(-samples))[[0, 2, 1]]
    np.testing.assert_allclose(flipped, -one, rtol=1e-6, atol=1e-6)
    if 2 <= n <= 4:  # Student's
        half = stats.t.ppf(0.975, n - 1) * stats.sem(values)
        np.testing.assert_allclose(one[2] - one[0], half, rtol=1e-6, atol=1e-6)
    if n >= 5:
        cut = (n + 1) // 4
        assert one[0, 0] == pytest.approx(np.mean(sorted(values)[cut : n - cut]), abs=1e-9)
        samples[0, np.argmax(samples)] = 1e6  # one outlier does not carry it away
        assert np.all(np.abs(trimmed_mean_interval(samples)) < 1e3)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8, 10, 15, 20, 30, 31, 50])
def test_the_trimmed_interval_covers_95_percent_of_normal_samples(n):
    draws = np.random.default_rng(1000 + n).standard_normal((50_000, n))
    _, low, high = trimmed_mean_interval(draws)
    # The standard error of a share of 0.95 over 50 000 draws is 0.001; the seed is fixed.
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.95, abs=0.0035)


def test_intervals_of_larger_samples_are_widened_less():
    """Four more draws are cut alike: one more at each end, so that only their number differs."""
    widening = np.array([_widening(n) for n in range(5, 60)])
    assert (widening[4:] < widening[:-4]).all()
    assert (widening > 1.01).all()
    assert [_widening(n) for n in (1, 4)] == [1, 1]


def test_wilson_agrees_with_scipy():
    for n in (1, 4, 20):
        for k in range(n + 1):
            theirs = stats.binomtest(k, n).proportion_ci(0.95, "wilson")
            assert wilson_interval(k / n, n) == pytest.approx(tuple(theirs), abs=1e-12)
    assert all(math.isnan(end) for end in wilson_interval(math.nan, 0))


def test_the_most_crowded_timed_trial_is_what_a_row_tells():
    rows = [trial(repeat=r, cores_short=c) for r, c in enumerate([0.1, 0.7, 0.2], start=1)]
    rows.append(trial(repeat=4, cores_short=3.0, status="failed"))
    assert summary(pd.DataFrame(rows))["cores_short"].tolist() == [0.7]


def test_a_trial_that_diverged_in_its_first_epoch_ran_one_and_a_skipped_one_none():
    lost = {"status": "diverged", "epochs": 1, "loss": math.nan}
    row = summary(pd.DataFrame([trial(**lost), trial(**lost, repeat=2)])).iloc[0]
    assert row["epochs"] == 1
    skipped = {"status": "skipped", "epochs": 0, "loss": math.nan}
    assert math.isnan(summary(pd.DataFrame([trial(**skipped)]))["epochs"][0])


def test_medians_and_their_intervals_by_cell():
    """The second cell has no value; of nine the second and the eighth are the ends."""
    of_cell = {0: [3.0, 1.0, 2.0], 1: [math.nan], 2: [7.0], 3: [4.0, 1.0],
               4: [9.0, math.inf, 1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 3.0]}  # fmt: skip
    pairs = [(cell, value) for cell, values in of_cell.items() for value in values][::-1]
    cells, values = (pd.Series(part) for part in zip(*pairs, strict=True))
    found = median_intervals(values, cells)
    nothing = [math.nan] * 3
    expected = [
        [2.0, 1.0, 3.0, 0.75],
        [math.nan, *nothing],
        [7.0, *nothing],
        [2.5, 1.0, 4.0, 0.5],
        [5.0, 2.0, 9.0, 1 - 2 * 10 / 512],  # none or one of nine tosses
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    assert median_intervals(values[:0], cells[:0]).shape == (0, 4)
