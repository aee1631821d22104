"""A problem that an optimizer supports, as plain as it can be."""

import torch

import optlab as ol
from optlab.optimizers import unsupported


def plain_problem(optimizer, data, **options):
    """Linear regression; with an l2 penalty and without intercept for what needs these (SDCA)."""
    plain = ol.LinearRegression.from_dataset(data, **options)
    if unsupported(optimizer, plain, torch.device("cpu")) is None:
        return plain
    return ol.LinearRegression.from_dataset(data, fit_intercept=False, l2=0.5)
