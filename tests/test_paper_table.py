"""The table of a paper: its LaTeX by structure, its numbers against the trials."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from optlab.report.latex import escape
from optlab.report.latex_document import table_document
from optlab.report.latex_numbers import cells_of
from optlab.report.paper_table import paper_table
from tests.planted_results import EVIL, plant


@pytest.fixture(scope="module")
def results(tutorial):
    rates = (0.05, 0.2, 1000.0)
    methods = [rule(rate) for rate in rates for rule in (ol.SGD, ol.HeavyBall)]
    return ol.compare(tutorial, [*methods, ol.Lstsq()], batch_sizes=[5], seeds=[1, 2, 3], epochs=30,
                      stop_at=1e-2, recorded_epochs=1)  # fmt: skip


def body(text):
    """Return the cells of the table's rows, without its head."""
    inside = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    lines = [line for line in inside.splitlines() if line.endswith(r"\\")]
    return [[cell.strip() for cell in line.removesuffix(r"\\").split("&")] for line in lines]


def columns_of(text):
    spec = re.search(r"\\begin\{(?:tabular|longtable)\}\{(.*)\}$", text, re.MULTILINE)[1]
    return len(re.sub(r"@\{[^}]*\}", "", spec))


def test_every_setting_has_a_row_the_best_first_and_every_row_a_cell_for_each_column(results):
    text = results.to_latex()
    rows = body(text)
    assert len(rows) == 7
    assert {len(row) for row in rows} == {columns_of(text)}
    best = results.ranking().iloc[0]
    assert rows[0][0] == best["method"]
    assert sum("diverged" in cell for row in rows[-2:] for cell in row) == 2


def test_what_is_the_same_in_all_rows_stands_in_the_caption(results):
    text = results.filter(method=["SGD", "HeavyBall"]).to_latex(caption="Mine", label="tab:mine")
    caption = re.search(r"\\caption\{(.*)\}$", text, re.MULTILINE)[1]
    assert caption.startswith("Mine. Medians over 3 seeds, in brackets the least and the most.")
    assert "Batch size 5, on cpu, in float32." in caption
    head = text.partition(r"\toprule")[2].partition(r"\midrule")[0]
    assert "learning rate" in head
    assert not {"batch size", "device", "dtype"} & set(re.split(r" & | \\\\|\n", head))
    assert r"\label{tab:mine}" in text


def test_where_trials_stopped_at_a_target_the_least_cost_to_it_is_bold(results):
    """A look after the target that lies further below it is no better."""
    rows = body(results.filter(method=["SGD", "HeavyBall"]).to_latex())
    head = ["method", "rate", "suboptimality", "its spread", "epochs", "its spread", "time"]
    bold = {name for row in rows for name, cell in zip(head, row, strict=False) if "bfs" in cell}
    assert {"epochs", "time"} >= bold > set()
    free = replace(results, trials=results.trials.assign(
        status=results.trials["status"].replace("converged", "finished")))  # fmt: skip
    assert "bfs" in body(free.to_latex(columns=["suboptimality"]))[0][-2]


def test_the_caption_says_whose_hyperparameters_were_tuned(tutorial):
    methods = [ol.Tuned(ol.SGD(), trials=2), ol.Tuned(ol.Adam(), trials=2), ol.Lstsq()]
    text = ol.compare(tutorial, methods, epochs=2).to_latex()
    assert re.search("Hyperparameters of (SGD and Adam|Adam and SGD) were tuned", text)


def test_numbers_are_those_of_the_trials(results):
    sgd = results.filter(optimizer="SGD(learning_rate=0.05)")
    (row,) = body(sgd.to_latex(columns=["loss", "epochs"]))
    losses = np.sort(sgd.trials["loss"].astype(float))
    low, middle, high = (f"{value:#.3g}" for value in losses)
    assert row[1:3] == [f"${middle}$", f"$[{low}, {high}]$"]
    (row,) = body(sgd.to_latex(columns=["loss"], spread="std"))
    mean, half = losses.mean(), losses.std(ddof=1)
    assert row[1] == f"${mean:#.3g}$"
    assert float(re.search(r"\\pm (.*)\$", row[2])[1]) == pytest.approx(half, abs=0.006)
    (row,) = body(sgd.to_latex(columns=["loss"], spread="none"))
    assert row[1] == f"${middle}$"


