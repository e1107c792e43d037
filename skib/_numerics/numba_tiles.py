"""Kernel sums by compiled loops, one kernel per number of features.

The loop over the queries of a tile is innermost and of constant length, so that LLVM
turns it into vector instructions. Only contraction (a*b+c in one rounding) is allowed:
reordering would delete the rounding trick of the exponentials, silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba
import numpy as np
import torch
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from skib._numerics.clouds import Clouds, Queries

# A few vector registers of float32, whatever their width.
QUERIES_PER_TILE = 32

# One kernel is compiled per number of features up to this, one for all above.
UNROLLED_UP_TO_FEATURES = 24

FEATURES_AT_A_TIME = 16

# Leaves of at most this radius (in noise widths) get their exponents to 5e-4 from the
# expanded square; it needs one operation per feature, the difference form two.
EXPANDED_UP_TO_RADIUS = 40.0

LOG2_E = math.log2(math.e)

# Single-precision sums are moved to float64 after so many leaves.
LEAVES_PER_FLUSH = 32

# Chunks of tiles per thread: leaves are spread unevenly over tiles.
CHUNKS_PER_THREAD = 8

# Adding and subtracting 1.5 * 2^23 rounds a float32 to an integer and leaves that
# integer in the lowest bits; 1.5 * 2^52 does so for float64.
ROUND = np.float32(1.5 * 2**23)
ROUND_DOUBLE = 1.5 * 2.0**52
LOWEST = np.float32(-80.0)
LOWEST_DOUBLE = -500.0


class NumbaTiles:
    """Kernel sums over some clouds, compiled for their number of features.

    Parameters
    ----------
    clouds : Clouds
        The centres, on the CPU.
    bounds : list of (start, stop)
        Blocks of draws.
    n_threads : int
        Threads to use; the sums do not depend on it.
    """

    queries_per_tile = QUERIES_PER_TILE

    def __init__(
        self, clouds: Clouds, bounds: list[tuple[int, int]], n_threads: int
    ) -> None:
        self.n_threads = n_threads
        self.edges = np.array([0, *(stop for _, stop in bounds)])
        self.n_columns = clouds.weights.shape[1]
        radius = float((clouds.high - clouds.low).norm(dim=1).max()) / 2
        single = clouds.offsets.dtype == torch.float32
        n_features = clouds.offsets.shape[2]
        unrolled = n_features if n_features <= UNROLLED_UP_TO_FEATURES else 0
        self.sum_tiles = _compiled(
            unrolled, expanded=radius <= EXPANDED_UP_TO_RADIUS or not single
        )
        missing = 0 if unrolled else -n_features % FEATURES_AT_A_TIME
        offsets = pad(clouds.offsets, (0, missing)).numpy()
        self.clouds = (
            offsets,
            _negative_half_squares(offsets),
            clouds.weights.numpy().astype(offsets.dtype),
            pad(clouds.middles, (0, missing)).numpy(),
            clouds.groups_per_leaf,
        )

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
        n_queries, n_blocks = len(queries.points), len(self.edges) - 1
        own = np.zeros((n_blocks, n_queries))
        others = np.zeros((n_queries, n_blocks, self.n_columns))

        def run(tiles: NDArray[np.int64]) -> None:
            self.sum_tiles(
                tiles,
                kept.numpy(),
                queries.points.numpy(),
                queries.reference.numpy(),
                queries.own.numpy(),
                *self.clouds,
                self.edges,
                own,
                others,
            )

        _in_threads(run, len(kept), self.n_threads)
        return torch.from_numpy(own.T), torch.from_numpy(others)


def _negative_half_squares(offsets: NDArray[np.floating]) -> NDArray[np.floating]:
    # einsum sums the squares without storing them.
    squares = np.einsum("gdf,gdf->gd", offsets, offsets)
    return (-0.5 * LOG2_E * squares).astype(offsets.dtype)


def _in_threads(
    run: Callable[[NDArray[np.int64]], None], n_tiles: int, n_threads: int
) -> None:
    if n_threads == 1:
        run(np.array([0, n_tiles]))
        return
    n_chunks = min(n_tiles, n_threads * CHUNKS_PER_THREAD)
    edges = np.arange(n_chunks + 1) * n_tiles // n_chunks
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(run, np.stack([edges[:-1], edges[1:]], axis=1)))


@numba.njit(fastmath={"contract"}, nogil=True, cache=True)
def _exp2_single(x):  # type: ignore[no-untyped-def]
    """2^x in float32 for x < 127, relative error 1e-7; floored at 2^-80."""
    x = x if x > LOWEST else LOWEST
    rounded = x + ROUND
    f = x - (rounded - ROUND)
    # Chebyshev fit of 2^f on [-1/2, 1/2].
    p = np.float32(0.0013390863364667234)
    p = p * f + np.float32(0.0096760319183220541)
    p = p * f + np.float32(0.0555035711421907782)
    p = p * f + np.float32(0.2402210748530833755)
    p = p * f + np.float32(0.6931471880262287811)
    p = p * f + np.float32(1.0000000754548971930)
    exponent = np.int32(np.float32(rounded).view(np.int32) << 23)
    return np.int32(exponent + np.float32(p).view(np.int32)).view(np.float32)


@numba.njit(fastmath={"contract"}, nogil=True, cache=True)
def _exp2_double(x):  # type: ignore[no-untyped-def]
    """2^x in float64 for x < 1023, relative error 3e-16; floored at 2^-500."""
    x = x if x > LOWEST_DOUBLE else LOWEST_DOUBLE
    rounded = x + ROUND_DOUBLE
    f = x - (rounded - ROUND_DOUBLE)
    p = 4.455817908336064493e-10
    p = p * f + 7.0741942972885210056e-9
    p = p * f + 1.0178057087733941105e-7
    p = p * f + 1.3215432535912376166e-6
    p = p * f + 0.000015252733841556772589
    p = p * f + 0.00015403530463724354209
    p = p * f + 0.0013333558146406470697
    p = p * f + 0.0096181291075872566681
    p = p * f + 0.055504108664821627039
    p = p * f + 0.24022650695910159567
    p = p * f + 0.69314718055994530925
    p = p * f + 1.0
    exponent = np.int64(np.float64(rounded).view(np.int64) << 52)
    return np.int64(exponent + np.float64(p).view(np.int64)).view(np.float64)


def _exp2(x: float) -> float:
    """2^x in the precision of `x`, compiled code only."""
    raise NotImplementedError


@overload(_exp2)
def _exp2_of_its_precision(x):  # type: ignore[no-untyped-def]
    exp2 = _exp2_single if x == numba.float32 else _exp2_double
    return lambda x: exp2(x)


@numba.njit(inline="always")
def _fetch(points, reference, first, n_queries, here, height):  # type: ignore[no-untyped-def]
    """Copy a tile's queries, features first; a short tile repeats its last query."""
    for q in range(here.shape[1]):
        row = first + min(q, n_queries - 1)
        height[q] = reference[row]
        for k in range(points.shape[1]):
            here[k, q] = points[row, k]


