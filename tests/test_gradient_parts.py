"""The parts that checks of gradients are made of, on values worked out by hand."""

import math

import pytest
import torch

import optlab as ol
from optlab.testing.gradients import precision_checks, slope_checks
from optlab.testing.gradients.differentiable import (
    VECTOR,
    DetachedError,
    converted,
    differentiable,
    near,
    random_direction,
    some,
)
from optlab.testing.gradients.entry_difference import entry_difference, likely_cause
from optlab.testing.gradients.gradient_subject import GradientSubject, along, line_along
from optlab.testing.gradients.input_checks import (
    _largest,
    apart,
    check_inputs,
    check_layout,
    check_memory,
    copied,
    tensors,
)
from optlab.testing.gradients.line import EPS, Line
from optlab.testing.gradients.place import Place, places
from optlab.testing.gradients.rounding_bound import EPS32, rounding_bound
from optlab.testing.gradients.row_checks import (
    _cause,
    check_all_rows,
    check_batch_average,
    check_broadcasting,
    check_mean,
)
from optlab.testing.run_checks import CheckFailedError, CheckSkipped
from tests.wrong_problems import DoubleConstant

F32, F64 = torch.float32, torch.float64


def vector(*values, dtype=F64):
    return torch.tensor(values, dtype=dtype)


def of(function, point, gradient=None, data=None, seed=0):
    """The subject of checks of a function."""
    return GradientSubject(differentiable(function, point, gradient, data, F64), seed)


def said(check, subject):
    """The failure of a check, why it does not apply, its note, or nothing."""
    try:
        return check(subject) or ""
    except (CheckFailedError, CheckSkipped) as error:
        return str(error)


def rows(n, *, weight=None):
    X = torch.arange(2.0 * n, dtype=F64).reshape(n, 2) / 8 - 0.5
    return ol.Batch(X, (X[:, 0] * 3 + 1).round(), weight)


def squares(w, batch):
    return (batch.X @ w - batch.y).square().mean()


W = vector(0.5, -1.0)


# differentiable


def test_a_direction_is_drawn_in_the_scale_of_each_entry():
    point = {"a": vector(3.0, -4.0, 0.0), "b": torch.zeros(2).double(), "c": vector()}
    draw = torch.Generator().manual_seed(7)
    first, second = torch.randn(3, generator=draw), torch.randn(2, generator=draw)
    mean = math.sqrt(25 / 3)  # 2.89: above 0, below 3 and 4
    found = random_direction(point, 7)
    assert torch.equal(found["a"], first.double() * vector(3.0, 4.0, mean))
    assert torch.equal(found["b"], second.double())
    assert found["c"].shape == (0,)
    small = random_direction({"a": vector(0.25, -0.0625)}, 7)["a"]
    draw = torch.randn(2, generator=torch.Generator().manual_seed(7)).double()
    least = math.sqrt((0.25**2 + 0.0625**2) / 2)
    assert torch.allclose(small, draw * vector(0.25, least), rtol=1e-15, atol=0)
    moved = near(point, 7, 0.1)
    assert torch.equal(moved["a"], point["a"] + 0.1 * found["a"])
    assert torch.equal(near(point, 7)["b"], 0.5 * found["b"])
    single = random_direction({"a": point["a"].float()}, 7)["a"]
    assert single.dtype == F32
    assert torch.allclose(single.double(), found["a"], rtol=1e-6)


def test_rows_are_copied_in_a_dtype_and_whole_numbers_stay():
    batch = ol.Batch(torch.ones(3, 2), torch.tensor([0, 1, 2]), None)
    double = converted(batch, F64)
    assert (double.X.dtype, double.y.dtype, double.weight) == (F64, torch.int64, None)
    assert converted(batch, F32).X.data_ptr() != batch.X.data_ptr()
    assert converted(double, F32).X.dtype == F32
    part = some(batch, slice(1, 3))
    assert (part.X.shape, part.y.tolist(), part.weight) == ((2, 2), [1, 2], None)
    weighed = some(batch._replace(weight=vector(1.0, 2.0, 3.0)), [2, 0])
    assert (weighed.y.tolist(), weighed.weight.tolist()) == ([2, 0], [3.0, 1.0])


def test_a_function_is_called_with_its_point_and_rows():
    data = rows(4)
    one = differentiable(squares, W, data=data)
    assert (one.name, one.dtype, one.problem) == ("squares", F64, None)
    assert one.value({VECTOR: W}) == squares(W, data).item()
    assert (
        one.value({VECTOR: W}, some(data, slice(0, 1))) == squares(W, some(data, slice(1))).item()
    )
    named = differentiable(lambda p: p["w"].sum(), {"w": W.float()})
    assert named.dtype == F32
    assert named.start(3) == {"w": pytest.approx(W)}
    assert named.value({"w": W}) == -0.5
    double = named.in_dtype(F64)
    assert double.start(0)["w"].dtype == F64
    own = differentiable(lambda w: w.sum(), W)
    own.start(0)[VECTOR].zero_()
    assert W.tolist() == [0.5, -1.0]
    assert one.in_dtype(F32).data.X.dtype == F32
    assert one.has_separate_rows
    assert one.has_steady_loss
    assert not one.is_random
    assert not own.has_separate_rows
    assert not differentiable(squares, W, data=rows(1)).has_separate_rows
    assert differentiable(squares, W, data=rows(2)).has_separate_rows


