"""The experiment scripts that no other test runs: shortened, but otherwise as they are."""

import dataclasses
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "experiments"


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("digits_network", {"validation_loss", "accuracy", "validation_accuracy"}),
        ("valley", {"x1", "x2"}),
    ],
)
def test_an_experiment_runs(name, measures, capsys):
    script = runpy.run_path(str(FOLDER / f"{name}.py"))
    experiment = dataclasses.replace(script["experiment"], epochs=3, seeds=(1,))
    results = experiment.run()
    assert set(results.trials["status"]) <= {"finished", "converged"}
    assert measures <= {*results.traces}
    if experiment.conclude:
        experiment.conclude(results)
        assert "Accuracy on the held-out digits" in capsys.readouterr().out
