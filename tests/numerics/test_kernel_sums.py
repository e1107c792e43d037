import math

import numpy as np
import pytest
import torch

from skib._numerics.kernel_sums import (
    block_bounds,
    kernel_sums,
    mixture_log_density,
)


def draw_case(rng, data, *, n_groups, n_draws, n_features, noise_std, n_columns=3):
    centers = torch.tensor(DATA[data](rng, (n_groups, n_draws, n_features), noise_std))
    weights = torch.tensor(rng.dirichlet(np.ones(n_columns), n_groups) / n_groups)
    groups = torch.arange(n_groups)
    draws = torch.tensor(rng.integers(n_draws, size=n_groups))
    noise = torch.tensor(noise_std * rng.normal(size=(n_groups, n_features)))
    return centers, weights, groups, draws, noise


def clustered(rng, shape, noise_std):
    n_groups, _, n_features = shape
    places = rng.normal(size=(8, 1, n_features))[rng.integers(8, size=n_groups)]
    return places + 2 * noise_std * rng.normal(size=shape)


def duplicated(rng, shape, noise_std):
    half = rng.normal(size=(shape[0] // 2, *shape[1:]))
    return np.concatenate([half, half])


DATA = {
    "random": lambda rng, shape, noise_std: np.tanh(rng.normal(size=shape)),
    "clustered": clustered,
    "far": lambda rng, shape, noise_std: 1000 + rng.normal(size=shape),
    "heavy": lambda rng, shape, noise_std: np.maximum(
        rng.standard_t(2, size=shape), 0.0
    ),
    "duplicated": duplicated,
    "collapsed": lambda rng, shape, noise_std: np.zeros(shape),
}


def log_own_share(own, others, weights, groups):
    """Log of the own group's share of the density, the summand of I(X;T)."""
    mass = weights.sum(1)[groups] * own.sum(1)
    return (mass / (mass + others.sum((1, 2)))).log()


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("n_features", [1, 3, 10, 64])
@pytest.mark.parametrize("noise_std", [1e-3, 0.1, 10.0])
def test_sums_agree_with_dense_float64(rng, dense_sums, data, n_features, noise_std):
    case = draw_case(
        rng, data, n_groups=150, n_draws=31, n_features=n_features, noise_std=noise_std
    )
    sums = kernel_sums(*case, noise_std, n_blocks=4)
    own, others = dense_sums(*case, noise_std, block_bounds(31, 4))
    _, weights, groups, *_ = case
    found = log_own_share(sums.own, sums.others, weights, groups)
    expected = log_own_share(own, others, weights, groups)
    assert float((found - expected).abs().max()) <= 1e-3
    assert float((found - expected).mean().abs()) <= 1e-4


def test_small_problems_are_summed_in_double_precision(rng, dense_sums):
    case = draw_case(rng, "random", n_groups=50, n_draws=8, n_features=3, noise_std=0.3)
    sums = kernel_sums(*case, 0.3, n_blocks=2)
    own, others = dense_sums(*case, 0.3, block_bounds(8, 2))
    torch.testing.assert_close(sums.own, own, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(sums.others, others, rtol=1e-11, atol=1e-13)


def test_density_of_one_component_is_the_gaussian(rng):
    center = torch.tensor(rng.normal(size=(1, 1, 4)))
    points = torch.tensor(rng.normal(size=(20, 4)))
    gaussian = torch.distributions.Normal(center[0, 0], 0.7)
    found = mixture_log_density(points, center, torch.ones(1), 0.7)
    torch.testing.assert_close(found, gaussian.log_prob(points).sum(1))


def test_density_agrees_with_logsumexp_over_components(rng):
    centers = torch.tensor(rng.normal(size=(40, 5, 3)))
    weights = torch.tensor(rng.dirichlet(np.ones(40)))
    points = torch.tensor(rng.normal(size=(300, 3)))
    squared = ((points[:, None, None] - centers) ** 2).sum(3) / 0.2**2
    log_terms = (weights / 5).log()[None, :, None] - squared / 2
    expected = log_terms.flatten(1).logsumexp(1) - 3 * math.log(
        math.sqrt(2 * math.pi) * 0.2
    )
    found = mixture_log_density(points, centers, weights, 0.2)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_density_far_away_is_finite_and_right():
    """A thousand noise widths out, exp() is zero but its logarithm is not."""
    far = torch.tensor([[1e4]])
    found = mixture_log_density(
        far, torch.zeros(2, 1, 1), torch.tensor([0.5, 0.5]), 1.0
    )
    assert float(found) == pytest.approx(
        -0.5e8 - 0.5 * math.log(2 * math.pi), rel=1e-12
    )


def test_density_ignores_groups_without_weight():
    centers = torch.tensor([[[0.0]], [[5.0]]])
    at_empty = torch.tensor([[5.0]])
    found = mixture_log_density(at_empty, centers, torch.tensor([1.0, 0.0]), 1.0)
    assert float(found) == pytest.approx(-12.5 - 0.5 * math.log(2 * math.pi))


def test_blocks_cut_the_draws_into_nearly_equal_runs():
    assert block_bounds(10, 4) == [(0, 2), (2, 5), (5, 7), (7, 10)]
