"""Strategies of batch sizes, batches, epochs and points of a problem."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from optlab.optimizers.batches import Batches, BatchSize
from optlab.problems.problem import Batch, Parameters, Problem
from optlab.testing.gradients.differentiable import near, some


def batch_sizes(n: int) -> st.SearchStrategy[BatchSize]:
    """Strategy of batch sizes for n rows, which shrinks to 1.

    1, n, ``"full"``, a size that does not divide n where there is one, one above n, and any other
    up to 2 n.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(batch_sizes(10), lambda size: size != "full" and size > 1 and 10 % size)
    3
    """
    uneven = next((size for size in range(2, n) if n % size), n)
    special: list[BatchSize] = [1, n, "full", uneven, n + 1]
    return st.one_of(st.sampled_from(special), st.integers(1, 2 * n))


@st.composite
def batches(draw: st.DrawFn, problem: Problem) -> Batch:
    """Strategy of a batch of a problem's rows, in any order, which shrinks to the first row.

    Examples
    --------
    >>> from hypothesis import find
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[1.0], [2.0]], [3.0, 4.0])
    >>> find(batches(problem), lambda batch: len(batch.y) == 2).y.tolist()
    [3.0, 4.0]
    """
    n = len(problem.data.y)
    rows = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    return some(problem.data, torch.tensor(rows))


@st.composite
def epochs(draw: st.DrawFn, problem: Problem) -> list[Batch]:
    """Strategy of an epoch: all rows once, in a drawn order, in batches of a drawn size.

    The last batch is short where the size does not divide the rows.

    Examples
    --------
    >>> from hypothesis import find
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[1.0], [2.0], [3.0]], [3.0, 4.0, 5.0])
    >>> [len(batch.y) for batch in find(epochs(problem), lambda epoch: len(epoch) == 2)]
    [2, 1]
    """
    X, y, weight = problem.data
    size = draw(batch_sizes(len(y)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    made = Batches(X, y, size, generator, weight=weight)
    return list(next(iter(made)))


@st.composite
def points(draw: st.DrawFn, problem: Problem) -> Parameters:
    """Strategy of parameters: a start of the problem, or a point at a drawn distance from one.

    It shrinks to the start of seed 0.

    Examples
    --------
    >>> from hypothesis import find
    >>> import optlab as ol
    >>> find(points(ol.Quadratic([2.0], start=[1.5])), lambda point: True)
    {'x': tensor([1.5000], dtype=torch.float64)}
    """
    seed = draw(st.integers(0, 2**16))
    start = problem.start(torch.Generator().manual_seed(seed))
    radius = draw(st.sampled_from([0.0, 0.1, 1.0]))
    return near(start, seed, radius) if radius else start
