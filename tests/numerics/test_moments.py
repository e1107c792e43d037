"""Moments of clouds against numpy's."""

import numpy as np
import pytest
import torch

from skib._numerics.moments import scatter_within


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scatter_is_that_of_weighted_covariances(dtype, monkeypatch):
    # Three clouds at a time, of eleven.
    monkeypatch.setattr("skib._numerics.moments.VALUES_AT_A_TIME", 3 * 20 * 4)
    generator = torch.Generator().manual_seed(0)
    clouds = 5 + torch.randn(11, 20, 4, generator=generator).to(dtype)
    weights = torch.rand(11, generator=generator, dtype=torch.float64)
    found = scatter_within(clouds, weights)
    expected = sum(
        weight * 19 * np.cov(cloud.double().numpy().T)
        for weight, cloud in zip(weights.tolist(), clouds, strict=True)
    )
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
