"""Test functions at single points: values, slopes, suboptimality, starts and copies by hand."""

import math

import numpy as np
import pytest
import torch

from optlab.problems.functions.beale import Beale
from optlab.problems.functions.benchmark_function import (
    GRID,
    BenchmarkFunction,
    _checked_start,
    check_variables,
)
from optlab.problems.functions.himmelblau import Himmelblau
from optlab.problems.functions.noisy_quadratic import NoisyQuadratic
from optlab.problems.functions.quadratic import Quadratic, checked_eigenvalues
from optlab.problems.functions.rastrigin import Rastrigin
from optlab.problems.functions.rosenbrock import Rosenbrock
from optlab.problems.functions.styblinski_tang import StyblinskiTang
from optlab.problems.problem import Batch


def x(*values):
    return {"x": torch.tensor(values, dtype=torch.float64)}


ROOT = -2.9035340277711770952
VALUES = [
    (Quadratic([10.0, 1.0]), (1.0, -2.0), 7.0, (10.0, -2.0)),
    (NoisyQuadratic([10.0, 1.0], rows=6), (1.0, -2.0), 7.0, (10.0, -2.0)),
    (Rosenbrock(), (2.0, 1.0), 901.0, (2402.0, -600.0)),
    (Rosenbrock(3), (1.0, 2.0, 3.0), 201.0, (-400.0, 1002.0, -200.0)),
    (Beale(), (1.0, 2.0), 126.453125, None),
    (Himmelblau(), (1.0, 2.0), 68.0, (-36.0, -32.0)),
    (Rastrigin(2), (0.5, 1.0), 20.25 + 1, (1.0, 2.0)),
    (StyblinskiTang(2), (1.0, 2.0), (-10 - 38) / 2, (-11.5, -13.5)),
]  # fmt: skip


@pytest.mark.parametrize(("problem", "point", "value", "slope"), VALUES, ids=str)
def test_values_and_slopes(problem, point, value, slope):
    assert problem.loss(x(*point)).item() == pytest.approx(value, rel=1e-15, abs=0)
    found = problem.evaluate(x(*point))
    assert found.loss == pytest.approx(value, rel=1e-15, abs=0)
    assert found.suboptimality == pytest.approx(value - problem.least, rel=1e-14, abs=0)
    if slope is not None:
        assert found.gradient_norm == pytest.approx(math.hypot(*slope), rel=1e-13)
    best = problem.minimiser()
    apart, size = math.dist(point, best.tolist()), math.hypot(*best.tolist()) or 1.0
    if problem.unique:
        assert found.parameter_error == pytest.approx(apart / size, rel=1e-15, abs=0)
    else:
        assert math.isnan(found.parameter_error)
    assert found.more == (dict(zip(("x1", "x2"), point, strict=True)) if len(point) == 2 else {})


@pytest.mark.parametrize(
    ("problem", "best", "least"),
    [
        (Quadratic([2.0, 3.0]), [0, 0], 0.0),
        (NoisyQuadratic([2.0, 3.0], rows=6), [0, 0], 0.0),
        (Rosenbrock(3), [1, 1, 1], 0.0),
        (Beale(), [3, 0.5], 0.0),
        (Himmelblau(), [3, 2], 0.0),
        (Rastrigin(2), [0, 0], 0.0),
        (StyblinskiTang(2), [ROOT, ROOT], -78.33233140754282),
    ],
    ids=str,
)
def test_references(problem, best, least):
    reference = problem.reference()
    assert reference.kind == "certified"
    assert reference.parameters["x"].tolist() == best
    assert reference.loss == pytest.approx(least, rel=1e-15, abs=0)
    assert reference.bound == (2 * math.ulp(least) if least else 0.0)
    assert reference.digits == pytest.approx(15.65, abs=0.01)
    assert reference.unique is problem.unique
    assert problem.suboptimality(reference.parameters["x"]).item() <= 1e-28


def test_suboptimality_near_the_wells_keeps_its_digits():
    """(6 t**2 - 16) e**2 / 2 for e = 2**-20: 17.29 e**2 and a share of e."""
    e = 2.0**-20
    near = torch.tensor([ROOT + e, ROOT], dtype=torch.float64)
    gap = StyblinskiTang(2).suboptimality(near).item()
    right = ((6 * ROOT**2 - 16) * e**2 + 4 * ROOT * e**3 + e**4) / 2
    assert gap == pytest.approx(right, rel=1e-9, abs=0)  # the point is rounded by 4e-16 of e


def test_starts_are_given_or_drawn_from_the_box():
    given = Rosenbrock(start=(3.0, -4.0))
    assert given.start(torch.Generator()).get("x").tolist() == [3.0, -4.0]
    drawn = Quadratic([1.0, 2.0]).start(torch.Generator().manual_seed(5))["x"]
    share = torch.rand(2, generator=torch.Generator().manual_seed(5))
    assert torch.equal(drawn, (-2.0 + 4.0 * share).double())
    noisy = NoisyQuadratic([1.0, 2.0], rows=6).start(torch.Generator().manual_seed(5))["x"]
    right = torch.randn(2, generator=torch.Generator().manual_seed(5)).double()
    assert torch.equal(noisy, right)
    assert _checked_start([1, 2], 2) == (1.0, 2.0)
    for wrong in ([1.0], [1.0, math.nan], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="start must be 2 finite numbers"):
            _checked_start(wrong, 2)


