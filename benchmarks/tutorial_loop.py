"""The article's own loop, DataLoader and all, against ManualSGD: the same bits, faster.

One interleaved run; each row says how many times as fast ManualSGD is, and where its time goes: the
share that autograd's forward and backward alone take, on batches cut beforehand.

    python -m benchmarks.tutorial_loop [--rounds 9]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol
from benchmarks.interleaved import interleaved
from benchmarks.record import Case, Record

LEARNING_RATE = 0.001


def the_articles_loop(
    problem: ol.LinearRegression, batch_size: int, epochs: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the article's last listing, for any number of features; return weight and bias."""
    loader = DataLoader(TensorDataset(problem.X, problem.y), batch_size, shuffle=True)
    torch.manual_seed(1)
    weight = torch.randn(problem.X.shape[1]).requires_grad_()
    bias = torch.zeros(1, requires_grad=True)
    for _ in range(epochs):
        for x_batch, y_batch in loader:
            loss = (x_batch @ weight + bias - y_batch).pow(2).mean()
            loss.backward()
            with torch.no_grad():
                weight -= weight.grad * LEARNING_RATE
                bias -= bias.grad * LEARNING_RATE
                weight.grad.zero_()
                bias.grad.zero_()
    return weight.detach(), bias.detach()


def manual_sgd(
    problem: ol.LinearRegression, batch_size: int, epochs: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run ManualSGD from the same seed; return weight and bias."""
    generator = torch.Generator().manual_seed(1)
    start = problem.start(generator)
    batches = ol.Batches(problem.X, problem.y, batch_size, generator)
    iterates = ol.ManualSGD(LEARNING_RATE).iterates(problem, batches, start)
    *_, last = islice(iterates, epochs)
    return last.parameters["weight"].detach(), last.parameters["bias"].detach()


def autograd_alone(problem: ol.LinearRegression, batch_size: int, epochs: int) -> None:
    """Evaluate loss and gradient by autograd on batches that cost nothing: the floor of both."""
    parameters = problem.start(torch.Generator().manual_seed(1))
    for value in parameters.values():
        value.requires_grad_()
    batches = list(map(ol.Batch, problem.X.split(batch_size), problem.y.split(batch_size)))
    for _ in range(epochs):
        for batch in batches:
            problem.loss(parameters, batch).backward()


def cases() -> Iterator[tuple[str, ol.LinearRegression, int, int]]:
    """Yield each case: its name, problem, batch size and epochs."""
    tutorial = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    yield "tutorial (n=10, d=1)", tutorial, 1, 100
    large = ol.datasets.synthetic(100_000, 100, dtype=np.float32, seed=1)
    problem = ol.LinearRegression.from_dataset(large)
    yield "n=100000, d=100", problem, 256, 1
    yield "n=100000, d=100", problem, 4096, 1


def main() -> None:
    """Print a table a case, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    record = Record("tutorial_loop", "How much faster than the article's loop is ManualSGD?")
    for name, problem, size, epochs in cases():
        theirs, ours = the_articles_loop(problem, size, epochs), manual_sgd(problem, size, epochs)
        same = all(torch.equal(a.ravel(), b.ravel()) for a, b in zip(theirs, ours, strict=True))
        runs = {
            "the article's loop": partial(the_articles_loop, problem, size, epochs),
            "ManualSGD": partial(manual_sgd, problem, size, epochs),
            "its autograd alone": partial(autograd_alone, problem, size, epochs),
        }
        seconds = interleaved(runs, rounds)
        record.add(
            Case(
                f"{name}, batch size {size}", "the article's loop", seconds, unit="epoch",
                work=dict.fromkeys(seconds, epochs),
                notes=[f"The same bits: {'yes' if same else 'NO'}."],
            )
        )  # fmt: skip
    record.save()


if __name__ == "__main__":
    main()
