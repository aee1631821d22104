import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.lab import Trial, TrialRecord, trials_table
from optlab.text import shown_path

TRIALS = [
    "trial", "problem", "optimizer", "hp_learning_rate", "hp_driver", "batch", "batch_size",
    "device", "dtype", "seed", "repeat", "status", "message", "epochs", "steps", "samples",
    "transfer_seconds", "compile_seconds", "first_pass_seconds", "seconds", "contended", "loss",
    "suboptimality", "parameter_error", "gradient_norm", "best_suboptimality", "best_epoch",
    "stop_scale", "peak_bytes", "file", "versions", "machine", "cores_short",
]  # fmt: skip
TRACES = [
    "trial", "epoch", "samples", "seconds", "loss", "suboptimality", "gradient_norm", "batch_loss",
]  # fmt: skip


@pytest.fixture(scope="module")
def results(problem):
    return ol.compare(
        problem,
        {"descent": ol.ManualSGD(0.1), "wild": ol.ManualSGD(1e6), "gels": ol.Lstsq("gels"),
         "cuda only": OnlyCuda()},
        batch_sizes=[3, "full"], seeds=[1, 2], epochs=30,
    )  # fmt: skip


class OnlyCuda:
    uses_batches = False

    def unsupported(self, problem, device):
        return "runs on cuda only"

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)


def test_the_tables_have_the_designs_columns_and_new_ones_only_at_the_end(results):
    assert results.trials.columns[: len(TRIALS)].tolist() == TRIALS
    assert results.traces.columns[: len(TRACES)].tolist() == TRACES


def test_every_trial_asked_for_has_a_row(results):
    counts = results.trials["optimizer"].value_counts().to_dict()
    assert counts == {"descent": 4, "wild": 4, "gels": 2, "cuda only": 2}
    statuses = results.trials.groupby("optimizer")["status"].unique().map(list).to_dict()
    assert statuses == {"descent": ["finished"], "wild": ["diverged"], "gels": ["finished"],
                        "cuda only": ["skipped"]}  # fmt: skip


def test_batch_is_ordered_and_batch_size_counts_the_rows_of_a_step(results):
    trials = results.trials
    assert trials["batch"].cat.categories.tolist() == ["3", "full", "direct"]
    assert trials["batch"].cat.ordered
    assert trials["batch_size"].dtype == "Int64"
    pairs = trials[["batch", "batch_size"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["3", 3], ["full", 20], ["direct", pd.NA]]
    assert set(trials.loc[trials["batch"] == "direct", "optimizer"]) == {"gels", "cuda only"}
    assert results.summary()["batch_size"].dtype == "Int64"


def test_hyperparameters_are_columns_numeric_where_all_are_numbers(results):
    first = results.trials.groupby("optimizer").first()
    assert results.trials["hp_learning_rate"].dtype == float
    assert first["hp_learning_rate"].dropna().to_dict() == {"descent": 0.1, "wild": 1e6}
    assert first["hp_driver"].dropna().to_dict() == {"gels": "gels"}


plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3), st.lists(st.integers(), max_size=2),
)  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b c"]), plain), min_size=1, max_size=6),
       st.lists(st.sampled_from([None, 1, 5, 40, "full"]), min_size=6, max_size=6))  # fmt: skip
def test_no_hyperparameter_and_no_batch_size_is_lost(each, sizes):
    sizes = sizes[: len(each)]
    records = [
        TrialRecord(Trial(0, "p", "o", size, "cpu", "f", 0), optimizer={"hyperparameters": own})
        for size, own in zip(sizes, each, strict=True)
    ]  # fmt: skip
    table = trials_table(records, {})
    assert not table.columns.duplicated().any()
    assert table["batch"].tolist() == [str(size or "direct") for size in sizes]
    assert table["batch_size"].tolist() == [s if type(s) is int else pd.NA for s in sizes]
    for name in {name for own in each for name in own}:
        for value, cell in zip([own.get(name) for own in each], table[f"hp_{name}"], strict=True):
            assert pd.isna(cell) if value is None else cell in (value, json.dumps(value))


