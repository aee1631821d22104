"""A problem of a person's own that breaks the protocol is refused before it runs."""

import re

import numpy as np
import pytest
import torch

import optlab as ol
from tests.open_problem import Ripples

GOOD = ol.Evaluation(1.0, 0.0, 0.0, 0.0)


def broken(**members):
    """Return Ripples with some members replaced."""
    return type("Mine", (Ripples,), members).drawn()


def returns(value):
    return lambda *_arguments, **_options: value


def raises(*_arguments, **_options):
    raise KeyError("w")


BREACHES = [
    ({"name": None}, "Mine is no problem: it has no name"),
    ({"name": 3}, "name of Mine must be text that tables can show, such as 'my problem', not 3"),
    ({"data": None}, "Mine is no problem: it has no data"),
    (
        {"data": torch.ones(3)},
        (
            "data of problem 'ripples' is a tensor of shape (3,) in torch.float32"
            ": it must be Batch(X, y)"
        ),
    ),
    ({"data": ol.Batch(np.ones(3), torch.ones(3))}, "data.X of problem 'ripples' is array([1., 1."),
    ({"data": ol.Batch(torch.ones(3, 1), torch.ones(2))}, "has shapes (3, 1), (2,): it must be"),
    ({"evaluate": None}, "Mine is no problem: it has no evaluate"),
    (
        {"evaluate": returns(torch.ones(()))},
        (
            "evaluate of problem 'ripples' returned a tensor of "
            "shape () in torch.float32: it must be an Evaluation of the numbers loss, "
            "suboptimality, gradient_norm, parameter_error (math.nan where not known)"
        ),
    ),
    (
        {"evaluate": returns(GOOD._replace(loss=torch.ones(())))},
        (
            "has as loss a tensor of shape () "
            "in torch.float32: it must be a number, such as tensor.item()"
        ),
    ),
    ({"evaluate": returns(GOOD._replace(more={"accuracy": "high"}))}, "has as accuracy 'high'"),
    ({"evaluate": returns(GOOD._replace(more=0.5))}, "has as more 0.5 (float): it must be numbers"),
    ({"evaluate": raises}, "evaluate of Mine raised KeyError at the start: 'w'"),
    (
        {"loss": returns(0.5)},
        ("loss of problem 'ripples' returned 0.5 (float): it must be a 0-dimensional tensor"),
    ),
    ({"loss": returns(torch.ones(2))}, "loss of problem 'ripples' returned a tensor of shape (2,)"),
    ({"loss": lambda self, parameters: torch.ones(())}, "loss of Mine raised TypeError"),
    (
        {"start": returns(torch.ones(2))},
        (
            "start of problem 'ripples' returned a tensor of shape (2,)"
            " in torch.float32: it must be a dict of names and real tensors"
        ),
    ),
    ({"start": returns({"w": 1.0})}, "start of problem 'ripples' returned {'w': 1.0} (dict)"),
    ({"start": returns({"w": torch.ones(1).long()})}, "returned 'w' in torch.int64"),
    (
        {"to": lambda self, device, dtype: self},
        ("to of problem 'ripples' must take (device, dtype, *, copy=False), not (device, dtype)"),
    ),
    ({"to": 1}, "to of problem 'ripples' is 1 (int): it must be a method"),
]


@pytest.mark.parametrize(("members", "sentence"), BREACHES)
def test_a_member_that_breaks_the_protocol_is_named_with_what_it_gave(members, sentence):
    problem = broken(**members)
    for use in (lambda: ol.Experiment(problems=problem, optimizers=ol.Adam()),
                lambda: ol.minimize(problem, ol.Adam(), epochs=1)):  # fmt: skip
        with pytest.raises(ValueError, match=re.escape(sentence)):
            use()


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (object(), "object is no problem: it has no name, data, loss"),
        (lambda w: w, "function is no problem: ol.NonlinearLeastSquares("),
        (None, "NoneType is no problem"),
        (ol.LinearRegression, "the class LinearRegression is no problem: call it"),
        (torch.nn.Linear(1, 1), "Linear is no problem: ol.ModuleProblem(module, loss, X, y) makes"),
        (torch.nn.Sequential(torch.nn.Linear(1, 1)), "Sequential is no problem: ol.ModuleProblem("),
        (ol.Adam(), "Adam is no problem, but an optimizer: problems come first, as in compare("),
        ([ol.Adam()], "Adam is no problem, but an optimizer"),
    ],
)
def test_what_is_no_problem_is_refused(problem, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ol.compare(problem, [ol.Adam()])


@pytest.mark.parametrize("optimizers", [None, 3, Ripples.drawn(), [Ripples.drawn()]])
def test_what_is_no_optimizer_is_refused(optimizers):
    with pytest.raises(ValueError, match="is no optimizer"):
        ol.compare(Ripples.drawn(), optimizers)


def started_in_double(self, generator):
    return {k: v.double() for k, v in Ripples.start(self, generator).items()}


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (
            {"to": lambda self, device, dtype, *, copy=False: self},
            (
                "to of problem 'ripples' left X "
                "on cpu in torch.float64: it must be the same problem on cpu in torch.float32"
            ),
        ),
        ({"to": returns(None), "evaluate": returns(GOOD)}, "to of problem 'ripples' returned None"),
        (
            {
                "start": started_in_double,
                "to": lambda self, *where, copy=False: Ripples.to(self, *where, copy=copy),
            },
            "left start's 'A' on cpu in torch.float64",
        ),
    ],
)
def test_a_trial_is_never_of_another_dtype_than_its_label(members, sentence):
    problem = broken(**members)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ol.minimize(problem, ol.Adam(), epochs=1, dtype="float32")
    trials = ol.compare(problem, ol.Adam(), epochs=1, dtypes=["float32"]).trials
    assert trials["status"].tolist() == ["failed"]
    assert sentence in trials["message"][0]
