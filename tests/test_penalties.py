"""The elastic net: its value, its proximal step and its least subgradient, by their definitions."""

import numpy as np
import pytest
import torch

from optlab.problems.penalties.elastic_net import ElasticNet

STRENGTHS = [(0.0, 0.0), (0.3, 0.0), (0.0, 0.5), (0.3, 0.5)]
WEIGHT = torch.tensor([[1.5, -0.2], [0.0, 0.0], [-2.0, 0.0]]).double()
GRADIENT = torch.tensor([[0.7, 0.1], [0.1, -0.9], [-0.4, 0.3]]).double()


@pytest.mark.parametrize(("l1", "l2"), STRENGTHS)
def test_the_value_is_its_formula_and_the_proximal_step_its_minimum(l1, l2):
    penalty = ElasticNet(l1, l2)
    w, step = WEIGHT.numpy(), 0.7
    by_hand = l1 * np.abs(w).sum() + l2 / 2 * (w**2).sum()
    assert penalty.value(WEIGHT).item() == pytest.approx(by_hand, rel=1e-15)
    found = penalty.proximal(WEIGHT, step)

    def objective(v):
        return (v - WEIGHT).square() / (2 * step) + l1 * v.abs()

    for moved in (1e-4, -1e-4, 0.1, -0.1):
        assert (objective(found + moved) > objective(found)).all()


@pytest.mark.parametrize(("l1", "l2"), STRENGTHS)
def test_the_least_slope_is_the_smallest_of_all_subgradients(l1, l2):
    found = ElasticNet(l1, l2).least_slope(GRADIENT, WEIGHT)
    free = torch.linspace(-1.0, 1.0, 2001, dtype=torch.float64)[:, None, None] * l1
    signs = torch.where(WEIGHT == 0, free, l1 * WEIGHT.sign())
    all_slopes = GRADIENT + signs
    least = all_slopes.gather(0, all_slopes.abs().argmin(0, keepdim=True))[0]
    torch.testing.assert_close(found, least, rtol=0, atol=1e-3 * l1)  # the grid is as coarse
