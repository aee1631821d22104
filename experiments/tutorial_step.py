"""The tutorial's step: as the article wrote it, without the DataLoader, without autograd, compiled.

    optlab profile experiments/tutorial_step.py --figures results/tutorial_step

draws where the time of a step goes. All four make the same steps, in the same order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol


@dataclass(frozen=True)
class ArticleSGD:
    """The article's loop, which takes its batches from a DataLoader."""

    learning_rate: float = 0.001
    name: ClassVar[str] = "as the article wrote it"
    uses_batches: ClassVar[bool] = True

    def iterates(
        self, problem: ol.Problem, batches: ol.Batches, start: ol.Parameters
    ) -> Iterator[ol.Iterate]:
        """Yield the parameters after each epoch."""
        rows = TensorDataset(batches.X, batches.y)
        loader = DataLoader(rows, batches.rows_a_step, shuffle=True, generator=batches.generator)
        weight, bias = (start[name].requires_grad_() for name in ("weight", "bias"))
        while True:
            for x_batch, y_batch in loader:
                loss = problem.loss(start, ol.Batch(x_batch, y_batch))
                loss.backward()
                with torch.no_grad():
                    weight -= weight.grad * self.learning_rate
                    bias -= bias.grad * self.learning_rate
                    weight.grad.zero_()
                    bias.grad.zero_()
            yield ol.Iterate(start, loss.detach())


experiment = ol.Experiment(
    name="the tutorial's step",
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers={
        "as the article wrote it": ArticleSGD(),
        "without the DataLoader": ol.ManualSGD(),
        "without autograd": ol.AnalyticSGD(),
        "compiled": ol.FusedSGD(),
    },
    batch_sizes=[1],
    seeds=[1],
    epochs=2000,
)

if __name__ == "__main__":
    experiment.main()
