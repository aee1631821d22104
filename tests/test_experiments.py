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
