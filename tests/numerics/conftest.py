"""Slow plain twins: dense float64 sums, straight from the definitions."""

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


@pytest.fixture
def dense_sums():
    return _dense_sums


@pytest.fixture
def rng():
    return np.random.default_rng(0)
