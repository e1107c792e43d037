"""Kernel sums by compiled loops, one kernel per number of features.

A tile of queries lies side by side in vector registers (`lanes`) while the centres of
a leaf pass by, one at a time. Up to `UNROLLED_UP_TO_FEATURES` the loop over features is
unrolled and coordinates of the queries stay in registers as long as they fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

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
    add,
    add_exp2,
    load,
    multiply,
    multiply_add,
    spread,
    store,
    subtract,
    times_own_log,
)
from skib._numerics.kernel_sums.levels import Levels
from skib._numerics.threads import in_threads

# One kernel is compiled per number of features up to this, one for all above.
UNROLLED_UP_TO_FEATURES = 24

LOG2_E = math.log2(math.e)

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
        n_features = clouds.offsets.shape[2]
        unrolled = n_features <= UNROLLED_UP_TO_FEATURES
        self.sum_tiles = _compiled(n_features if unrolled else 0, expanded)
        offsets = clouds.offsets.numpy()
        layout = FORMATS[offsets.dtype.name]
        self.clouds = (
            offsets,
            _coded_half_squares(offsets, layout.code),
            clouds.weights.numpy().astype(offsets.dtype),
            clouds.middles.numpy(),
            clouds.groups_per_leaf,
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
            self.sum_tiles(
                tiles.start,
                tiles.stop,
                kept.numpy(),
                queries.points.numpy(),
                queries.reference.numpy(),
                queries.own.numpy(),
                blocks,
                *self.clouds,
                np.array(self.levels.edges),
                own,
                others,
            )

        in_threads(run, len(kept))
        sums = torch.from_numpy(others)
        return torch.from_numpy(own.T), sums[..., :-1], sums[..., -1]


def _coded_half_squares(
    offsets: NDArray[np.floating], code: float
) -> NDArray[np.floating]:
    # einsum sums the squares without storing them.
    squares = np.einsum("gdf,gdf->gd", offsets, offsets)
    squares *= -0.5 * LOG2_E * code
    return squares


def _jit(function: Callable[..., None]) -> Callable[..., None]:
    """Compile at the first call, and keep the code on disk where that is possible."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache can be written.
        return numba.njit(nogil=True)(function)


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
def _sum_cloud(  # type: ignore[no-untyped-def]
    n_features, expanded, local, constant, cloud, squares, fall, start, stop
):
    """Sum the kernels of a run of draws at every query of the tile."""
    height = load(constant, 0)
    zero = spread(cloud.dtype.type(0.0))
    total = zero
    for draw in range(start, stop):
        if expanded:
            # -|c|^2 / 2 + tc, then the rest.
            exponent = spread(squares[draw])
            for k in range(n_features):
                exponent = multiply_add(
                    load(local, k), spread(cloud[draw, k]), exponent
                )
            exponent = add(exponent, height)
        else:
            squared = zero
            for k in range(n_features):
                step = subtract(load(local, k), spread(cloud[draw, k]))
                squared = multiply_add(step, step, squared)
            exponent = multiply_add(squared, spread(fall), height)
        total = add_exp2(total, exponent)
    return total


@numba.njit(inline="always")
def _sum_level(n_blocks, level, in_level, sums):  # type: ignore[no-untyped-def]
    """Add up the blocks of a group that make up a level."""
    total = multiply(load(in_level, level * n_blocks), load(sums, 0))
    for b in range(1, n_blocks):
        total = multiply_add(load(in_level, level * n_blocks + b), load(sums, b), total)
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


@numba.njit(inline="always")
def _flush(total, first, n_queries, others):  # type: ignore[no-untyped-def]
    """Move what a run of leaves added up in single precision to float64."""
    for b in range(total.shape[0]):
        for c in range(total.shape[1]):
            for q in range(N_LANES):
                if q < n_queries:
                    others[first + q, b, c] += total[b, c, q]
                total[b, c, q] = 0.0


@cache
def _compiled(n_features: int, expanded: bool) -> Callable[..., None]:
    """Return the loops over tiles, leaves and groups for this many features.

    0 stands for any number of them, not unrolled.
    """

    @_jit
    def sum_tiles(  # type: ignore[no-untyped-def]
        start_tile,
        stop_tile,
        kept,
        points,
        reference,
        query_group,
        blocks,
        offsets,
        squares,
        weights,
        middles,
        groups_per_leaf,
        code,
        shift,
        edges,
        own,
        others,
    ):
        dtype = offsets.dtype
        n_groups, n_leaves = len(offsets), len(middles)
        n_levels, n_blocks = blocks.shape[:2]
        features = n_features if n_features > 0 else middles.shape[1]
        fall = dtype.type(-0.5 * LOG2_E * code)
        here = np.zeros((middles.shape[1], N_LANES))
        height = np.empty(N_LANES)
        local = np.empty((middles.shape[1], N_LANES), dtype)
        constant = np.empty((1, N_LANES), dtype)
        square = np.empty(N_LANES)
        in_level = np.zeros((n_levels * n_blocks, N_LANES), dtype)
        sums = np.empty((n_blocks, N_LANES), dtype)
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
                for group in range(start, min(start + groups_per_leaf, n_groups)):
                    for b in range(n_blocks):
                        of_block = _sum_cloud(
                            features,
                            expanded,
                            local,
                            constant,
                            offsets[group],
                            squares[group],
                            fall,
                            edges[b],
                            edges[b + 1],
                        )
                        store(sums, b, of_block)
                    for k in range(n_levels):
                        of_level = _sum_level(n_blocks, k, in_level, sums)
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

    return sum_tiles