def test_of_a_problem_its_own_gradient_is_taken_unless_another_is_given():
    problem = ol.LinearRegression(rows(4).X, rows(4).y)
    one = differentiable(problem)
    assert (one.name, one.dtype, one.problem) == (problem.name, F64, problem)
    assert one.closed == problem.gradient
    single = one.in_dtype(F32)
    assert single.problem.X.dtype == F32
    assert single.closed.__self__ is single.problem
    given = differentiable(problem, gradient=max)
    assert given.closed is max
    assert given.in_dtype(F32).closed is max
    assert torch.equal(
        one.start(5)["weight"], problem.start(torch.Generator().manual_seed(5))["weight"]
    )


def test_gradients_are_the_closed_form_or_autograds_or_zeros():
    def both(w):
        return 3 * w[0] + 0 * w[1]

    plain, closed = differentiable(both, W), differentiable(both, W, lambda w: w + 1)
    assert plain.gradient({VECTOR: W})[VECTOR].tolist() == [3.0, 0.0]
    assert closed.gradient({VECTOR: W})[VECTOR].tolist() == [1.5, 0.0]
    assert closed.autograd({VECTOR: W})[VECTOR].tolist() == [3.0, 0.0]
    pair = differentiable(lambda p: p["a"].sum(), {"a": W, "b": W}, lambda p: {"a": p["a"]})
    assert pair.autograd(pair.start(0))["b"].tolist() == [0.0, 0.0]  # it has no part in the loss
    assert pair.closed_form(pair.start(0)).keys() == {"a"}
    for cut in (lambda w: float(w.detach().sum()), lambda w: w.detach().sum(),
                lambda w: float(w.numpy().sum())):  # fmt: skip
        lost = differentiable(cut, W)
        with pytest.raises(DetachedError):
            lost.autograd({VECTOR: W})
        assert not lost.has_autograd
        assert lost.gradient({VECTOR: W})[VECTOR].tolist() == [0.0, 0.0]

    def fails(w):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        differentiable(fails, W).autograd({VECTOR: W})


def network(*layers):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = torch.nn.Sequential(torch.nn.Linear(2, 3), *layers, torch.nn.Linear(3, 1)).double()
    X = torch.linspace(-1, 1, 12, dtype=F64).reshape(6, 2)
    return differentiable(ol.ModuleProblem(made, torch.nn.MSELoss(), X, X[:, :1] ** 2))


def test_buffers_and_random_numbers_are_known():
    plain, norm = network(torch.nn.Tanh()), network(torch.nn.BatchNorm1d(3))
    dropout = network(torch.nn.Dropout(0.5))
    assert [one.is_random for one in (plain, norm, dropout)] == [False, False, True]
    assert [one.has_steady_loss for one in (plain, norm, dropout)] == [True, False, False]
    assert [one.has_separate_rows for one in (plain, norm, dropout)] == [True, False, True]
    start = dropout.start(0)
    assert dropout.value(start) == dropout.value(start)  # the same random numbers


# rounding_bound


def test_the_bound_is_of_the_terms_that_are_seen():
    def line(w):
        return 3 * w[0] - 4 * w[1] + (2.0**-10 if w.dtype == F32 else 0.0)

    one = differentiable(line, W)
    unit = 2 * (0 + 2 + 8) * EPS
    exact = rounding_bound(one, None, {VECTOR: W}, None)
    assert exact.loss == unit * 5.5
    assert exact.gradient[VECTOR].tolist() == [unit * 4, unit * 4]
    seen = rounding_bound(one, one.in_dtype(F32), {VECTOR: W}, None)
    assert seen.loss == unit * (5.5 + 2.0**-10 / EPS32)
    assert seen.gradient[VECTOR].tolist() == [unit * 4, unit * 4]
    lost = differentiable(lambda w: line(w) * (1 if w.dtype == F64 else math.inf), W)
    assert rounding_bound(lost, lost.in_dtype(F32), {VECTOR: W}, None).loss == unit * 5.5
    slopes = differentiable(
        line, W, lambda w: vector(3.0, -4.0 - (2.0**-8 if w.dtype == F32 else 0)).to(w)
    )
    slopes = differentiable(lambda w: line(w.detach()), W, slopes.closed)  # without autograd
    found = rounding_bound(slopes, slopes.in_dtype(F32), {VECTOR: W}, None)
    assert found.gradient[VECTOR].tolist() == 2 * [unit * (4 + 2.0**-8 / EPS32)]


