"""Oracles: exact answers of theory for gradient descent on quadratic losses.

- `LinearDescent`: roots, contraction and half-life of every mode; limits of stability; errors step
  by step. `linear_descent(optimizer)` is an optimizer's own.
- `best_descent`, `best_heavy_ball`, `best_nesterov`: the best constant rate, and momentum.
- `modes`: eigenvalues and eigenvectors of a problem's Hessian.
- `stable_rate`, `half_lives`: the limit of stability and the half-lives for a given problem.
- `predicted_suboptimality`: the exact curve of full-batch descent.
- `descent_limit`: where descent ends: minimum norm, and ridge with weight decay.
- `expected_parameters`: the exact mean of SGD's iterates.
- `SGDMoments`: SGD's exact expected loss step by step, its stationary covariance and noise floor,
  its stability in mean square.
- `gradient_covariance`: that of mini-batches, with and without replacement.
- `noise_scale`: the gradient noise scale, and the laws of one step.
- `interpolation`: the critical batch size where all residuals can be zero.
- `NoisyQuadraticModel`: expected loss in closed form, least steps to a target by batch size.
- `rational_descent`: descent in exact rational arithmetic.

Each names its formula and its source. A ratio of errors is no oracle once a mode has underflowed:
compare absolute errors of modes with a scale.

Examples
--------
>>> import torch
>>> import optlab as ol
>>> from optlab.testing import oracles
>>> problem = ol.Quadratic([10.0, 1.0], start=(1.0, 1.0))
>>> start = problem.start(torch.Generator())
>>> oracles.predicted_suboptimality(problem, ol.SGD(0.1), start, 2).round(6).tolist()
[5.5, 0.405, 0.32805]
"""

from optlab.optimizers.linear_descent import (
    LinearDescent,
    best_descent,
    best_heavy_ball,
    best_nesterov,
    linear_descent,
)
from optlab.problems.hessian import Modes, modes
from optlab.theory.batch_noise import NoiseScale, gradient_covariance, noise_scale
from optlab.theory.descent_theory import (
    descent_limit,
    expected_parameters,
    half_lives,
    predicted_suboptimality,
    stable_rate,
)
from optlab.theory.interpolation import Interpolation, interpolation
from optlab.theory.noisy_quadratic_model import NoisyQuadraticModel, Steps
from optlab.theory.rational_descent import rational_descent
from optlab.theory.sgd_moments import SGDMoments

__all__ = [
    "Interpolation",
    "LinearDescent",
    "Modes",
    "NoiseScale",
    "NoisyQuadraticModel",
    "SGDMoments",
    "Steps",
    "best_descent",
    "best_heavy_ball",
    "best_nesterov",
    "descent_limit",
    "expected_parameters",
    "gradient_covariance",
    "half_lives",
    "interpolation",
    "linear_descent",
    "modes",
    "noise_scale",
    "predicted_suboptimality",
    "rational_descent",
    "stable_rate",
]
