"""The right answer on the eleven NIST sets, and on their rounded data exactly."""

import functools

import pytest
import torch

from optlab.linalg import least_squares
from tests.exact import NIST_NAMES, exact_solution, load_nist, lre, unknowns


@functools.cache
def nist(name):
    data = load_nist(name)
    return data, exact_solution(data.X, data.y, data.intercept)


def solve(name, order=None, **options):
    data, _ = nist(name)
    rows = slice(None) if order is None else order
    return least_squares(data.X[rows], data.y[rows], fit_intercept=data.intercept, **options)


@pytest.mark.parametrize("route", ["auto", "full"])
@pytest.mark.parametrize("name", NIST_NAMES)
def test_all_digits_of_the_rounded_problem_in_any_order_of_rows(name, route):
    data, right = nist(name)
    for seed in range(20):
        order = torch.randperm(len(data.y), generator=torch.Generator().manual_seed(seed))
        solution = solve(name, order, route=route)
        # 15: rounding to float64 leaves 15.95, and LRE is capped.
        assert lre(unknowns(solution, data.intercept), right) == 15.0
        assert solution.certificate.digits > 15.0
        assert solution.certificate.trusted


@pytest.mark.parametrize("name", NIST_NAMES)
def test_digits_of_the_certified_values(name):
    data, _ = nist(name)
    # Rounding the design to float64 costs Filip half of its digits before any solver sees it.
    enough = 7.5 if name == "Filip" else 13.0
    assert lre(unknowns(solve(name), data.intercept), data.certified) >= enough


@pytest.mark.parametrize("name", NIST_NAMES)
def test_the_double_double_design_has_all_certified_digits(name):
    data, _ = nist(name)
    solution = solve(name, X_low=data.X_low, y_low=data.y_low)
    assert lre(unknowns(solution, data.intercept), data.exact_coef) >= 14.0


@pytest.mark.parametrize("name", NIST_NAMES)
def test_standard_errors(name):
    data, _ = nist(name)
    errors = solve(name).certificate.standard_errors
    found = ([errors["bias"].item()] if data.intercept else []) + errors["weight"].tolist()
    assert lre(found, data.exact_sd) >= (7.2 if name == "Filip" else 12.5)


@pytest.mark.parametrize("name", NIST_NAMES)
def test_fast_never_claims_more_than_it_has(name):
    data, right = nist(name)
    solution = solve(name, route="fast")
    assert lre(unknowns(solution, data.intercept), right) >= min(15, solution.certificate.digits)


def test_fast_says_when_it_had_to_take_the_full_route():
    assert solve("Filip", route="fast").certificate.route == "full"
    assert solve("Longley", route="fast").certificate.route == "fast"


def test_condition_numbers():
    certificate = solve("Longley").certificate
    # Belsley's well-known figures for Longley: 4.859257e9 raw; 43 275 with columns of norm one,
    # which powers of two can only come near to: within a factor two either way.
    assert certificate.condition_raw == pytest.approx(4.859257e9, rel=1e-5)
    assert 43275 / 2 < certificate.condition_scaled < 43275 * 2