def test_the_bound_has_the_largest_of_three_single_rows():
    X = vector(1.0, 2.0, -4.0, 64.0).reshape(4, 1)
    one = differentiable(lambda w, b: (b.X[:, 0] * w + b.y).mean(), vector(0.5),
                         data=ol.Batch(X, torch.zeros(4).double()))  # fmt: skip
    point = {VECTOR: vector(0.5)}
    unit = 2 * (4 + 1 + 8) * EPS
    found = rounding_bound(one, None, point, None)
    assert found.loss == unit * (0.5 * 63 / 4 + 2.0)
    assert found.gradient[VECTOR].tolist() == [unit * (63 / 4 + 4)]
    two = rounding_bound(one, None, point, some(one.data, slice(0, 2)))
    unit = 2 * (2 + 1 + 8) * EPS
    assert two.loss == unit * (0.75 + 1.0)
    assert two.gradient[VECTOR].tolist() == [unit * (1.5 + 2)]


# place


def test_places_are_two_points_and_of_each_a_row_and_two_thirds():
    for n, short in ((2, 1), (3, 2), (7, 4), (12, 8), (30, 8)):
        found = places(differentiable(squares, W, data=rows(n)), 5)
        parts = [None, None] + 2 * ([1, short] if short > 1 else [1])
        assert [p.key for p in found[:2]] == [(5, False, None), (6, True, None)]
        assert [None if p.rows is None else p.rows.stop for p in found] == parts
        assert all(p.rows is None or p.rows.start == 0 for p in found)
    one = differentiable(squares, W, data=rows(7))
    assert len(places(one, 0, batches=False)) == 2
    assert len(places(differentiable(squares, W, data=rows(1)), 0)) == 2
    half = differentiable(lambda w: w.sum() if torch.equal(w, W) else math.inf, W)
    assert [p.moved for p in places(half, 0)] == [False]
    assert not places(differentiable(lambda w: math.nan, W), 0)


def test_a_place_is_told_in_words():
    one = differentiable(squares, W, data=rows(7))
    problem = differentiable(ol.LinearRegression(rows(7).X, rows(7).y))
    assert str(Place(one, 3)) == "the point given"
    assert str(Place(one, 3, moved=True)) == "a point near the point given of seed 3"
    assert str(Place(problem, 3)) == "the start of seed 3"
    assert str(Place(problem, 3, True, slice(0, 4))) == (
        "a point near the start of seed 3, over the rows 0 to 3"
    )
    assert torch.equal(Place(one, 3, moved=True).point[VECTOR], near({VECTOR: W}, 3, 0.1)[VECTOR])
    assert Place(one, 3, rows=slice(0, 4)).batch.y.tolist() == rows(7).y[:4].tolist()
    assert Place(one, 3).batch is None


POINT = "point = torch.tensor([0.5, -1.0], dtype=torch.float64)"


def test_a_place_is_written_as_code():
    one = differentiable(squares, W, squares, data=rows(7))
    own = f"from {__name__} import squares as"
    assert Place(one, 3, rows=slice(0, 4)).code().splitlines() == [
        "import torch", f"{own} loss", f"{own} gradient", "# data: those that were given",
        "from optlab import Batch",
        "from optlab.testing.gradients.differentiable import converted",
        "data = converted(data, torch.float64)",
        "rows = Batch(*(None if part is None else part[slice(0, 4)] for part in data))", POINT,
    ]  # fmt: skip
    assert Place(one, 3).arguments == "point, rows"
    plain = Place(differentiable(lambda w: w.sum(), W), 3)
    assert plain.code().splitlines() == [
        "import torch", "# loss: the function that was checked", POINT,
    ]  # fmt: skip
    assert plain.arguments == "point"
    assert plain.is_vector
    problem = ol.LinearRegression(rows(2).X, rows(2).y, fit_intercept=False)
    start = problem.start(torch.Generator().manual_seed(3))
    head = [
        "import torch", "# problem: the one that was checked",
        'double = problem.to("cpu", torch.float64, copy=True)', "loss = double.loss",
    ]  # fmt: skip
    tail = [
        "from optlab import Batch",
        "rows = Batch(*(None if part is None else part[slice(None)] for part in double.data))",
        "point = {",
        f"    'weight': torch.tensor({start['weight'].tolist()}, dtype=torch.float64),",
        "}",
    ]
    place = Place(differentiable(problem), 3)
    assert place.code().splitlines() == [*head, "gradient = double.gradient", *tail]
    assert not place.is_vector
    given = Place(differentiable(problem, gradient=squares), 3)
    assert given.code().splitlines() == [*head, f"{own} gradient", *tail]


