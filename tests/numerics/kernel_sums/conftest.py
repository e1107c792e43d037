"""Cases of all kinds, and their slow plain twin: dense float64 sums by definition."""

import itertools

import numpy as np
import pytest
import torch


def _dense_sums(
    centers, weights, groups, draws, noise, noise_std, *, edges, by_group=False
):
    """Own and others' sums by block, or all groups' (query, block, group)."""
    centers, noise = centers.double(), noise.double()
    queries = centers[groups, draws] + noise
    rows = torch.arange(len(groups))
    own, others, sums = [], [], []
    for start, stop in itertools.pairwise(edges):
        differences = queries[:, None, None] - centers[None, :, start:stop]
        exponent = (noise**2).sum(1)[:, None, None] - (differences**2).sum(3)
        kernels = (exponent / (2 * noise_std**2)).exp().sum(2)
        sums.append(kernels.clone())
        own.append(kernels[rows, groups])
        kernels[rows, groups] = 0.0
        others.append(kernels @ weights.double())
    if by_group:
        return torch.stack(sums, 1)
    return torch.stack(own, 1), torch.stack(others, 1)


def _dense_level_sums(
    centers, weights, groups, draws, noise, noise_std, *, edges, levels
):
    """Own and others' sums by level, and others' s ln s."""
    by_block = _dense_sums(
        centers, weights, groups, draws, noise, noise_std, edges=edges, by_group=True
    )
    block = torch.bucketize(draws, torch.tensor(edges[1:]), right=True)
    by_level = torch.einsum("kqb,qbg->qkg", levels[:, block].double(), by_block)
    rows = torch.arange(len(groups))
    own = by_level[rows, :, groups]
    by_level[rows, :, groups] = 0.0
    logs = torch.xlogy(by_level, by_level) @ weights.sum(1)
    return own, by_level @ weights, logs


@pytest.fixture
def dense_sums():
    return _dense_sums


@pytest.fixture
def dense_level_sums():
    return _dense_level_sums


def _draw_case(
    rng, data, *, n_features, noise_std, n_groups=150, n_draws=31, n_queries=70
):
    centers = torch.tensor(DATA[data](rng, (n_groups, n_draws, n_features), noise_std))
    weights = torch.tensor(rng.dirichlet(np.ones(3), n_groups) / n_groups)
    groups = torch.tensor(rng.integers(n_groups, size=n_queries))
    draws = torch.tensor(rng.integers(n_draws, size=n_queries))
    noise = torch.tensor(noise_std * rng.normal(size=(n_queries, n_features)))
    return centers, weights, groups, draws, noise


def _clustered(rng, shape, noise_std):
    n_groups, _, n_features = shape
    places = rng.normal(size=(8, 1, n_features))[rng.integers(8, size=n_groups)]
    return places + 2 * noise_std * rng.normal(size=shape)


def _duplicated(rng, shape, noise_std):
    half = rng.normal(size=(shape[0] // 2, *shape[1:]))
    return np.concatenate([half, half])


DATA = {
    "random": lambda rng, shape, noise_std: np.tanh(rng.normal(size=shape)),
    "clustered": _clustered,
    "far": lambda rng, shape, noise_std: 1000 + rng.normal(size=shape),
    "heavy": lambda rng, shape, noise_std: np.maximum(
        rng.standard_t(2, size=shape), 0.0
    ),
    "duplicated": _duplicated,
    "wide": lambda rng, shape, noise_std: 1000 * noise_std * rng.uniform(size=shape),
    "collapsed": lambda rng, shape, noise_std: np.zeros(shape),
}


def _log_own_share(own, others, weights, groups):
    """Log of the own group's share of the density, the summand of I(X;T)."""
    mass = weights.sum(1)[groups] * own.sum(1)
    return (mass / (mass + others.sum((1, 2)))).log()


@pytest.fixture(params=DATA)
def data(request):
    return request.param


@pytest.fixture
def draw_case():
    return _draw_case


@pytest.fixture
def log_own_share():
    return _log_own_share
