"""Kernel sums by torch operations on tiles: runs wherever the tensors live.

Queries lie along the last axis, where every operation finds them side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import torch
from torch import Tensor

from skib._numerics.clouds import EXPANDED_UP_TO_RADIUS, Clouds, Levels, Queries
from skib._numerics.threads import in_threads, torch_threads

# exp() of strongly negative arguments is 8-20 times slower on CPUs, and so are
# products of its tiny results. Below this floor a kernel is invisible beside the own
# one: 1e7 centres add 1e-19.
EXPONENT_FLOOR = -60.0

QUERIES_PER_TILE = 64

# Within these radii of the leaves products in float64 are as exact as clouds stored in
# these formats promise; beyond, distances are taken by difference.
DOUBLE_UP_TO_RADIUS = {torch.float32: 1e5, torch.float64: 1e3}

# Neighbouring tiles are taken together where that saves time: to prepare a centre
# costs as much as its kernels at so many queries.
TILES_TOGETHER = [1, 2, 4]
PREPARATION = 64

# Exponents made at a time: they stay in a CPU's cache, keep a GPU busy, and repay the
# dozens of calls they take.
PAIRS_AT_A_TIME = {"cpu": 1 << 20, "cuda": 1 << 25}


class TorchTiles:
    """Kernel sums over some clouds, by matrix products and in-place exponentials.

    Parameters
    ----------
    clouds : Clouds
        The centres, on any device.
    levels : Levels
        Which draws to sum together.
    n_threads : int
        CPU threads to use; the sums do not depend on it beyond rounding.
    """

    queries_per_tile = QUERIES_PER_TILE

    def __init__(self, clouds: Clouds, levels: Levels, n_threads: int) -> None:
        self.leaves = Leaves(clouds)
        self.levels = levels
        self.n_threads = n_threads
        self.weights = self.leaves.by_leaf(clouds.weights, lacking=0.0)
        self.in_block = _block_indicator(clouds.offsets, levels.edges)
        self.needs_double = _needs_double(clouds)

    def sums(self, queries: Queries, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum the kernels of the kept leaves at each query.

        Parameters
        ----------
        queries : Queries
            In order.
        kept : Tensor of shape (n_tiles, n_leaves), bool
            Leaves to sum over, tile by tile.

        Returns
        -------
        own : Tensor of shape (n_queries, n_levels), float64
        others : Tensor of shape (n_queries, n_levels, n_columns), float64
        others_log : Tensor of shape (n_queries, n_levels), float64
            Zero where the levels do not ask for it.
        """
        kept, size = _take_together(kept)
        parts = list(queries.parts(size))
        results: list[list[Tensor]] = [[]] * len(parts)

        def run(tiles: range) -> None:
            exponents = Exponents(self.leaves)
            # Threads share out the tiles: the operations are too small to be shared.
            with torch_threads(1):
                for tile in tiles:
                    results[tile] = self._tile_sums(exponents, parts[tile], kept[tile])

        in_threads(run, len(parts), self.n_threads)
        own, others, others_log = map(torch.cat, zip(*results, strict=True))
        return own, others, others_log

    def _tile_sums(
        self, exponents: Exponents, queries: Queries, kept: Tensor
    ) -> list[Tensor]:
        n_queries, n_levels = len(queries.points), len(self.levels.members)
        own = queries.points.new_zeros(n_queries, n_levels)
        others = own.new_zeros(n_queries, n_levels, self.weights.shape[2])
        others_log = torch.zeros_like(own)
        points = queries.points.T.contiguous()
        blocks = self.levels.blocks_of(queries.draws)
        for dtype, among in self._by_precision(kept):
            for leaves in self.leaves.parts(among, n_queries):
                kernels = exponents(leaves, points, queries.reference, dtype)
                kernels.clamp_min_(EXPONENT_FLOOR).exp_()
                sums = self._over_draws(kernels, blocks.to(dtype))
                self._set_own_apart(sums, leaves, queries.own, own)
                weights = self.weights[leaves].to(dtype).flatten(0, 1)
                others += _over_groups(weights, sums)
                if self.levels.with_logs:
                    weights = weights.sum(1, keepdim=True)
                    others_log += _over_groups(weights, _times_own_log(sums))[:, :, 0]
        return [own, others, others_log]

    def _by_precision(self, kept: Tensor) -> Iterable[tuple[torch.dtype, Tensor]]:
        stored = self.leaves.centers.dtype
        yield stored, torch.nonzero(kept & ~self.needs_double)[:, 0]
        yield torch.float64, torch.nonzero(kept & self.needs_double)[:, 0]

    def _over_draws(self, kernels: Tensor, blocks: Tensor) -> Tensor:
        """Sum by level; of shape (n_leaves, groups_per_leaf, n_levels, n_queries)."""
        by_draw = kernels.unflatten(1, (self.leaves.groups_per_leaf, -1))
        if by_draw.shape[2] == 1 and self.levels.is_single:
            return by_draw
        by_block = self.in_block.to(kernels.dtype) @ by_draw
        if self.levels.is_single:
            return by_block
        return torch.stack([(by_block * own).sum(2) for own in blocks], dim=2)

    def _set_own_apart(
        self, sums: Tensor, leaves: Tensor, groups: Tensor, own: Tensor
    ) -> None:
        """Move the sums over each query's own group from `sums` to `own`."""
        leaf = groups // self.leaves.groups_per_leaf
        place = torch.searchsorted(leaves, leaf).clamp_max_(len(leaves) - 1)
        rows = torch.nonzero(leaves[place] == leaf)[:, 0]
        at = place[rows], groups[rows] % self.leaves.groups_per_leaf, slice(None), rows
        own[rows] = sums[at].double()
        sums[at] = 0.0