@pytest.mark.parametrize(("d", "is_written"), [(64, True), (65, False)])
def test_long_points_are_not_written_out(d, is_written):
    one = differentiable(lambda w: w.sum(), torch.zeros(d, dtype=F64))
    lines = Place(one, 3, moved=True).code().splitlines()
    assert ("torch.tensor(" in lines[-1]) is is_written
    if not is_written:
        assert lines[-3:] == [
            "point = parameters  # those that were given",
            "from optlab.testing.gradients.differentiable import near",
            "point = near({'parameters': point}, 3, 0.1)['parameters']",
        ]
        named = differentiable(lambda p: p["w"].sum(), {"w": torch.zeros(d, dtype=F64)})
        assert Place(named, 3, moved=True).code().splitlines()[-1] == "point = near(point, 3, 0.1)"
        assert Place(named, 3).code().splitlines()[-1] == lines[-3]


# entry_difference


def differing(seen, expected, tolerance, point=None, n=0):
    named = [{"w": torch.as_tensor(v, dtype=F64)} for v in (seen, expected, tolerance)]
    return entry_difference(*named, {"w": torch.zeros_like(named[0]["w"])} if point is None else
                            {"w": torch.as_tensor(point, dtype=F64)}, n)  # fmt: skip


def test_the_worst_entry_is_furthest_beyond_its_tolerance():
    seen, right = [[1.0, 2.0], [3.0, 4.5]], [[1.0, 2.25], [3.0, 4.0]]
    found = differing(seen, right, [[1, 0.01], [1, 0.1]])
    assert (found.entry, found.index, found.seen, found.expected, found.tolerance) == (
        "w[0][1]", (0, 1), 2.0, 2.25, 0.01,
    )  # fmt: skip
    assert (found.wrong, found.entries) == (2, 4)
    assert str(found) == "w[0][1] = 2.0, expected 2.25, off by 0.25; 2 of 4 entries differ"
    assert differing(seen, right, [[1, 0.25], [1, 0.5]]) is None
    assert differing([1.0], [1.0], [0.0]) is None
    assert str(differing([1.0], [2.0], [0.5])) == "w[0] = 1.0, expected 2.0, off by 1"
    assert differing([math.nan, 9.0], [1.0, 1.0], [1.0, 1.0]).index == (0,)
    several = entry_difference(
        {"a": vector(), "b": torch.tensor(1.0).double(), "c": vector(5.0)},
        {"a": vector(), "b": torch.tensor(2.0).double(), "c": vector(5.0)},
        {"a": vector(), "b": torch.tensor(0.1).double(), "c": vector(0.1)},
        {"a": vector(), "b": torch.tensor(0.0).double(), "c": vector(0.0)},
    )
    assert str(several) == "b = 1.0, expected 2.0, off by 1; 1 of 2 entries differ"


G, P = vector(1.0, -2.0, 4.0), vector(0.5, 1.0, -3.0)
PENALTY = ": a penalty that the gradient or the loss leaves out or counts otherwise"


@pytest.mark.parametrize(
    ("seen", "rows", "cause"),
    [
        (-G, 0, "the sign is wrong"),
        (-G * (1 + 9e-7), 0, "the sign is wrong"),
        (-G * (1 + 2e-6), 0, "every entry is -1 times what it must be"),
        (0.25 * G, 4, "every entry is 0.25 times what it must be"),
        (4 * G, 4, "a sum over the 4 rows, not a mean"),
        (4 * G * (1 + 2e-6), 4, "every entry is 4.00001 times what it must be"),
        (0 * G, 0, ""),
        (G + 0.25 * P, 0, f"w is off by 0.25 times the parameter{PENALTY}"),
        (G - 0.125 * P.sign(), 0, f"w is off by -0.125 times its sign{PENALTY}"),
        (G + vector(0.5, 0.0, 0.0), 0, ""),
        (G * (1 + 1e-8), 0, "a part is computed in float32"),
        (G + 2.0**-27, 0, "a part is computed in float32"),
        (G + 2.0**-28.5, 0, ""),  # 2**-30 of the largest, 4, is 2**-28
    ],
)
def test_a_likely_cause_is_told(seen, rows, cause):
    assert likely_cause({"w": seen}, {"w": G}, {"w": P}, rows) == cause


def test_a_cause_is_of_the_first_parameter_that_is_off_and_of_more_than_one_entry():
    right, point = {"a": G, "b": vector(2.0)}, {"a": P, "b": vector(1.0)}
    assert likely_cause({"a": G, "b": vector(-2.0)}, right, point, 0) == "the sign is wrong"
    assert likely_cause({"a": G, "b": vector(0.0)}, right, point, 0) == ""
    assert likely_cause({"a": G, "b": vector(2.0)}, right, point, 0) == ""


# gradient_subject


def in_double(w):
    """A loss of 4 in size that float32 does not take."""
    assert w.dtype == F64
    return -4 + 0 * w.sum()