@numba.njit(inline="always")
def _localise(  # type: ignore[no-untyped-def]
    expanded, here, height, middle, local, square, constant
):
    """Express a tile relative to a leaf's middle; exponents count in powers of 2."""
    scale = LOG2_E if expanded else 1.0
    for q in range(QUERIES_PER_TILE):
        square[q] = 0.0
    for k in range(len(middle)):
        for q in range(QUERIES_PER_TILE):
            u = here[k, q] - middle[k]
            square[q] += u * u
            local[k, q] = scale * u
    for q in range(QUERIES_PER_TILE):
        exponent = height[q] - 0.5 * square[q] if expanded else height[q]
        constant[q] = LOG2_E * exponent


@numba.njit(inline="always")
def _sum_cloud(  # type: ignore[no-untyped-def]
    n_features, expanded, local, constant, cloud, squares, start, stop, acc
):
    """Sum the kernels of a run of draws at every query of the tile."""
    zero = cloud.dtype.type(0.0)
    half = cloud.dtype.type(0.5 * LOG2_E)
    for q in range(QUERIES_PER_TILE):
        acc[q] = zero
    for draw in range(start, stop):
        for q in range(QUERIES_PER_TILE):
            if expanded:
                x = constant[q] + squares[draw]
                for k in range(n_features):
                    x += local[k, q] * cloud[draw, k]
            else:
                y = zero
                for k in range(n_features):
                    v = local[k, q] - cloud[draw, k]
                    y += v * v
                x = constant[q] - half * y
            acc[q] += _exp2(x)


