"""Ranges of hyperparameters: values and places by hand, also beyond the ends."""

import math

import pytest

import optlab as ol
from optlab.analysis.tuning import _goes_on

RATES = ol.LogUniform(1e-4, 1.0)
HUGE = ol.LogUniform(1e-300, 1e300)
MOMENTA = ol.OneMinus(ol.LogUniform(0.01, 1.0))


@pytest.mark.parametrize(
    ("own", "place", "value"),
    [
        (RATES, 0.25, 1e-3),
        (RATES, 1.5, 100.0),
        (RATES, -0.25, 1e-5),
        (ol.LogUniform(1.0, 2.0), 0.5, 1.414),
        (HUGE, 2.0, float(f"{math.exp(700):.4g}")),  # the largest power within float64
        (HUGE, -1.0, float(f"{math.exp(-700):.4g}")),
        (ol.Uniform(-1.0, 3.0), 1 / 3, 0.3333),
        (ol.Uniform(-1.0, 3.0), 1.5, 5.0),
        (ol.Uniform(0.0, 30.0), 1 / 7, 4.286),  # four digits of the width
        (ol.Uniform(0.0, 0.3), 1 / 7, 0.04286),
        (ol.Integers(1, 64, log=True), 0.25, 3),  # 2.83
        (ol.Integers(1, 64, log=True), 1.0, 64),
        (ol.Integers(2, 7), 0.3, 4),  # 3.5 to the even one
        (ol.Integers(2, 7), 1.2, 8),
        (MOMENTA, 0.25, 0.968377),  # 1 - 0.03162
        (MOMENTA, 1.0, 0.0),
        (ol.Choice("a", "b", "c"), 0.0, "a"),
        (ol.Choice("a", "b", "c"), 0.34, "b"),
        (ol.Choice("a", "b", "c"), 1.0, "c"),
    ],
)
def test_the_value_at_a_place(own, place, value):
    found = own.value(place)
    assert found == (pytest.approx(value, rel=1e-5) if own is MOMENTA else value)
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("own", "value", "place"),
    [
        (RATES, 1e-3, 0.25),
        (RATES, 100.0, 1.5),
        (ol.LogUniform(2.0, 8.0), 4.0, 0.5),
        (ol.Uniform(-1.0, 3.0), 0.0, 0.25),
        (ol.Integers(2, 32, log=True), 4, 0.25),
        (ol.Integers(2, 7), 4, 0.4),
        (MOMENTA, 0.9, 0.5),
        (ol.Choice("a", "b", "c"), "a", 1 / 6),
        (ol.Choice("a", "b", "c"), "c", 5 / 6),
    ],
)
def test_the_place_of_a_value(own, value, place):
    assert own.place(value) == pytest.approx(place, rel=1e-14, abs=0)  # a few roundings


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ol.LogUniform(0.0, 1.0), "low must be positive"),
        (lambda: ol.LogUniform(1.0, math.inf), "high must be positive and finite"),
        (lambda: ol.LogUniform(1.0, 1.0), "low must be less than high, not 1.0 and 1.0"),
        (lambda: ol.Uniform(True, 2.0), "the ends of a range must be finite numbers, not True"),
        (lambda: ol.Uniform(0.0, "1"), "the ends of a range must be finite numbers, not '1'"),
        (lambda: ol.Uniform(-math.inf, 1.0), "the ends of a range must be finite numbers"),
        (lambda: ol.Integers(True, 4), "low must be a whole number, not True"),
        (lambda: ol.Integers(1, 4.0), "high must be a whole number, not 4.0"),
        (lambda: ol.Integers(4, 4), "low must be less than high, not 4 and 4"),
        (ol.Choice, "Choice takes two values or more"),
        (lambda: ol.Choice(1, 2, 2), "Choice holds a value twice"),
    ],
)
def test_what_is_no_range_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_the_least_ranges():
    assert ol.Integers(1, 2, log=True).value(1.0) == 2
    assert ol.Choice(0, 1).value(0.4) == 0


@pytest.mark.parametrize(
    ("own", "edge", "goes_on"),
    [
        # A twentieth of the range beyond its end: 1 - 0.5 * 50 ** (1 / 20) = 0.39.
        (ol.OneMinus(ol.LogUniform(0.01, 0.5)), "high", True),
        (ol.OneMinus(ol.LogUniform(0.01, 0.99)), "high", False),  # 1 - 0.99 * 99 ** (1 / 20) < 0
        (ol.OneMinus(ol.LogUniform(0.01, 0.99)), "low", True),
        (ol.LogUniform(0.01, 0.99), "high", True),
    ],
)
def test_a_search_may_go_on_beyond_an_edge_where_momenta_are_left(own, edge, goes_on):
    assert _goes_on(own, 1.0 if edge == "high" else 0.0, edge) is goes_on