def test_bounds_and_lines_of_a_place_are_kept():
    subject = of(squares, W, data=rows(4), seed=2)
    place, part = Place(subject.double, 2), Place(subject.double, 2, rows=slice(0, 2))
    assert subject.bound(place) is subject.bound(Place(subject.double, 2))
    assert subject.bound(part).loss != subject.bound(place).loss
    assert subject.line_seed(1) == 3001
    line, direction = subject.line(place, 1)
    assert torch.equal(direction[VECTOR], random_direction({VECTOR: W}, 3001)[VECTOR])
    assert line.function(0.25) == squares(W + 0.25 * direction[VECTOR], rows(4)).item()
    assert subject.line(place, 1)[0] is line
    assert subject.line(place, 2)[0] is not line
    assert along({"a": vector(1.0, 2.0), "b": vector(3.0)}, {"a": vector(4.0, 5.0),
                 "b": vector(6.0)}) == 4 + 10 + 18  # fmt: skip
    of_part = line_along(subject.double, {VECTOR: W}, direction, part.batch)
    assert of_part.function(0.0) == squares(W, some(rows(4), slice(0, 2))).item()


def test_float32_is_left_out_where_a_function_has_none():
    assert of(lambda w: w.sum(), W).single.dtype == F32
    assert of(in_double, W).single is None  # it raises
    assert of(lambda w: w.sum(), W, lambda w: torch.ones_like(w).double()).single is None
    problem = ol.LinearRegression(rows(4).X, rows(4).y)
    own = GradientSubject(differentiable(problem, gradient=lambda p, b=None: {
        name: value.double() for name, value in problem.gradient(
            {k: v.double() for k, v in p.items()}).items()}), 0)  # fmt: skip
    assert own.single.closed is None
    assert own.single.problem.X.dtype == F32
    assert GradientSubject(differentiable(problem), 0).single.closed is not None


def test_batches_are_made_of_twelve_rows_at_most_and_two_at_least():
    assert len(of(squares, W, data=rows(30)).rows().y) == 12
    assert len(of(squares, W, data=rows(2)).rows().y) == 2
    for subject, why in (
        (of(squares, W, data=rows(1)), "there are not two rows of data"),
        (of(torch.sum, W), "there are not two rows of data"),
        (GradientSubject(network(torch.nn.BatchNorm1d(3)), 0),
         "a batch's loss depends on the other rows, by its buffers"),
        (GradientSubject(network(torch.nn.Dropout(0.5)), 0),
         "the loss draws random numbers, as with dropout"),
    ):  # fmt: skip
        with pytest.raises(CheckSkipped, match=why):
            subject.rows()


# row_checks


def sums(w, batch):
    return (batch.X @ w - batch.y).square().sum()


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(2, "1, 1"), (3, "2, 1"), (4, "3, 1"), (5, "3, 2"), (6, "4, 2"), (8, "5, 3"), (12, "7, 5")],
)
def test_the_last_batch_is_short_for_each_number_of_rows(n, sizes):
    subject = of(sums, W, data=rows(n))
    assert f" for batches of {sizes} rows, " in said(check_batch_average, subject)
    assert said(check_batch_average, of(squares, W, data=rows(n))) == ""


def off_by(share, where):
    """A mean of squares that is larger by a share for some batches."""
    return lambda w, batch: squares(w, batch) * (1 + share * where(batch))


@pytest.mark.parametrize("check", [check_mean, check_batch_average])
def test_means_are_held_to_rounding(check):
    where = (lambda b: len(b.y) == 10) if check is check_mean else (lambda b: len(b.y) == 2)
    found = said(check, of(off_by(1e-9, where), W, data=rows(5)))
    assert "seen: a loss of " in found
    assert "likely" not in found
    assert "likely: a sum over the rows, or a division" in said(
        check, of(off_by(0.5, where), W, data=rows(5))
    )
    assert said(check, of(off_by(4e-16, where), W, data=rows(5))) == ""


@pytest.mark.parametrize(
    ("seen", "expected", "is_told"),
    [
        (2.0, 1.0, True),
        (1.0, 1.0005, False),
        (1.0, 1.002, True),
        (0.9985, 1.0, True),
        (1.0, 0.0, True),
    ],
)
def test_a_ratio_away_from_1_has_a_cause(seen, expected, is_told):
    assert bool(_cause(seen, expected)) is is_told


def test_a_gradient_that_is_no_mean_is_told_by_its_kind():
    def gradient(w, batch):
        return 2 * batch.X.T @ (batch.X @ w - batch.y) / 5

    found = said(check_batch_average, of(squares, W, gradient, rows(5)))
    assert ", by the closed form, for batches of 3, 2 rows, at the point given" in found
    assert said(check_all_rows, of(squares, W, gradient, rows(5))) == ""
    mean = said(check_mean, of(squares, W, gradient, rows(5)))
    assert "by the closed form, for the rows given twice" in mean
    assert "likely: every entry is 2 times what it must be" in mean


