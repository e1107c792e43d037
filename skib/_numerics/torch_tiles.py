"""Kernel sums by torch operations on tiles: runs wherever the tensors live."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from skib._numerics.clouds import Clouds, Queries
from skib._numerics.threads import torch_threads

# exp() of strongly negative arguments is 8-20 times slower on CPUs, and so are
# products of its tiny results. Below this floor a kernel is invisible beside the own
# one: 1e7 centres add 1e-19.
EXPONENT_FLOOR = -60.0

# The expanded square |t|^2 - 2tc + |c|^2 loses radius^2 of the last digit: within these
# radii (in noise widths) an exponent is right to 5e-4 in float32, 1e-9 in float64.
SINGLE_PRODUCT_UP_TO_RADIUS = 50.0
PRODUCT_UP_TO_RADIUS = 1000.0

# One tile of exponents stays in a CPU's cache, keeps a GPU busy, and repays the dozens
# of calls it takes.
QUERIES_PER_TILE = 64
PAIRS_PER_TILE = {"cpu": 1 << 20, "cuda": 1 << 25}


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

        def tile_sums(tile: int) -> tuple[Tensor, Tensor]:
            part = queries.part(tile * QUERIES_PER_TILE, (tile + 1) * QUERIES_PER_TILE)
            return self._tile_sums(part, torch.nonzero(kept[tile])[:, 0])

        # A thread for each tile: the operations are too small to be shared.
        workers = ThreadPoolExecutor(
            self.n_threads, initializer=torch.set_num_threads, initargs=(1,)
        )
        with torch_threads(1), workers as pool:
            tiles = list(pool.map(tile_sums, range(len(kept))))
        own, others = zip(*tiles, strict=True)
        return torch.cat(own), torch.cat(others)

    def _tile_sums(self, queries: Queries, leaves: Tensor) -> tuple[Tensor, Tensor]:
        clouds, weights = self.clouds, self.clouds.weights
        middle = queries.points.mean(0)
        local = queries.points - middle
        dtype = _dtype_for(clouds.offsets.dtype, local)
        in_block = self.in_block.to(dtype)
        own = weights.new_zeros(len(local), in_block.shape[1])
        others = weights.new_zeros(*own.shape, weights.shape[1])
        exponents_to = _exponents_from(local.to(dtype), queries.reference)
        for groups in _groups_of(clouds, leaves).split(
            _groups_per_tile(clouds, len(local))
        ):
            exponent = exponents_to(_local_centers(clouds, groups, middle).to(dtype))
            kernels = exponent.clamp_min_(EXPONENT_FLOOR).exp_()
            sums = kernels.view(len(local), len(groups), -1) @ in_block
            place = torch.searchsorted(groups, queries.own).clamp_max_(len(groups) - 1)
            rows = torch.nonzero(groups[place] == queries.own)[:, 0]
            own[rows] = sums[rows, place[rows]].double()
            sums[rows, place[rows]] = 0.0
            others += sums.transpose(1, 2) @ weights[groups].to(dtype)
        return own, others


def log_density_tile(
    clouds: Clouds, points: Tensor, leaves: Tensor, log_weights: Tensor
) -> Tensor:
    """Log of the weighted sum of some leaves' kernels at neighbouring points.

    Parameters
    ----------
    clouds : Clouds
        The centres.
    points : Tensor of shape (n_points, n_features), float64
        In units of the noise, relative to the clouds' origin.
    leaves : Tensor of shape (n_kept,), int64
        Leaves to sum over, ascending.
    log_weights : Tensor of shape (n_groups,), float64
        Log-weight of each centre of a group.

    Returns
    -------
    log_sum : Tensor of shape (n_points,), float64
    """
    middle = points.mean(0)
    local, zeros = points - middle, torch.zeros_like(points[:, 0])
    total = torch.full_like(zeros, -torch.inf)
    exponents_to = _exponents_from(local, zeros)
    for groups in _groups_of(clouds, leaves).split(
        _groups_per_tile(clouds, len(points))
    ):
        exponent = exponents_to(_local_centers(clouds, groups, middle))
        exponent.view(len(local), len(groups), -1).add_(log_weights[groups, None])
        # Relative to the largest: far points must not underflow to log(0).
        largest = exponent.amax(1)
        exponent.sub_(largest[:, None]).clamp_min_(EXPONENT_FLOOR)
        total = torch.logaddexp(total, largest + exponent.exp_().sum(1).log())
    return total


def _local_centers(clouds: Clouds, groups: Tensor, middle: Tensor) -> Tensor:
    dtype = clouds.offsets.dtype
    shift = clouds.middles[groups // clouds.groups_per_leaf] - middle
    return (clouds.offsets[groups] + shift[:, None].to(dtype)).flatten(0, 1)


def _exponents_from(local: Tensor, reference: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what gives the reference less half the squared distance to centres."""
    if _radius(local) > PRODUCT_UP_TO_RADIUS:
        return lambda centers: _exponents_by_difference(local, centers, reference)
    # With one column each for the squared lengths the product is the exponent.
    height = reference.to(local.dtype) - 0.5 * (local**2).sum(1)
    left = torch.stack([*local.unbind(1), height, torch.ones_like(height)], dim=1)
    return lambda centers: left @ _with_squares(centers).T


def _exponents_by_difference(
    local: Tensor, centers: Tensor, reference: Tensor
) -> Tensor:
    exact = "donot_use_mm_for_euclid_dist"
    squared = torch.cdist(local, centers, compute_mode=exact).square_()
    return squared.mul_(-0.5).add_(reference[:, None])


def _with_squares(centers: Tensor) -> Tensor:
    n_features = centers.shape[1]
    right = centers.new_ones(len(centers), n_features + 2)
    right[:, :n_features] = centers
    torch.sum(centers**2, dim=1, out=right[:, -1]).mul_(-0.5)
    return right


def _dtype_for(stored: torch.dtype, local: Tensor) -> torch.dtype:
    # In TF32 or bfloat16 a product of coordinates is worth nothing here.
    exact_products = torch.get_float32_matmul_precision() == "highest"
    fits = _radius(local) <= SINGLE_PRODUCT_UP_TO_RADIUS and exact_products
    return stored if fits else torch.float64


def _radius(local: Tensor) -> float:
    return float(local.norm(dim=1).max())


def _groups_per_tile(clouds: Clouds, n_queries: int) -> int:
    n_draws, device = clouds.offsets.shape[1], clouds.offsets.device
    return max(1, PAIRS_PER_TILE[device.type] // (n_draws * n_queries))


def _groups_of(clouds: Clouds, leaves: Tensor) -> Tensor:
    if clouds.groups_per_leaf == 1:
        return leaves
    within = torch.arange(clouds.groups_per_leaf, device=leaves.device)
    groups = (leaves[:, None] * clouds.groups_per_leaf + within).view(-1)
    return groups[groups < len(clouds.offsets)]


def _block_indicator(offsets: Tensor, bounds: list[tuple[int, int]]) -> Tensor:
    indicator = offsets.new_zeros(offsets.shape[1], len(bounds))
    for block, (start, stop) in enumerate(bounds):
        indicator[start:stop, block] = 1.0
    return indicator
