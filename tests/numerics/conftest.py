"""Slow plain twins: dense float64 sums, straight from the definitions."""

import numpy as np
import pytest
import torch


def _dense_sums(centers, weights, groups, draws, noise, noise_std, bounds):
    centers, noise = centers.double(), noise.double()
    queries = centers[groups, draws] + noise
    own, others = [], []
    for start, stop in bounds:
        differences = queries[:, None, None] - centers[None, :, start:stop]
        exponent = (noise**2).sum(1)[:, None, None] - (differences**2).sum(3)
        kernels = (exponent / (2 * noise_std**2)).exp().sum(2)
        rows = torch.arange(len(groups))
        own.append(kernels[rows, groups])
        kernels[rows, groups] = 0.0
        others.append(kernels @ weights.double())
    return torch.stack(own, 1), torch.stack(others, 1)


@pytest.fixture
def dense_sums():
    return _dense_sums


@pytest.fixture
def rng():
    return np.random.default_rng(0)
