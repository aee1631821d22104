"""A small network that reads 1797 handwritten digits: which optimizer gets furthest in 20 epochs.

Nobody knows the least loss of a network, so the trials are compared with the best that any of them
reached; a fifth of the digits is held out, and what counts in the end is the accuracy on these.

    python experiments/digits_network.py
"""

import torch
from sklearn.datasets import load_digits

import optlab as ol


def accuracy(output: torch.Tensor, y: torch.Tensor) -> float:
    """Return the share of digits that are read correctly."""
    return (output.argmax(1) == y).double().mean().item()


digits = load_digits()
network = torch.nn.Sequential(
    torch.nn.Linear(64, 64),
    torch.nn.BatchNorm1d(64),
    torch.nn.ReLU(),
    torch.nn.Dropout(0.2),
    torch.nn.Linear(64, 10),
)
problem = ol.ModuleProblem(
    network,
    torch.nn.CrossEntropyLoss(),
    digits.data / 16,
    digits.target,
    validation=0.2,
    measures={"accuracy": accuracy},
    name="handwriting",
)


def print_accuracy(results: ol.Results) -> None:
    """Print the accuracy on the held-out digits, the median over the seeds."""
    table = results.trials.groupby(["optimizer", "batch"], observed=True)["validation_accuracy"]
    print("\nAccuracy on the held-out digits, median over seeds:")
    print(table.median().unstack().round(3).to_string())


experiment = ol.Experiment(
    name="digits network",
    problems=problem,
    optimizers={
        "SGD": ol.TorchSGD(learning_rate=0.1),
        "SGD, momentum": ol.TorchSGD(learning_rate=0.1, momentum=0.9),
        "Adam": ol.TorchOptimizer(torch.optim.Adam, lr=0.003),
    },
    batch_sizes=[32, 256],
    seeds=[1, 2],
    epochs=20,
    recorded_epochs=1,
    conclude=print_accuracy,
)

if __name__ == "__main__":
    experiment.main()
