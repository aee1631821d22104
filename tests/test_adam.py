"""Adam and AdamW by the formulas of their papers, on gradients that are given."""

import numpy as np
import pytest
import torch

import optlab as ol

GRADIENTS = np.array([[1.0, -0.5, 3.0], [0.2, 0.5, -2.0], [-0.7, 0.1, 1.0], [0.3, 0.0, -1.0]])


@pytest.mark.parametrize("decay", [None, 0.0, 0.3])
def test_four_steps_are_the_papers(decay):
    beta1, beta2, epsilon, rate = 0.8, 0.95, 0.1, 0.05
    options = {} if decay is None else {"weight_decay": decay}
    cls = ol.Adam if decay is None else ol.AdamW
    rule = cls(rate, beta1, beta2, epsilon, **options)
    w, m, v = np.array([1.0, -2.0, 0.5]), 0.0, 0.0
    ours = torch.from_numpy(w.copy())
    state = rule.init(ours)
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        change = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + epsilon) + (decay or 0) * w
        w = w - rate * change
        direction, state = rule.update(torch.from_numpy(g), state, ours, t)
        ours = ours - rate * direction
        np.testing.assert_allclose(ours, w, rtol=1e-14)  # some ten roundings a step
