r"""Oracles: exact answers of theory for gradient descent on quadratic losses.

========================================  ==========================================================
:class:`LinearDescent`                    roots, contraction and half-life of every mode; limits of
                                          stability; errors step by step
:func:`best_descent`, `best_heavy_ball`,  the best constant rate, and momentum
`best_nesterov`
:func:`modes`                             eigenvalues and eigenvectors of a problem's Hessian
:func:`stable_rate`, `half_lives`         the limit and the half-lives for a given problem
:func:`predicted_suboptimality`           the exact curve of full-batch descent
:func:`descent_limit`                     where it ends: minimum norm; ridge with weight decay
:func:`expected_parameters`               the exact mean of SGD's iterates
:class:`SGDMoments`                       SGD's exact expected loss step by step, its stationary
                                          covariance and noise floor, stability in mean square
:func:`gradient_covariance`               of mini-batches, with and without replacement
:func:`noise_scale`                       the gradient noise scale, and the laws of one step
:func:`interpolation`                     the critical batch size where residuals can be zero
:class:`NoisyQuadraticModel`              expected loss in closed form, least steps by batch size
:func:`rational_descent`                  descent in exact rational arithmetic
========================================  ==========================================================

Each says its formula and its source. A ratio of errors is no oracle once a mode has underflowed:
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

from optlab.optimizers.linear_descent import LinearDescent as LinearDescent
from optlab.optimizers.linear_descent import best_descent as best_descent
from optlab.optimizers.linear_descent import best_heavy_ball as best_heavy_ball
from optlab.optimizers.linear_descent import best_nesterov as best_nesterov
from optlab.optimizers.linear_descent import linear_descent as linear_descent
from optlab.problems.hessian import Modes as Modes
from optlab.problems.hessian import modes as modes
from optlab.theory.batch_noise import NoiseScale as NoiseScale
from optlab.theory.batch_noise import gradient_covariance as gradient_covariance
from optlab.theory.batch_noise import noise_scale as noise_scale
from optlab.theory.descent_theory import descent_limit as descent_limit
from optlab.theory.descent_theory import expected_parameters as expected_parameters
from optlab.theory.descent_theory import half_lives as half_lives
from optlab.theory.descent_theory import predicted_suboptimality as predicted_suboptimality
from optlab.theory.descent_theory import stable_rate as stable_rate
from optlab.theory.interpolation import Interpolation as Interpolation
from optlab.theory.interpolation import interpolation as interpolation
from optlab.theory.noisy_quadratic_model import NoisyQuadraticModel as NoisyQuadraticModel
from optlab.theory.noisy_quadratic_model import Steps as Steps
from optlab.theory.rational_descent import rational_descent as rational_descent
from optlab.theory.sgd_moments import SGDMoments as SGDMoments
