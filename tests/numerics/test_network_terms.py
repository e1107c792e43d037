"""Terms of the information from a known network: limits that hold exactly."""

import math

import torch

from skib._numerics.kernel_sums import KernelSums
from skib._numerics.network_terms import OwnDensity, network_terms

JOINT = torch.tensor([[0.1, 0.2], [0.3, 0.0]], dtype=torch.float64)
PRIOR = torch.tensor([0.6, 0.4], dtype=torch.float64)
DENSITY = OwnDensity(torch.tensor([-1.0, 0.2]), torch.tensor([-0.8, 0.4]))


def terms(others, n_draws=8):
    """Terms where kernels know as much about the own input as about any."""
    others = torch.as_tensor(others).double()
    own = torch.ones(2, others.shape[1]).double()
    if others.shape[1] > 1:
        own, others = (torch.cat([x, x.sum(1, keepdim=True)], 1) for x in (own, others))
    weight, of_others = JOINT.sum(1, keepdim=True), others.sum(2)
    about_own = -(weight + of_others / own).log()
    others_log = of_others * (about_own + (weight * own + of_others).log())
    sums = KernelSums(own, others, others_log, error_bound=0.0, kept_fraction=1.0)
    density = OwnDensity(DENSITY.low.double(), DENSITY.high.double())
    return network_terms(density, JOINT, PRIOR, sums, n_draws)


def test_without_others_the_input_is_certain():
    found = terms(torch.zeros(2, 4, 2))
    exact = -JOINT.sum(1).log()
    torch.testing.assert_close(found.information, exact, rtol=0.0, atol=1e-14)
    torch.testing.assert_close(found.influence, torch.zeros(2).double())
    # The second input has the first label for sure.
    assert abs(float(found.label_information[1]) + math.log(0.6)) < 1e-14


def test_equal_blocks_need_no_extrapolation():
    """All levels agree, so their weights, which sum to one, change nothing."""
    block = torch.tensor([[0.3, 0.1], [0.05, 0.4]]).double()
    four = terms(block[:, None].expand(-1, 4, -1))
    one = terms(4 * block[:, None])
    torch.testing.assert_close(four.information, one.information)
    torch.testing.assert_close(four.label_information, one.label_information)


def test_influence_is_the_derivative_by_the_others():
    """Twin: a little more of an input at a point, by differences."""
    others = torch.tensor([[[0.3, 0.1]], [[0.05, 0.4]]]).double()
    found, step = terms(others), 1e-6
    given_input = JOINT / JOINT.sum(1, keepdim=True)
    more = terms(others + step * 8 * given_input[:, None])
    own = (0.5 * (DENSITY.low + DENSITY.high)).double().exp()
    total = JOINT.sum(1) * own + others.sum((1, 2)) / 8
    # The share of the points there that belong to others.
    weight = (others.sum((1, 2)) / 8) / total * total / step
    slope = weight * (more.information - found.information)
    torch.testing.assert_close(slope, found.influence, rtol=1e-4, atol=1e-6)
    slope = weight * (more.label_information - found.label_information)
    torch.testing.assert_close(slope, found.label_influence, rtol=1e-4, atol=1e-6)
