"""The check of the cost: faults of the zoo, and evaluations counted by hand."""

from dataclasses import dataclass

import pytest

import optlab as ol
from optlab.testing.conformance import cost_conformance as checks
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import Descent

COST = checks.the_cost_counts_every_evaluation


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


@dataclass(frozen=True)
class Asks(Descent):
    """Makes an evaluation of its own in one pass on all rows, and says a cost."""

    what: str = ""
    says: dict | None = None
    at: int = 0

    def report(self, parameters, loss, epoch, problem, batch):
        if epoch == self.at and len(batch.y) == len(problem.y):
            self.ask(problem, parameters)
        cost = None if self.says is None else ol.Cost(**{
            name: each * (epoch + 1) if name != "hessian_products" else each
            for name, each in self.says.items()
        })  # fmt: skip
        yield ol.Iterate(parameters, loss, cost=cost)

    def ask(self, problem, parameters):
        if self.what == "loss":
            problem.loss(parameters)
        elif self.what == "gradient":
            problem.gradient(parameters)
        elif self.what == "product":
            problem.hessian_product(parameters, parameters)
        elif self.what == "prediction":
            problem.linear_predictor(parameters)


ONE_EACH = {"losses": 1.0, "gradients": 1.0}


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (Asks(), ""),
        (Asks(says=ONE_EACH), ""),
        (Asks(says={"losses": 5.0, "gradients": 5.0, "hessian_products": 9}), ""),
        (Asks(what="gradient"), "is left out, which says 3 gradients (in passes over all rows)"),
        (Asks(what="gradient", at=2), "seen: 4\n"),
        (Asks(what="gradient", at=3), ""),
        (Asks(what="loss"), "is left out, which says 3 losses"),
        (Asks(what="prediction"), "is left out, which says 3 gradients"),
        (Asks(what="product"), "is left out, which says 0 hessian products"),
        (Asks(what="product", says=ONE_EACH | {"hessian_products": 1.0}), ""),
        (Asks(what="product", says=ONE_EACH), "the cost says 0 hessian products"),
        (Asks(what="gradient", says={"losses": 1.0, "gradients": 4 / 3}), ""),
        (Asks(what="gradient", says={"losses": 1.0, "gradients": 1.3}), "says 3.9 gradients"),
        (Asks(says={"losses": 1.0, "gradients": 0.99}), ("after 3 passes in batches of 3 the cost "
         "says 2.97 gradients (in passes over all rows)\n  seen: 3\n")),
        (ol.Lstsq(), "it does not ask the problem for losses or gradients"),
        (ol.SVRG(), ""), (ol.Newton(), ""),
    ],
)  # fmt: skip
def test_evaluations_are_counted_in_passes(optimizer, said):
    found = outcome(COST, optimizer)
    assert said in found
    assert bool(said) == bool(found)


@dataclass(frozen=True)
class DirectByGradients:
    uses_batches = False

    def iterates(self, problem, batches, start):
        problem.gradient(start)
        problem.gradient(start)
        yield ol.Iterate(start)


def test_what_a_direct_method_does_is_not_counted():
    assert outcome(COST, DirectByGradients()) == "what a direct method does is not counted"
