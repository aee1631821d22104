import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol

# The figures after 2000 epochs are those of `optlab run experiments/tutorial.py`: see test_cli.py.
EPOCHS = 200


@pytest.fixture(scope="module")
def article():
    """The article's last listing, its plots left out: what it logs, and its weight and bias."""
    X_train = np.arange(10, dtype="float32").reshape((10, 1))
    y_train = np.array([1.0, 1.3, 3.1, 2.0, 5.0, 6.3, 6.6, 7.4, 8.0, 9.0], dtype="float32")
    X_train_norm = torch.from_numpy((X_train - np.mean(X_train)) / np.std(X_train))
    train_dl = DataLoader(TensorDataset(X_train_norm, torch.from_numpy(y_train)), 1, shuffle=True)
    log = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        weight = torch.randn(1).requires_grad_()
        bias = torch.zeros(1, requires_grad=True)
        for epoch in range(EPOCHS):
            for x_batch, y_batch in train_dl:
                loss = (x_batch @ weight + bias - y_batch).pow(2).mean()
                loss.backward()
                with torch.no_grad():
                    weight -= weight.grad * 0.001
                    bias -= bias.grad * 0.001
                    weight.grad.zero_()
                    bias.grad.zero_()
            log[epoch] = loss.item()
    return log, weight.item(), bias.item()


@pytest.fixture(scope="module")
def solution(tutorial):
    return ol.minimize(
        tutorial,
        ol.ManualSGD(learning_rate=0.001),
        epochs=EPOCHS,
        batch_size=1,
        seed=1,
        recorded_epochs=1,
    )


def test_weight_and_bias_are_the_articles_to_the_last_bit(article, solution):
    _, weight, bias = article
    assert solution.parameters["weight"].item() == weight
    assert solution.parameters["bias"].item() == bias


def test_every_epochs_loss_is_the_articles_to_the_last_bit(article, solution):
    log, _, _ = article
    trace = solution.trace[solution.trace["epoch"] > 0]
    # The article counts epochs from 0; ours is the number of epochs done.
    assert dict(zip(trace["epoch"] - 1, trace["batch_loss"], strict=True)) == log


def test_the_points_are_standardized_as_the_article_does_it_to_the_last_bit():
    X = np.arange(10, dtype="float32").reshape((10, 1))
    ours = ol.datasets.tutorial().standardized()
    assert ours.X.dtype == np.float32
    np.testing.assert_array_equal(ours.X, (X - np.mean(X)) / np.std(X), strict=True)
