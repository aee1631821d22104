"""Checks of the rows: faults of the zoo, and those of one size of batches or one pass only."""

from dataclasses import dataclass

import pytest
import torch

import optlab as ol
from optlab.testing.conformance import row_conformance as checks
from optlab.testing.conformance.single_run import Run
from optlab.testing.conformance.small_data import FAMILIES, small_data
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import ZOO, Descent

X, y = small_data(0)


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


def test_a_row_that_is_moved_is_turned_scaled_and_shifted_and_no_other_is():
    run = Run(FAMILIES["linear"], X, y)
    moved = checks._moved(run, 1)
    assert (X[1] * 8).tolist() == [-4, -5, -4]
    assert (moved.X[1] * 16).tolist() == [-4 + 6, -5 + 6, -4 + 6]
    assert (checks._moved(run, 1, -8.0).X[1] * 8).tolist() == [32 + 3, 40 + 3, 32 + 3]
    others = [0, 2, 3, 4, 5, 6]
    assert torch.equal(moved.X[others], X[others])
    assert moved.y is run.y


@dataclass(frozen=True)
class Passes(Descent):
    """In one pass other batches are visited, for one size of batches."""

    at: int = 0
    size: object = 2
    how: object = reversed

    def epochs(self, batches):
        for number, rows in enumerate(batches):
            ours = batches.batch_size == self.size and number == self.at
            yield self.how([*rows]) if ours else rows


def twice(rows):
    return [rows[0], *rows]


def without_the_last(rows):
    return rows[:-1]


def last_first(rows):
    return [rows[-1], *rows[:-1]]


ONCE = checks.every_row_of_a_pass_is_used_once


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (Passes(size=1, how=twice), "2 passes in batches of 1 take 2 gradients of each row"),
        (Passes(size=2, how=twice), "2 passes in batches of 2 take 2 gradients of each row"),
        (Passes(size=3, how=twice), "2 passes in batches of 3 take 2 gradients of each row"),
        (Passes(size="full", how=twice), "gradients by row: [3, 3, 3, 3, 3, 3, 3]"),
        (Passes(size=3, how=twice, at=1), "2 passes in batches of 3 take 2 gradients of each row"),
        (Passes(size=3, how=without_the_last, at=1), "gradients by row: ["),
        (Passes(size=3, how=twice, at=2), ""),
        (Passes(size=3), ""),
    ],
)
def test_rows_are_counted_in_each_size_of_batches_and_pass(optimizer, said):
    found = outcome(ONCE, optimizer)
    assert said in found
    assert bool(said) == bool(found)


@dataclass(frozen=True)
class Says(Descent):
    """Takes each gradient so many times, and says that a pass has so many."""

    gradients: float = 1.0
    times: int = 1

    def slope(self, problem, parameters, batch):
        for _ in range(self.times - 1):
            ol.gradient(problem, parameters, batch)
        return super().slope(problem, parameters, batch)

    def report(self, parameters, loss, epoch, problem, batch):
        cost = ol.Cost(losses=epoch + 1, gradients=self.gradients * (epoch + 1))
        yield ol.Iterate(parameters, loss, cost=cost)


def test_what_a_method_says_of_its_gradients_decides_whether_rows_are_counted():
    assert "gradients by row: [4, 4, 4, 4, 4, 4, 4]" in outcome(ONCE, Says(times=2))
    fewer = "its cost says that it takes fewer gradients than rows"
    assert outcome(ONCE, Says(gradients=0.9)) == fewer
    visits = checks.the_batches_of_a_pass_are_visited_one_after_the_other
    assert not outcome(visits, Says(times=2))  # of one batch, one after the other


def test_rows_that_do_not_count_are_listed():
    # In order, in batches of 3: the last row is alone.
    dropped = outcome(checks.every_row_counts, Passes(size=3, how=without_the_last))
    assert "depends on each row\n" in dropped
    assert "whatever stands in row " in dropped
    assert dropped.partition("stands in row ")[2].partition(" of X")[0].isdigit()
    two = outcome(checks.every_row_counts, ZOO["uses half of each batch"].make())
    assert two.partition("stands in row ")[2].partition(" of X")[0].count(", ") >= 1


class ThreePasses(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        if epoch % 3 == 2:
            yield ol.Iterate(parameters, loss, epochs=3)


class SortsRows(Descent):
    """Takes the rows of a pass by size of the target, whatever their order."""

    def epochs(self, batches):
        for rows in batches:
            parts = [torch.cat(part) for part in zip(*(batch[:2] for batch in rows), strict=True)]
            order = parts[1].argsort()
            yield map(ol.Batch, *(part[order].split(batches.rows_a_step) for part in parts))


def test_an_order_that_is_ignored_is_seen_by_the_reversed_rows():
    check = checks.the_order_of_batches_is_respected
    found = outcome(check, SortsRows())
    assert "seen: shuffled [" in found
    assert outcome(check, ThreePasses()) == (
        "its iterates stand for several passes, each in an order of its own"
    )
    assert outcome(check, ol.Lstsq()) == "it uses no mini-batches"
    assert not outcome(check, Descent())


def test_batches_are_visited_in_turn():
    check = checks.the_batches_of_a_pass_are_visited_one_after_the_other
    found = outcome(check, Passes(how=last_first))
    order = checks._order(Run(FAMILIES["linear"], X, y, batch_size=2, seed=0)).tolist()
    a, b, c, d = order[:2], order[2:4], order[4:6], order[6:]
    assert f"the batches of the first pass are the rows {[a, b, c, d]}\n" in found
    assert f"gradients of the rows {[d, a, b, c]}\n" in found
    assert not outcome(check, ThreePasses())
    assert not outcome(check, Passes(at=1))


def test_the_order_of_a_run_is_that_of_its_batches():
    run = Run(FAMILIES["linear"], X, y, batch_size=2, seed=5)
    visited = torch.cat([batch.y for batch in next(iter(run.batches(run.problem())))])
    assert torch.equal(y[checks._order(run)], visited)


@dataclass(frozen=True)
class Elsewhere(Descent):
    """In one pass the gradient is a little of all rows'."""

    at: int = 1

    def step(self, w, g, state, t, batch, batches):
        part = 1e-9 * batches.X.sum() if (t - 1) // batches.steps == self.at else 0
        return w - self.learning_rate * (g + part)


def test_other_rows_are_seen_in_each_of_two_passes():
    assert "row 6 is in no batch" in outcome(checks.only_rows_of_the_batch_count, Elsewhere())
    assert not outcome(checks.only_rows_of_the_batch_count, Elsewhere(at=2))


@dataclass(frozen=True)
class Longer(Descent):
    """Steps are longer by a share, where batches, rows or weights are some."""

    where: object = None
    by: float = 1e-9

    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 + self.by * bool(self.where(batch, batches)))


OF_BOUNDS = {
    "short": (checks.the_short_last_batch_counts_by_its_rows, lambda b, all_: len(b.y) == 1),
    "order": (checks.a_full_batch_is_indifferent_to_row_order,
              lambda b, all_: b.X[0, 0] > b.X[-1, 0]),
    "shuffled": (checks.the_order_of_batches_is_respected, lambda b, all_: all_.shuffle),
    "weights": (checks.weights_of_rows_count, lambda b, all_: b.weight is not None),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_BOUNDS)
def test_steps_that_differ_by_a_billionth_are_caught_and_rounding_is_not(name):
    check, where = OF_BOUNDS[name]
    assert "tolerance: 6.2e-12 of the largest parameter" in outcome(check, Longer(where=where))
    assert not outcome(check, Longer(where=where, by=1e-15))
