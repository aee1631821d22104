from itertools import islice

import pytest
import torch
from hypothesis import settings

import optlab as ol

# Derandomized: the same examples on every run, so that a red test is red for everybody.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=40, print_blob=True)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def tutorial():
    return ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())


@pytest.fixture(scope="session")
def trajectory():
    """The iterates after each epoch, copied, as (n_parameters,) vectors; the start comes first."""

    def run(problem, optimizer, epochs, *, batch_size="full", seed=0):
        generator = torch.Generator().manual_seed(seed)
        start = problem.start(generator)
        batches = ol.Batches(problem.X, problem.y, batch_size, generator)
        points = [flat(start)]
        iterates = optimizer.iterates(problem, batches, start)
        points += [flat(iterate.parameters) for iterate in islice(iterates, epochs)]
        return torch.stack(points)

    return run


def flat(parameters):
    return torch.cat([value.detach().clone().reshape(-1) for value in parameters.values()])
