"""NIST's 27 nonlinear sets: the data, the right answers, and Levenberg-Marquardt on all of them."""

import math
import statistics
from decimal import Decimal, localcontext
from itertools import islice

import pytest
import torch

import optlab as ol
from optlab.datasets.nist_curves import NONLINEAR_NAMES
from optlab.problems.curves.residual_functions import ResidualFunctions
from optlab.problems.curves.trust_region import TrustRegion
from optlab.problems.vector import flatten, unflatten


def digits(parameters, exact):
    pairs = [(Decimal(parameters[name].item()), Decimal(text)) for name, text in exact.items()]
    worst = max(abs((found - right) / right) for found, right in pairs)
    return 15.0 if worst == 0 else min(15.0, -math.log10(worst))


def problem_of(name, start=None, **changes):
    return ol.NonlinearLeastSquares.from_dataset(ol.datasets.nist_nonlinear(name), start=start)


def without_answer(name):
    data = ol.datasets.nist_nonlinear(name)
    known = {key: data.known[key] for key in ("model", "starts")}
    plain = ol.datasets.Dataset(name, data.X, data.y, known=known)
    return ol.NonlinearLeastSquares.from_dataset(plain, start=2)


@pytest.mark.parametrize("name", NONLINEAR_NAMES)
def test_the_exact_values_round_to_those_that_nist_certifies(name):
    known = ol.datasets.nist_nonlinear(name).known
    certified, exact = known["certified"], known["exact"]
    pairs = [(certified["rss"], exact["rss"]), (certified["residual_sd"], exact["residual_sd"])]
    for part in ("parameters", "standard_deviations"):
        assert certified[part].keys() == exact[part].keys()
        pairs += [(certified[part][b], exact[part][b]) for b in exact[part]]
    for printed, text in pairs:
        with localcontext() as context:
            context.prec = 11
            assert float(+Decimal(text)) == printed


@pytest.mark.parametrize("name", NONLINEAR_NAMES)
def test_the_known_reference_is_right_to_the_last_bit_and_its_loss_agrees(name):
    data = ol.datasets.nist_nonlinear(name)
    problem = problem_of(name)
    reference = problem.reference()
    exact = data.known["exact_float64_data"]
    assert {b: v.item() for b, v in reference.parameters.items()} == {
        b: float(text) for b, text in exact["parameters"].items()
    }
    assert (reference.kind, reference.trusted) == ("certified", True)
    assert math.isnan(reference.bound)
    evaluation = problem.evaluate(reference.parameters)
    assert evaluation.suboptimality == 0.0
    assert evaluation.more["correct_digits"] == 15.0
    # The loss rounds as the residuals do: 8 ulp of each prediction, or of y, against the residual.
    rounding = 8 * 2**-52 * data.y.__abs__().max() / math.sqrt(reference.loss)
    assert evaluation.loss == pytest.approx(reference.loss, rel=2 * rounding)


@pytest.fixture(scope="module")
def ends():
    """The last point of Levenberg-Marquardt from both starts of all sets: 54 runs, some 7 s."""
    found = {}
    for name in NONLINEAR_NAMES:
        problem = problem_of(name)
        functions = ResidualFunctions(problem, problem.starts[0])
        for number, start in enumerate(problem.starts, start=1):
            *_, last = islice(TrustRegion().points(functions, flatten(start)), 1000)
            found[name, number] = unflatten(last.point, start)
    return found


def test_levenberg_marquardt_solves_all_sets_from_both_starts(ends):
    exact = {name: ol.datasets.nist_nonlinear(name).known["exact"] for name in NONLINEAR_NAMES}
    reached = {key: digits(end, exact[key[0]]["parameters"]) for key, end in ends.items()}
    assert len(reached) == 54
    assert min(reached.values()) >= 11.0  # seen: 12.1, Bennett5
    assert statistics.median(reached.values()) >= 14.0  # seen: 14.8


@pytest.mark.parametrize("name", ["Misra1a", "DanWood", "BoxBOD", "Rat42", "MGH09", "Thurber"])
def test_a_computed_reference_has_the_digits_that_it_claims(name):
    reference = without_answer(name).reference()
    exact = ol.datasets.nist_nonlinear(name).known["exact_float64_data"]
    assert (reference.kind, reference.trusted, reference.unique) == ("computed", True, None)
    assert digits(reference.parameters, exact["parameters"]) >= min(15.0, reference.digits)
    assert reference.digits > 9
    assert reference.loss == pytest.approx(float(exact["rss"]) / problem_of(name).y.numel(), 1e-6)
    assert "no other minimum is lower is not proven" in reference.message


def test_an_unknown_set_and_an_unknown_start_are_refused():
    with pytest.raises(ValueError, match="did you mean 'Misra1a'"):
        ol.datasets.nist_nonlinear("misra1a")
    with pytest.raises(ValueError, match=r"a number from 1 to 2.*not 3"):
        problem_of("Misra1a", start=3)


def test_a_seed_chooses_the_start():
    problem = problem_of("Misra1a")
    first, second = (
        problem.start(torch.Generator().manual_seed(seed))["b1"].item() for seed in (0, 1)
    )
    assert (first, second) == (500.0, 250.0)
    assert problem.start(torch.Generator().manual_seed(1))["b2"].item() == 0.0005


def test_standardized_columns_know_no_model():
    data = ol.datasets.nist_nonlinear("Misra1a").standardized()
    with pytest.raises(ValueError, match="does not know its model"):
        ol.NonlinearLeastSquares.from_dataset(data)
