"""Every registered optimizer is checked; a new one is tested by being registered."""

import dataclasses
import inspect
import json

import pytest

import optlab as ol
from optlab.optimizers import hyperparameters, registry
from optlab.optimizers.examples import examples
from optlab.testing import check_optimizer, parametrize_with_checks
from tests.plain_problem import plain_problem

CLASSES = dict(registry.items())
EXAMPLES = examples()
each_class = pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)


@each_class
def test_default_settings(cls):
    # One test an optimizer: pytest takes longer for a test of each check than most checks do. Of
    # torch's L-BFGS, 4 steps a batch and 5 pairs show what its 20 and 100 do.
    is_dear = cls is CLASSES["torch-lbfgs"]
    optimizer = cls(max_iter=4, history_size=5) if is_dear else cls()
    check_optimizer(optimizer).raise_if_failed()


@parametrize_with_checks([ol.ManualSGD, ol.Lstsq])
def test_default_settings_check_by_check(optimizer, check):
    check(optimizer)


OF_SETTINGS = [
    "yields parameters like the start", "fits without an intercept", "no state outlives a run",
    "stays at the optimum", "what is not a number is passed on", "follows its rule",
    "refuses bad hyperparameters",
]  # fmt: skip
# What follows its rule to the last digits, in short batches too, does all that its rule does.
WITHOUT_A_RULE = [
    "every row counts", "the short last batch counts by its rows", "the first step descends",
    "gradients are means not sums", "float64 is float64", "a direct method solves the problem",
    "iterates go down",
]  # fmt: skip


@pytest.mark.parametrize("label", [label for label in EXAMPLES if label not in CLASSES])
def test_other_settings_and_adapters(label):
    # All of level full is checked by `optlab check --all --level full`, whose table is kept.
    report = check_optimizer(EXAMPLES[label], only=OF_SETTINGS)
    report.raise_if_failed()
    if report.outcome("follows its rule") != "passed":
        check_optimizer(EXAMPLES[label], only=WITHOUT_A_RULE).raise_if_failed()


@each_class
def test_is_a_frozen_dataclass_of_hyperparameters(cls):
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen


@each_class
def test_is_made_without_arguments_and_compares_by_value(cls):
    assert cls() == cls()
    assert hash(cls()) == hash(cls())


@each_class
def test_hyperparameters_are_json_and_make_the_same_optimizer_again(cls):
    text = json.dumps(hyperparameters(cls()), allow_nan=False)
    assert cls(**json.loads(text)) == cls()


@each_class
def test_docstring_says_what_it_computes_with_an_example_and_the_source(cls):
    doc = inspect.getdoc(cls)
    assert doc.partition("\n")[0].endswith(".")
    assert "Examples\n--------\n>>> " in doc
    assert "References\n----------\n" in doc


@each_class
def test_is_run_by_the_lab(cls):
    problem = plain_problem(cls(), ol.datasets.synthetic(24, 3, condition=2, seed=1))
    solution = ol.minimize(problem, cls(), epochs=3, batch_size=5)
    assert solution.status == ol.Status.FINISHED