def test_each_row_has_its_own_target_and_weight():
    def crossed(w, batch):
        weight = 1.0 if batch.weight is None else batch.weight
        return (weight * (batch.X @ w - batch.y[:, None]).square()).mean()

    for weight in (None, vector(0.5, 1.0, 1.5, 2.0, 0.0)):
        found = said(check_broadcasting, of(crossed, W, data=rows(5, weight=weight)))
        if weight is None:
            assert ", the mean over all 25 pairs of a row and a target, " in found
            assert "every = Batch(" in found
    assert said(check_broadcasting, of(squares, W, data=rows(5))) == ""
    assert said(check_broadcasting, of(sums, W, data=rows(5))) == ""  # another check's


# slope_checks


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"w": torch.zeros(2)}, ""),
        ([torch.zeros(2)], "list, for the parameters ['w']"),
        ({}, "[], for the parameters ['w']"),
        ({"w": torch.zeros(2), "v": 1}, "['w', 'v'], for the parameters ['w']"),
        ({"w": 1.0}, "w as float"),
        ({"w": torch.zeros(2, 1)}, ("w of shape (2, 1) in torch.float32, for a parameter of shape "
         "(2,) in torch.float32")),
        ({"w": torch.zeros(2).double()}, ("w of shape (2,) in torch.float64, for a parameter of "
         "shape (2,) in torch.float32")),
    ],
)  # fmt: skip
def test_a_gradient_is_shaped_as_the_parameters(found, words):
    assert slope_checks._wrong_shapes(found, {"w": torch.ones(2)}) == words


def test_a_sum_in_closed_form_is_told_by_the_rows_of_its_place():
    def gradient(w, batch):
        return 2 * batch.X.T @ (batch.X @ w - batch.y)

    found = said(slope_checks.check_closed_form, of(squares, W, gradient, rows(5)))
    assert "likely: a sum over the 5 rows, not a mean" in found
    assert 'closed[1].item(), "autograd", slope[1].item())' in found or "closed[0].item()" in found
    part = said(slope_checks.check_closed_form, of(squares, W, lambda w, b: gradient(w, b) / (
        5 if len(b.y) == 5 else 1), rows(5)))  # fmt: skip
    assert "likely: a sum over the 3 rows, not a mean" in part
    assert "over the rows 0 to 2" in part


def test_a_wrong_shape_has_its_likely_cause():
    wrong = said(slope_checks.check_shapes, of(lambda w: w.sum(), W, lambda w: w[:, None]))
    assert "likely: (n,) and (n, 1) broadcast to (n, n)" in wrong
    wrong = said(slope_checks.check_shapes, of(lambda w: w.sum(), W, lambda w: [1]))
    assert "likely" not in wrong


@pytest.mark.parametrize(("order", "is_right"), [(1.39, False), (1.41, True), (math.inf, True)])
def test_the_order_of_a_remainder_is_above_1_point_4(monkeypatch, order, is_right):
    monkeypatch.setattr(Line, "remainder_order", lambda self, slope: order)
    found = said(slope_checks.check_taylor_remainder, of(lambda w: w.exp().sum(), W))
    assert bool(found) is not is_right
    if not is_right:
        assert f"order {order:.2f} in h with the gradient of autograd" in found
        assert f"h = {2.0**-17!r}\n" in found


def test_each_of_three_lines_through_each_point_is_looked_at(monkeypatch):
    asked = []
    line = GradientSubject.line

    def noted(self, place, number):
        asked.append((place.moved, number))
        return line(self, place, number)

    monkeypatch.setattr(GradientSubject, "line", noted)
    for check in (slope_checks.check_central_differences, slope_checks.check_taylor_remainder):
        asked.clear()
        assert said(check, of(lambda w: w.exp().sum(), W)) == ""
        assert asked == [(moved, number) for moved in (False, True) for number in range(3)]


def test_a_kink_at_the_point_is_noted_and_blames_nobody():
    subject = of(lambda w: w.abs().sum(), vector(0.0, 0.0))
    note = said(slope_checks.check_central_differences, subject)
    assert note == "the loss has kinks at the point given: no derivative there"
    assert said(slope_checks.check_taylor_remainder, subject) == ""
    other = of(lambda w: w.abs().sum(), vector(0.0, 2.0), lambda w: (w >= 0).double() * 2 - 1)
    assert said(slope_checks.check_closed_form, other) == ""  # a subgradient of another choice
    single = of(lambda w: w.square(), torch.tensor(3.0).double(), lambda w: w)
    told = said(slope_checks.check_closed_form, single)
    assert 'closed.item(), "autograd", slope.item())' in told
    wrong = of(lambda w: w.abs().sum(), vector(0.0, 2.0), lambda w: w.sign() * vector(1.0, 1.5))
    assert "parameters[1] = 1.5, expected 1.0" in said(slope_checks.check_closed_form, wrong)


