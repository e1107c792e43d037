"""Log-density of a mixture anywhere, not only where its own noise leads.

Sums of kernels neither overflow nor vanish when they are taken relative to the kernel
of a centre near the point. Where none is near, logarithms are added in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from skib._numerics.geometry import spatial_order
from skib._numerics.kernel_sums.clouds import Clouds, Queries
from skib._numerics.kernel_sums.engines import (
    COMPILED_FROM_PAIRS,
    DOUBLE_UP_TO_CENTERS,
    choose_engine,
)
from skib._numerics.kernel_sums.levels import Levels
from skib._numerics.kernel_sums.near_centers import (
    squared_distances_to_near_centers,
)
from skib._numerics.kernel_sums.sums import summed_in_parts
from skib._numerics.kernel_sums.torch_engine import (
    Exponents,
    Leaves,
    log_density_tile,
)
from skib._numerics.kernel_sums.truncation import leaves_in_reach

# Share of a density that may be left out without a word, in float64 and in float32.
NEGLIGIBLE = 1e-13
NEGLIGIBLE_SINGLE = 1e-6

# Centres of the same weight need no more of an engine than to be near each other.
CENTERS_PER_LEAF = 128

# Points of a density that look for the leaves in their reach together.
POINTS_PER_TILE = 64

# Noise widths within which a centre is near: no kernel is above e^72 of its one, which
# leaves single precision room for a sum, and coordinates keep their digits.
NEAR_UP_TO = 12.0

# Log of how much less a place that no centre takes weighs than its neighbour.
FILLER = 45.0

ALL_DRAWS = torch.ones(1, 1, 1)


def mixture_log_density(
    points: Tensor,
    centers: Tensor,
    weights: Tensor,
    noise_std: float,
    *,
    engine: str = "auto",
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
    engine : {"auto", "numba", "triton", "torch"}, default="auto"
        As in `kernel_sums`. Few centres, or few points, take float64 whatever it says.

    Returns
    -------
    log_density : Tensor of shape (n_points,), float64
        In nats. Up to 4096 centres, or with few points, right to rounding; else to
        5e-4, and to rounding beyond a dozen noise widths from all centres.
    """
    n_draws, n_features = centers.shape[1:]
    present = weights > 0
    log_weights = (weights[present].double() / n_draws).log()
    heaviest = log_weights.max()
    leaves = _equal_leaves(
        centers[present].flatten(0, 1),
        (heaviest - log_weights).repeat_interleave(n_draws),
        noise_std,
    )
    points = pad(points.double(), (0, leaves.shape[2] - n_features))
    n_centers = leaves.shape[0] * leaves.shape[1]
    if n_centers <= DOUBLE_UP_TO_CENTERS or (
        n_centers * len(points) < COMPILED_FROM_PAIRS
    ):
        log_sums = _log_sums_in_double(points, leaves, noise_std)
    else:
        log_sums = _log_sums(points, leaves, noise_std, engine)
    log_scale = n_features * math.log(math.sqrt(2 * math.pi) * noise_std)
    return log_sums + heaviest - log_scale


def _equal_leaves(centers: Tensor, lacking: Tensor, noise_std: float) -> Tensor:
    """Cut centres into leaves of neighbours, all centres of the same weight.

    Parameters
    ----------
    centers : Tensor of shape (n_centers, n_features)
    lacking : Tensor of shape (n_centers,), float64
        Log of the largest weight less that of each centre.
    noise_std : float

    Returns
    -------
    leaves : Tensor of shape (n_leaves, CENTERS_PER_LEAF, n_features)
        Where weights differ, with one feature more: a kernel is as much lower as its
        centre lies away from the points along an axis of its own.
    """
    order = spatial_order(centers, CENTERS_PER_LEAF)
    n_fillers = -len(order) % CENTERS_PER_LEAF
    lacking = torch.cat([lacking[order], lacking[order[-1:]].expand(n_fillers)])
    lacking[len(order) :] += FILLER
    centers = centers[torch.cat([order, order[-1:].expand(n_fillers)])]
    if lacking.any():
        lift = noise_std * (2 * lacking).sqrt()
        centers = torch.cat([centers.double(), lift[:, None]], dim=1)
    return centers.unflatten(0, (-1, CENTERS_PER_LEAF))


def _log_sums(points: Tensor, leaves: Tensor, noise_std: float, engine: str) -> Tensor:
    """Log of the sum of all kernels at each point: by an engine where it can."""
    clouds = _clouds(leaves, noise_std, torch.float32)
    n_centers = leaves.shape[0] * leaves.shape[1]
    engine_of = choose_engine(engine, points.device, n_centers, len(points))
    scaled = clouds.scaled(points)
    order = spatial_order(scaled, engine_of.queries_per_tile)
    squared = squared_distances_to_near_centers(clouds, scaled[order], NEAR_UP_TO)
    is_near = squared <= NEAR_UP_TO**2
    near, far = order[is_near], order[~is_near]
    reference = 0.5 * squared[is_near]
    nothing = torch.zeros_like(near)
    queries = Queries(
        points=scaled[near],
        reference=reference,
        # No group is a point's own: any one may be summed apart.
        own=nothing,
        draws=nothing,
        order=torch.arange(len(near), device=near.device),
    )
    log_sums = torch.empty_like(scaled[:, 0])
    if len(near):
        among = Levels.among(leaves.shape[1], ALL_DRAWS)
        sums = summed_in_parts(
            engine_of(clouds, among), clouds, queries, NEGLIGIBLE_SINGLE
        )
        log_sums[near] = (sums.own + sums.others[..., 0])[:, 0].log() - reference
    if len(far):
        log_sums[far] = _log_sums_in_double(points[far], leaves, noise_std)
    return log_sums


def _log_sums_in_double(points: Tensor, leaves: Tensor, noise_std: float) -> Tensor:
    """Log of the sum of all kernels at each point, however far: by logarithms."""
    clouds = _clouds(leaves, noise_std, torch.float64)
    exponents = Exponents(Leaves(clouds))
    scaled = clouds.scaled(points)
    log_sums = scaled.new_empty(len(points))
    for rows in spatial_order(scaled, POINTS_PER_TILE).split(POINTS_PER_TILE):
        in_reach = leaves_in_reach(clouds, scaled[rows], NEGLIGIBLE)
        log_sums[rows] = log_density_tile(exponents, scaled[rows], in_reach)
    return log_sums


def _clouds(leaves: Tensor, noise_std: float, dtype: torch.dtype) -> Clouds:
    weights = torch.ones(len(leaves), 1, dtype=torch.float64, device=leaves.device)
    return Clouds.sorted_in_space(leaves, weights, noise_std, dtype)
