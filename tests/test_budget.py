import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.lab import Budget


@given(
    epochs=st.integers(1, 5000),
    recorded_epochs=st.one_of(
        st.just("growing"), st.integers(1, 6000), st.lists(st.integers(1, 6000), max_size=9)
    ),
)
def test_first_and_last_are_always_recorded_and_nothing_beyond(epochs, recorded_epochs):
    recorded = Budget(epochs=epochs, recorded_epochs=recorded_epochs).looks
    assert recorded == tuple(sorted(set(recorded)))
    assert (recorded[0], recorded[-1]) == (1, epochs)


@given(st.integers(1, 10**6))
def test_growing_records_at_most_a_hundred_epochs_at_distances_that_grow(epochs):
    recorded = Budget(epochs=epochs).looks
    assert len(recorded) <= 100
    # A geometric sequence of ratio q, rounded: no gap exceeds (q - 1) times its epoch by over 1.
    q = epochs ** (1 / 99)
    gaps = itertools.pairwise(recorded)
    assert all(later - earlier <= (q - 1) * (earlier + 0.5) + 1 for earlier, later in gaps)


def test_growing_records_every_epoch_of_few():
    assert Budget(epochs=20).looks == tuple(range(1, 21))


@given(st.integers(1, 10**6))
def test_where_a_trial_may_stop_epochs_are_near_whatever_the_budget(epochs):
    recorded = Budget(epochs=epochs, stop_at=1e-6).looks
    assert recorded[:100] == tuple(range(1, min(epochs, 100) + 1))
    assert all(b - a <= max(1, a / 50) for a, b in itertools.pairwise(recorded))
    assert set(recorded[:-1]) <= set(Budget(epochs=10**6, stop_at=1e-6).looks)
    assert len(recorded) <= 600  # 100, and ln(1e4) / ln(1.02) = 465 more, with whole steps


@given(epochs=st.integers(1, 500), distance=st.integers(1, 600))
def test_a_distance_records_every_so_many_from_the_first(epochs, distance):
    recorded = Budget(epochs=epochs, recorded_epochs=distance).looks
    assert set(recorded) == {1, epochs} | {
        e for e in range(1, epochs + 1) if (e - 1) % distance == 0
    }


def test_epochs_named_are_recorded_as_far_as_they_are_reached():
    assert Budget(epochs=10, recorded_epochs=[3, 7, 11]).looks == (1, 3, 7, 10)


@pytest.mark.parametrize(
    ("argument", "value", "sentence"),
    [
        *[("epochs", value, "epochs must be a whole number of at least 1, not")
          for value in (0, -1, 1.5, True, "5", None, float("nan"))],
        *[("stop_at", value, "stop_at must be above 0 and below 1, .* not")
          for value in (0, -1e-3, 1, 100.0, True, "a", float("nan"), float("inf"))],
        *[("recorded_epochs", value, "recorded_epochs must be a whole number of at least 1, not")
          for value in (0, -1, True)],
        ("recorded_epochs", "all", "recorded_epochs must be 'growing', a distance or epochs, not"),
        ("recorded_epochs", [3, 0], "each epoch of recorded_epochs must be a whole number"),
        ("recorded_epochs", [3, 1.5], "each epoch of recorded_epochs must be a whole number"),
    ],
)  # fmt: skip
def test_what_is_no_budget_is_refused_by_name_and_value(argument, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        Budget(**{argument: value})


def test_more_records_than_memory_holds_are_refused():
    with pytest.raises(ValueError, match="take a larger distance"):
        Budget(epochs=5 * 10**8, recorded_epochs=1)
    assert len(Budget(epochs=5 * 10**8, recorded_epochs=10**7).looks) == 51
    with pytest.raises(ValueError, match=r"epochs must be below 2\*\*53"):
        Budget(epochs=10**19)
