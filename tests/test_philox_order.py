"""The counter-based order: published words, permutations, one order on every path and device."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

import optlab as ol
from optlab.optimizers.fused.philox_order import (
    draw_fast_orders,
    draw_fast_orders_compiled,
    philox,
)

# Random123 1.14, tests/kat_vectors: counter, key, words of philox4x32 with 10 rounds.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_the_words_are_the_published_ones(counter, key, expected):
    first, second = words(key)
    found = philox(tuple(torch.tensor(word) for word in words(counter)), (first, second))
    assert [int(word) for word in found] == words(expected)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_the_compiled_keys_are_of_the_published_words(counter, key, expected):
    from optlab.optimizers.fused.compiled_philox import two_keys

    a, b, c, d = words(counter)
    block, epoch, low, high = (np.uint64(v) for v in (a | b << 32, c | d << 32, *words(key)))
    one, two, three, four = words(expected)
    mask = 2**31 - 1
    assert two_keys(block, epoch, low, high) == ((two & mask) << 32 | one,
                                                 (four & mask) << 32 | three)  # fmt: skip


@given(
    n=st.sampled_from([1, 2, 3, 47, 48, 49, 50, 1000]) | st.integers(1, 300),
    seed=st.integers(0, 2**63 - 1),
    first=st.sampled_from([0, 1, 2**32 - 2, 2**40]) | st.integers(0, 10**6),
    epochs=st.sampled_from([1, 3, 63, 64, 65, 130]),
)
def test_compiled_orders_are_those_of_torchs_calls(n, seed, first, epochs):
    plain = draw_fast_orders(seed, n, first, epochs)
    compiled = draw_fast_orders_compiled(seed, n, first, epochs)
    assert plain.dtype == compiled.dtype == torch.int32
    assert torch.equal(plain, compiled)
    assert torch.equal(plain.sort(dim=1).values, torch.arange(n).expand(epochs, n).int())
    assert torch.equal(draw_fast_orders(seed, n, first + epochs - 1, 1)[0], plain[-1])


@pytest.mark.parametrize("by_bits", [6, 63], ids=["many ties", "none"])
def test_ties_keep_the_order_of_the_rows_in_both(by_bits, monkeypatch):
    from optlab.optimizers.fused import compiled_philox

    # Without compilation the keys can be replaced by ones that tie.
    def keys(block, epoch, low, high):
        return tuple(np.uint64((17 * int(block) + k) % 2 << (by_bits - 1)) for k in (1, 2))

    monkeypatch.setattr(compiled_philox, "two_keys", keys)
    for n in (9, 60):
        orders = np.empty((1, n), np.int32)
        sort = compiled_philox._rank_short if n == 9 else compiled_philox._sort_long
        sort.py_func(np.uint64(0), np.uint64(0), np.uint64(0), orders)
        own = [int(keys(i // 2, 0, 0, 0)[i % 2]) for i in range(n)]
        assert orders[0].tolist() == sorted(range(n), key=own.__getitem__)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_all_orders_are_equally_likely(n):
    epochs = 200 * math.factorial(n)
    counts = Counter(map(tuple, draw_fast_orders_compiled(7, n, 0, epochs).tolist()))
    expected = epochs / math.factorial(n)
    seen = sum((count - expected) ** 2 / expected for count in counts.values())
    unseen = (math.factorial(n) - len(counts)) * expected
    # One seed: the orders are always the same ones, and this is no matter of luck.
    assert seen + unseen < chi2.ppf(0.999, math.factorial(n) - 1)


def test_another_seed_and_another_epoch_have_other_orders():
    orders = [draw_fast_orders(seed, 30, epoch, 1)[0] for seed in (0, 1, 2**32) for epoch in (0, 1)]
    assert len({tuple(order.tolist()) for order in orders}) == 6


@pytest.mark.parametrize("order", ["dataloader", "fast"])
@given(takes=st.lists(st.integers(0, 40), min_size=1, max_size=6), n=st.sampled_from([2, 9, 300]))
def test_epochs_drawn_ahead_are_the_epochs_one_by_one(order, takes, n):
    X = torch.arange(float(n))[:, None]
    one, other = (
        ol.Batches(X, X[:, 0], 4, torch.Generator().manual_seed(3), order=order) for _ in range(2)
    )
    other.looks = range(1, 10**6)
    found = []
    for epochs in takes:  # 0: an epoch of mini-batches
        if epochs:
            found += other.orders(epochs).tolist()
        else:
            found.append(torch.cat([batch.y for batch in next(iter(other))]).int().tolist())
    visited = [torch.cat([b.y for b in next(iter(one))]).int().tolist() for _ in found]
    assert found == visited


def test_every_optimizer_visits_the_rows_in_the_same_fast_order(tutorial):
    eager, compiled, drawn = (
        ol.minimize(tutorial, optimizer, epochs=40, batch_size=1, seed=5, order=order)
        for optimizer, order in [
            (ol.ManualSGD(0.01), "fast"),
            (ol.FusedSGD(0.01), "fast"),
            (ol.FusedSGD(0.01), "dataloader"),
        ]
    )
    for name, value in eager.parameters.items():  # one feature, one row a step: the same bits
        assert torch.equal(compiled.parameters[name], value)
        assert not torch.equal(drawn.parameters[name], value)


def test_the_start_is_the_seeds_whatever_the_order(tutorial):
    first = [
        ol.minimize(tutorial, ol.ManualSGD(0.01), epochs=1, seed=9, order=order).trace["loss"][0]
        for order in ("dataloader", "fast")
    ]
    assert first[0] == first[1]


def test_the_order_is_in_the_table_and_a_store_knows_its_trials_apart(tutorial, tmp_path):
    file = tmp_path / "orders.db"

    def loss(order):
        results = ol.compare(
            tutorial, ol.ManualSGD(0.01), batch_sizes=[3], epochs=9, order=order, store=file
        )
        assert results.trials["order"].tolist() == [order]
        return results.trials["loss"].item(), results.trials["seconds"].item()

    fast, plain, again = loss("fast"), loss("dataloader"), loss("fast")
    assert fast == again  # the seconds too: it was not run again
    assert fast[0] != plain[0]
    loaded = ol.Results.load(file)
    assert loaded.trials["order"].tolist() == ["fast"]  # the last experiment's
    assert "order fast" in str(loaded.definition["left out"]) or len(loaded.trials) == 1


@pytest.mark.parametrize("order", ["Fast", None, "random", 1])
def test_an_order_that_is_none_is_refused(tutorial, order):
    with pytest.raises(ValueError, match="order must be 'dataloader' or 'fast', not "):
        ol.minimize(tutorial, ol.ManualSGD(), order=order)
    with pytest.raises(ValueError, match="order must be"):
        ol.Experiment(problems=tutorial, optimizers=ol.ManualSGD(), order=order)


def test_the_command_line_sets_the_order():
    from optlab.app.options import Axes

    assert Axes(order="fast").changes() == {"order": "fast"}
    assert Axes().changes() == {}
