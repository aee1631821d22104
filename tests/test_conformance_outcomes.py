"""The checks that look at an optimizer, and why the others do not, are the same each time."""

import pytest

import optlab as ol
from optlab.testing import check_optimizer
from optlab.testing.conformance.check import checks_of

CUDA = "a cuda device makes the same iterates"  # depends on the machine
NAMES = [one.name for one in checks_of("full") if one.name != CUDA]
NOT_DIRECT, UNCLAIMED = "it is no direct method", "it does not claim it"
NO_BATCHES, NO_EVALUATIONS = (
    "it uses no mini-batches", "it does not ask the problem for losses or gradients",
)  # fmt: skip
OF_BATCHES = [
    "yields after each pass and counts it", "every row of a pass is used once",
    "the order of batches is respected", "the batches of a pass are visited one after the other",
    "only rows of the batch count", "the short last batch counts by its rows",
    "each step uses the gradient at its own point",
    "every parameter is updated late in the run too",
    "the batch loss is the loss before the update", "the batch loss is that of the last batch",
]  # fmt: skip
OF_DESCENT = {
    "a direct method solves the problem": NOT_DIRECT,
    "invariance to scale of the loss": UNCLAIMED,
    "invariance to scale of columns": UNCLAIMED,
}
OF_A_DIRECT_METHOD = {
    **dict.fromkeys(OF_BATCHES, NO_BATCHES),
    **dict.fromkeys(
        ["the first step descends", "every parameter is updated", "iterates go down",
         "iterates reach the reference or still descend", "stays at the optimum",
         "follows its rule"],
        "it is a direct method",
    ),
    **dict.fromkeys(
        ["gradients are reset between steps", "an error of the problem is passed on",
         "the cost counts every evaluation"],
        NO_EVALUATIONS,
    ),
    "what is not a number is passed on":
        "it is a direct method; problems refuse data that are NaN",
    "refuses bad hyperparameters": "it has no hyperparameter of a usual name",
    "each mode contracts as theory says":
        "it says no linear recurrence of its error: linear_descent()",
}  # fmt: skip
OF_SAGA = {
    "yields after each pass and counts it": "it draws its mini-batches by itself",
    **dict.fromkeys(
        ["every row of a pass is used once",
         "the batches of a pass are visited one after the other", "only rows of the batch count",
         "the short last batch counts by its rows", "the batch loss is that of the last batch"],
        "its cost says that it takes gradients of other rows too",
    ),
    "a direct method solves the problem": NOT_DIRECT,
    "follows its rule": "it claims no known rule: name one by reference=",
    "invariance to scale of columns": UNCLAIMED,
    "each mode contracts as theory says":
        "it says no linear recurrence of its error: linear_descent()",
}  # fmt: skip
FAILS_OF_SAGA = "weights of rows count"


def outcome(optimizer, name):
    (found,) = check_optimizer(optimizer, only=name).checks
    return found.outcome, found.message


@pytest.mark.parametrize("name", NAMES)
def test_of_plain_descent_all_is_checked_but_what_it_does_not_claim(name):
    skipped = OF_DESCENT.get(name)
    expected = ("passed", "") if skipped is None else ("skipped", skipped)
    assert outcome(ol.SGD(0.1), name) == expected


@pytest.mark.parametrize("name", NAMES)
def test_of_a_direct_method_its_answer_is_checked(name):
    skipped = OF_A_DIRECT_METHOD.get(name)
    expected = ("passed", "") if skipped is None else ("skipped", skipped)
    assert outcome(ol.Lstsq(), name) == expected


@pytest.mark.parametrize("name", OF_SAGA)
def test_of_a_method_with_batches_of_its_own_rows_are_not_counted(name):
    assert outcome(ol.SAGA(), name) == ("skipped", OF_SAGA[name])


def test_a_known_failure_is_named():
    found, reason = outcome(ol.SAGA(), FAILS_OF_SAGA)
    assert found == "expected failure"
    assert reason.startswith("its rate is 1/(3 L) of the heaviest row")
