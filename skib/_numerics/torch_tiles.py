"""Kernel sums by torch operations on tiles: runs wherever the tensors live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from skib._numerics.clouds import Clouds, Queries

# exp() of strongly negative arguments is 8-20 times slower on CPUs, and so are
# products of its tiny results. Below this floor a kernel is invisible beside the own
# one: 1e7 centres add 1e-19.
EXPONENT_FLOOR = -60.0

# Centres within reach of a float32 tile of at most this radius (in noise widths) get
# their exponents to 5e-4.
EXPANDED_UP_TO_RADIUS = 50.0

# One tile of exponents stays in a CPU's cache, and keeps a GPU busy.
QUERIES_PER_TILE = 128
PAIRS_PER_TILE = {"cpu": 1 << 17, "cuda": 1 << 25}


class TorchTiles:
    """Kernel sums over some clouds, by matrix products and in-place exponentials.

    Parameters
    ----------
    clouds : Clouds
        The centres, on any device.
    bounds : list of (start, stop)
        Blocks of draws.
    n_threads : int
        CPU threads to use; the sums do not depend on it beyond rounding.
    """

    queries_per_tile = QUERIES_PER_TILE

    def __init__(
        self, clouds: Clouds, bounds: list[tuple[int, int]], n_threads: int
    ) -> None:
        self.clouds = clouds
        self.n_threads = n_threads
        self.in_block = _block_indicator(clouds.offsets, bounds)

    def sums(self, queries: Queries, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the kernels of the kept leaves at each query.

        Parameters
        ----------
        queries : Queries
            In order.
        kept : Tensor of shape (n_tiles, n_leaves), bool
            Leaves to sum over, tile by tile.

        Returns
        -------
        own : Tensor of shape (n_queries, n_blocks), float64
        others : Tensor of shape (n_queries, n_blocks, n_columns), float64
        """
        with _torch_threads(self.n_threads):
            tiles = [
                self._tile_sums(
                    queries.part(
                        tile * QUERIES_PER_TILE, (tile + 1) * QUERIES_PER_TILE
                    ),
                    torch.nonzero(leaves)[:, 0],
                )
                for tile, leaves in enumerate(kept)
            ]
        own, others = zip(*tiles, strict=True)
        return torch.cat(own), torch.cat(others)

    def _tile_sums(self, queries: Queries, leaves: Tensor) -> tuple[Tensor, Tensor]:
        clouds, weights = self.clouds, self.clouds.weights
        middle = queries.points.mean(0)
        dtype = _product_dtype(clouds.offsets.dtype, queries.points - middle)
        in_block = self.in_block.to(dtype)
        left = _augmented_queries(queries.points, queries.reference, middle).to(dtype)
        shape = len(queries.points), in_block.shape[1]
        own = weights.new_zeros(shape)
        others = weights.new_zeros(*shape, weights.shape[1])
        for some in leaves.split(_leaves_per_tile(clouds, shape[0])):
            groups = _groups_of(clouds, some)
            right = _augmented_centers(clouds, groups, middle, dtype)
            kernels = (left @ right.T).clamp_min_(EXPONENT_FLOOR).exp_()
            sums = kernels.view(shape[0], len(groups), -1) @ in_block
            place = torch.searchsorted(groups, queries.own).clamp_max_(len(groups) - 1)
            rows = torch.nonzero(groups[place] == queries.own)[:, 0]
            own[rows] = sums[rows, place[rows]].double()
            sums[rows, place[rows]] = 0.0
            others += sums.transpose(1, 2) @ weights[groups].to(dtype)
        return own, others


@contextmanager
def _torch_threads(n_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def log_density_tile(clouds: Clouds, points: Tensor, log_weights: Tensor) -> Tensor:
    """Log of the weighted sum of all kernels at a tile of neighbouring points.

    Parameters
    ----------
    clouds : Clouds
        The centres.
    points : Tensor of shape (n_points, n_features), float64
        In units of the noise, relative to the clouds' origin.
    log_weights : Tensor of shape (n_groups,), float64
        Log-weight of each centre of a group.

    Returns
    -------
    log_sum : Tensor of shape (n_points,), float64
    """
    middle = points.mean(0)
    left = _augmented_queries(points, torch.zeros_like(points[:, 0]), middle)
    total = torch.full_like(points[:, 0], -torch.inf)
    leaves = torch.arange(clouds.n_leaves, device=points.device)
    for some in leaves.split(_leaves_per_tile(clouds, len(points))):
        groups = _groups_of(clouds, some)
        right = _augmented_centers(clouds, groups, middle, left.dtype)
        right[:, -1] += log_weights[groups].repeat_interleave(clouds.offsets.shape[1])
        exponent = left @ right.T
        # Relative to the largest: far points must not underflow to log(0).
        largest = exponent.amax(1)
        exponent.sub_(largest[:, None]).clamp_min_(EXPONENT_FLOOR)
        total = torch.logaddexp(total, largest + exponent.exp_().sum(1).log())
    return total


def _augmented_queries(points: Tensor, reference: Tensor, middle: Tensor) -> Tensor:
    # With one column each for the squared lengths the product is the exponent.
    local = points - middle
    constant = reference - 0.5 * (local**2).sum(1)
    return torch.cat(
        [local, constant[:, None], torch.ones_like(constant)[:, None]], dim=1
    )


def _augmented_centers(
    clouds: Clouds, groups: Tensor, middle: Tensor, dtype: torch.dtype
) -> Tensor:
    n_draws, n_features = clouds.offsets.shape[1:]
    shift = clouds.middles[groups // clouds.groups_per_leaf] - middle
    local = clouds.offsets[groups].to(dtype) + shift[:, None].to(dtype)
    augmented = local.new_ones(len(groups) * n_draws, n_features + 2)
    augmented[:, :n_features] = local.view(-1, n_features)
    augmented[:, -1] = -0.5 * (local**2).sum(2).view(-1)
    return augmented


def _product_dtype(stored: torch.dtype, local: Tensor) -> torch.dtype:
    # The expanded square loses radius^2 * 6e-8, a product in TF32 or bfloat16
    # everything.
    radius = float(local.norm(dim=1).max())
    exact_products = torch.get_float32_matmul_precision() == "highest"
    if radius <= EXPANDED_UP_TO_RADIUS and exact_products:
        return stored
    return torch.float64


def _leaves_per_tile(clouds: Clouds, n_queries: int) -> int:
    per_leaf = clouds.groups_per_leaf * clouds.offsets.shape[1] * n_queries
    return max(1, PAIRS_PER_TILE[clouds.offsets.device.type] // per_leaf)


def _groups_of(clouds: Clouds, leaves: Tensor) -> Tensor:
    within = torch.arange(clouds.groups_per_leaf, device=leaves.device)
    groups = (leaves[:, None] * clouds.groups_per_leaf + within).view(-1)
    return groups[groups < len(clouds.offsets)]


def _block_indicator(offsets: Tensor, bounds: list[tuple[int, int]]) -> Tensor:
    indicator = offsets.new_zeros(offsets.shape[1], len(bounds))
    for block, (start, stop) in enumerate(bounds):
        indicator[start:stop, block] = 1.0
    return indicator
