"""A curve's model and its start must fit each other: what does not is refused when it is made."""

import re

import numpy as np
import pytest
import torch

import optlab as ol

X, Y = [0.0, 1.0, 2.0, 3.0], [4.0, 2.0, 1.0, 0.5]


def named(parameters, x):
    return parameters["a"] * torch.exp(-parameters["b"] * x)


def vector(parameters, x):
    return parameters[0] * torch.exp(-parameters[1] * x)


def unpacked(parameters, x):
    a, b = parameters
    return a * torch.exp(-b * x)


def as_numpy(parameters, x):
    return parameters["a"] * np.exp(-parameters["b"] * x)


def as_scipy(x, a, b):
    return a * torch.exp(-b * x)


def swapped(x, parameters):
    return named(parameters, x)


def detached(parameters, x):
    return named({name: value.detach() for name, value in parameters.items()}, x)


AB = {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(
    ("model", "start", "sentence"),
    [
        (named, {"a": 1.0}, "the model asks for the parameter 'b', which start does not have: it "),
        (
            named,
            [1.0, 1.0],
            (
                "it is called as model(parameters, X), with a vector of shape (2,) and "
                "X of shape (4,); for a model of names give start="
            ),
        ),
        (
            vector,
            AB,
            (
                "asks for the parameter 0, which start does not have: it has a, b; give start "
                "as a vector"
            ),
        ),
        (unpacked, AB, "with a dict of a, b and X of shape (4,); for a model of a vector give"),
        (as_numpy, AB, "the model calls numpy, which torch cannot differentiate: write torch.exp"),
        (as_scipy, AB, "model must take (parameters, X), not (x, a, b): curve_fit's"),
        (swapped, AB, "it is called as model(parameters, X), with a dict of a, b"),
        (named, AB | {"c": 1.0, "d": 2.0}, "start has 'c', 'd', on which the model's prediction"),
        (detached, AB, "start has 'a', 'b', on which the model's prediction does not depend"),
    ],
)
def test_a_model_that_does_not_fit_its_start_is_refused_when_the_problem_is_made(
    model, start, sentence
):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ol.NonlinearLeastSquares(model, X, Y, start=start)


@pytest.mark.parametrize(("model", "start"), [(named, AB), (vector, [1, 1]), (unpacked, [1, 1])])
@pytest.mark.parametrize("around", [torch.no_grad, torch.enable_grad])
def test_a_model_that_fits_is_taken_whatever_mode_torch_is_in(model, start, around):
    with around():
        problem = ol.NonlinearLeastSquares(model, X, Y, start=start)
    assert ol.minimize(problem, ol.LevenbergMarquardt(), epochs=20).loss < 1e-20
