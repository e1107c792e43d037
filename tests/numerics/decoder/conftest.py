"""Small noisy networks, points of their last layer, and the noise that made them."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from skib._numerics.noisy_network import NoisyNetwork


def _network(activation, sizes, noise_std, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    coefs = tuple(1.5 * normal(a, b) / a**0.5 for a, b in pairwise(sizes))
    intercepts = tuple(0.3 * normal(n) for n in sizes[1:])
    n_layers = len(coefs)
    return NoisyNetwork(
        coefs, intercepts, (activation,) * n_layers, (noise_std,) * n_layers
    )


@pytest.fixture
def make_case():
    """Build a network, inputs, and points that passes of given inputs make."""

    def make(activation, sizes=(3, 4, 3, 2), noise_std=0.4, n_inputs=12, n_passes=50):
        network = _network(activation, sizes, noise_std)
        generator = torch.Generator().manual_seed(1)
        X = torch.randn(n_inputs, sizes[0], generator=generator, dtype=torch.float64)
        own = torch.arange(n_inputs).repeat(n_passes)
        passes = network.sample(X[own], generator)
        return SimpleNamespace(
            network=network,
            layer=len(network.coefs),
            first=network.first_clean(X),
            own=own,
            passes=passes,
            points=passes.clean[-1] + noise_std * passes.noise[-1],
            noise=torch.cat(passes.noise[:-1], 1),
        )

    return make