def test_a_trials_numbers_are_those_of_its_last_recorded_iterate(results):
    last = results.traces.groupby("trial").last()
    trials = results.trials.set_index("trial").loc[last.index]
    for column in ("samples", "loss", "suboptimality", "gradient_norm"):
        np.testing.assert_array_equal(trials[column], last[column])
    np.testing.assert_array_equal(trials["epochs"], last["epoch"])


def test_traces_have_the_start_of_every_trial_that_ran(results):
    ran = set(results.trials.loc[results.trials["status"] != "skipped", "trial"])
    start = results.traces[results.traces["epoch"] == 0]
    assert set(start["trial"]) == ran
    assert (start[["samples", "seconds"]] == 0).all(axis=None)


def test_skipped_trials_have_no_numbers(results):
    skipped = results.trials[results.trials["status"] == "skipped"]
    assert skipped[["loss", "suboptimality", "parameter_error", "seconds"]].isna().all(axis=None)
    assert set(skipped["message"]) == {"runs on cuda only"}


def test_parameters_are_those_the_numbers_judge(problem, results):
    import torch

    for row in results.trials[results.trials["status"] == "finished"].itertuples():
        arrays = results.parameters(row.trial)
        found = problem.evaluate({name: torch.from_numpy(a) for name, a in arrays.items()})
        assert (found.loss, found.parameter_error) == (row.loss, row.parameter_error)


def test_parameters_of_a_trial_without_any_say_why(results):
    skipped = int(results.trials.loc[results.trials["status"] == "skipped", "trial"].iloc[0])
    with pytest.raises(ValueError, match=r"was skipped \(runs on cuda only\)"):
        results.parameters(skipped)
    with pytest.raises(ValueError, match="there is no trial 99: they run from 0 to 11"):
        results.parameters(99)


def test_csv_keeps_every_digit(results, tmp_path):
    results.to_csv(tmp_path / "new" / "folder")
    for name, table in (("trials", results.trials), ("traces", results.traces)):
        path = tmp_path / "new" / "folder" / f"{name}.csv"
        read = pd.read_csv(path, dtype=str)
        assert read.columns.tolist() == table.columns.tolist()
        assert len(read) == len(table)
        for column in table.select_dtypes("number"):
            np.testing.assert_array_equal(read[column].map(float), table[column].astype(float))
        for column in {"optimizer", "batch", "status", "message"} & set(table):
            assert read[column].tolist() == table[column].tolist()


def test_the_summary_has_a_row_for_each_cell_with_medians_over_seeds(results):
    summary = results.summary()
    assert len(summary) == 2 + 2 + 1 + 1
    cell = summary[(summary["optimizer"] == "descent") & (summary["batch"] == "3")].iloc[0]
    trials = results.trials
    own = trials[(trials["optimizer"] == "descent") & (trials["batch"] == "3")]
    assert cell["trials"] == 2
    assert cell["status"] == "finished"
    # Of two values the median is their mean: exact up to one rounding.
    assert cell["loss"] == pytest.approx(own["loss"].mean(), rel=1e-15, abs=0)


def test_the_summary_counts_statuses_that_differ_and_gives_the_bad_ones_message(problem):
    class Moody:
        uses_batches = False

        def iterates(self, problem, batches, start):
            if start["weight"][0] > 0:
                raise ZeroDivisionError("on purpose")
            yield ol.Iterate(start)

    seeds = range(12)
    row = ol.compare(problem, Moody(), seeds=seeds).summary().iloc[0]
    counts = sorted(part.split()[1] for part in row["status"].split(", "))
    assert counts == ["failed", "finished"]
    assert sum(int(part.split()[0]) for part in row["status"].split(", ")) == len(seeds)
    line = Moody.iterates.__code__.co_firstlineno + 2
    place = f"{shown_path(Path(__file__))}:{line}"
    assert row["message"] == f"ZeroDivisionError: on purpose ({place})"


def test_results_show_their_name_and_statuses(results):
    assert "12 trials" in repr(results)
    assert "4 diverged" in repr(results)
