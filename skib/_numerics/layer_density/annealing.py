"""Density of a noisy layer given the input, by annealing: for noise in many dimensions.

Importance sampling compares the law of the noise given a point with a Gaussian in one
step; in a hundred dimensions hardly a sample counts. Annealed, a chain goes there by
laws in between, geometric means of the two, a few moves in each, and multiplies the
small steps of the weight: its product has the same mean, p(t | x), and far less spread
(R. Neal, "Annealed importance sampling", 2001, arXiv:physics/9803008).

``low`` is the log of the mean weight of some chains. For ``high`` one of them runs
backward from the noise that made t, a sample of the law at the end: on average not
below the truth (R. Grosse, Z. Ghahramani, R. Adams, "Sandwiching the marginal
likelihood using bidirectional Monte Carlo", 2015, arXiv:1511.02543).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skib._numerics.layer_density.importance import ConditionalDensity
from skib._numerics.layer_density.moves import Roller
from skib._numerics.layer_density.noise_posterior import LayerProblem
from skib._numerics.layer_density.posterior_fit import fit_posterior

__all__ = ["annealed_log_density"]

N_CHAINS, N_LAWS = 4, 24


def annealed_log_density(
    problem: LayerProblem, noise_before: Tensor, generator: torch.Generator
) -> ConditionalDensity:
    """Log p(t | x) at points that the network made.

    Parameters
    ----------
    problem : LayerProblem
    noise_before : Tensor of shape (n_points, n_noises)
        That made the points. Used by `high` alone.
    generator : torch.Generator

    Returns
    -------
    ConditionalDensity
        Exact in linear networks.
    """
    roller = Roller(problem, fit_posterior(problem, generator))
    chains = torch.stack([_forward(roller, generator) for _ in range(N_CHAINS)])
    back = _backward(roller, noise_before, generator)
    low, high = _log_mean(chains), _log_mean(torch.cat([chains[1:], back[None]]))
    variance = (chains - low).exp().var(0) / N_CHAINS
    return ConditionalDensity(
        low=low,
        high=high,
        standard_error=variance.sqrt(),
        effective_fraction=1 / (1 + N_CHAINS * variance),
        n_samples=torch.full(low.shape, N_CHAINS),
        converged=torch.ones(low.shape, dtype=torch.bool),
    )


def _shares() -> list[float]:
    """Shares of the law in the geometric means, from the Gaussian on."""
    return torch.linspace(0, 1, N_LAWS + 1, dtype=torch.float64).tolist()


def _forward(roller: Roller, generator: torch.Generator) -> Tensor:
    """Log-weight of a chain from the Gaussian to the law."""
    gaussian = roller.gaussian
    place = roller.at(gaussian.center + gaussian.draw(1, generator)[0])
    total = torch.zeros_like(place.log_joint)
    for turn, share in enumerate(_shares()[1:]):
        total += place.log_joint - gaussian.log_density(place.noise)
        if share < 1:
            place, _ = roller.move(place, turn, generator, share)
    return total / N_LAWS


def _backward(roller: Roller, noise: Tensor, generator: torch.Generator) -> Tensor:
    """Log-weight of a chain that went the other way, from a sample of the law."""
    place = roller.at(noise)
    total = torch.zeros_like(place.log_joint)
    for turn, share in reversed(list(enumerate(_shares()[1:]))):
        if share < 1:
            place, _ = roller.move(place, turn, generator, share)
        total += place.log_joint - roller.gaussian.log_density(place.noise)
    return total / N_LAWS


def _log_mean(log_weights: Tensor) -> Tensor:
    return log_weights.logsumexp(0) - math.log(len(log_weights))
