"""The pieces of the importance sampler: slopes, the Gaussian, the search, the pairs."""

import math
from itertools import pairwise

import pytest
import torch

from skib._numerics.activations import ACTIVATIONS
from skib._numerics.layer_density.importance import log_conditional_density
from skib._numerics.layer_density.noise_posterior import (
    GaussianNoise,
    LayerProblem,
    linearise_at_mode,
    prior,
)
from skib._numerics.noisy_network import NoisyNetwork


def make_network(activation, sizes=(3, 4, 3, 2), noise_std=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    coefs = tuple(normal(a, b) for a, b in pairwise(sizes))
    intercepts = tuple(0.5 * normal(n) for n in sizes[1:])
    activations = (activation,) * len(coefs)
    return NoisyNetwork(coefs, intercepts, activations, (noise_std,) * len(coefs))


def make_problem(network, n_points=40, seed=1):
    """Points of the last layer, and the noise before that made them."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(
        n_points, len(network.coefs[0]), generator=generator, dtype=torch.float64
    )
    one_pass = network.sample(X, generator)
    points = one_pass.clean[-1] + network.noise_std[-1] * one_pass.noise[-1]
    problem = LayerProblem(network, network.n_layers, one_pass.clean[0], points)
    return problem, torch.cat(one_pass.noise[:-1], 1)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_slopes_agree_with_automatic_differentiation(activation):
    network = make_network(activation)
    problem, noise = make_problem(network, n_points=5)
    clean = network.clean(problem.first, noise, 3)
    found = network.slopes(clean, noise)
    for row in range(5):

        def last(z, row=row):
            return network.clean(problem.first[row], z, 3)[-1]

        expected = torch.autograd.functional.jacobian(last, noise[row])
        torch.testing.assert_close(found[row], expected)


def test_the_pass_is_the_network():
    network = make_network("tanh")
    problem, noise = make_problem(network)
    clean = network.clean(problem.first, noise, 3)
    by_hand = torch.tanh(
        (clean[1] + 0.3 * noise[:, 4:]) @ network.coefs[2] + network.intercepts[2]
    )
    torch.testing.assert_close(clean[2], by_hand)


def test_the_gaussian_has_the_density_and_the_draws_it_says():
    problem, _ = make_problem(make_network("tanh"), n_points=2)
    posterior, _ = linearise_at_mode(problem, torch.zeros(2, 7, dtype=torch.float64))
    precision = (
        torch.eye(7, dtype=torch.float64) + posterior.slopes.mT @ posterior.slopes
    )
    twin = torch.distributions.MultivariateNormal(
        posterior.center, precision_matrix=precision
    )
    offsets = posterior.draw(200_000, torch.Generator().manual_seed(0))
    some = posterior.center + offsets[:5]
    torch.testing.assert_close(posterior.log_density(some), twin.log_prob(some))
    covariance = torch.einsum("and,ane->nde", offsets, offsets) / len(offsets)
    torch.testing.assert_close(covariance, precision.inverse(), atol=0.02, rtol=0.0)


@pytest.mark.parametrize("steepness", [1.0, 1e5, 1e10])
def test_the_gaussian_bears_steep_slopes(steepness):
    """Ten units that all see one noise: determinant 1 + |slopes|^2."""
    slopes = steepness * torch.linspace(1, 2, 10).double()[None, :, None]
    gaussian = GaussianNoise.from_slopes(torch.zeros(1, 1).double(), slopes)
    found = gaussian.log_density(torch.zeros(1, 1).double())
    precision = 1 + (slopes**2).sum()
    expected = 0.5 * (precision / (2 * math.pi)).log()
    torch.testing.assert_close(found[0], expected)


def test_the_prior_is_standard_normal():
    problem, noise = make_problem(make_network("relu"), n_points=3)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(noise).sum(1)
    torch.testing.assert_close(prior(problem).log_density(noise), expected)


@pytest.mark.parametrize("noise_std", [0.005, 0.05, 0.5])
def test_the_search_ends_where_the_density_is_flat(noise_std):
    network = make_network("tanh", noise_std=noise_std)
    problem, noise = make_problem(network)
    posterior, converged = linearise_at_mode(problem, torch.zeros_like(noise))
    assert converged.float().mean() > 0.8  # the rest are given up on plateaus
    center = posterior.center.clone().requires_grad_()
    (slope,) = torch.autograd.grad(problem.log_joint(center).sum(), center)
    posterior_stds = (slope**2).sum(1).sqrt()  # prior's precision 1 is the smallest
    assert posterior_stds[converged].max() < 0.5
    # No worse than the noise that made the points.
    better = problem.log_joint(posterior.center) >= problem.log_joint(noise) - 1e-9
    assert better.float().mean() > 0.8


def test_low_does_not_know_the_noise_that_made_the_point():
    problem, noise = make_problem(make_network("tanh"))
    found = [
        log_conditional_density(
            problem, used, n_pairs=4, generator=torch.Generator().manual_seed(0)
        )
        for used in (noise, torch.zeros_like(noise))
    ]
    # Random numbers are drawn in the same order whatever the noise.
    torch.testing.assert_close(found[0].low, found[1].low)
    assert (found[0].high != found[1].high).any()


def test_a_bimodal_posterior_is_bracketed():
    """|S_1 + Z| through two ReLUs: both signs of the noise explain the point."""
    fold = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    network = NoisyNetwork(
        (torch.eye(1, dtype=torch.float64), fold, torch.ones(2, 1).double()),
        (torch.zeros(1).double(), torch.zeros(2).double(), torch.zeros(1).double()),
        ("relu",) * 3,
        (1.0, 0.05, 0.05),
    )
    n_points = 400
    generator = torch.Generator().manual_seed(0)
    one_pass = network.sample(torch.zeros(n_points, 1).double(), generator)
    points = one_pass.clean[2] + 0.05 * one_pass.noise[2]
    problem = LayerProblem(network, 3, one_pass.clean[0], points)
    noise = torch.cat(one_pass.noise[:2], 1)
    found = log_conditional_density(problem, noise, n_pairs=16, generator=generator)
    truth = lattice_density(network, points[:, 0]).log()
    low, high = (found.low - truth).mean(), (found.high - truth).mean()
    assert low <= 0.01
    assert high >= -0.01
    assert abs(0.5 * (low + high)) < 0.05


def lattice_density(network, points):
    """Twin: plain kernel average over two million passes of the one input."""
    generator = torch.Generator().manual_seed(1)
    one_pass = network.sample(torch.zeros(2_000_000, 1).double(), generator)
    # Histogram of S_3, smoothed exactly: enough for one unit.
    edges = torch.linspace(0, 6, 6001).double()
    counts = torch.histogram(one_pass.clean[2][:, 0].float(), edges.float())[0].double()
    centers = 0.5 * (edges[1:] + edges[:-1])
    kernels = torch.exp(-0.5 * ((points[:, None] - centers) / 0.05) ** 2)
    return kernels @ (counts / counts.sum()) / (0.05 * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("n_pairs", [1, 4])
@pytest.mark.parametrize(
    ("activation", "gain"), [("tanh", 1.5), ("tanh", 4.0), ("relu", 2.0)]
)
def test_both_estimates_are_unbiased_in_their_own_way(activation, gain, n_pairs):
    """E[p_low / p] = 1, and E[p / p_high] = 1 over the noise that made the point."""
    std = 0.7
    network = NoisyNetwork(
        (torch.ones(1, 1).double(), torch.full((1, 1), gain).double()),
        (torch.zeros(1).double(), torch.zeros(1).double()),
        ("identity", activation),
        (std, std),
    )
    generator = torch.Generator().manual_seed(0)
    one_pass = network.sample(torch.full((20_000, 1), 0.3).double(), generator)
    points = one_pass.clean[1] + std * one_pass.noise[1]
    problem = LayerProblem(network, 2, one_pass.clean[0], points)
    z = torch.linspace(-8, 8, 2001, dtype=torch.float64)
    clean = ACTIVATIONS[activation].apply_(gain * (0.3 + std * z))
    likelihood = torch.distributions.Normal(clean, std).log_prob(points)
    truth = (likelihood + (-0.5 * z**2).log_softmax(0)).logsumexp(1)
    found = log_conditional_density(
        problem, one_pass.noise[0], n_pairs=n_pairs, generator=generator
    )
    for ratio in ((found.low - truth).exp(), (truth - found.high).exp()):
        assert abs(ratio.mean() - 1) < 4 * ratio.std() / len(ratio) ** 0.5
    assert (found.high - found.low).std() > 0.01  # or nothing was to be seen
