"""Sums of the kernels of all centres at noisy queries, in units of their own kernel.

A query is made from one of the centres, ``t = centers[i, a] + noise``, and the sums
over all centres are taken relative to the kernel of that own centre,

    ``ratio = exp((|noise|^2 - |t - c|^2) / (2 noise_std^2))``,

which is 1 for the own centre and has mean 1 under the query's law for any other: no
pass for the maximum is needed, in any dimension.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skib._numerics.kernel_sums.clouds import Clouds, Queries
from skib._numerics.kernel_sums.engines import Engine, choose_engine, working_dtype
from skib._numerics.kernel_sums.levels import Levels
from skib._numerics.kernel_sums.truncation import kept_leaves

# Tests of a tile against a leaf made at a time.
TESTS_PER_PART = 1 << 20

# Error of the log of a sum by rounding: see the radius limits of the engines.
ROUNDING = {torch.float32: 5e-4, torch.float64: 1e-9}


@dataclass(frozen=True)
class KernelSums:
    """Kernel sums of each query, in units of its own centre's kernel.

    Attributes
    ----------
    own : Tensor of shape (n_queries, n_levels), float64
        Sum over the level's draws of the query's own group, the own centre (1)
        included where it is one of them.
    others : Tensor of shape (n_queries, n_levels, n_columns), float64
        Weighted sum over the level's draws of every other group.
    others_log : Tensor of shape (n_queries, n_levels), float64
        Sum over every other group, with its weight in all columns, of s ln s, where s
        is its sum over the level's draws: what the entropy of the posterior over groups
        is made of.
    error_bound : float
        Largest error of the log-density ``log(own * own weight + others)`` at any
        query: centres left out, and rounding.
    kept_fraction : float
        Share of the (query, centre) pairs that were evaluated.
    """

    own: Tensor
    others: Tensor
    others_log: Tensor
    error_bound: float
    kept_fraction: float

    def cpu(self) -> KernelSums:
        """Return the same with tensors on the CPU."""
        return replace(
            self,
            own=self.own.cpu(),
            others=self.others.cpu(),
            others_log=self.others_log.cpu(),
        )


def kernel_sums(
    centers: Tensor,
    weights: Tensor,
    groups: Tensor,
    draws: Tensor,
    noise: Tensor,
    noise_std: float,
    *,
    levels: Tensor,
    engine: str = "auto",
    tolerance: float = 1e-6,
) -> KernelSums:
    """Sum the kernels of all centres at each query, by level: some blocks of draws.

    On as many CPU threads as torch may use.

    Parameters
    ----------
    centers : Tensor of shape (n_groups, n_draws, n_features)
        Clouds of centres, one group per input.
    weights : Tensor of shape (n_groups, n_columns)
        Weight of each group in each of the weighted sums, not negative.
    groups, draws : integer Tensors of shape (n_queries,)
        Which centre each query was made from.
    noise : Tensor of shape (n_queries, n_features)
        Query minus its own centre.
    noise_std : float
        Standard deviation of the kernel.
    levels : Tensor of shape (n_levels, n_blocks, n_blocks)
        The draws are cut into so many blocks, runs of nearly equal length. Which of
        them a level holds, 1 or 0, given the block of the query's own draw: level, own
        block, block.
    engine : {"auto", "numba", "triton", "torch"}, default="auto"
        Loops compiled for the CPU or for a GPU, or torch operations, which run
        wherever `centers` live. "auto" compiles when numba or, for a GPU, triton is
        installed and the work repays it.
    tolerance : float, default=1e-6
        Centres that change the density at no query by more than this fraction are
        left out. 0 sums over all.

    Returns
    -------
    KernelSums
    """
    n_groups, n_draws, _ = centers.shape
    n_centers = n_groups * n_draws
    engine_of = choose_engine(engine, centers.device, n_centers, len(groups))
    clouds = Clouds.sorted_in_space(
        centers, weights, noise_std, working_dtype(n_centers)
    )
    queries = Queries.around_own_centers(
        clouds, centers, groups, draws, noise, tile=engine_of.queries_per_tile
    )
    among = Levels.among(n_draws, levels)
    return summed_in_parts(engine_of(clouds, among), clouds, queries, tolerance)


def summed_in_parts(
    engine: Engine, clouds: Clouds, queries: Queries, tolerance: float
) -> KernelSums:
    """Sum at queries in order, a part of them at a time; answers in the caller's."""
    n_queries, tile = len(queries.points), engine.queries_per_tile
    n_levels = len(engine.levels.members)
    own = queries.points.new_empty(n_queries, n_levels)
    others = own.new_empty(n_queries, n_levels, clouds.weights.shape[1])
    others_log = torch.empty_like(own)
    left_out, n_kept = 0.0, 0
    for part in queries.parts(tile * max(1, TESTS_PER_PART // clouds.n_leaves)):
        kept = kept_leaves(clouds, part, tile, tolerance)
        rows = part.order
        own[rows], others[rows], others_log[rows] = engine.sums(part, kept.leaves)
        left_out = max(left_out, kept.error_bound)
        n_kept += int(kept.leaves.sum())
    n_tiles = -(-n_queries // tile)
    return KernelSums(
        own,
        others,
        others_log,
        error_bound=left_out + ROUNDING[clouds.offsets.dtype],
        kept_fraction=n_kept / (n_tiles * clouds.n_leaves),
    )