@numba.njit(inline="always")
def _sum_wide_cloud(  # type: ignore[no-untyped-def]
    expanded, local, constant, cloud, squares, start, stop, acc, partial
):
    """Do the same for many features, so many at a time."""
    zero = cloud.dtype.type(0.0)
    half = cloud.dtype.type(0.5 * LOG2_E)
    for q in range(QUERIES_PER_TILE):
        acc[q] = zero
    for draw in range(start, stop):
        for q in range(QUERIES_PER_TILE):
            partial[q] = zero
        for first in range(0, cloud.shape[1], FEATURES_AT_A_TIME):
            for q in range(QUERIES_PER_TILE):
                y = partial[q]
                for k in range(FEATURES_AT_A_TIME):
                    u = local[first + k, q]
                    c = cloud[draw, first + k]
                    y += u * c if expanded else (u - c) * (u - c)
                partial[q] = y
        for q in range(QUERIES_PER_TILE):
            rise = partial[q] + squares[draw] if expanded else -half * partial[q]
            acc[q] += _exp2(constant[q] + rise)


@numba.njit(inline="always")
def _set_own_apart(group, query_group, first, n_queries, acc, own_block):  # type: ignore[no-untyped-def]
    """Move the sums of the queries that belong to this group from others to own."""
    for q in range(n_queries):
        if query_group[first + q] == group:
            own_block[first + q] = acc[q]
            acc[q] = 0.0


@numba.njit(inline="always")
def _add_weighted(weights, acc, total_block):  # type: ignore[no-untyped-def]
    for c in range(len(weights)):
        if weights[c] != 0.0:
            for q in range(QUERIES_PER_TILE):
                total_block[c, q] += weights[c] * acc[q]


@numba.njit(inline="always")
def _flush(total, first, n_queries, others):  # type: ignore[no-untyped-def]
    """Move what a run of leaves added up in single precision to float64."""
    for b in range(total.shape[0]):
        for c in range(total.shape[1]):
            for q in range(QUERIES_PER_TILE):
                if q < n_queries:
                    others[first + q, b, c] += total[b, c, q]
                total[b, c, q] = 0.0


@cache
def _compiled(n_features: int, expanded: bool) -> Callable[..., None]:
    """Return the loops over tiles, leaves and groups for this many features.

    0 stands for any number of them, not unrolled.
    """
    unrolled = n_features > 0

    @numba.njit(fastmath={"contract"}, nogil=True, cache=True)
    def sum_tiles(  # type: ignore[no-untyped-def]
        tiles,
        kept,
        points,
        reference,
        query_group,
        offsets,
        squares,
        weights,
        middles,
        groups_per_leaf,
        edges,
        own,
        others,
    ):
        dtype = offsets.dtype
        n_groups, n_leaves, n_blocks = len(offsets), len(middles), len(edges) - 1
        here = np.zeros((middles.shape[1], QUERIES_PER_TILE))
        height = np.empty(QUERIES_PER_TILE)
        local = np.empty((middles.shape[1], QUERIES_PER_TILE), dtype)
        constant = np.empty(QUERIES_PER_TILE, dtype)
        square = np.empty(QUERIES_PER_TILE)
        acc = np.empty(QUERIES_PER_TILE, dtype)
        partial = np.empty(QUERIES_PER_TILE, dtype)
        total = np.zeros((n_blocks, others.shape[2], QUERIES_PER_TILE), dtype)
        owned = np.zeros(n_groups, np.bool_)
        for tile in range(tiles[0], tiles[1]):
            first = tile * QUERIES_PER_TILE
            n_queries = min(QUERIES_PER_TILE, len(points) - first)
            _fetch(points, reference, first, n_queries, here, height)
            for q in range(n_queries):
                owned[query_group[first + q]] = True
            for leaf in range(n_leaves):
                if kept[tile, leaf]:
                    _localise(
                        expanded,
                        here,
                        height,
                        middles[leaf],
                        local,
                        square,
                        constant,
                    )
                    start = leaf * groups_per_leaf
                    for group in range(start, min(start + groups_per_leaf, n_groups)):
                        for b in range(n_blocks):
                            if unrolled:
                                _sum_cloud(
                                    n_features,
                                    expanded,
                                    local,
                                    constant,
                                    offsets[group],
                                    squares[group],
                                    edges[b],
                                    edges[b + 1],
                                    acc,
                                )
                            else:
                                _sum_wide_cloud(
                                    expanded,
                                    local,
                                    constant,
                                    offsets[group],
                                    squares[group],
                                    edges[b],
                                    edges[b + 1],
                                    acc,
                                    partial,
                                )
                            if owned[group]:
                                _set_own_apart(
                                    group, query_group, first, n_queries, acc, own[b]
                                )
                            _add_weighted(weights[group], acc, total[b])
                if leaf % LEAVES_PER_FLUSH == 0 or leaf == n_leaves - 1:
                    _flush(total, first, n_queries, others)
            for q in range(n_queries):
                owned[query_group[first + q]] = False

    return sum_tiles
