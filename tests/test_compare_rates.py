"""`optlab compare` with nothing but data and a target, and its options of hyperparameters."""

import subprocess

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from optlab.app.cli import app
from optlab.app.compare_optimizers import (
    made_optimizers,
    named_optimizers,
    parsed_settings,
    usual_epochs,
)
from optlab.app.exit_status import call
from optlab.optimizers import registry
from tests.commands import program


def compared(folder, *arguments):
    """Run the command, and return its table of trials."""
    found = subprocess.run(
        [program("optlab"), "compare", *arguments, "--csv", str(folder / "tables")],
        capture_output=True, text=True, cwd=folder, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return pd.read_csv(folder / "tables" / "trials.csv"), found.stdout


def test_diabetes_by_its_name_alone(tmp_path):
    trials, printed = compared(tmp_path, "diabetes")
    assert set(trials["optimizer"]) == {"ManualSGD", "TorchSGD", "Lstsq", "SklearnLinearRegression"}
    assert set(trials["status"]) == {"converged"}, trials["message"].tolist()
    iterative = trials[trials["batch"] == "full"]
    assert set(iterative["hp_learning_rate"]) == {"auto"}
    assert iterative["learning_rate"].between(0.12, 0.13).all()
    assert "learning rate" in printed


def test_a_file_of_ones_own_and_a_target(tmp_path):
    """Unequal scales, correlated columns, an offset: no rate is typed, and descent converges."""
    rng = np.random.default_rng(0)
    size = rng.uniform(20, 250, 300)
    table = pd.DataFrame({
        "size": size,
        "rooms": np.round(size / 30 + rng.normal(size=300)),
        "age": rng.exponential(30, 300),
        "price": 900 * size - 500 * rng.normal(size=300) + 40_000,
    })  # fmt: skip
    table.to_csv(tmp_path / "houses.csv", index=False)
    optimizers = "manual-sgd,torch-sgd,heavy-ball,nesterov,fista,adam,lstsq"
    trials, printed = compared(
        tmp_path, "houses.csv", "--target", "price", "--optimizers", optimizers, "--epochs", "2000"
    )
    ended = trials[trials["repeat"] == 1].set_index("optimizer")
    assert set(ended.drop("Adam")["status"]) == {"converged"}, trials["message"].tolist()
    assert "not reached" in ended["message"]["Adam"]  # its default rate: the sentence says why not
    assert "try another learning rate (in " in printed


def made(names, learning_rate=None, *settings):
    classes = {name: registry.get(name) for name in names}
    return made_optimizers(classes, parsed_settings(learning_rate, settings))


def test_rates_are_computed_where_none_is_given():
    found = made(["sgd", "adam", "svrg", "torch-adam", "saga", "lstsq"])
    rates = [getattr(o, "learning_rate", getattr(o, "lr", None)) for o in found]
    assert rates == ["auto", 0.001, "auto", 0.001, None, None]


def test_several_values_make_an_optimizer_each():
    found = made(["sgd", "torch-adam", "lstsq"], "0.1,1e-2")
    assert found[:2] == [ol.SGD(0.1), ol.SGD(0.01)]
    assert [adam.lr for adam in found[2:4]] == [0.1, 0.01]
    assert found[4:] == [ol.Lstsq()]
    found = made(["torch-sgd"], "1/L,0.1", "momentum=0.5,0.9", "nesterov=true", "weight-decay=0.1")
    assert found[0] == ol.TorchSGD("1/L", 0.5, nesterov=True, weight_decay=0.1)
    assert len(found) == 4
    assert made(["lstsq"], None, "driver=gelsd") == [ol.Lstsq(driver="gelsd")]
    assert made(["saga"], "auto") == [ol.SAGA()]


@pytest.mark.parametrize(("names", "learning_rate", "settings", "words"), [
    (["sgd", "heavy-ball"], None, ["momentm=0.9"],
     "did you mean 'momentum'? sgd has learning_rate; heavy-ball has learning_rate, momentum"),
    (["lstsq", "normal-equations"], "0.1", [], "lstsq has driver; normal-equations has none"),
    (["sgd"], None, ["momentum"], "--set takes name=value, such as momentum=0.9, not 'momentum'"),
    (["sgd"], "0.1", ["learning_rate=0.2"], "learning_rate is given twice"),
    (["heavy-ball"], None, ["momentum=high"], "heavy-ball: momentum must be a number, not 'high'"),
    (["heavy-ball"], None, ["momentum=1.5"], "momentum must be at least 0 and less than 1"),
    (["torch-sgd"], None, ["nesterov=0.9"], "nesterov must be true or false"),
    (["torch-adam"], None, ["betas=0.9"], "betas cannot be set here: use a script"),
    (["sgd"], "fast", [], "a positive number, 'auto', or a formula such as '1/L'"),
    (["adam"], "1/L", [], "is a rate of gradient descent"),
])  # fmt: skip
def test_refused(names, learning_rate, settings, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        made(names, learning_rate, *settings)
    assert words in str(error.value)


MINE = """
from dataclasses import dataclass

import optlab as ol
import torch


@dataclass(frozen=True)
class Mine:
    learning_rate: float
    uses_batches = True

    def iterates(self, problem, batches, start):
        for epoch in batches:
            for batch in epoch:
                slope = ol.gradient(problem, start, batch)
                start = {k: v - self.learning_rate * slope[k] for k, v in start.items()}
            yield ol.Iterate(start)


@dataclass(frozen=True)
class Strict(Mine):
    def __post_init__(self):
        assert self.learning_rate > 0


both = [Mine(0.25), ol.HeavyBall(0.1)]
Torch = torch.optim.SGD
"""


def test_optimizers_of_ones_own_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    named = named_optimizers(["mine.py:Mine", "mine.py:both", "mine.py:Torch", "sgd"])
    found = made_optimizers(named, {"learning_rate": ["0.5"]})
    assert [one.learning_rate for one in found[:3]] == [0.5, 0.5, 0.5]
    assert (found[3].lr, found[4]) == (0.5, ol.SGD(0.5))
    del named["mine.py:Mine"]
    assert [getattr(one, "learning_rate", None) for one in made_optimizers(named, {})] == [
        0.25, 0.1, None, "auto",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"mine.py:Mine cannot be made: .*'learning_rate'; give"):
        made_optimizers(named_optimizers(["mine.py:Mine"]), {})
    with pytest.raises(ValueError, match=r"takes no text as learning_rate: 'auto' is computed for"):
        made_optimizers(named_optimizers(["mine.py:Strict"]), {"learning_rate": ["auto"]})
    again = ["compare", "tutorial", "--optimizers", "mine.py:both,lstsq", "--store", "mine.db"]
    for done in (0, 1):
        assert call(app, [*again, "--epochs", "3", "--repeats", "1"]) == 0
        assert ("3 of 3" in capsys.readouterr().err) == done
    assert ol.Results.load("mine.db").trials["optimizer"].tolist() == ["Mine", "HeavyBall", "Lstsq"]


def test_epochs_are_what_some_seconds_allow():
    class Rows:
        def __init__(self, rows, columns):
            X = np.broadcast_to(np.float32(0), (rows, columns))
            self.data = type(
                "Data", (), {"X": type("X", (), {"numel": lambda _: X.size})(), "y": X[:, 0]}
            )

    assert usual_epochs(Rows(442, 10), ["full"]) == 10_000
    assert usual_epochs(Rows(442, 10), [1, "full"]) == 113
    assert usual_epochs(Rows(10**6, 100), ["full"]) == 100
    assert usual_epochs(Rows(10**5, 20), ["full"]) == 1000


def test_a_rate_of_whole_numbers_is_the_float_that_a_script_writes():
    made = made_optimizers(named_optimizers(["sgd"]), parsed_settings("0.1,1", []))
    assert repr(made) == repr([ol.SGD(0.1), ol.SGD(1.0)])
    mixed = ol.compare(ol.Rosenbrock(), [ol.SGD(0.1), ol.SGD(1)], epochs=1)
    assert mixed.trials["optimizer"].tolist() == [
        "SGD(learning_rate=0.1)",
        "SGD(learning_rate=1.0)",
    ]
