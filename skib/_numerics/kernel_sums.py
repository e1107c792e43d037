"""Streaming sums of Gaussian kernels, the one primitive of the mixture estimators.

Every input ``i`` (a *group*) has a cloud of centres, its draws. A query is made from
one of them, ``t = centers[i, a] + noise``, and the sums over all centres are taken
relative to the kernel of that own centre,

    ``ratio = exp((|noise|^2 - |t - c|^2) / (2 noise_std^2))``,

which is 1 for the own centre and has mean 1 under the query's law for any other: no
pass for the maximum is needed, in any dimension.
"""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skib._numerics.clouds import Clouds, Levels, Queries
from skib._numerics.geometry import spatial_order
from skib._numerics.torch_tiles import (
    Exponents,
    Leaves,
    TorchTiles,
    log_density_tile,
)
from skib._numerics.truncation import kept_leaves, leaves_in_reach

if TYPE_CHECKING:
    from skib._numerics.numba_tiles import NumbaTiles
    from skib._numerics.triton_tiles import TritonTiles

# Up to this many centres float64 costs little, and closed forms hold to 1e-10.
DOUBLE_UP_TO_CENTERS = 4096

# With fewer pairs torch is done before a compiled kernel is loaded.
COMPILED_FROM_PAIRS = 1 << 26

# Share of a density that may be left out without a word.
NEGLIGIBLE = 1e-13

# Tests of a tile against a leaf made at a time.
TESTS_PER_PART = 1 << 20

# Points of a density that look for the leaves in their reach together.
POINTS_PER_TILE = 64

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
    others_log : Tensor of shape (n_queries, n_levels), float64, or None
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
    others_log: Tensor | None
    error_bound: float
    kept_fraction: float

    def cpu(self) -> KernelSums:
        """Return the same with tensors on the CPU."""
        others_log = None if self.others_log is None else self.others_log.cpu()
        return replace(
            self, own=self.own.cpu(), others=self.others.cpu(), others_log=others_log
        )


def kernel_sums(
    centers: Tensor,
    weights: Tensor,
    groups: Tensor,
    draws: Tensor,
    noise: Tensor,
    noise_std: float,
    *,
    n_blocks: int = 1,
    levels: Tensor | None = None,
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
    n_blocks : int, default=1
        The draws are cut into this many runs of nearly equal length.
    levels : Tensor of shape (n_levels, n_blocks, n_blocks), default=None
        Which blocks a level holds, 1 or 0, given the block of the query's own draw:
        level, own block, block. Then `others_log` is summed too. None: every block is
        a level.
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
    dtype = _working_dtype(centers)
    tiles_of = _choose_engine(engine, centers, n_queries=len(groups))
    tile = tiles_of.queries_per_tile
    clouds = Clouds.sorted_in_space(centers, weights, noise_std, dtype)
    queries = Queries.around_own_centers(
        clouds, centers, groups, draws, noise, tile=tile
    )
    among = Levels.among(centers.shape[1], n_blocks, levels)
    tiles = tiles_of(clouds, among)
    n_levels = len(among.members)
    own = queries.points.new_empty(len(groups), n_levels)
    others = own.new_empty(len(groups), n_levels, weights.shape[1])
    others_log = torch.empty_like(own)
    left_out, n_kept = 0.0, 0
    for part in queries.parts(_queries_per_part(clouds.n_leaves, tile)):
        kept = kept_leaves(clouds, part, tile, tolerance)
        rows = part.order
        own[rows], others[rows], others_log[rows] = tiles.sums(part, kept.leaves)
        left_out = max(left_out, kept.error_bound)
        n_kept += int(kept.leaves.sum())
    n_tiles = -(-len(groups) // tile)
    return KernelSums(
        own,
        others,
        others_log if among.with_logs else None,
        error_bound=left_out + ROUNDING[clouds.offsets.dtype],
        kept_fraction=n_kept / (n_tiles * clouds.n_leaves),
    )


def mixture_log_density(
    points: Tensor, centers: Tensor, weights: Tensor, noise_std: float
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

    Returns
    -------
    log_density : Tensor of shape (n_points,), float64
        In nats.
    """
    n_draws, n_features = centers.shape[1:]
    present = weights > 0
    clouds = Clouds.sorted_in_space(
        centers[present], weights[present, None], noise_std, torch.float64
    )
    exponents = Exponents(Leaves(clouds))
    log_weights = exponents.leaves.by_leaf(
        (clouds.weights[:, 0] / n_draws).log(), lacking=-torch.inf
    )
    scaled = clouds.scaled(points)
    log_sums = scaled.new_empty(len(points))
    for rows in spatial_order(scaled, POINTS_PER_TILE).split(POINTS_PER_TILE):
        leaves = leaves_in_reach(clouds, scaled[rows], NEGLIGIBLE)
        log_sums[rows] = log_density_tile(exponents, scaled[rows], leaves, log_weights)
    return log_sums - n_features * math.log(math.sqrt(2 * math.pi) * noise_std)


def _working_dtype(centers: Tensor) -> torch.dtype:
    n_groups, n_draws, _ = centers.shape
    small = n_groups * n_draws <= DOUBLE_UP_TO_CENTERS
    return torch.float64 if small else torch.float32


def _choose_engine(
    engine: str, centers: Tensor, n_queries: int
) -> type[TorchTiles] | type[NumbaTiles] | type[TritonTiles]:
    if engine == "auto":
        n_centers = len(centers) * centers.shape[1]
        repays = n_centers > DOUBLE_UP_TO_CENTERS or (
            n_centers * n_queries > COMPILED_FROM_PAIRS
        )
        engine = _compiler_for(centers.device) if repays else "torch"
    if engine == "torch":
        return TorchTiles
    # Imported here: numba is an extra, and triton comes with torch for CUDA only.
    if engine == "triton":
        return _triton_tiles()
    from skib._numerics.numba_tiles import NumbaTiles

    return NumbaTiles


def _compiler_for(device: torch.device) -> str:
    if device.type == "cpu" and find_spec("numba") is not None:
        return "numba"
    if device.type == "cuda" and find_spec("triton") is not None and _triton_compiles():
        return "triton"
    return "torch"


def _triton_compiles() -> bool:
    # Torch 2.4 brought triton 3, of which some versions need a C compiler at hand.
    has_compiler = "CC" in os.environ or any(map(shutil.which, ("gcc", "clang")))
    return torch.__version__ >= "2.4" and has_compiler


def _triton_tiles() -> type[TritonTiles]:
    if find_spec("triton") is None:
        raise ImportError(
            "engine='triton' needs triton, which is not installed. It comes with "
            "PyTorch for CUDA; `pip install triton` adds it where it does not. "
            "engine='auto' does without."
        )
    from skib._numerics.triton_tiles import TritonTiles

    return TritonTiles


def _queries_per_part(n_leaves: int, tile: int) -> int:
    return tile * max(1, TESTS_PER_PART // n_leaves)
