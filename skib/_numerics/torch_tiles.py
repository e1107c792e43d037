"""Kernel sums by torch operations on tiles: runs wherever the tensors live."""

from __future__ import annotations

import torch
from torch import Tensor

from skib._numerics.clouds import Clouds, Queries

# exp() of strongly negative arguments is 8-20 times slower on CPUs; below this floor
# a kernel is invisible beside the own one: 1e7 centres add 2e-28.
EXPONENT_FLOOR = -80.0

# Centres within reach of a float32 tile of at most this radius (in noise widths) get
# their exponents to 5e-4.
EXPANDED_UP_TO_RADIUS = 50.0

# One tile of exponents stays in a CPU's cache, and keeps a GPU busy.
QUERIES_PER_TILE = 128
PAIRS_PER_TILE = {"cpu": 1 << 17, "cuda": 1 << 25}


def tile_sums(
    clouds: Clouds, queries: Queries, leaves: Tensor, bounds: list[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """Sum the kernels of some leaves at a tile of neighbouring queries.

    Parameters
    ----------
    clouds : Clouds
        The centres.
    queries : Queries
        The tile.
    leaves : Tensor of shape (n_kept,), int64
        Leaves to sum over, ascending.
    bounds : list of (start, stop)
        Blocks of draws.

    Returns
    -------
    own : Tensor of shape (n_queries, n_blocks), float64
    others : Tensor of shape (n_queries, n_blocks, n_columns), float64
    """
    n_queries, n_columns = len(queries.points), clouds.weights.shape[1]
    own = queries.points.new_zeros(n_queries, len(bounds))
    others = queries.points.new_zeros(n_queries, len(bounds), n_columns)
    middle = queries.points.mean(0)
    dtype = _product_dtype(clouds.offsets.dtype, queries.points - middle)
    in_block = _block_indicator(clouds.offsets.shape[1], bounds).to(own.device, dtype)
    left = _augmented_queries(queries, middle).to(dtype)
    for some in leaves.split(_leaves_per_tile(clouds, n_queries)):
        groups = _groups_of(clouds, some)
        right = _augmented_centers(clouds, groups, middle, left.dtype)
        kernels = (left @ right.T).clamp_min_(EXPONENT_FLOOR).exp_()
        sums = kernels.view(n_queries, len(groups), -1) @ in_block
        place = torch.searchsorted(groups, queries.own).clamp_max_(len(groups) - 1)
        rows = torch.nonzero(groups[place] == queries.own)[:, 0]
        own[rows] = sums[rows, place[rows]].double()
        sums[rows, place[rows]] = 0.0
        others += torch.matmul(sums.transpose(1, 2), clouds.weights[groups].to(dtype))
    return own, others


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
    zeros = torch.zeros_like(points[:, 0])
    left = _augmented_queries(Queries(points, zeros, zeros, zeros), middle)
    total = torch.full_like(zeros, -torch.inf)
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


def _augmented_queries(queries: Queries, middle: Tensor) -> Tensor:
    # With one column each for the squared lengths the product is the exponent.
    local = queries.points - middle
    constant = queries.reference - 0.5 * (local**2).sum(1)
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


def _block_indicator(n_draws: int, bounds: list[tuple[int, int]]) -> Tensor:
    indicator = torch.zeros(n_draws, len(bounds))
    for block, (start, stop) in enumerate(bounds):
        indicator[start:stop, block] = 1.0
    return indicator
