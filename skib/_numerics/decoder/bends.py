"""What a bounded activation makes of the law of one unit.

Values that are normal before tanh are not after it: near the bounds they crowd. The law
of each unit alone is a mixture over the values before, and its log less that of the
unit's Gaussian corrects the decoder. In correlated units far out that may be wrong:
pilot points must tell whether it helps. Any table gives a decoder, and so a bound.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skib._numerics.activations import ACTIVATIONS
from skib._numerics.decoder.surrogate import Surrogate

__all__ = ["FLOATS_PER_BEND", "bend_nodes", "bend_values"]

BOUNDS = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}
# Where functions of a unit are tabulated, in noise_std: how densely between the bounds
# and near them, and where beyond.
SPACING, NEAR, FAR = 0.5, 3.0, (4.0, 6.0, 9.0, 14.0)
# With less noise the table would be large.
MOST_NODES = 64
# Values before the activation that are mixed, in standard deviations, and their cells.
EDGES = torch.linspace(-5.0, 5.0, 66, dtype=torch.float64)
BEFORE = 0.5 * (EDGES[1:] + EDGES[:-1])
# Of a unit of an input: what is there at once for each of these values.
FLOATS_PER_BEND = 8 * len(BEFORE)


def bend_nodes(activation: str, noise_std: float) -> Tensor | None:
    """Return where functions of a unit are tabulated; None where none are."""
    if activation not in BOUNDS:
        return None
    low, high = BOUNDS[activation]
    n_near = math.ceil(((high - low) / noise_std + 2 * NEAR) / SPACING) + 1
    if n_near + 2 * len(FAR) > MOST_NODES:
        return None
    margin = NEAR * noise_std
    near = torch.linspace(low - margin, high + margin, n_near, dtype=torch.float64)
    far = noise_std * torch.tensor(FAR, dtype=torch.float64)
    return torch.cat([low - far.flip(0), near, high + far])


def bend_values(surrogate: Surrogate, nodes: Tensor) -> Tensor:
    """Log-density of each unit less that of its Gaussian, at the nodes.

    Returns
    -------
    values : Tensor of shape (n_inputs, n_units * n_nodes)
    """
    center, variance = _cells(surrogate)
    log_weights = (-0.5 * BEFORE.square()).log_softmax(0).to(center)
    # log N(t; f, v) = -t^2 / 2v + t f / v - f^2 / 2v - ln v / 2 + ...
    constant = log_weights - 0.5 * (center.square() / variance + variance.log())
    slope, curvature = center / variance, -0.5 / variance
    mean = surrogate.mean
    spread = surrogate.covariance.diagonal(dim1=-2, dim2=-1)
    values = mean.new_empty(*mean.shape, len(nodes))
    for k, t in enumerate(nodes.tolist()):
        terms = torch.add(constant, slope, alpha=t).add_(curvature, alpha=t**2)
        straight = -0.5 * ((t - mean).square() / spread + spread.log())
        values[..., k] = terms.logsumexp(-1) - straight
    return values.flatten(1)


def _cells(surrogate: Surrogate) -> tuple[Tensor, Tensor]:
    """Mean and variance of the noisy unit, for values before it from each cell.

    Where a cell is wide against the noise, its width makes up for values in between.
    """
    assert surrogate.before_mean is not None
    assert surrogate.before_std is not None
    apply_ = ACTIVATIONS[surrogate.activation].apply_
    mean, std = surrogate.before_mean[..., None], surrogate.before_std[..., None]
    center = apply_(mean + std * BEFORE.to(mean))
    width = apply_(mean + std * EDGES.to(mean)).diff(dim=-1)
    noise = surrogate.noise_std**2
    return center, noise + 0.25 * (width.square() - noise).clamp_min(0)
