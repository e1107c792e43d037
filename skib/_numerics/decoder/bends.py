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

__all__ = ["BEFORE", "bend_nodes", "bend_values"]

BOUNDS = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}
# Where functions of a unit are tabulated, in noise_std: how densely between the bounds
# and near them, and where beyond.
SPACING, NEAR, FAR = 0.5, 3.0, (4.0, 6.0, 9.0, 14.0)
# With less noise the table would be large, and the bend between two nodes too.
MOST_NODES = 64
# Values before the activation that are mixed, in standard deviations.
BEFORE = torch.linspace(-5.0, 5.0, 65, dtype=torch.float64)


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
    assert surrogate.before_mean is not None
    assert surrogate.before_std is not None
    noise_variance = surrogate.noise_std**2
    before = surrogate.before_mean[..., None]
    before = before + surrogate.before_std[..., None] * BEFORE.to(before)
    after = ACTIVATIONS[surrogate.activation].apply_(before)
    log_weights = (-0.5 * BEFORE.square()).log_softmax(0).to(after)
    # log N(t; f, s^2) = -t^2 / 2s^2 + t f / s^2 - f^2 / 2s^2 + ...
    constant = log_weights - after.square() / (2 * noise_variance)
    after /= noise_variance
    mean = surrogate.mean
    variance = surrogate.covariance.diagonal(dim1=-2, dim2=-1)
    values = mean.new_empty(*mean.shape, len(nodes))
    for k, t in enumerate(nodes.tolist()):
        mixed = torch.add(constant, after, alpha=t).logsumexp(-1)
        mixed -= t**2 / (2 * noise_variance)
        straight = -0.5 * ((t - mean).square() / variance + variance.log())
        values[..., k] = mixed - math.log(surrogate.noise_std) - straight
    return values.flatten(1)