def test_the_worst_of_many_entries_is_among_the_64_largest():
    d = 80
    scale = torch.linspace(1.0, 2.0, d, dtype=F64)

    def wrong(number):
        def gradient(w):
            slopes = scale.clone()
            slopes[number] += 1e-3
            return slopes

        subject = of(lambda w: (scale * w).sum(), torch.ones(d, dtype=F64), gradient)
        place = Place(subject.double, 0)
        return slope_checks._worst_entry(subject, place, {VECTOR: gradient(None)})

    assert wrong(79).index == (79,)
    assert wrong(16).index == (16,)
    assert wrong(15) is None
    assert wrong(40).expected == pytest.approx(float(scale[40]), rel=1e-9)
    # A bound of 16 eps of the loss and of 8 of its rounding, over a step of 1/16 or so.
    assert wrong(40).tolerance < 1e-7


def test_slopes_are_held_to_the_bound_of_the_difference():
    def check(share):
        subject = of(lambda w: (w**3).sum(), W, lambda w: 3 * w**2 * (1 + share))
        return said(slope_checks.check_central_differences, subject)

    assert check(1e-13) == ""
    found = check(1e-6)
    assert " by the closed form, " in found
    assert "worst entry: parameters[" in found


# precision_checks


@pytest.fixture
def noise_is(monkeypatch):
    """Let the noise of a loss be some number in float64, and another in float32."""

    def set_to(double, single):
        monkeypatch.setattr(
            precision_checks, "_noise", lambda at, point, seed: {F64: double, F32: single}[at.dtype]
        )

    return set_to


@pytest.mark.parametrize(
    ("double", "single", "is_right"),
    [
        (2.0**-15, 1.0, True), (2.0**-13, 1.0, False), (2.0**-14, 1.0, True),
        # Of a loss of 4 float32 has a noise of 2**-24 at least.
        (2.0**-39, 0.0, True), (2.0**-37, 0.0, False), (math.inf, 1.0, True),
    ],
)  # fmt: skip
def test_noise_is_far_below_that_of_float32(noise_is, double, single, is_right):
    noise_is(double, single)
    found = said(precision_checks.check_double_precision, of(lambda w: 4 + 0 * w.sum(), W))
    assert bool(found) is not is_right
    if found:
        assert "the scatter of the same loss in float32 is " in found


@pytest.mark.parametrize(("double", "is_right"), [(2.0**-28, True), (2.0**-26, False)])
def test_noise_without_float32_is_held_to_a_number_of_its_size(noise_is, double, is_right):
    # A number of size 4: 2**-26 of it, and an eighth of that, is 2**-27.
    noise_is(double, math.nan)
    found = said(precision_checks.check_double_precision, of(in_double, W))
    assert bool(found) is not is_right
    if found:
        assert "the scatter of float32 at its size is " in found


def test_noise_is_that_of_nine_values_on_a_short_line():
    asked = []
    one = differentiable(lambda w: asked.append(w.clone()) or float(len(asked) % 2), W)
    assert precision_checks._noise(one, {VECTOR: W}, 3) == pytest.approx(8 / math.sqrt(70))
    direction = random_direction({VECTOR: W}, 3)[VECTOR]
    for k, w in enumerate(asked):
        assert torch.equal(w, W + k * 2.0**-17 * direction)
    assert len(asked) == 9


def in_single(slope, loss=lambda w: w.sum()):
    """A subject whose gradient is 10 and 1 in float64, and another in float32."""
    return of(loss, W, lambda w: vector(10.0, 1.0) if w.dtype == F64 else slope)


def test_the_digits_of_float32_are_told():
    note = said(precision_checks.check_single_precision, in_single(vector(10.0, 1.01, dtype=F32)))
    assert note == (
        "at the start float32 keeps 3.0 digits of the gradient: one whose entries are below 0.01 "
        "is nothing but rounding there"
    )
    check = precision_checks.check_single_precision
    assert said(check, in_single(vector(10.0, 1.0, dtype=F32))) == ""  # nothing is lost
    none = said(check, in_single(vector(0.0, 500.0, dtype=F32)))
    assert none.startswith("at the start float32 keeps 0.0 digits")
    lost = said(check, in_single(vector(10.0, math.inf, dtype=F32)))
    assert "seen: a number that is not finite, at the point given; in float64 it is at most 10" in (
        lost
    )
    assert "likely: an intermediate result overflows" in lost
    huge = of(lambda w: w.sum() * 2.0**101, W, lambda w: vector(1.0, 1.0).to(w) * math.inf)
    assert said(check, huge) == ""  # it does not fit into float32
    assert said(check, of(lambda w: float(w.sum()), W, torch.ones_like)) == (
        "the function returns a float, which has one precision"
    )
    assert said(check, of(in_double, W)) == (
        "the function has no float32: it raises, or returns another dtype"
    )
    double = said(check, of(lambda w: (w * vector(1.0, 1.0)).sum(), W))
    assert "seen: loss in torch.float64, at the point given; in float64 it is at most 1" in double
    assert "likely: a constant tensor in float64" in double
    assert "to see it again" not in double
    wrong = GradientSubject(differentiable(DoubleConstant()), 0)
    assert "single = problem.to(" in said(check, wrong)


