"""What the kink of a rectifier makes of the law of one unit.

A rectified normal value with noise is normal where the unit is on, which a Gaussian can
say. The rest is a function of the unit's value alone that bends near the kink within a
few noise_std: it is tabulated for each input. Any table gives a decoder, and so a
bound: that it interpolates costs no validity.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skib._numerics.decoder.surrogate import RECTIFIERS, Surrogate

__all__ = ["kink_nodes", "kink_values", "rectified_log_density"]

# Where functions of a unit are tabulated, in noise_std from the kink.
FAR = [10.0, 14.0, 20.0, 40.0]
NODES = torch.tensor(
    [*(-x for x in reversed(FAR)), -8.0, -6.5]
    + [0.5 * k for k in range(-10, 17)]
    + FAR,
    dtype=torch.float64,
)


def kink_nodes(noise_std: float) -> Tensor:
    """Return where functions of a unit are tabulated."""
    return NODES * noise_std


def kink_values(surrogate: Surrogate) -> Tensor:
    """Log-density of each unit less that of one that is always on, at the nodes.

    Returns
    -------
    values : Tensor of shape (n_inputs, n_units * n_nodes)
        In float64: of units that are off, millions of nats, which the Gaussian's share
        takes away again.
    """
    left = RECTIFIERS[surrogate.activation]
    points = kink_nodes(surrogate.noise_std).to(surrogate.mean)
    mean, variance = (part[..., None] for part in surrogate.above_kink(0.0))
    assert surrogate.before_std is not None
    std = surrogate.before_std[..., None]
    # A slice of nodes at a time: a dozen tensors of the size live at once.
    slices = [
        rectified_log_density(some, mean, std, surrogate.noise_std, left)
        - _log_normal(some - mean, variance)
        for some in points.split(4)
    ]
    return torch.cat(slices, dim=2).flatten(1)


def rectified_log_density(
    points: Tensor, mean: Tensor, std: Tensor, noise_std: float, left: float
) -> Tensor:
    """Log-density of f(Z) + noise, f a line with a kink at zero, Z normal.

    Parameters
    ----------
    points : Tensor
        Where; broadcast against the next two.
    mean, std : Tensor
        Of Z.
    noise_std : float
    left : float
        Slope of f below zero; above it is 1.

    Returns
    -------
    log_density : Tensor
        In nats.
    """
    sides = []
    for slope, sign in ((1.0, 1.0), (left, -1.0)):
        # f(Z) = slope Z on this side: t is normal, and given t so is Z, which must
        # lie on this side.
        variance = slope**2 * std.square() + noise_std**2
        offset = points - slope * mean
        center = mean + slope * std.square() / variance * offset
        spread = (std * noise_std / variance.sqrt()).clamp_min(1e-150)
        side = torch.special.log_ndtr(sign * center / spread)
        sides.append(_log_normal(offset, variance) + side)
    return torch.logaddexp(*sides)


def _log_normal(offset: Tensor, variance: Tensor) -> Tensor:
    return -0.5 * (2 * math.pi * variance).log() - offset.square() / (2 * variance)
