"""The remark on a best setting at an edge of the values that were tried by hand."""

import pytest

import optlab as ol
from optlab.report.answer.default_rates import default_rates
from optlab.report.answer.grid_edge import at_edges


def edges(problems, methods):
    """Return the remarks; only a few settings reach the target, so that no seconds decide."""
    how = {"batch_sizes": ["full"], "epochs": 4, "stop_at": 1e-3}
    return list(at_edges(ol.compare(problems, methods, **how)))


def test_the_best_value_at_an_edge_of_a_grid_is_told_once_for_each_problem(tutorial):
    rates = (0.001, 0.01, 0.1)
    methods = [*map(ol.SGD, rates), *map(ol.TorchSGD, rates)]
    best = "the best learning rate of SGD and TorchSGD"
    assert edges(tutorial, methods) == [
        f"{best} is the largest that was tried (0.1): try larger ones"
    ]
    other = ol.LinearRegression.from_dataset(ol.datasets.synthetic(20, 2, seed=1))
    there = edges([tutorial, other], methods)
    assert (
        there[0]
        == f"{best} on {tutorial.name} is the largest that was tried (0.1): try larger ones"
    )
    assert len(there) == 2


@pytest.mark.parametrize(
    ("rates", "momenta"),
    [
        ((0.01, 0.1, 100.0), (0.0,)),  # what is beyond the best diverged
        ((0.01, 0.1), (0.0,)),  # two are no grid
        ((0.4,), (0.0, 0.95, 0.99)),  # nothing is below 0
        ((0.5,), (0.9, 0.95, 0.99)),  # the first step ends it: with any momentum after one epoch
        ((0.01, 0.1), (0.0, 0.5)),  # of each value with the same others there are two
    ],
)
def test_where_no_value_beyond_it_is_missing_nothing_is_told(tutorial, rates, momenta):
    assert (
        edges(tutorial, [ol.HeavyBall(rate, momentum=m) for rate in rates for m in momenta]) == []
    )


def test_the_least_value_is_an_edge_too(tutorial):
    (text,) = edges(tutorial, [ol.SGD(rate) for rate in (0.5, 5.0, 50.0)])
    assert (
        text == "the best learning rate of SGD is the least that was tried (0.5): try smaller ones"
    )


def test_a_hyperparameter_that_only_some_methods_have_is_no_obstacle(tutorial):
    methods = [ol.SGD("auto"), ol.TorchSGD(0.1), ol.SklearnLinearRegression(), ol.HeavyBall(0.1)]
    assert edges(tutorial, methods) == []


def test_of_values_whose_trials_were_left_out_nothing_false_is_told(tutorial):
    rates = [ol.SGD(rate) for rate in (0.001, 0.01, 0.1, 0.2)]
    results = ol.compare(tutorial, [*rates, ol.Adam(), ol.Adam(0.1)], batch_sizes=["full"],
                         epochs=4, stop_at=1e-3)  # fmt: skip
    (edge,) = at_edges(results)
    assert "SGD is the largest that was tried (0.2)" in edge
    assert list(at_edges(results.filter(hp_learning_rate=[0.001, 0.01, 0.1]))) == []
    (edge,) = at_edges(results.filter(hp_learning_rate=[0.01, 0.1, 0.2]))
    assert "(0.2)" in edge
    assert list(at_edges(results.best())) == []
    assert list(default_rates(results.filter(method="Adam", hp_learning_rate=0.001))) == []
