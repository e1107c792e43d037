"""Log p(t | x) of what noisy passes bring out of a layer, a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from skib._numerics.layer_density.annealing import annealed_log_density
from skib._numerics.layer_density.importance import (
    ConditionalDensity,
    log_conditional_density,
)
from skib._numerics.layer_density.noise_posterior import LayerProblem
from skib._numerics.noisy_network import NoisyLayers, NoisyPass

__all__ = ["annealed_layer_log_density", "layer_log_density"]

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
    if layer == 1:
        return _first_layer_density(noisy_pass.noise[0], network.noise_std[0])
    return _in_batches(
        network, layer, noisy_pass,
        lambda problem, before: log_conditional_density(
            problem, before, n_pairs=n_pairs, generator=generator
        ),
    )  # fmt: skip


def annealed_layer_log_density(
    network: NoisyLayers,
    layer: int,
    noisy_pass: NoisyPass,
    generator: torch.Generator,
) -> ConditionalDensity:
    """Log p(t | x) of what came out of a layer behind many noises, by annealing.

    Parameters
    ----------
    network : NoisyLayers
        In float64, with noise after every layer up to this one.
    layer : int
        From 2.
    noisy_pass : NoisyPass
        The pass that made the points t.
    generator : torch.Generator

    Returns
    -------
    ConditionalDensity
    """
    return _in_batches(
        network, layer, noisy_pass,
        lambda problem, before: annealed_log_density(problem, before, generator),
    )  # fmt: skip


def _in_batches(
    network: NoisyLayers,
    layer: int,
    noisy_pass: NoisyPass,
    log_density: Callable[[LayerProblem, Tensor], ConditionalDensity],
) -> ConditionalDensity:
    noise_std = network.noise_std[layer - 1]
    points = noisy_pass.clean[layer - 1] + noise_std * noisy_pass.noise[layer - 1]
    problem = LayerProblem(network, layer, noisy_pass.clean[0], points)
    before = torch.cat(noisy_pass.noise[: layer - 1], dim=1)
    n_slopes = points.shape[1] * problem.n_noises
    batches = torch.arange(len(points)).split(max(1, SLOPES_PER_BATCH // n_slopes))
    densities = [log_density(problem.rows(rows), before[rows]) for rows in batches]
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
