"""Log p(t | x) of what noisy passes bring out of a layer, a batch at a time."""

from __future__ import annotations

import math
from dataclasses import fields

import torch
from torch import Tensor

from skib._numerics.layer_density.importance import (
    ConditionalDensity,
    log_conditional_density,
)
from skib._numerics.layer_density.noise_posterior import LayerProblem
from skib._numerics.noisy_network import NoisyLayers, NoisyPass

__all__ = ["layer_log_density"]

# Derivatives by the noise kept at a time: 8 MB each, a handful at once.
SLOPES_PER_BATCH = 1_000_000


def layer_log_density(
    network: NoisyLayers,
    layer: int,
    noisy_pass: NoisyPass,
    n_pairs: int,
    generator: torch.Generator,
) -> ConditionalDensity:
    """Log p(t | x) of what came out of one layer.

    Parameters
    ----------
    network : NoisyLayers
        In float64, with noise after every layer up to this one.
    layer : int
        Counted from 1.
    noisy_pass : NoisyPass
        The pass that made the points t.
    n_pairs : int
        Mirrored pairs of samples per point.
    generator : torch.Generator

    Returns
    -------
    ConditionalDensity
    """
    noise_std = network.noise_std[layer - 1]
    clean, noise = noisy_pass.clean[layer - 1], noisy_pass.noise[layer - 1]
    if layer == 1:
        return _first_layer_density(noise, noise_std)
    points = clean + noise_std * noise
    problem = LayerProblem(network, layer, noisy_pass.clean[0], points)
    before = torch.cat(noisy_pass.noise[: layer - 1], dim=1)
    n_slopes = points.shape[1] * problem.n_noises
    batches = torch.arange(len(points)).split(max(1, SLOPES_PER_BATCH // n_slopes))
    densities = [
        log_conditional_density(
            problem.rows(rows), before[rows], n_pairs=n_pairs, generator=generator
        )
        for rows in batches
    ]
    return ConditionalDensity(
        **{
            field.name: torch.cat([getattr(part, field.name) for part in densities])
            for field in fields(ConditionalDensity)
        }
    )


def _first_layer_density(noise: Tensor, noise_std: float) -> ConditionalDensity:
    """No noise comes before: one Gaussian, in closed form."""
    exact = -0.5 * noise**2 - math.log(noise_std * math.sqrt(2 * math.pi))
    exact = exact.sum(1)
    return ConditionalDensity(
        low=exact,
        high=exact,
        standard_error=torch.zeros_like(exact),
        effective_fraction=torch.ones_like(exact),
        n_samples=torch.zeros(len(exact), dtype=torch.int64),
        converged=torch.ones(len(exact), dtype=torch.bool),
    )
