"""Kernel sums on the CPU, by loops that numba compiles.

The loops here know no number of features: they are compiled once per precision, and
call the innermost ones (`numba_leaf_sums`) for every tile of queries and leaf.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skib._numerics.kernel_sums.clouds import (
    EXPANDED_UP_TO_RADIUS,
    Clouds,
    Queries,
)
from skib._numerics.kernel_sums.lanes import (
    FORMATS,
    N_LANES,
    load,
    multiply,
    multiply_add,
    spread,
    store,
    times_own_log,
)
from skib._numerics.kernel_sums.levels import Levels
from skib._numerics.kernel_sums.numba_leaf_sums import (
    LOG2_E,
    call_leaf_sums,
    kept_on_disk,
    leaf_sums,
)
from skib._numerics.threads import in_threads

# Single-precision sums are moved to float64 after so many leaves.
LEAVES_PER_FLUSH = 32


class NumbaEngine:
    """Kernel sums over some clouds, compiled for their number of features.

    Parameters
    ----------
    clouds : Clouds
        The centres, on the CPU.
    levels : Levels
        Which draws to sum together.
    """

    queries_per_tile = N_LANES

    def __init__(self, clouds: Clouds, levels: Levels) -> None:
        self.levels = levels
        self.n_columns = clouds.weights.shape[1]
        # The expanded square takes one operation per feature, the difference form two.
        expanded = (
            float(clouds.radii.max()) <= EXPANDED_UP_TO_RADIUS[clouds.offsets.dtype]
        )
        offsets = clouds.offsets.numpy()
        _, n_draws, n_features = offsets.shape
        layout = FORMATS[offsets.dtype.name]
        centers = offsets.reshape(-1, n_features)
        # A leaf's centres by group and block.
        starts = n_draws * np.arange(clouds.groups_per_leaf)
        runs = np.add.outer(starts, levels.edges[:-1]).ravel()
        self.clouds = (
            centers,
            _coded_half_squares(centers, layout.code),
            clouds.weights.numpy().astype(offsets.dtype),
            clouds.middles.numpy(),
            np.append(runs, n_draws * clouds.groups_per_leaf),
            expanded,
            leaf_sums(n_features, expanded, offsets.dtype.name),
            layout.code,
            layout.shift,
        )

    def sums(self, queries: Queries, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum the kernels of the kept leaves at each query: see `Engine`."""
        n_queries, n_levels = len(queries.points), len(self.levels.members)
        own = np.zeros((n_levels, n_queries))
        # The last column is that of s ln s.
        others = np.zeros((n_queries, n_levels, self.n_columns + 1))
        blocks = self.levels.blocks_of(queries.draws).numpy()

        def run(tiles: range) -> None:
            _sum_tiles(
                tiles.start,
                tiles.stop,
                kept.numpy(),
                queries.points.numpy(),
                queries.reference.numpy(),
                queries.own.numpy(),
                blocks,
                *self.clouds,
                own,
                others,
            )

        in_threads(run, len(kept))
        sums = torch.from_numpy(others)
        return torch.from_numpy(own.T), sums[..., :-1], sums[..., -1]


def _coded_half_squares(
    centers: NDArray[np.floating], code: float
) -> NDArray[np.floating]:
    # einsum sums the squares without storing them.
    squares = np.einsum("cf,cf->c", centers, centers)
    squares *= -0.5 * LOG2_E * code
    return squares


@numba.njit(inline="always")
def _fetch(points, reference, first, n_queries, here, height):  # type: ignore[no-untyped-def]
    """Copy a tile's queries, features first; a short tile repeats its last query."""
    for q in range(N_LANES):
        row = first + min(q, n_queries - 1)
        height[q] = reference[row]
        for k in range(points.shape[1]):
            here[k, q] = points[row, k]