def test_copies_have_their_own_dtype_and_are_made_only_where_they_differ():
    for problem in (Quadratic([10.0, 1.0]), NoisyQuadratic([10.0, 1.0], rows=6)):
        assert problem.to("cpu", torch.float64) is problem
        moved = problem.to("cpu", torch.float32)
        assert (moved.data.X.dtype, moved.data.y.dtype) == (torch.float32, torch.float32)
        assert moved.diagonal.dtype == torch.float32
        assert problem.diagonal.dtype == torch.float64
        assert moved.start(torch.Generator())["x"].dtype == torch.float32
        copied = problem.to("cpu", torch.float64, copy=True)
        assert copied is not problem
        assert copied.data.y.data_ptr() != problem.data.y.data_ptr()
        assert problem.lipschitz() == 10.0
        along = problem.hessian_product(x(1.0, 1.0), x(3.0, -4.0))["x"]
        assert along.tolist() == [30.0, -4.0]
    assert repr(Quadratic([1.0, 2.0], name="its")) == "Quadratic('its', d=2, float64, cpu)"
    assert Quadratic([1.0, 2.0]).name == "Quadratic"
    assert Quadratic([1.0, 2.0]).data.X.shape == (1, 0)


def test_contours_are_over_the_box_of_two_variables():
    grid = Quadratic([10.0, 1.0]).contours()
    assert (len(grid["x1"]), grid["x1"][0], grid["x1"][-1]) == (GRID, -2.0, 2.0)
    assert grid["x1"] == grid["x2"]
    rows = grid["suboptimality"]
    assert (rows[0][0], rows[40][0], rows[0][40]) == (22.0, 2.0, 20.0)
    assert rows[40][40] <= 1e-30  # the middle of the grid is off by rounding
    assert rows[40][41] == 0.00125
    assert rows[1][1] == float(f"{11 / 2 * 1.95**2:.6g}")
    assert Quadratic([1.0] * 3).contours() == {}


def test_the_noise_of_a_batch_is_that_of_its_rows():
    problem = NoisyQuadratic([10.0, 1.0], rows=6, seed=3)
    noise = problem.data.X
    assert noise.shape == (6, 2)
    assert torch.equal(noise[0::2], -noise[1::2])
    torch.testing.assert_close(noise.T @ noise / 6, torch.diag(torch.tensor([10.0, 1.0]).double()))
    point, batch = x(1.0, -2.0), Batch(noise[:3], problem.data.y[:3])
    mean = noise[:3].mean(0)
    assert problem.loss(point, batch).item() == pytest.approx(7 + float(mean[0] - 2 * mean[1]))
    found = problem.gradient(point, batch)["x"].tolist()
    assert found == pytest.approx([10 + mean[0].item(), -2 + mean[1].item()], rel=1e-14, abs=0)
    assert problem.gradient(point)["x"].tolist() == [10.0, -2.0]
    other = NoisyQuadratic([10.0, 1.0], rows=6, seed=4)
    assert not torch.equal(noise, other.data.X)
    assert NoisyQuadratic().eigenvalues.tolist() == [1 / k for k in range(1, 101)]
    assert len(NoisyQuadratic().data.y) == 1024
    for rows in (7, 4, 0):
        with pytest.raises(ValueError, match=r"rows must be|rows"):
            NoisyQuadratic([10.0, 1.0], rows=rows)


def test_eigenvalues_and_numbers_of_variables_are_checked():
    assert checked_eigenvalues([0.0, 1.0]).tolist() == [0.0, 1.0]
    flat = Quadratic([0.0, 1.0, 0.0])
    assert flat.unique is False
    assert flat.message.endswith("; 2 variables make no difference")
    assert Quadratic([1.0]).message == "a sum of squares that is zero at the origin only"
    assert Quadratic([1.0]).unique is True
    assert NoisyQuadratic([1.0, 0.0], rows=6).unique is False
    for wrong in ([0.0, 0.0], [-1.0, 1.0], [math.inf], [], [[1.0]], ["a"]):
        with pytest.raises(ValueError, match="eigenvalues must be"):
            checked_eigenvalues(wrong)
    assert check_variables(2, 2) == 2
    with pytest.raises(ValueError, match="d must be at least 3, not 2"):
        check_variables(2, 3)
    own = BenchmarkFunction(2, box=(0.0, 1.0), message="")
    assert (own.least, own.unique, own.measures) == (0.0, True, ("x1", "x2"))
    assert np.isnan(Himmelblau().evaluate(x(0.0, 0.0)).parameter_error)
