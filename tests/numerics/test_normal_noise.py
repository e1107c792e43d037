"""Noise is standard normal in every type."""

import pytest
import torch
from scipy.stats import kstest

from skib._numerics.normal_noise import normal_noise


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_is_standard_normal(dtype):
    generator = torch.Generator().manual_seed(0)
    noise = normal_noise(100, 1000, generator=generator, dtype=dtype)
    assert noise.shape == (100, 1000)
    assert noise.dtype == dtype
    assert kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    # Of independent normal numbers: neighbours, and squares.
    flat = noise.double().flatten()
    assert abs(float((flat[1:] * flat[:-1]).mean())) < 4 / len(flat) ** 0.5
    assert abs(float(flat.square().mean()) - 1) < 4 * (2 / len(flat)) ** 0.5


def test_noise_follows_from_the_generator_alone():
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    single = normal_noise(7, 5, generator=one, dtype=torch.float32)
    double = normal_noise(7, 5, generator=other)
    torch.testing.assert_close(double, single.double(), rtol=0, atol=0)
    assert not torch.equal(normal_noise(7, 5, generator=one), double)
