"""The experiment scripts that no other test runs: shortened, but otherwise as they are."""

import dataclasses
import runpy
from pathlib import Path

import pytest

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
    experiment = dataclasses.replace(script["experiment"], epochs=3, seeds=(1,))
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
