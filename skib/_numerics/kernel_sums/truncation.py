"""Which leaves of centres matter to which tiles of queries, and what the rest adds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.geometry import boxes, squared_gaps
from skib._numerics.kernel_sums.clouds import Clouds, Queries

# Every so many tiles are looked at to see whether leaving out can pay at all.
PROBE_EVERY = 16
WORTH_KEEPING_FRACTION = 0.9

# Neighbouring tiles that are tested as one before each is tested by itself.
TILES_PER_RUN = 8

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
    device = queries.points.device
    kept = torch.ones(n_tiles, clouds.n_leaves, dtype=torch.bool, device=device)
    if tolerance == 0:
        return Kept(kept, error_bound=0.0)
    threshold = math.log(tolerance / clouds.n_leaves)
    tiles = _TileBoxes.of(clouds, queries, tile)
    log_mass = (clouds.offsets.shape[1] * _leaf_weights(clouds)).log()
    at_most = _log_shares(clouds, log_mass, tiles.every(PROBE_EVERY))
    if float((at_most > threshold).double().mean()) > WORTH_KEEPING_FRACTION:
        return Kept(kept, error_bound=0.0)
    # First runs of tiles at once, then the tiles of the runs that come near a leaf.
    of_runs = _log_shares(clouds, log_mass, tiles.joined(TILES_PER_RUN))
    near = of_runs > threshold
    run, leaf = torch.nonzero(near, as_tuple=True)
    pair_tile, pair_leaf = _tiles_of_runs(run, leaf, n_tiles)
    of_pairs = _log_shares_of_pairs(clouds, log_mass, tiles, pair_tile, pair_leaf)
    is_kept = of_pairs > threshold
    kept.zero_()
    kept[pair_tile[is_kept], pair_leaf[is_kept]] = True
    left_out = _share(of_runs, near).sum(1).repeat_interleave(TILES_PER_RUN)[:n_tiles]
    left_out.index_add_(0, pair_tile, _share(of_pairs, is_kept))
    return Kept(kept, float(left_out.max()))


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


@dataclass(frozen=True)
class _TileBoxes:
    """Boxes of neighbouring queries.

    Attributes
    ----------
    low, high : Tensors of shape (n_tiles, n_features)
        Their corners.
    height : Tensor of shape (n_tiles, 1)
        Log of a kernel's height over the own group's weight, at the least favourable
        query.
    """

    low: Tensor
    high: Tensor
    height: Tensor

    @classmethod
    def of(cls, clouds: Clouds, queries: Queries, tile: int) -> _TileBoxes:
        own_weight = clouds.weights.sum(1)[queries.own]
        heights = (queries.reference - own_weight.log())[:, None]
        return cls(*boxes(queries.points, tile), boxes(heights, tile)[1])

    def every(self, step: int) -> _TileBoxes:
        return _TileBoxes(self.low[::step], self.high[::step], self.height[::step])

    def joined(self, run: int) -> _TileBoxes:
        """Boxes around runs of this many tiles."""
        low, high = boxes(self.low, run)[0], boxes(self.high, run)[1]
        return _TileBoxes(low, high, boxes(self.height, run)[1])


def _log_shares(clouds: Clouds, log_mass: Tensor, tiles: _TileBoxes) -> Tensor:
    """Log of the most that each leaf can add to the density at a query of each tile."""
    gaps = squared_gaps(tiles.low, tiles.high, clouds.low, clouds.high)
    return gaps.mul_(-0.5).add_(tiles.height).add_(log_mass)


def _log_shares_of_pairs(
    clouds: Clouds, log_mass: Tensor, tiles: _TileBoxes, tile: Tensor, leaf: Tensor
) -> Tensor:
    """Do the same for some pairs of a tile and a leaf, of shape (n_pairs,)."""
    log_shares = tiles.height[tile, 0] + log_mass[leaf]
    for axis in range(tiles.low.shape[1]):
        low, high = tiles.low[:, axis][tile], tiles.high[:, axis][tile]
        above = clouds.low[:, axis][leaf].sub_(high)
        below = low.sub_(clouds.high[:, axis][leaf])
        gap = torch.maximum(above, below).clamp_min_(0.0)
        log_shares.addcmul_(gap, gap, value=-0.5)
    return log_shares


def _tiles_of_runs(run: Tensor, leaf: Tensor, n_tiles: int) -> tuple[Tensor, Tensor]:
    """Replace each pair of a run and a leaf by those of the run's tiles."""
    within = torch.arange(TILES_PER_RUN, device=run.device)
    tile = (run[:, None] * TILES_PER_RUN + within).flatten()
    leaf = leaf.repeat_interleave(TILES_PER_RUN)
    exists = tile < n_tiles
    return tile[exists], leaf[exists]


def _share(log_share: Tensor, is_kept: Tensor) -> Tensor:
    """Shares of what is left out, 0 for what is kept; overwrites its input."""
    # exp() of strongly negative arguments is many times slower.
    return log_share.clamp_min_(NEGLIGIBLE_LOG).exp_().masked_fill_(is_kept, 0.0)


def _leaf_weights(clouds: Clouds) -> Tensor:
    leaf = torch.arange(len(clouds.weights), device=clouds.weights.device)
    totals = clouds.weights.new_zeros(clouds.n_leaves)
    return totals.index_add_(0, leaf // clouds.groups_per_leaf, clouds.weights.sum(1))