@numba.njit(inline="always")
def _fetch_blocks(blocks, first, n_queries, in_level):  # type: ignore[no-untyped-def]
    """Copy which blocks make up the levels of a tile's queries, level by level."""
    n_levels, n_blocks = blocks.shape[:2]
    for row in range(n_levels * n_blocks):
        for q in range(n_queries):
            in_level[row, q] = blocks[row // n_blocks, row % n_blocks, first + q]


@numba.njit(inline="always")
def _localise(  # type: ignore[no-untyped-def]
    expanded, here, height, middle, code, shift, local, square, constant
):
    """Express a tile relative to a leaf's middle, exponents coded for `add_exp2`."""
    scale = LOG2_E * code if expanded else 1.0
    for q in range(N_LANES):
        square[q] = 0.0
    for k in range(len(middle)):
        for q in range(N_LANES):
            u = here[k, q] - middle[k]
            square[q] += u * u
            local[k, q] = scale * u
    for q in range(N_LANES):
        exponent = height[q] - 0.5 * square[q] if expanded else height[q]
        constant[0, q] = LOG2_E * exponent * code + shift


@numba.njit(inline="always")
def _sum_level(n_blocks, level, in_level, sums, start):  # type: ignore[no-untyped-def]
    """Add up the blocks of a group that make up a level."""
    first = level * n_blocks
    total = multiply(load(in_level, first), load(sums, start))
    for b in range(1, n_blocks):
        total = multiply_add(load(in_level, first + b), load(sums, start + b), total)
    return total


@numba.njit(inline="always")
def _set_own_apart(group, query_group, first, n_queries, sums, own_level):  # type: ignore[no-untyped-def]
    """Move the sums of the queries that belong to this group from others to own."""
    for q in range(n_queries):
        if query_group[first + q] == group:
            own_level[first + q] = sums[0, q]
            sums[0, q] = 0.0


@numba.njit(inline="always")
def _add_weighted(weights, sums, total):  # type: ignore[no-untyped-def]
    """Add to the columns' totals, and s ln s with all weight to the last one."""
    n_columns = len(weights)
    weight = weights.dtype.type(0.0)
    for c in range(n_columns):
        if weights[c] != 0.0:
            weight += weights[c]
            store(total, c, multiply_add(spread(weights[c]), sums, load(total, c)))
    logs = multiply_add(spread(weight), times_own_log(sums), load(total, n_columns))
    store(total, n_columns, logs)


@numba.njit
def _flush(total, first, n_queries, others):  # type: ignore[no-untyped-def]
    """Move what a run of leaves added up in single precision to float64."""
    for b in range(total.shape[0]):
        for c in range(total.shape[1]):
            for q in range(N_LANES):
                if q < n_queries:
                    others[first + q, b, c] += total[b, c, q]
                total[b, c, q] = 0.0


@kept_on_disk(numba.njit, nogil=True)
def _sum_tiles(  # type: ignore[no-untyped-def]
    start_tile,
    stop_tile,
    kept,
    points,
    reference,
    query_group,
    blocks,
    centers,
    squares,
    weights,
    middles,
    edges,
    expanded,
    address,
    code,
    shift,
    own,
    others,
):
    """Loop over tiles, the leaves that each keeps, and the groups of a leaf."""
    dtype = centers.dtype
    n_groups, n_leaves, n_features = len(weights), len(middles), centers.shape[1]
    n_levels, n_blocks = blocks.shape[:2]
    n_runs = len(edges) - 1
    groups_per_leaf = n_runs // n_blocks
    here = np.zeros((n_features, N_LANES))
    height = np.empty(N_LANES)
    local = np.empty((n_features, N_LANES), dtype)
    constant = np.empty((1, N_LANES), dtype)
    square = np.empty(N_LANES)
    in_level = np.zeros((n_levels * n_blocks, N_LANES), dtype)
    sums = np.empty((n_runs, N_LANES), dtype)
    apart = np.empty((1, N_LANES), dtype)
    total = np.zeros((n_levels, others.shape[2], N_LANES), dtype)
    owned = np.zeros(n_groups, np.bool_)
    for tile in range(start_tile, stop_tile):
        first = tile * N_LANES
        n_queries = min(N_LANES, len(points) - first)
        _fetch(points, reference, first, n_queries, here, height)
        _fetch_blocks(blocks, first, n_queries, in_level)
        for q in range(n_queries):
            owned[query_group[first + q]] = True
        n_summed = 0
        for leaf in range(n_leaves):
            if not kept[tile, leaf]:
                continue
            _localise(
                expanded,
                here,
                height,
                middles[leaf],
                code,
                shift,
                local,
                square,
                constant,
            )
            start = leaf * groups_per_leaf
            n_here = min(groups_per_leaf, n_groups - start)
            call_leaf_sums(
                address,
                local,
                constant,
                centers,
                squares,
                edges,
                sums,
                leaf * edges[n_runs],
                n_here * n_blocks,
            )
            for nth in range(n_here):
                group = start + nth
                for k in range(n_levels):
                    of_level = _sum_level(n_blocks, k, in_level, sums, nth * n_blocks)
                    if owned[group]:
                        store(apart, 0, of_level)
                        _set_own_apart(
                            group, query_group, first, n_queries, apart, own[k]
                        )
                        of_level = load(apart, 0)
                    _add_weighted(weights[group], of_level, total[k])
            n_summed += 1
            if n_summed % LEAVES_PER_FLUSH == 0:
                _flush(total, first, n_queries, others)
        _flush(total, first, n_queries, others)
        for q in range(n_queries):
            owned[query_group[first + q]] = False
