"""Tables as files: every one in each format, and the command that writes them."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from optlab.app import cli
from optlab.report.latex import latex_table
from tests.commands import program
from tests.planted_results import EVIL

NAMES = {"trials", "traces", "summary", "parameters", "references"}
ANSWERS = {"ranking", "theory"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "results.db"
    problem = ol.LinearRegression(
        np.random.default_rng(1).normal(size=(20, 2)), np.arange(20.0),
        feature_names=("age", "bmi"), name="p_1",
    )  # fmt: skip
    optimizers = {"sgd": ol.ManualSGD(0.1), "lstsq": ol.Lstsq(), "l_2 & co": ol.ManualSGD(1e9)}
    axes = {"batch_sizes": [3, "full"], "devices": ["cpu", "cuda:9"], "epochs": 300}
    experiment = ol.Experiment(problems=problem, optimizers=optimizers, **axes)
    return path, experiment.run(store=path), problem


@pytest.mark.parametrize(
    ("kind", "suffix"), [("csv", "csv"), ("latex", "tex"), ("parquet", "parquet")]
)
def test_every_table_is_written_in_each_format(stored, tmp_path, kind, suffix):
    files = stored[1].export(tmp_path / "new", kind)
    names = NAMES if kind == "latex" else NAMES | ANSWERS
    assert {path.name for path in files} == {f"{name}.{suffix}" for name in names}
    assert all(path.stat().st_size > 0 for path in files)


def test_the_tables_of_a_target_are_written_and_removed_where_another_run_has_none(
    stored, tmp_path
):
    methods = [ol.SGD(0.1), ol.Lstsq()]
    ol.compare(stored[2], methods, epochs=3, stop_at=0.5).to_csv(tmp_path)
    wins = pd.read_csv(tmp_path / "win_rates.csv")
    assert wins[["wins", "losses"]].sum(axis=1).eq(wins["comparisons"] - wins["ties"]).all()
    assert {"scores.csv", "expected_cost.csv"} <= {path.name for path in tmp_path.iterdir()}
    stored[1].to_csv(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == NAMES | ANSWERS


def test_parquet_and_csv_hold_the_same_numbers(stored, tmp_path):
    for kind in ("csv", "parquet"):
        stored[1].export(tmp_path, kind)
    for name in NAMES:
        one, other = (
            pd.read_csv(tmp_path / f"{name}.csv"),
            pd.read_parquet(tmp_path / f"{name}.parquet"),
        )
        assert list(one) == list(other)
        for column in one.dropna(axis=1, how="all").select_dtypes("number"):
            np.testing.assert_array_equal(one[column], other[column].astype(float))


def test_final_parameters_are_named_and_stand_beside_the_optimum(stored, tmp_path):
    path, results, problem = stored
    ol.Results.load(path).export(tmp_path, "csv")
    table = pd.read_csv(tmp_path / "parameters.csv")
    of_lstsq = table[table["optimizer"] == "lstsq"]
    assert of_lstsq["parameter"].tolist() == ["age", "bmi", "bias"]
    optimum = problem.reference().parameters
    exact = [*optimum["weight"].tolist(), optimum["bias"].item()]
    assert of_lstsq["reference"].tolist() == exact
    np.testing.assert_allclose(of_lstsq["value"], exact, rtol=1e-12)  # condition 1, some 100 eps
    skipped = results.trials.loc[results.trials["status"] == "skipped", "trial"]
    assert not set(skipped) & set(table["trial"])


def test_the_optima_come_with_their_certificates(stored, tmp_path):
    stored[1].export(tmp_path, "csv")
    row = pd.read_csv(tmp_path / "references.csv").iloc[0]
    assert (row["problem"], row["n"], row["d"]) == ("p_1", 20, 2)
    assert row["loss"] == stored[2].reference().loss
    assert row["trusted"]
    assert "full rank" in row["message"]


def test_latex_takes_no_name_for_tex_and_has_a_cell_for_each_column(stored, tmp_path):
    stored[1].export(tmp_path, "latex")
    for name in NAMES:
        text = (tmp_path / f"{name}.tex").read_text()
        columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
        assert "hp_" not in text
        assert len(columns) <= 14
    assert r"l\_2 \& co" in (tmp_path / "summary.tex").read_text()
    assert "_" not in re.sub(r"\\_", "", latex_table(pd.DataFrame({EVIL: [EVIL]})))


def test_another_kind_is_refused(stored, tmp_path):
    with pytest.raises(ValueError, match="kind must be 'csv', 'parquet', 'latex', not 'xlsx'"):
        stored[1].export(tmp_path, "xlsx")


@pytest.mark.usefixtures("one_figure")
def test_the_command_writes_tables_and_figures_of_several_files(
    stored, tmp_path, monkeypatch, capsys
):
    folders = {kind: tmp_path / kind for kind in ("csv", "latex", "parquet", "figures")}
    options = [part for kind, folder in folders.items() for part in (f"--{kind}", folder)]
    options += ["--style", "one-column", "--table", tmp_path / "paper.tex", "--label", "tab:l"]
    other = shutil.copy(stored[0], tmp_path / "other.db")
    monkeypatch.setattr(sys, "argv", ["optlab", "export", *map(str, (stored[0], other, *options))])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 0, said
    assert f"wrote 7 files into {folders['csv']}" in said
    held = pd.read_csv(folders["csv"] / "trials.csv")
    assert len(held) == len(stored[1].trials)  # a copy is no new evidence
    assert r"\label{tab:l}" in (tmp_path / "paper.tex").read_text()
    assert {path.name for path in folders["figures"].iterdir()} == {
        "seconds.svg", "seconds.png", "seconds.pdf"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["results.db"], "name at least one output: --parquet DIR or"),
        (["--csv", "new"], "results file"),
    ],
)
def test_what_is_missing_is_said(tmp_path, arguments, said):
    done = subprocess.run(
        [program("optlab"), "export", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, said in done.stderr) == (2, True)
