"""I(X;T) of a small network from its weights, against quadrature."""

import math

import pytest
import torch

from skib._numerics.importance import log_conditional_density
from skib._numerics.linearised_posterior import LayerProblem
from skib._numerics.network_information import information_terms
from skib._numerics.noisy_network import NoisyNetwork

X = torch.tensor([[-1.0], [-0.2], [0.3], [1.0]]).double()
WEIGHTS = torch.tensor([0.1, 0.4, 0.3, 0.2]).double()


def chain(noise_std, activation):
    weights = torch.tensor([[1.5]]).double(), torch.tensor([[2.5]]).double()
    biases = torch.tensor([0.1]).double(), torch.tensor([-0.2]).double()
    return NoisyNetwork(weights, biases, activation, (noise_std, noise_std))


def information_by_quadrature(network):
    """Twin: a lattice over the noise and over t."""
    std = network.noise_stds[1]
    z = torch.linspace(-8, 8, 801).double()[:, None]
    weight = torch.exp(-0.5 * z[:, 0] ** 2)
    weight /= weight.sum()
    clean = torch.stack(
        [network.clean(first[None], z, 2)[-1][:, 0] for first in network.first_clean(X)]
    )
    low, high = clean.min() - 8 * std, clean.max() + 8 * std
    t = torch.linspace(float(low), float(high), 1001).double()
    kernels = torch.exp(-0.5 * ((t - clean[..., None]) / std) ** 2)
    given_x = torch.einsum("z,xzt->xt", weight, kernels) / (
        std * math.sqrt(2 * math.pi)
    )
    given_x = given_x.clamp_min(1e-300)  # far from all inputs
    ratio = given_x / (WEIGHTS @ given_x)
    terms = torch.special.xlogy(given_x, ratio)
    return float(WEIGHTS @ terms.sum(1) * (t[1] - t[0]))


def estimate(network, n_passes, n_repeats):
    """One row of terms per repeat, weighted over the inputs."""
    generator = torch.Generator().manual_seed(0)
    inputs = X.repeat(n_repeats, 1)
    one_pass = network.sample(inputs, generator)
    std = network.noise_stds[1]
    t = one_pass.clean[1] + std * one_pass.noise[1]
    density = log_conditional_density(
        LayerProblem(network, 2, one_pass.clean[0], t),
        one_pass.noise[0],
        n_pairs=8,
        generator=generator,
    )
    fresh = [network.sample(inputs, generator).clean[1] for _ in range(n_passes - 1)]
    clouds = torch.stack([one_pass.clean[1], *fresh]).reshape(n_passes, n_repeats, 4)
    t = t.reshape(n_repeats, 4)
    kernels = torch.exp(-0.5 * ((t[..., None] - clouds[:, :, None]) / std) ** 2).mean(0)
    kernels /= std * math.sqrt(2 * math.pi)  # (repeat, own input, other input)
    own = kernels.diagonal(dim1=1, dim2=2)
    others = (kernels * WEIGHTS * (1 - torch.eye(4).double())).sum(2)
    log_prior = WEIGHTS.log().repeat(n_repeats)
    terms = information_terms(
        density, log_prior, others.flatten().log(), own.flatten().log()
    )
    return [
        values.reshape(n_repeats, 4) @ WEIGHTS
        for values in (terms.low, terms.middle, terms.high)
    ]


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
@pytest.mark.parametrize("noise_std", [0.02, 0.2, 1.0])
def test_few_passes_bracket_the_information_and_meet_it(noise_std, activation):
    network = chain(noise_std, activation)
    truth = information_by_quadrature(network)
    n_repeats = 500
    low, middle, high = estimate(network, n_passes=16, n_repeats=n_repeats)

    def error(values):
        return float(values.std()) / math.sqrt(n_repeats)

    assert low.mean() <= truth + 3.5 * error(low)
    assert high.mean() >= truth - 3.5 * error(high)
    # What is left is the Jensen bias of the 16 passes of the other inputs.
    assert middle.mean() == pytest.approx(truth, abs=4 * error(middle) + 0.02)
    assert low.mean() < middle.mean() + 1e-12
    assert middle.mean() < high.mean() + 2e-3


def test_inputs_that_noise_does_not_confuse_give_the_entropy_exactly():
    _, middle, _ = estimate(chain(1e-4, "tanh"), n_passes=3, n_repeats=10)
    entropy = -(WEIGHTS * WEIGHTS.log()).sum()
    torch.testing.assert_close(middle, entropy.expand(10), rtol=0.0, atol=1e-12)
