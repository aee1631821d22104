from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from optlab import Batches


def rows(n, d=1):
    """Data whose y says which row it is."""
    return torch.arange(n * d, dtype=torch.float64).reshape(n, d), torch.arange(n)


def ours(batches, epochs):
    return [[batch.y.tolist() for batch in epoch] for epoch in islice(batches, epochs)]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@given(
    n=st.integers(1, 40),
    size=st.integers(1, 45),
    seed=st.integers(0, 2**63 - 1),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
    drawn_before=st.integers(0, 3),
)
def test_order_is_that_of_the_real_dataloader(n, size, seed, drop_last, shuffle, drawn_before):
    if drop_last:
        size = min(size, n)  # beyond it nothing is left, which is refused: see below
    X, y = rows(n)
    generator = seeded(seed)
    torch.randn(drawn_before, generator=generator)
    batches = Batches(X, y, size, generator, shuffle=shuffle, drop_last=drop_last)
    found = [
        [(batch.X.tolist(), batch.y.tolist()) for batch in epoch] for epoch in islice(batches, 3)
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.randn(drawn_before)
        loader = DataLoader(TensorDataset(X, y), size, shuffle=shuffle, drop_last=drop_last)
        real = [[(x.tolist(), t.tolist()) for x, t in loader] for _ in range(3)]
        state = torch.get_rng_state()
    assert found == real
    if shuffle:  # so that whatever is drawn next is the same too
        assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("size", [1, 3, 7, 30, 40])
def test_order_is_the_dataloaders_where_an_epoch_takes_several_gathers(size):
    # A row of 4096 float64 is 32 KiB, so that some 8 rows fill a gather.
    X, y = rows(40, d=4096)
    batches = Batches(X, y, size, seeded(5))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        loader = DataLoader(TensorDataset(X, y), size, shuffle=True)
        real = [[t.tolist() for _, t in loader] for _ in range(2)]
    assert ours(batches, 2) == real
    first = next(next(iter(batches)))
    assert torch.equal(first.X, X[first.y])


@given(n=st.integers(1, 30), size=st.integers(1, 30), drop_last=st.booleans())
def test_samples_counts_the_rows_of_an_epoch(n, size, drop_last):
    size = min(size, n)
    batches = Batches(*rows(n), size, seeded(0), drop_last=drop_last)
    (epoch,) = ours(batches, 1)
    assert batches.samples == sum(map(len, epoch))


def test_a_batch_size_above_n_is_one_shuffled_batch_of_all_rows():
    (epoch,) = ours(Batches(*rows(20), 50, seeded(0)), 1)
    assert len(epoch) == 1
    assert sorted(epoch[0]) == list(range(20))
    assert epoch[0] != list(range(20))


def test_a_full_batch_draws_nothing_and_copies_nothing():
    X, y = rows(20)
    generator = seeded(3)
    before = generator.get_state()
    for epoch in islice(Batches(X, y, "full", generator), 3):
        (batch,) = epoch
        assert batch.X.data_ptr() == X.data_ptr()
        assert batch.y.data_ptr() == y.data_ptr()
        assert batch.y.tolist() == list(range(20))
    assert torch.equal(generator.get_state(), before)


def test_unshuffled_batches_draw_nothing():
    generator = seeded(3)
    before = generator.get_state()
    assert ours(Batches(*rows(5), 2, generator, shuffle=False), 1) == [[[0, 1], [2, 3], [4]]]
    assert torch.equal(generator.get_state(), before)


def test_the_global_generator_is_not_touched():
    before = torch.get_rng_state()
    ours(Batches(*rows(9), 2, seeded(0)), 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_keep_the_datas_dtype():
    X = torch.ones(4, 2, dtype=torch.float32)
    batch = next(next(iter(Batches(X, X[:, 0], 3, seeded(0)))))
    assert (batch.X.dtype, batch.y.dtype) == (torch.float32, torch.float32)
    assert (batch.X.shape, batch.y.shape) == ((3, 2), (3,))


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "all", "1", None, float("nan")])
def test_a_batch_size_that_is_none_is_refused_by_name_and_value(size):
    with pytest.raises(ValueError, match="batch_size must be") as caught:
        Batches(*rows(5), size, seeded(0))
    assert repr(size) in str(caught.value)


def test_drop_last_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="drop_last leaves nothing of 5 rows at batch size 6"):
        Batches(*rows(5), 6, seeded(0), drop_last=True)


def test_stretches_end_at_each_look_and_are_single_after_the_last():
    X = torch.zeros((4, 1))
    batches = Batches(X, X[:, 0], 2, torch.Generator(), looks=(1, 3, 10))
    assert list(islice(batches.stretches(4), 7)) == [[1], [2], [4], [3], [1], [1], [1]]
    assert list(islice(batches.stretches(100), 4)) == [[1], [2], [7], [1]]
    assert list(islice(batches.stretches(100, looks=2), 3)) == [[1], [2, 9], [1]]


@pytest.mark.parametrize(
    ("looks", "drawn"),
    [
        ((), [(1, 0), (1, 1), (2, 2), (3, 4), (7, 7)]),
        ((9, 12), [(1, 0), (1, 1), (2, 2), (3, 4), (5, 7)]),
    ],
)
def test_as_many_epochs_are_drawn_ahead_as_were_given_out(monkeypatch, looks, drawn):
    """One epoch at first, as 300 rows are more than cost nothing; none beyond the last look."""
    batches, counts = Batches(*rows(300), 1, seeded(0), looks=looks), []
    draw = batches._draw

    def counted(epochs, first, *, compiled):
        counts.append((epochs, first))
        return draw(epochs, first, compiled=compiled)

    monkeypatch.setattr(batches, "_draw", counted)
    for epochs in (1, 1, 1, 3, 1, 2):  # 1, 2, 3, 6, 7 and 9 are given out
        batches.orders(epochs)
    assert counts == drawn
