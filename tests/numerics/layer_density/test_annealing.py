"""Annealed densities: exact in linear networks, a bracket that closes in others."""

import itertools
import math

import pytest
import torch

from skib._numerics.layer_density import annealing
from skib._numerics.layer_density.annealing import (
    annealed_log_density,
    backward_weights,
    forward_weights,
)
from skib._numerics.layer_density.moves import Roller
from skib._numerics.layer_density.noise_posterior import LayerProblem
from skib._numerics.layer_density.posterior_fit import fit_posterior
from skib._numerics.noisy_network import NoisyNetwork


def made(activation, sizes=(2, 3, 1), noise_std=0.7, n_points=300):
    """Points of the last layer, and the noise before that made them."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    coefs = tuple(1.5 * normal(a, b) for a, b in itertools.pairwise(sizes))
    n_layers = len(coefs)
    network = NoisyNetwork(
        coefs, (None,) * n_layers, (activation,) * n_layers, (noise_std,) * n_layers
    )
    passes = network.sample(normal(n_points, sizes[0]), generator)
    points = passes.clean[-1] + noise_std * passes.noise[-1]
    problem = LayerProblem(network, n_layers, passes.clean[0], points)
    return problem, torch.cat(passes.noise[:-1], 1), generator


def by_quadrature(problem):
    """One unit behind one noisy layer of three: log E N(t; S(z), std^2)."""
    nodes, weights = torch.tensor(GAUSS).unbind(1)
    grid = torch.cartesian_prod(nodes, nodes, nodes)
    mass = torch.cartesian_prod(weights, weights, weights).prod(1)
    clean = problem.network.clean(problem.first[:, None], grid.expand(
        len(problem.first), -1, -1), problem.layer)[-1]  # fmt: skip
    normal = torch.distributions.Normal(clean[..., 0], problem.noise_std)
    return (normal.log_prob(problem.points) + mass.log()).logsumexp(1)


def gauss_hermite(n_nodes=40):
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    return np.stack([nodes, weights / weights.sum()], axis=1)


GAUSS = gauss_hermite()


def test_linear_networks_are_exact():
    problem, noise, generator = made("identity", sizes=(2, 4, 3, 2))
    found = annealed_log_density(problem, noise, generator)
    torch.testing.assert_close(found.low, found.high, rtol=0, atol=1e-8)
    slopes = fit_posterior(problem, generator).slopes
    covariance = slopes @ slopes.mT + torch.eye(2, dtype=torch.float64)
    clean = problem.network.clean(problem.first, torch.zeros_like(noise), 3)[-1]
    twin = torch.distributions.MultivariateNormal(
        clean, problem.noise_std**2 * covariance
    )
    torch.testing.assert_close(found.low, twin.log_prob(problem.points))


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_the_mean_is_that_of_quadrature(activation):
    problem, noise, generator = made(activation)
    exact = by_quadrature(problem)
    roller = Roller(problem, fit_posterior(problem, generator))
    ratios = torch.stack(
        [(forward_weights(roller, 3, generator) - exact).exp() for _ in range(20)]
    ).mean(0)
    inverse = (exact - backward_weights(roller, noise, 3, generator)).exp()
    for some in (ratios, inverse):
        error = float(some.std()) / math.sqrt(len(some))
        assert 0 < error < 0.1
        assert abs(float(some.mean()) - 1) < 4 * error


def test_low_and_high_hold_the_truth_and_close_with_the_laws(monkeypatch):
    problem, noise, generator = made("relu", sizes=(5, 20, 20), n_points=400)
    widths = []
    for n_laws in (2, 24):
        monkeypatch.setattr(annealing, "N_LAWS", n_laws)
        found = annealed_log_density(problem, noise, generator)
        widths.append(float((found.high - found.low).mean()))
        assert 0 < found.effective_fraction.mean() < 1
    assert 0 < widths[1] < 0.3 * widths[0]
