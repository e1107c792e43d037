"""A Gaussian that stands for the law of a noisy layer given an input.

Its mean and covariance follow the layers: before an activation the values are taken as
jointly Gaussian, and of the activation what counts is its mean, its variance and its
gain, the slope of the line that fits it best. That is exact in linear layers, and does
not lose the spread where a unit saturates, as a linearisation at one point would.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from skib._numerics.activations import ACTIVATIONS, LEAKY_SLOPE
from skib._numerics.noisy_network import NoisyNetwork

__all__ = ["RECTIFIERS", "Surrogate", "layer_surrogate"]

N_NODES = 24
# Slope on the left of zero of the activations that are lines with one kink.
RECTIFIERS = {"relu": 0.0, "leaky_relu": LEAKY_SLOPE}
# Relative variance below which a unit is as good as constant.
TINY_VARIANCE = 1e-30


@dataclass(frozen=True)
class Surrogate:
    """One Gaussian for each input, of the noisy layer given it.

    Attributes
    ----------
    mean : Tensor of shape (n_inputs, n_units)
    covariance : Tensor of shape (n_inputs, n_units, n_units)
        The layer's own noise is in it.
    noise_std : float
        Of the layer.
    activation : str
        Of the layer.
    before_mean, before_std : Tensor of shape (n_inputs, n_units) or None
        Of the values before the activation; None where each input has one centre.
    """

    mean: Tensor
    covariance: Tensor
    noise_std: float
    activation: str
    before_mean: Tensor | None = None
    before_std: Tensor | None = None

    @property
    def has_kinks(self) -> bool:
        """Whether units are normal values with a kink, and noise."""
        return self.activation in RECTIFIERS and self.before_mean is not None

    def above_kink(self, origin: Tensor | float) -> tuple[Tensor, Tensor]:
        """Mean, from the origin, and variance of units as if they were always on."""
        assert self.before_mean is not None
        assert self.before_std is not None
        variance = self.before_std.square() + self.noise_std**2
        return self.before_mean - origin, variance


def layer_surrogate(network: NoisyNetwork, first: Tensor, layer: int) -> Surrogate:
    """Follow mean and covariance through the layers.

    Parameters
    ----------
    network : NoisyNetwork
    first : Tensor of shape (n_inputs, n_units of layer 1)
        S_1 of the inputs.
    layer : int
        From 1.

    Returns
    -------
    Surrogate
        Exact where all layers from the second on are linear.
    """
    identity = torch.eye(first.shape[1], dtype=first.dtype, device=first.device)
    mean = first
    covariance = network.noise_std[0] ** 2 * identity.expand(len(first), -1, -1)
    before: tuple[Tensor, Tensor] | tuple[None, None] = (None, None)
    for at in range(1, layer):
        coef, intercept = network.coefs[at], network.intercepts[at]
        mean = mean @ coef if intercept is None else mean @ coef + intercept
        covariance = coef.T @ covariance @ coef
        variance = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0)
        before = mean, variance.sqrt()
        mean, gain, after = activation_moments(network.activations[at], *before)
        covariance = gain[:, :, None] * covariance * gain[:, None, :]
        # What the line does not explain is as good as noise of each unit alone.
        rest = (after - gain.square() * variance).clamp_min(0)
        diagonal = covariance.diagonal(dim1=-2, dim2=-1)
        diagonal += rest + network.noise_std[at] ** 2
    return Surrogate(
        mean, covariance, network.noise_std[layer - 1], network.activations[layer - 1],
        *before,
    )  # fmt: skip


def activation_moments(
    activation: str, mean: Tensor, std: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, gain and variance of an activation f of normal values Z.

    Parameters
    ----------
    activation : str
    mean, std : Tensor of any one shape
        Of Z.

    Returns
    -------
    mean, gain, variance : Tensors of that shape
        E f(Z), Cov(f(Z), Z) / Var Z, Var f(Z).
    """
    if activation == "identity":
        return mean, torch.ones_like(mean), std.square()
    if activation in RECTIFIERS:
        return _rectifier_moments(RECTIFIERS[activation], mean, std)
    nodes, weights = (part.to(mean) for part in _hermite())
    std = std.clamp_min(TINY_VARIANCE**0.5)
    apply_ = ACTIVATIONS[activation].apply_
    # One node at a time: all at once would take 24 times the memory.
    values = [apply_(mean + std * node) for node in nodes]
    average = sum((w * f for w, f in zip(weights, values, strict=True)), 0 * mean)
    centred = [f - average for f in values]
    gain = sum((w * z * f for w, z, f in zip(weights, nodes, centred, strict=True)))
    spread = sum((w * f.square() for w, f in zip(weights, centred, strict=True)))
    assert isinstance(gain, Tensor)
    assert isinstance(spread, Tensor)
    return average, gain / std, spread


def _rectifier_moments(
    left: float, mean: Tensor, std: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Give the moments in closed form; the gain is the mean slope (Stein)."""
    std = std.clamp_min(TINY_VARIANCE**0.5)
    ratio = mean / std
    above = torch.special.ndtr(ratio)
    height = (-0.5 * ratio.square()).exp() / (2 * torch.pi) ** 0.5
    # Moments of relu(Z); f(Z) = left Z + (1 - left) relu(Z).
    one = mean * above + std * height
    two = (mean.square() + std.square()) * above + mean * std * height
    cross = std.square() * above
    variance = (two - one.square()).clamp_min(0)
    right = 1 - left
    return (
        left * mean + right * one,
        left + right * above,
        left**2 * std.square() + 2 * left * right * cross + right**2 * variance,
    )


@lru_cache(maxsize=1)
def _hermite() -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
