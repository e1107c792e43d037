"""Standard normal noise."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["normal_noise"]


def normal_noise(
    *shape: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Draw standard normal noise, where the generator is.

    Drawn in single precision, whatever the type: five times as fast as in double, and
    as noise the same, but for steps of 1e-7 and values beyond 5.7, one in 1e8.

    Parameters
    ----------
    *shape : int
    generator : torch.Generator
    dtype : torch.dtype, default=torch.float64
        Of the result.

    Returns
    -------
    noise : Tensor
    """
    noise = torch.randn(*shape, generator=generator, device=generator.device)
    return noise.to(dtype)
