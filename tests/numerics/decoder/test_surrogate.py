"""Moments of activations, and of layers, against quadrature and many passes."""

import numpy as np
import pytest
import torch

from skib._numerics.activations import ACTIVATIONS
from skib._numerics.decoder.surrogate import activation_moments, layer_surrogate


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("mean", "std"), [(0.3, 0.5), (-1.2, 0.8), (2.0, 0.1)])
def test_moments_agree_with_quadrature(activation, mean, std):
    z = torch.linspace(-9, 9, 200_001, dtype=torch.float64)
    mass = (-0.5 * z**2).exp()
    mass /= mass.sum()
    f = ACTIVATIONS[activation].apply_(mean + std * z)
    expected = (mass @ f, mass @ (f * z) / std, mass @ f**2 - (mass @ f) ** 2)
    found = activation_moments(
        activation, *(torch.tensor([x], dtype=torch.float64) for x in (mean, std))
    )
    for one, other in zip(found, expected, strict=True):
        # The second derivative of elu jumps, which nodes of a polynomial do not follow.
        rtol = 5e-3 if activation == "elu" else 1e-5
        torch.testing.assert_close(one[0], other, rtol=rtol, atol=1e-7)


def test_a_constant_unit_has_no_variance():
    nothing = torch.zeros(1, dtype=torch.float64)
    for activation in ACTIVATIONS:
        mean, gain, variance = activation_moments(activation, nothing + 0.5, nothing)
        assert torch.isfinite(torch.cat([mean, gain, variance])).all()
        assert variance.abs().max() < 1e-12


@pytest.mark.parametrize("activation", ["identity", "tanh", "relu"])
def test_layers_have_the_moments_of_many_passes(activation, make_case):
    case = make_case(activation, n_inputs=3, n_passes=100_000)
    surrogate = layer_surrogate(case.network, case.first, case.layer)
    # Of non-linear layers the moments are those of Gaussian values before.
    slack = 0.0 if activation == "identity" else 0.04
    for i in range(3):
        points = case.points[case.own == i].numpy()
        mean, covariance = points.mean(0), np.cov(points.T)
        scale = np.sqrt(np.diag(covariance))
        off = (surrogate.mean[i].numpy() - mean) / scale
        assert np.abs(off).max() < slack + 0.02
        off = (surrogate.covariance[i].numpy() - covariance) / np.outer(scale, scale)
        assert np.abs(off).max() < 2 * slack + 0.02
