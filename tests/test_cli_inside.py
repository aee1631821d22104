"""The command in this process: what it refuses before anything runs, and its small outputs."""

import webbrowser

import pytest

import optlab as ol
from optlab.app.cli import app
from optlab.app.conformance_table import print_counts, print_report
from optlab.app.exit_status import call
from optlab.testing.report import CheckResult, Report

TUNE_AND_RATE = ["compare", "tutorial", "--tune", "3", "--learning-rate", "0.1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (TUNE_AND_RATE, "--tune searches the learning rate: leave --learning-rate out"),
        (
            ["compare", "tutorial", "--tune", "3", "--optimizers", "lstsq"],
            "--tune: none of the optimizers has a hyperparameter to tune",
        ),
        (
            ["compare", "tutorial", "--problem", "rosenbrock"],
            "--problem rosenbrock is not made of a table: use it in a script",
        ),
        (["export", "r.db"], "name at least one output: --parquet DIR or --csv DIR"),
        (["export", "--csv", "tables"], "name at least one results file"),
        (["run", "notes.txt"], "notes.txt is no Python file"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("experiment = 1\n")
    assert call(app, arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_mistake_of_the_script_has_its_own_traceback(tmp_path):
    (tmp_path / "wrong.py").write_text("int('x')\n")
    with pytest.raises(ValueError, match="invalid literal for int"):
        call(app, ["run", str(tmp_path / "wrong.py")])


def test_a_tuned_comparison_prints_its_table(capsys):
    arguments = ["compare", "tutorial", "--tune", "2", "--optimizers", "sgd,lstsq"]
    assert call(app, [*arguments, "--epochs", "3", "--batch-sizes", "full"]) == 0
    assert "tuned: learning_" in capsys.readouterr().out


@pytest.mark.usefixtures("one_figure")
def test_a_page_is_shown_and_figures_are_written(tmp_path, monkeypatch):
    store, page, figures = (tmp_path / name for name in ("r.db", "page.html", "figures"))
    ol.compare(ol.Rosenbrock(), ol.SGD(1e-4), epochs=3, store=store)
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert call(app, ["report", str(store), "-o", str(page), "--open"]) == 0
    assert opened == [page.resolve().as_uri()]
    assert call(app, ["export", str(store), "--figures", str(figures)]) == 0
    assert any(figures.glob("*.png"))


def test_counts_name_failures_passes_with_a_note_and_what_is_hardly_checked(capsys):
    failed = Report("a", (CheckResult("one", "failed", "seen: two"),))
    noted = Report("b", (CheckResult("one", "passed", "passes now"),))
    skips = tuple(CheckResult(f"check {k}", "skipped", "it is direct") for k in range(9))
    hardly = Report("c", (CheckResult("one", "passed", ""), *skips))
    print_counts({"a": failed, "b": noted, "c": hardly})
    shown = capsys.readouterr().out
    assert "a: FAILED one: seen: two" in shown
    assert "b: one passes now" in shown
    assert "Most checks do not apply to: c" in shown
    print_report("c", hardly)
    assert "Most checks do not apply to it: little was proven." in capsys.readouterr().out
