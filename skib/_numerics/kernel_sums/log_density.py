"""Log-density of the mixture anywhere, not only where its noise leads."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skib._numerics.geometry import spatial_order
from skib._numerics.kernel_sums.clouds import Clouds
from skib._numerics.kernel_sums.torch_engine import (
    Exponents,
    Leaves,
    log_density_tile,
)
from skib._numerics.kernel_sums.truncation import leaves_in_reach

# Share of a density that may be left out without a word.
NEGLIGIBLE = 1e-13

# Points of a density that look for the leaves in their reach together.
POINTS_PER_TILE = 64


def mixture_log_density(
    points: Tensor, centers: Tensor, weights: Tensor, noise_std: float
) -> Tensor:
    """Log-density of a weighted mixture of isotropic Gaussians, anywhere.

    Parameters
    ----------
    points : Tensor of shape (n_points, n_features)
        Where to evaluate, in the units of `centers`.
    centers : Tensor of shape (n_groups, n_draws, n_features)
        Clouds of component means; the draws of a group share its weight evenly.
    weights : Tensor of shape (n_groups,)
        Weight of each group. They are taken as they are: weights that sum to one
        give a density.
    noise_std : float
        Standard deviation of every component, in the units of `centers`.

    Returns
    -------
    log_density : Tensor of shape (n_points,), float64
        In nats.
    """
    n_draws, n_features = centers.shape[1:]
    present = weights > 0
    clouds = Clouds.sorted_in_space(
        centers[present], weights[present, None], noise_std, torch.float64
    )
    exponents = Exponents(Leaves(clouds))
    log_weights = exponents.leaves.by_leaf(
        (clouds.weights[:, 0] / n_draws).log(), lacking=-torch.inf
    )
    scaled = clouds.scaled(points)
    log_sums = scaled.new_empty(len(points))
    for rows in spatial_order(scaled, POINTS_PER_TILE).split(POINTS_PER_TILE):
        leaves = leaves_in_reach(clouds, scaled[rows], NEGLIGIBLE)
        log_sums[rows] = log_density_tile(exponents, scaled[rows], leaves, log_weights)
    return log_sums - n_features * math.log(math.sqrt(2 * math.pi) * noise_std)
