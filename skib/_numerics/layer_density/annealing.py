"""Density of a noisy layer given the input, by annealing: for noise in many dimensions.

Importance sampling compares the law of the noise given a point with a Gaussian in one
step; in a hundred dimensions hardly a sample counts. Annealed, a chain goes there by
laws in between, geometric means of the two, one move in each, and multiplies the
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

__all__ = ["annealed_log_density", "backward_weights", "forward_weights"]

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
        Exact in linear networks. Nothing rests on a search for the mode, so
        ``converged`` is True.
    """
    roller = Roller(problem, fit_posterior(problem, generator))
    chains = torch.stack(
        [forward_weights(roller, N_LAWS, generator) for _ in range(N_CHAINS)]
    )
    back = backward_weights(roller, noise_before, N_LAWS, generator)
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


def forward_weights(roller: Roller, n_laws: int, generator: torch.Generator) -> Tensor:
    """Log-weights of chains from the Gaussian to the law: the mean weight is p(t | x).

    Parameters
    ----------
    roller : Roller
    n_laws : int
        Laws on the way, that at the end included.
    generator : torch.Generator
    """
    gaussian = roller.gaussian
    place = roller.at(gaussian.center + gaussian.draw(1, generator)[0])
    total = torch.zeros_like(place.log_joint)
    for turn in range(n_laws):
        total += place.log_joint - gaussian.log_density(place.noise)
        if turn + 1 < n_laws:
            place, _ = roller.move(place, turn, generator, (turn + 1) / n_laws)
    return total / n_laws


def backward_weights(
    roller: Roller, noise: Tensor, n_laws: int, generator: torch.Generator
) -> Tensor:
    """Log-weights of chains the other way, from samples of the law.

    The mean of the inverse weight is 1 / p(t | x).

    Parameters
    ----------
    roller : Roller
    noise : Tensor of shape (n_points, n_noises)
        A sample of the law of each point.
    n_laws : int
    generator : torch.Generator
    """
    place = roller.at(noise)
    total = torch.zeros_like(place.log_joint)
    for turn in reversed(range(n_laws)):
        if turn + 1 < n_laws:
            place, _ = roller.move(place, turn, generator, (turn + 1) / n_laws)
        total += place.log_joint - roller.gaussian.log_density(place.noise)
    return total / n_laws


def _log_mean(log_weights: Tensor) -> Tensor:
    return log_weights.logsumexp(0) - math.log(len(log_weights))