def _over_groups(weights: Tensor, sums: Tensor) -> Tensor:
    """Weighted sums, of shape (n_queries, n_levels, n_columns)."""
    by_column = weights.T @ sums.flatten(0, 1).flatten(1, 2)
    return by_column.unflatten(1, sums.shape[2:]).permute(2, 1, 0)


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

    def parts(self, leaves: Tensor, n_points: int) -> Iterable[Tensor]:
        """Cut leaves into runs whose exponents are made together."""
        if not len(leaves):
            return ()
        pairs = PAIRS_AT_A_TIME[self.centers.device.type]
        return leaves.split(max(1, pairs // (self.centers.shape[1] * n_points)))


class Exponents:
    """Exponents of the kernels of some leaves at some points, by one product.

    The result is overwritten by the next call: pages of new memory cost more than the
    arithmetic. Not for two threads at once.
    """

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves
        self._memory = leaves.centers.new_empty(0)

    def __call__(
        self, leaves: Tensor, points: Tensor, reference: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Return the reference less half the squared distances.

        In coordinates relative to the middle of a leaf, which keep the digits that
        matter.

        Parameters
        ----------
        leaves : Tensor of shape (n_leaves,), int64
            Which ones.
        points : Tensor of shape (n_features, n_points), float64
            In units of the noise, relative to the clouds' origin.
        reference : Tensor of shape (n_points,), float64
            Added to every exponent of a point.
        dtype : torch.dtype
            Of the arithmetic. Leaves that are too wide for it are not noticed in
            float32; in float64, distances are taken by difference.

        Returns
        -------
        exponents : Tensor of shape (n_leaves, centers_per_leaf, n_points)
        """
        steps = points - self.leaves.middles[leaves][:, :, None]
        centers = self.leaves.centers[leaves].to(dtype)
        limit = DOUBLE_UP_TO_RADIUS[self.leaves.centers.dtype]
        if float(self.leaves.radii[leaves].max()) > limit:
            return _exponents_by_difference(centers, steps, reference)
        # With one feature each for the squared lengths the product is the exponent.
        n_leaves, n_features, n_points = steps.shape
        right = centers.new_ones(n_leaves, n_features + 2, n_points)
        right[:, :-2] = steps
        right[:, -2] = reference - 0.5 * steps.square_().sum(1)
        left = centers.new_ones(*centers.shape[:2], n_features + 2)
        left[:, :, :-2] = centers
        left[:, :, -1] = self._heights(leaves, centers)
        return torch.bmm(left, right, out=self._memory_for(left, n_points))

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


def log_density_tile(
    exponents: Exponents, points: Tensor, leaves: Tensor, log_weights: Tensor
) -> Tensor:
    """Log of the weighted sum of some leaves' kernels at neighbouring points.

    Parameters
    ----------
    exponents : Exponents
        Of the centres.
    points : Tensor of shape (n_points, n_features), float64
        In units of the noise, relative to the clouds' origin.
    leaves : Tensor of shape (n_kept,), int64
        Leaves to sum over, ascending.
    log_weights : Tensor of shape (n_leaves, groups_per_leaf), float64
        Log-weight of each centre of a group.

    Returns
    -------
    log_sum : Tensor of shape (n_points,), float64
    """
    total = points.new_full((len(points),), -torch.inf)
    zeros = torch.zeros_like(total)
    for some in exponents.leaves.parts(leaves, len(points)):
        exponent = exponents(some, points.T, zeros, torch.float64)
        by_group = exponent.unflatten(1, (log_weights.shape[1], -1))
        by_group += log_weights[some][:, :, None, None]
        # Relative to the largest: far points must not underflow to log(0).
        largest = exponent.amax((0, 1))
        exponent.sub_(largest).clamp_min_(EXPONENT_FLOOR)
        total = torch.logaddexp(total, largest + exponent.exp_().sum((0, 1)).log())
    return total


def _take_together(kept: Tensor) -> tuple[Tensor, int]:
    """Join runs of tiles; return what they keep between them, and their queries."""
    choices = [_kept_by_any(kept, n_tiles) for n_tiles in TILES_TOGETHER]
    sizes = [n_tiles * QUERIES_PER_TILE for n_tiles in TILES_TOGETHER]
    costs = [
        int(choice.sum()) * (size + PREPARATION)
        for choice, size in zip(choices, sizes, strict=True)
    ]
    cheapest = costs.index(min(costs))
    return choices[cheapest], sizes[cheapest]


def _kept_by_any(kept: Tensor, n_tiles: int) -> Tensor:
    n_short = -len(kept) % n_tiles
    full = torch.cat([kept, kept.new_zeros(n_short, kept.shape[1])])
    return full.unflatten(0, (-1, n_tiles)).any(1)


def _exponents_by_difference(
    centers: Tensor, steps: Tensor, reference: Tensor
) -> Tensor:
    exact = "donot_use_mm_for_euclid_dist"
    points = steps.mT.to(centers.dtype).contiguous()
    squared = torch.cdist(centers, points, compute_mode=exact).square_()
    return squared.mul_(-0.5).add_(reference)


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
