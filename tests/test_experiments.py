"""The experiment scripts that no other test runs: shortened, but otherwise as they are."""

import dataclasses
import math
import runpy
from pathlib import Path

import pytest

from optlab.lab.execution_options import Execution

FOLDER = Path(__file__).parents[1] / "experiments"


@pytest.mark.parametrize(
    ("name", "measures", "printed"),
    [
        (
            "digits_network",
            {"validation_loss", "accuracy", "validation_accuracy"},
            "Accuracy on the held-out digits",
        ),
        ("valley", {"x1", "x2"}, ""),
        ("nist_nonlinear", {"correct_digits"}, "LevenbergMarquardt"),
    ],
)
def test_an_experiment_runs(name, measures, printed, capsys):
    script = runpy.run_path(str(FOLDER / f"{name}.py"))
    experiment = dataclasses.replace(script["experiment"], epochs=1, seeds=(1,))
    results = experiment.run()
    assert set(results.trials["status"]) <= {"finished", "converged", "diverged"}
    assert measures <= {*results.traces}
    if experiment.conclude:
        experiment.conclude(results)
        assert printed in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "shorter", "printed"),
    [
        ("theory", {"EPOCHS": 3, "LAST": 2}, "| 0.99 of 2/L | "),
        (
            "batch_size",
            {"RUNS": 2, "BATCH_SIZES": (64, 1024), "MOMENTA": (0.5,)},
            "| 1024 | 1.696 | 94 | 36% |",
        ),
        ("noise_floor", {"RUNS": 2, "STEPS": 9, "START_AT": 6}, "| 0.04 | 0.04 | 1 | 0.13269 |"),
    ],
)
def test_an_experiment_of_theory_prints_its_table_and_saves_its_figure(
    name, shorter, printed, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    script = runpy.run_path(str(FOLDER / f"{name}.py"))
    experiment = dataclasses.replace(script["experiment"], epochs=3, seeds=(1,))
    experiment.conclude.__globals__.update(shorter)
    experiment.conclude(experiment.run())
    assert printed in capsys.readouterr().out
    assert (tmp_path / "results" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_defaults_or_tuning_sets_the_gains_side_by_side(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = runpy.run_path(str(FOLDER / "defaults_or_tuning.py"))
    methods = {name: script["METHODS"][name] for name in ("SGD", "Adam")}
    shorter = {"TRIALS": (2, 3), "JUDGING_SEEDS": (1,), "METHODS": methods}
    script["show"].__globals__.update(shorter)
    problems = [script["experiment"].problems[place] for place in (5, 7)]
    experiment = dataclasses.replace(
        script["experiment"], problems=problems, optimizers=script["optimizers"](), seeds=(0, 1),
        epochs=2, recorded_epochs=[2],
    )  # fmt: skip
    results = experiment.run(execution=Execution(sweep=True, threads=1))
    experiment.conclude(results)
    said = capsys.readouterr().out
    left = results.measured.trials.query("problem == 'noisy quadratic' and seed == 1")
    left = left.set_index("optimizer")["suboptimality"]
    # Shares of one start: it cancels.
    by_hand = [math.sqrt(left["SGD"] * left["Adam"] / (left["SGD, 2"] * left["Adam, 2"]))]
    chosen = results.measured.trials.query("problem == 'noisy quadratic' and seed == 0")
    first = chosen.set_index("optimizer")["suboptimality"][["SGD", "Adam"]].idxmin()
    by_hand.append(math.sqrt(left["SGD"] * left["Adam"]) / left[first])
    trying, tuning = script["gains"](results)
    assert 10 ** tuning.loc["noisy quadratic", 2].mean() == pytest.approx(by_hand[0])
    assert 10 ** trying.loc["noisy quadratic", 2] == pytest.approx(by_hand[1])
    assert f"| noisy quadratic | {by_hand[1]:.3g} | {by_hand[0]:.3g} |" in said
    assert "Trying all 2 methods at their defaults gains a factor of" in said
    picture = tmp_path / "results" / "defaults_or_tuning.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