def test_the_best_of_each_column_is_bold_and_of_each_problem():
    table = pd.DataFrame({"middle": [3.0, 1.0, 1.001, 5.0, np.nan], "low": np.nan, "high": np.nan})
    groups = pd.Series(["a", "a", "a", "b", "b"])
    bold = [("bfseries" in cell.left) for cell in cells_of(table, groups)]
    assert bold == [False, True, True, False, False]  # 1.00 twice as it is read; b has one number
    bold = [("bfseries" in cell.left) for cell in cells_of(table, groups, sign=-1)]
    assert bold == [True, False, False, False, False]
    assert cells_of(table, groups, missing=["?"] * 5)[4].left == "?"


def test_a_long_table_breaks_over_pages(results):
    text = results.to_latex(long=True)
    assert text.count(r"\begin{longtable}") == 1
    assert r"\endhead" in text
    lines = text.partition(r"\endfoot")[2].partition(r"\end{longtable}")[0].split("\n")
    counts = [line.count("&") + 1 for line in lines if line]
    assert counts == [columns_of(text)] * 7
    many = plant(optimizers=tuple(f"m{k}" for k in range(45)), direct=(), sizes=(1,), seeds=1,
                 problems=("line",), devices=("cpu",), mishaps=False, repeats=1)  # fmt: skip
    assert r"\begin{longtable}" in table_document(paper_table(many), "t", None, None, long=None)


def test_of_several_problems_each_has_its_name_once_above_its_rows():
    planted = plant(optimizers=("A", "B"), direct=(), sizes=(1, 8), seeds=1, repeats=1, epochs=(1,),
                    problems=("x_1", "y"), devices=("cpu",), mishaps=False)  # fmt: skip
    mixed = planted.trials.sort_values(["optimizer", "problem"], ignore_index=True)
    for sort in (True, False):
        table = paper_table(replace(planted, trials=mixed), sort=sort)
        assert table.problems == ["x_1"] * 4 + ["y"] * 4
        text = table_document(table, "t", None, "tab:t", long=False)
        lines = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0].splitlines()[1:]
        width = f"\\multicolumn{{{columns_of(text)}}}{{l}}"
        assert [k for k, line in enumerate(lines) if not line.endswith(r"\\")] == [0, 5, 6]
        names = [rf"{width}{{\emph{{x\_1}}}} \\*", r"\midrule", rf"{width}{{\emph{{y}}}} \\*"]
        assert [lines[0], *lines[5:7]] == names
        assert "problem" not in text.partition(r"\toprule")[2].partition(r"\midrule")[0]


def test_special_characters_are_printed(results):
    planted = plant(optimizers=(EVIL, "a_b & 5 %"), direct=(), problems=("x^2 #1",), mishaps=False)
    text = table_document(paper_table(planted), "On x^2 #1 at 5 %", None, "tab:x", long=False)
    assert r"a\_b \& 5 \%" in text
    assert r"\caption{On x\textasciicircum{}2 \#1 at 5 \%." in text
    assert {len(re.split(r"(?<!\\)&", line)) for line in text.splitlines() if line.endswith(r"\\")
            and "multicolumn" not in line} == {columns_of(text)}  # fmt: skip
    assert text.isascii() or "\u2028" not in text
    assert escape("\\ { } ~") == r"\textbackslash{} \{ \} \textasciitilde{}"
    math = results.to_latex(caption="5 % at $x_1$")
    assert r"\caption{5 \% at $x_1$." in math


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"columns": ["los"]}, "no column is called 'los': did you mean 'loss'"),
        ({"spread": "sd"}, "spread must be of interval, std, none, not 'sd'"),
        ({"label": "a b"}, "label must be"),
    ],
)
def test_what_cannot_be_is_refused(results, keywords, message):
    with pytest.raises(ValueError, match=message):
        results.to_latex(**keywords)


def test_the_file_is_overwritten_only_where_optlab_wrote_it(results, tmp_path):
    path = tmp_path / "table.tex"
    assert results.to_latex(path) == path.read_text() == results.to_latex(path)
    path.write_text("mine")
    with pytest.raises(ValueError, match="--force"):
        results.to_latex(path)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX on this machine")
def test_it_compiles(results, tmp_path):
    results.to_latex(tmp_path / "short.tex", label="tab:short")
    results.to_latex(tmp_path / "long.tex", long=True, label="tab:long")
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,longtable}\begin{document}"
        r"\input{short.tex}\input{long.tex}\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
