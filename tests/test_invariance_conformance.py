"""Checks of invariances: faults of the zoo, and to how many digits a claim is held."""

import math

import pytest

import optlab as ol
from optlab.testing.conformance.check import all_checks
from optlab.testing.invariances import INVARIANCES, Invariance
from tests.caught_faults import outcome, require_caught
from tests.faulty_optimizers import ZOO, Claims, Descent

FAULTS = [name for name, fault in ZOO.items() if fault.check.startswith("invariance to ")]
CHECKS = {one.name: one for one in all_checks()}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


def test_there_is_a_check_of_each_at_level_full():
    for one in INVARIANCES:
        check = CHECKS[f"invariance to {one.name}"]
        assert check.level == "full"
        assert check.sentence == f"The iterates follow a change of the problem: {one.formula}."


@pytest.fixture
def digits_are(monkeypatch):
    """Let each invariance hold to so many digits, and note the runs that it is measured on."""
    runs = []

    def set_to(digits):
        monkeypatch.setattr(
            Invariance, "digits", lambda self, optimizer, run: runs.append(run) or digits
        )
        return runs

    return set_to


@pytest.mark.parametrize("digits", [9.9, 10.1, 0.0])
def test_a_claim_is_held_to_rounding(digits_are, digits):
    # 20 times 1 000 eps for each of 28 numbers, 1.2e-10, is 9.9 digits.
    runs = digits_are(digits)
    least = -math.log10(20 * 1000 * 28 * 2.0**-52)
    found = outcome(CHECKS["invariance to rotation"], Claims("rotation", lambda g, w: g))
    assert bool(found) is (digits < least)
    if found:
        assert f"seen: the iterates agree to {digits:.1f} digits\n" in found
        assert f"tolerance: {least:.1f} digits, for rounding" in found
        assert "X Q, w0 to Q'w0: iterates Q'w, which the method claims" in found
    assert runs[0].batch_size == 2
    assert runs[0].count == 3
    assert not runs[0].problem().fit_intercept
    outcome(CHECKS["invariance to rotation"], ol.Lstsq())
    assert runs[-1].batch_size == "full"


def test_what_is_not_claimed_is_not_checked():
    name = "invariance to rotation"
    assert outcome(CHECKS[name], Descent()) == (
        "it claims none: optlab.testing.signature measures them"
    )
    assert outcome(CHECKS[name], ol.Adam(0.1)) == "it does not claim it"
    assert not outcome(CHECKS[name], ol.SGD(0.1))
