"""Streaming sums of Gaussian kernels, the one primitive of the mixture estimators.

Every input ``i`` (a *group*) has a cloud of centres, its draws. A query is made from
one of them, ``t = centers[i, a] + noise``, and the sums over all centres are taken
relative to the kernel of that own centre,

    ``ratio = exp((|noise|^2 - |t - c|^2) / (2 noise_std^2))``,

which is 1 for the own centre and has mean 1 under the query's law for any other: no
pass for the maximum is needed, in any dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# exp() of strongly negative arguments is 8-20 times slower on CPUs; below this floor
# a kernel is invisible beside the own one: 1e7 centres add 2e-28.
EXPONENT_FLOOR = -80.0

QUERIES_PER_TILE = 128
CENTERS_PER_TILE = 2048


@dataclass(frozen=True)
class KernelSums:
    """Kernel sums of each query, in units of its own centre's kernel.

    Attributes
    ----------
    own : Tensor of shape (n_queries, n_blocks), float64
        Sum over the draws of the query's own group, the own centre (1) included.
    others : Tensor of shape (n_queries, n_blocks, n_columns), float64
        Weighted sum over the draws of every other group.
    error_bound : float
        No sum differs from the exact one by more than this times ``own`` because
        of centres left out.
    kept_fraction : float
        Share of the (query, centre) pairs that were evaluated.
    """

    own: Tensor
    others: Tensor
    error_bound: float
    kept_fraction: float


def kernel_sums(
    centers: Tensor,
    weights: Tensor,
    groups: Tensor,
    draws: Tensor,
    noise: Tensor,
    noise_std: float,
    *,
    n_blocks: int = 1,
) -> KernelSums:
    """Sum the kernels of all centres at each query, by block of draws.

    Parameters
    ----------
    centers : Tensor of shape (n_groups, n_draws, n_features)
        Clouds of centres, one group per input.
    weights : Tensor of shape (n_groups, n_columns)
        Weight of each group in each of the weighted sums.
    groups, draws : integer Tensors of shape (n_queries,)
        Which centre each query was made from.
    noise : Tensor of shape (n_queries, n_features)
        Query minus its own centre.
    noise_std : float
        Standard deviation of the kernel.
    n_blocks : int, default=1
        The draws are cut into this many runs of nearly equal length
        (`block_bounds`), summed apart.

    Returns
    -------
    KernelSums
    """
    dtype = torch.float64
    scaled = centers.to(dtype) / noise_std
    offset = noise.to(dtype) / noise_std
    queries = scaled[groups, draws] + offset
    own_exponent = 0.5 * (offset**2).sum(1)
    bounds = block_bounds(centers.shape[1], n_blocks)
    own = torch.empty(len(queries), n_blocks, dtype=torch.float64)
    others = torch.empty(len(queries), n_blocks, weights.shape[1], dtype=torch.float64)
    for rows in torch.arange(len(queries)).split(QUERIES_PER_TILE):
        for block, (start, stop) in enumerate(bounds):
            own[rows, block], others[rows, block] = _tile_sums(
                scaled[:, start:stop],
                weights,
                groups[rows],
                queries[rows],
                own_exponent[rows],
            )
    return KernelSums(own, others, error_bound=0.0, kept_fraction=1.0)


def _tile_sums(centers, weights, groups, queries, own_exponent):
    n_groups, n_draws, n_features = centers.shape
    flat = centers.reshape(-1, n_features)
    exponent = own_exponent[:, None] - 0.5 * torch.cdist(queries, flat) ** 2
    kernels = exponent.clamp_min_(EXPONENT_FLOOR).exp_()
    sums = kernels.reshape(len(queries), n_groups, n_draws).sum(2)
    own = sums.gather(1, groups[:, None])[:, 0]
    sums.scatter_(1, groups[:, None], 0.0)
    return own, sums @ weights.to(sums.dtype)


def block_bounds(n_draws: int, n_blocks: int) -> list[tuple[int, int]]:
    """Return the (start, stop) of each block of draws."""
    edges = [block * n_draws // n_blocks for block in range(n_blocks + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))
