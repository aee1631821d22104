"""Checks of precision: faults of the zoo, and where their limits lie."""

import pytest
import torch

import optlab as ol
from optlab.testing.conformance import precision_conformance as checks
from optlab.testing.conformance.single_run import Point
from optlab.testing.conformance.subject import Subject
from tests.caught_faults import each_fault, outcome, require_caught


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


class Answers(Subject):
    """A subject whose run ends where a function of its data says."""

    def run(self, run, problem=None):
        value = self.reference(run, self.data[0])
        return [Point({"w": torch.zeros(2)}, None, 1, None, 0),
                Point({"w": value}, None, 1, None, 0)]  # fmt: skip


def said(check, answer):
    try:
        check.function(Answers(ol.SGD(0.1), reference=answer))
    except (AssertionError, checks.CheckSkipped) as error:
        return str(error)
    return ""


def moving(slope, small):
    """Answers that move with the data by a slope, which for small changes is off by a share."""

    def answer(run, X):
        size = float(run.X[0, 0] / X[0, 0]) - 1
        by = slope * (1 + small * (abs(size) < 1e-6))
        return torch.tensor([1.0, 3.0 + by * size], dtype=torch.float64)

    return answer


SKIPPED = "small changes of the data change nothing: it takes signs or classes"


@pytest.mark.parametrize(
    ("slope", "small", "outcome"),
    [
        (1.0, 0.0, ""), (-4.0, 0.2, ""), (1.0, 0.3, "failed"), (1.0, -0.3, "failed"),
        (1.0, -0.2, ""), (1.0, float("nan"), "failed"),
        # 1e-13 of the largest, 3, is the least change by 2^-33 that counts: a slope of 0.00258.
        (0.0024, 1.0, SKIPPED), (0.0028, -1.0, "failed"), (0.0, 0.0, SKIPPED),
    ],
)  # fmt: skip
def test_small_changes_of_the_data_move_the_iterate_as_much_as_large_ones(slope, small, outcome):
    found = said(checks.float64_is_float64, moving(slope, small))
    if outcome == "failed":
        assert "some of it is computed in float32" in found
        assert "seen: 2^-33 times [0, " in found
        first = [float(line.partition("[[")[2].partition(",")[0]) for line in found.splitlines()
                 if line.strip().startswith("problem = ")]  # fmt: skip
        assert first[1] == first[0] * (1 + 2.0**-33)
    else:
        assert found == outcome


@pytest.mark.parametrize(
    ("gap", "is_right"), [(1.1e-4, True), (1.3e-4, False), (-1.3e-4, False), (float("nan"), False)]
)
def test_float32_is_held_to_a_thousand_of_its_eps(gap, is_right):
    # 1 000 eps are 1.19e-4, relative to the largest entry, 2.
    def answer(run, X):
        off = 2 * gap if run.dtype == "float32" else 0.0
        return torch.tensor([2.0, 1.0 + off], dtype=torch.float64)

    found = said(checks.float32_agrees_with_float64, answer)
    assert bool(found) is not is_right
    if not is_right:
        assert "theory: the same method in fewer digits: [2, 1]\n" in found
        assert "1.2e-04 of the largest parameter: 1 000 eps of float32" in found


def test_methods_of_the_lab_are_right():
    for optimizer in (ol.SGD(0.1), ol.Adam(0.1), ol.Lstsq()):
        assert not outcome(checks.float64_is_float64, optimizer)
        assert not outcome(checks.float32_agrees_with_float64, optimizer)
