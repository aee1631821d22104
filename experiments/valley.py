"""Two functions with a known minimum, and the way of five optimizers to it in the plane.

Rosenbrock's valley is curved: descent falls into it at once and then creeps; the ill-conditioned
bowl shows why momentum helps. See the section "Path in the plane" of the page.

    optlab run experiments/valley.py --report valley.html
"""

import torch

import optlab as ol

experiment = ol.Experiment(
    name="valley",
    problems=[
        ol.Rosenbrock(start=(-1.2, 1.0)),
        ol.Quadratic([400.0, 8.0], start=(-1.5, 1.5), name="bowl"),
    ],
    optimizers={
        "descent": ol.ManualSGD(1e-3),
        "momentum": ol.TorchSGD(1e-3, momentum=0.95),
        "Adam": ol.TorchOptimizer(torch.optim.Adam, lr=0.05),
        "conjugate gradients": ol.ScipyMinimize("CG"),
        "L-BFGS": ol.ScipyMinimize("L-BFGS-B"),
    },
    epochs=2000,
    recorded_epochs=5,
    stop_at=1e-8,
    seeds=[1],
)

if __name__ == "__main__":
    experiment.main()
