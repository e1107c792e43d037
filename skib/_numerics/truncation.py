"""Which leaves of centres matter to which tiles of queries, and what the rest adds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.clouds import Clouds, Queries
from skib._numerics.geometry import boxes, squared_gaps

# Every so many tiles are looked at to see whether leaving out can pay at all.
PROBE_EVERY = 16
WORTH_KEEPING_FRACTION = 0.9

NEGLIGIBLE_LOG = -60.0


@dataclass(frozen=True)
class Kept:
    """The pairs of tile and leaf to evaluate.

    Attributes
    ----------
    leaves : Tensor of shape (n_tiles, n_leaves), bool
        Whether the leaf is summed at the tile's queries.
    error_bound : float
        Most that the other leaves could add to the density at any query, relative
        to what its own group adds.
    """

    leaves: Tensor
    error_bound: float


def kept_leaves(clouds: Clouds, queries: Queries, tile: int, tolerance: float) -> Kept:
    """Choose the leaves without which no density changes by more than `tolerance`.

    Parameters
    ----------
    clouds : Clouds
        The centres.
    queries : Queries
        In order; every run of `tile` queries is one tile.
    tile : int
        Queries per tile.
    tolerance : float
        Largest relative change; 0 keeps all leaves.

    Returns
    -------
    Kept
    """
    n_tiles = -(-len(queries.points) // tile)
    everything = Kept(
        torch.ones(
            n_tiles, clouds.n_leaves, dtype=torch.bool, device=queries.points.device
        ),
        error_bound=0.0,
    )
    if tolerance == 0:
        return everything
    low, high = boxes(queries.points, tile)
    # A kernel's height over the own group's weight, at the least favourable query.
    own_weight = clouds.weights.sum(1)[queries.own]
    height = boxes((queries.reference - own_weight.log())[:, None], tile)[1]
    threshold = math.log(tolerance / clouds.n_leaves)
    probe = slice(0, None, PROBE_EVERY)
    log_share = _log_share_bound(clouds, low[probe], high[probe], height[probe])
    if float((log_share > threshold).double().mean()) > WORTH_KEEPING_FRACTION:
        return everything
    log_share = _log_share_bound(clouds, low, high, height)
    kept = log_share > threshold
    # exp() of strongly negative arguments is many times slower.
    left_out = log_share.clamp_min_(NEGLIGIBLE_LOG).exp_().masked_fill_(kept, 0.0)
    return Kept(kept, float(left_out.sum(1).max()))


def leaves_in_reach(clouds: Clouds, points: Tensor, tolerance: float) -> Tensor:
    """Choose the leaves without which no density at these points changes by more.

    Parameters
    ----------
    clouds : Clouds
        The centres.
    points : Tensor of shape (n_points, n_features), float64
        Neighbours, anywhere.
    tolerance : float
        Largest relative change.

    Returns
    -------
    leaves : Tensor of shape (n_kept,), int64
        Ascending.
    """
    low, high = points.amin(0), points.amax(0)
    log_mass = _leaf_weights(clouds).log()
    nearest = squared_gaps(low[None], high[None], clouds.low, clouds.high)[0]
    # The farthest corners: no density is below that of the best leaf seen from there.
    across = torch.maximum(clouds.high - low, high - clouds.low)
    at_least = (log_mass - 0.5 * (across**2).sum(1)).max()
    at_most = log_mass - 0.5 * nearest
    threshold = at_least + math.log(tolerance / clouds.n_leaves)
    return torch.nonzero(at_most >= threshold)[:, 0]


def _log_share_bound(
    clouds: Clouds, low: Tensor, high: Tensor, height: Tensor
) -> Tensor:
    log_mass = (clouds.offsets.shape[1] * _leaf_weights(clouds)).log()
    gaps = squared_gaps(low, high, clouds.low, clouds.high)
    return gaps.mul_(-0.5).add_(height).add_(log_mass)


def _leaf_weights(clouds: Clouds) -> Tensor:
    leaf = torch.arange(len(clouds.weights), device=clouds.weights.device)
    totals = clouds.weights.new_zeros(clouds.n_leaves)
    return totals.index_add_(0, leaf // clouds.groups_per_leaf, clouds.weights.sum(1))
