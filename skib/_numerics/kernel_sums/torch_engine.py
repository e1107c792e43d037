"""Kernel sums by torch operations on tiles: runs wherever the tensors live.

Queries lie along the last axis, where every operation finds them side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from skib._numerics.kernel_sums.clouds import (
    EXPANDED_UP_TO_RADIUS,
    Clouds,
    Queries,
)
from skib._numerics.kernel_sums.leaf_visits import LeafVisits, leaf_visits
from skib._numerics.kernel_sums.levels import Levels

# exp() of strongly negative arguments is 8-20 times slower on CPUs, and so are
# products of its tiny results. Below this floor a kernel is invisible beside the own
# one: 1e7 centres add 1e-19.
EXPONENT_FLOOR = -60.0

# Few, so that hardly a query meets a leaf only because its neighbours do.
QUERIES_PER_TILE = 8

# Within these radii of the leaves products in float64 are as exact as clouds stored in
# these formats promise; beyond, distances are taken by difference.
DOUBLE_UP_TO_RADIUS = {torch.float32: 1e5, torch.float64: 1e3}

# Exponents made at a time: enough to repay the dozens of calls they take, and to keep
# all threads, or a GPU, busy.
PAIRS_AT_A_TIME = {"cpu": 1 << 21, "cuda": 1 << 25}

# A query's coordinates and their squares in float64, and the product's factor.
VALUES_PER_UNIT = 4


class TorchEngine:
    """Kernel sums over some clouds, by matrix products and in-place exponentials.

    Parameters
    ----------
    clouds : Clouds
        The centres, on any device.
    levels : Levels
        Which draws to sum together.
    """

    queries_per_tile = QUERIES_PER_TILE

    def __init__(self, clouds: Clouds, levels: Levels) -> None:
        self.leaves = Leaves(clouds)
        self.levels = levels
        self.weights = self.leaves.by_leaf(clouds.weights, lacking=0.0)
        self.in_block = _block_indicator(clouds.offsets, levels.edges)
        self.needs_double = _needs_double(clouds)
        self.exponents = Exponents(self.leaves)

    def sums(self, queries: Queries, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum the kernels of the kept leaves at each query: see `Engine`."""
        points = _in_tiles(queries.points)
        reference = _in_tiles(queries.reference)
        blocks = _in_tiles(self.levels.blocks_of(queries.draws).movedim(2, 0))
        n_queries, n_levels = len(queries.points), len(self.levels.members)
        n_columns = self.weights.shape[2]
        own = points.new_zeros(n_queries, n_levels)
        others = points.new_zeros(*points.shape[:2], n_levels, n_columns)
        others_log = points.new_zeros(*points.shape[:2], n_levels, 1)
        for dtype, visits in self._visits(queries, kept):
            leaves, tiles = visits.leaves, visits.tiles
            steps = points[tiles].sub_(self.leaves.middles[leaves][:, None, None])
            kernels = self.exponents(
                leaves, steps.flatten(1, 2), reference[tiles].flatten(1), dtype
            )
            kernels.clamp_min_(EXPONENT_FLOOR).exp_()
            sums = self._over_draws(kernels, blocks[tiles].flatten(1, 2))
            self._set_own_apart(sums, visits, queries.own, own)
            weights = self.weights[leaves].to(dtype)
            _add_over_groups(others, weights, sums, tiles)
            weights = weights.sum(2, keepdim=True)
            _add_over_groups(others_log, weights, _times_own_log(sums), tiles)
        rows = slice(n_queries)
        return own, others.flatten(0, 1)[rows], others_log.flatten(0, 1)[rows, :, 0]

    def _visits(
        self, queries: Queries, kept: Tensor
    ) -> Iterator[tuple[torch.dtype, LeafVisits]]:
        _, per_leaf, n_features = self.leaves.centers.shape
        # Of a wide layer the coordinates take the memory, not the exponents; of many
        # labels the weighted sums.
        n_sums = len(self.levels.members) * self.weights.shape[2]
        per_query = max(per_leaf, VALUES_PER_UNIT * n_features, n_sums)
        at_a_time = PAIRS_AT_A_TIME[self.leaves.centers.device.type]
        visits_at_a_time = max(1, at_a_time // (per_query * QUERIES_PER_TILE))
        own_leaf = queries.own // self.leaves.groups_per_leaf
        stored = self.leaves.centers.dtype
        for dtype, is_meant in (
            (stored, ~self.needs_double),
            (torch.float64, self.needs_double),
        ):
            for visits in leaf_visits(
                kept & is_meant,
                own_leaf,
                tile=QUERIES_PER_TILE,
                visits_at_a_time=visits_at_a_time,
            ):
                yield dtype, visits

    def _over_draws(self, kernels: Tensor, blocks: Tensor) -> Tensor:
        """Sum by level; of shape (n_leaves, groups_per_leaf, n_levels, n_queries)."""
        by_draw = kernels.unflatten(1, (self.leaves.groups_per_leaf, -1))
        if by_draw.shape[2] == 1 and self.levels.is_single:
            return by_draw
        by_block = self.in_block.to(kernels.dtype) @ by_draw
        if self.levels.is_single:
            return by_block
        in_level = blocks.permute(2, 0, 3, 1)[:, :, None].to(kernels.dtype)
        return torch.stack([(by_block * held).sum(2) for held in in_level], dim=2)

    def _set_own_apart(
        self, sums: Tensor, visits: LeafVisits, groups: Tensor, own: Tensor
    ) -> None:
        """Move the sums over each query's own group from `sums` to `own`."""
        within = groups[visits.queries] % self.leaves.groups_per_leaf
        at = visits.places, within, slice(None), visits.columns
        own[visits.queries] = sums[at].double()
        sums[at] = 0.0


def _in_tiles(values: Tensor) -> Tensor:
    """Cut one value per query into tiles, and add zeros for a tile that is none."""
    n_tiles = -(-len(values) // QUERIES_PER_TILE) + 1
    n_lacking = n_tiles * QUERIES_PER_TILE - len(values)
    filled = torch.cat([values, values.new_zeros(n_lacking, *values.shape[1:])])
    return filled.unflatten(0, (n_tiles, QUERIES_PER_TILE))


def _add_over_groups(
    total: Tensor, weights: Tensor, sums: Tensor, tiles: Tensor
) -> None:
    """Add each leaf's weighted sums to those of the tiles that visit it.

    Parameters
    ----------
    total : Tensor of shape (n_tiles, tile, n_levels, n_columns)
        Changed in place.
    weights : Tensor of shape (n_leaves, groups_per_leaf, n_columns)
    sums : Tensor of shape (n_leaves, groups_per_leaf, n_levels, n_visits * tile)
    tiles : Tensor of shape (n_leaves, n_visits)
    """
    by_column = (weights.mT @ sums.flatten(2)).unflatten(2, sums.shape[2:])
    by_query = by_column.permute(0, 3, 2, 1).to(total.dtype)
    total.index_add_(0, tiles.flatten(), by_query.reshape(-1, *total.shape[1:]))


def _times_own_log(sums: Tensor) -> Tensor:
    # Zeros, whose logarithm is clamped, stay zeros.
    return sums.clamp_min(torch.finfo(sums.dtype).tiny).log_().mul_(sums)


class Leaves:
    """Clouds cut into leaves of equal size; the last one is filled up.

    Parameters
    ----------
    clouds : Clouds
        The centres, copied where the last leaf is short.

    Attributes
    ----------
    centers : Tensor of shape (n_leaves, centers_per_leaf, n_features)
        Relative to the middle of their leaf.
    heights : Tensor of shape (n_leaves, centers_per_leaf)
        Minus half the squared length of each.
    middles : Tensor of shape (n_leaves, n_features), float64
    radii : Tensor of shape (n_leaves,), float64
    groups_per_leaf : int
    """

    def __init__(self, clouds: Clouds) -> None:
        self.middles, self.radii = clouds.middles, clouds.radii
        self.groups_per_leaf = clouds.groups_per_leaf
        self.centers = self.by_leaf(clouds.offsets, lacking=0.0).flatten(1, 2)
        self.heights = torch.einsum("lcf,lcf->lc", self.centers, self.centers)
        self.heights *= -0.5

    def by_leaf(self, values: Tensor, lacking: float) -> Tensor:
        """View one value per group by leaf, with something for groups that lack."""
        n_lacking = len(self.middles) * self.groups_per_leaf - len(values)
        if n_lacking:
            filling = values.new_full((n_lacking, *values.shape[1:]), lacking)
            values = torch.cat([values, filling])
        return values.unflatten(0, (-1, self.groups_per_leaf))


class Exponents:
    """Exponents of the kernels of some leaves at some points, by one product.

    The result is overwritten by the next call: pages of new memory cost more than the
    arithmetic.
    """

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves
        self._memory = leaves.centers.new_empty(0)

    def __call__(
        self, leaves: Tensor, steps: Tensor, reference: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Return the reference less half the squared distances.

        In coordinates relative to the middle of a leaf, which keep the digits that
        matter.

        Parameters
        ----------
        leaves : Tensor of shape (n_leaves,), int64
            Which ones.
        steps : Tensor of shape (n_leaves, n_points, n_features), float64
            Points relative to the middles of these leaves, in units of the noise.
        reference : Tensor of shape (n_leaves, n_points) or (n_points,), float64
            Added to every exponent of a point.
        dtype : torch.dtype
            Of the arithmetic. Leaves that are too wide for it are not noticed in
            float32; in float64, distances are taken by difference.

        Returns
        -------
        exponents : Tensor of shape (n_leaves, centers_per_leaf, n_points)
        """
        centers = self.leaves.centers[leaves].to(dtype)
        limit = DOUBLE_UP_TO_RADIUS[self.leaves.centers.dtype]
        if float(self.leaves.radii[leaves].max()) > limit:
            return _exponents_by_difference(centers, steps, reference)
        # With one feature each for the squared lengths the product is the exponent.
        right = centers.new_ones(*steps.shape[:2], steps.shape[2] + 2)
        right[:, :, :-2] = steps
        right[:, :, -2] = reference - 0.5 * steps.square().sum(2)
        left = centers.new_ones(*centers.shape[:2], centers.shape[2] + 2)
        left[:, :, :-2] = centers
        left[:, :, -1] = self._heights(leaves, centers)
        return torch.bmm(left, right.mT, out=self._memory_for(left, steps.shape[1]))

    def _heights(self, leaves: Tensor, centers: Tensor) -> Tensor:
        if centers.dtype == self.leaves.heights.dtype:
            return self.leaves.heights[leaves]
        # Leaves too wide for products in float32 are so for squares.
        return -0.5 * (centers**2).sum(2)

    def _memory_for(self, left: Tensor, n_points: int) -> Tensor:
        shape = (*left.shape[:2], n_points)
        if self._memory.numel() < math.prod(shape) or self._memory.dtype != left.dtype:
            self._memory = left.new_empty(math.prod(shape))
        return self._memory[: math.prod(shape)].view(shape)


def log_density_tile(exponents: Exponents, points: Tensor, leaves: Tensor) -> Tensor:
    """Log of the sum of some leaves' kernels at neighbouring points.

    Parameters
    ----------
    exponents : Exponents
        Of the centres.
    points : Tensor of shape (n_points, n_features), float64
        In units of the noise, relative to the clouds' origin.
    leaves : Tensor of shape (n_kept,), int64
        Leaves to sum over, ascending.

    Returns
    -------
    log_sum : Tensor of shape (n_points,), float64
    """
    total = points.new_full((len(points),), -torch.inf)
    zeros = torch.zeros_like(total)
    all_leaves = exponents.leaves
    n_pairs = all_leaves.centers.shape[1] * len(points)
    pairs_at_a_time = PAIRS_AT_A_TIME[points.device.type]
    for some in leaves.split(max(1, pairs_at_a_time // n_pairs)):
        steps = points - all_leaves.middles[some][:, None]
        exponent = exponents(some, steps, zeros, torch.float64)
        # Relative to the largest: far points must not underflow to log(0).
        largest = exponent.amax((0, 1))
        exponent.sub_(largest).clamp_min_(EXPONENT_FLOOR)
        total = torch.logaddexp(total, largest + exponent.exp_().sum((0, 1)).log())
    return total


def _exponents_by_difference(
    centers: Tensor, steps: Tensor, reference: Tensor
) -> Tensor:
    exact = "donot_use_mm_for_euclid_dist"
    squared = torch.cdist(
        centers, steps.to(centers.dtype), compute_mode=exact
    ).square_()
    return squared.mul_(-0.5).add_(reference.unsqueeze(-2))


def _needs_double(clouds: Clouds) -> Tensor:
    """Return which leaves are too wide for products in single precision."""
    # In TF32 or bfloat16 a product of coordinates is worth nothing here.
    exact_products = torch.get_float32_matmul_precision() == "highest"
    limit = EXPANDED_UP_TO_RADIUS[torch.float32] if exact_products else -1.0
    return clouds.radii > limit


def _block_indicator(offsets: Tensor, edges: list[int]) -> Tensor:
    indicator = offsets.new_zeros(len(edges) - 1, offsets.shape[1])
    for block, (start, stop) in enumerate(itertools.pairwise(edges)):
        indicator[block, start:stop] = 1.0
    return indicator
