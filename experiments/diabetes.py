"""Ten measurements of 442 patients: descent with and without momentum, and the closed forms.

python experiments/diabetes.py
"""

import torch

import optlab as ol

experiment = ol.Experiment(
    name="diabetes",
    problems=ol.LinearRegression.from_dataset(ol.datasets.diabetes().standardized()),
    optimizers=[
        ol.ManualSGD(learning_rate=0.01),
        ol.TorchSGD(learning_rate=0.01),
        ol.TorchSGD(learning_rate=0.01, momentum=0.9),
        ol.TorchOptimizer(torch.optim.Adam, lr=1.0),
        ol.Lstsq(),
        ol.SklearnLinearRegression(),
    ],
    batch_sizes=[32, "full"],
    devices=["cpu", "cuda"],
    seeds=[1, 2],
    epochs=400,
    stop_at=1e-2,
)

if __name__ == "__main__":
    experiment.main()