# input_checks


def test_tensors_are_laid_out_apart_with_their_numbers():
    whole = torch.arange(6.0).reshape(2, 3)
    wide = apart(whole)
    assert torch.equal(wide, whole)
    assert wide.stride() == (2, 4)
    assert not wide.is_contiguous()
    assert apart(torch.tensor(3.0)).item() == 3.0
    assert apart(torch.arange(3)).dtype == torch.int64
    copy = copied(ol.Batch(wide, whole[:, 0], None))
    assert copy.X.is_contiguous() or copy.X.data_ptr() != wide.data_ptr()
    assert copied(None) is None
    assert tensors(None, "data") == {}
    assert list(tensors(rows(2), "data")) == ["data X", "data y"]
    assert list(tensors(rows(2, weight=vector(1.0, 1.0)), "batch")) == [
        "batch X", "batch y", "batch weight",
    ]  # fmt: skip


def writes(to, index):
    """A gradient that adds to an entry of its point or of its rows."""

    def gradient(w, batch):
        {"w": w, "X": batch.X, "y": batch.y}[to][index] += 0.25
        return 2 * batch.X.T @ (batch.X @ w - batch.y) / len(batch.y)

    return gradient


@pytest.mark.parametrize(
    ("to", "index", "words"),
    [
        ("w", (1,), "parameter parameters[1] was -1.0 and became -0.75, at the point given"),
        ("X", (2, 1), "data X[2][1] was 0.125 and became 0.375, at the point given"),
        ("y", (0,), "data y[0] was "),
    ],
)
def test_what_is_written_to_is_told_by_its_entry(to, index, words):
    found = said(check_inputs, of(squares, W.clone(), writes(to, index), rows(5)))
    assert f"seen: {words}" in found
    assert "gradient leaves the parameters, the batch and the data as they are" in found
    assert said(check_inputs, of(squares, W.clone(), None, rows(5))) == ""


def test_of_several_entries_that_are_written_to_the_first_is_told():
    def gradient(w):
        w.mul_(2)
        return torch.ones_like(w)

    found = said(check_inputs, of(lambda w: w.sum(), W.clone(), gradient))
    assert "seen: parameter parameters[0] was 0.5 and became 1.0, at the point given" in found
    assert _largest(vector()) == 0.0
    assert _largest(vector(1.0, 3.0)) == 3.0


def test_a_batch_that_is_written_to_is_told():
    def loss(w, batch):
        if len(batch.y) == 3:
            batch.y[1] += 0.25
        return squares(w, batch)

    found = said(check_inputs, of(loss, W, None, rows(5)))
    assert "seen: batch y[1] was " in found
    assert "over the rows 0 to 2" in found


def test_the_layout_is_no_matter():
    def strided(share):
        return lambda w, batch: squares(w, batch) * (1 + share * (not w.is_contiguous()))

    assert "for contiguous tensors" in said(check_layout, of(strided(1e-9), W, None, rows(5)))
    assert said(check_layout, of(strided(4e-16), W, None, rows(5))) == ""

    def slopes(w, batch):
        right = 2 * batch.X.T @ (batch.X @ w - batch.y) / len(batch.y)
        return right * (1 + 1e-9 * (not w.is_contiguous()))

    assert "2 of 2 entries differ" in said(check_layout, of(squares, W, slopes, rows(5)))


def test_a_gradient_remembers_nothing():
    calls = []

    def counts(w):
        calls.append(1)
        return torch.ones_like(w) * (1 + 1e-6 * len(calls))

    found = said(check_memory, of(lambda w: w.sum(), W, counts))
    assert ", after a call at a point near the point given of seed 1, at the point given" in found
    assert 'print("again", gradient(point))' in found
    buffer = torch.zeros(2).double()

    def one_buffer(w):
        return buffer.copy_(2 * w)

    found = said(check_memory, of(lambda w: w.square().sum(), W, one_buffer))
    assert "parameters of an earlier gradient changed with the next call" in found
    late = []

    def after_moved(w):
        late.append(not torch.equal(w, W))
        return 2 * w * (1 + 1e-6 * (late[-1] and late.count(True) > 2))

    found = said(check_memory, of(lambda w: w.square().sum(), W, after_moved))
    assert "at a point near the point given of seed 1\n" in found
    assert said(check_memory, of(lambda w: w.square().sum(), W, lambda w: 2 * w)) == ""
    once = of(lambda w: w.sum() if torch.equal(w, W) else w.sum() / 0, W, counts)
    assert said(check_memory, once) == ""  # it is finite at one point alone
