"""Kernel sums on a GPU, by one Triton kernel compiled per number of features.

A thread owns a few queries and walks through the centres of the kept leaves, a chunk at
a time; nothing is shared between threads, and the matrix units, whose products are too
coarse here, are left alone. A number that float32 cannot hold exactly, a coordinate of
a query or of a leaf's middle, comes as a sum of two: their difference is right to the
last digit of float32, wherever it lies.

Exponentials are the processor's own: off by 2 units of the last digit (2e-7 of a
kernel), and 0 where a kernel is below 1e-38 of the own one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn.functional import pad

from skib._numerics.clouds import Clouds, Queries

# Four queries for each thread of one warp: a coordinate of a centre is loaded once for
# four pairs, and the box of a tile stays small.
QUERIES_PER_TILE = 128
WARPS = 1

# Their exponents wait in registers side by side.
CENTERS_PER_CHUNK = {torch.float32: 8, torch.float64: 4}

# Up to so many features the coordinates of a thread's queries stay in registers. More
# are taken in slabs, the last one filled up with zeros.
FEATURES_IN_REGISTERS = 32
FEATURES_PER_SLAB = 16

# The expanded square takes one operation per feature, the difference form two, but it
# loses radius^2 of the last digit: within these radii of the leaves (in noise widths)
# an exponent is right to 5e-4 in float32, 1e-9 in float64.
EXPANDED_UP_TO_RADIUS = {torch.float32: 30.0, torch.float64: 1000.0}

# Single-precision sums are moved to float64 after so many runs.
RUNS_PER_FLUSH = tl.constexpr(32)

# Enough to fill a large GPU several times over, unless that leaves too little for each.
PROGRAMS = 4096
LEAVES_PER_PROGRAM = 4

# Values of the own clouds gathered at a time.
VALUES_PER_CHUNK = 1 << 24

LOG2_E = math.log2(math.e)


class TritonTiles:
    """Kernel sums over some clouds, compiled for a GPU and their number of features.

    Parameters
    ----------
    clouds : Clouds
        The centres, on a GPU (or on the CPU, if Triton interprets its kernels).
    bounds : list of (start, stop)
        Blocks of draws.
    n_threads : int
        Of the CPU: not used.
    """

    queries_per_tile = QUERIES_PER_TILE

    def __init__(
        self, clouds: Clouds, bounds: list[tuple[int, int]], n_threads: int
    ) -> None:
        _require_gpu(clouds.offsets.device)
        self.clouds, self.bounds = clouds, bounds
        self.dtype = clouds.offsets.dtype
        radius = float((clouds.high - clouds.low).norm(dim=1).max()) / 2
        self.expanded = radius <= EXPANDED_UP_TO_RADIUS[self.dtype]
        # In these units a kernel is 2^(-distance^2), or 2^(-distance^2 / 2).
        self.scale = math.sqrt(LOG2_E if self.expanded else 0.5 * LOG2_E)
        self.runs = Runs.of(clouds, bounds, self.scale)
        self.middles = _two_floats(_in_slabs(self.scale * clouds.middles), self.dtype)

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
        n_queries = len(queries.points)
        own = queries.points.new_empty(n_queries, len(self.bounds))
        n_rows = max(1, VALUES_PER_CHUNK // self.clouds.offsets[0].numel())
        for start in range(0, n_queries, n_rows):
            part = queries.part(start, start + n_rows)
            own[start : start + n_rows] = _own_sums(self.clouds, part, self.bounds)
        return own, self._others(queries, kept)

    def _others(self, queries: Queries, kept: Tensor) -> Tensor:
        runs, n_tiles = self.runs, len(kept)
        n_blocks, n_columns = len(self.bounds), self.clouds.weights.shape[1]
        n_lists = n_blocks * n_columns
        n_splits = min(
            -(-PROGRAMS // (n_tiles * n_lists)),
            -(-self.clouds.n_leaves // LEAVES_PER_PROGRAM),
        )
        points, height, own = self._by_tile(queries, n_tiles)
        sums = queries.points.new_empty(len(own), n_blocks, n_columns, n_splits)
        # Triton starts its kernels on the current device.
        with torch.cuda.device_of(sums):
            _sum_runs[(n_tiles, n_lists, n_splits)](
                points,
                height,
                own,
                self.middles,
                runs.centers,
                runs.squares,
                runs.weights,
                runs.groups,
                runs.edges,
                runs.leaves,
                *runs.kept(kept, n_columns),
                sums,
                len(runs.leaves),
                n_columns,
                EXPANDED=self.expanded,
                FEATURES=points.shape[1],
                SLAB=_slab(points.shape[1]),
                CENTERS=runs.centers.shape[2],
                QUERIES=QUERIES_PER_TILE,
                num_warps=WARPS,
                enable_fp_fusion=True,
            )
        return sums[: len(queries.points)].sum(3)

    def _by_tile(self, queries: Queries, n_tiles: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return points, features first in every tile, heights, own group and leaf."""
        # A short tile repeats its last query.
        rows = torch.arange(n_tiles * QUERIES_PER_TILE, device=queries.own.device)
        rows.clamp_max_(len(queries.points) - 1)
        points = _in_slabs(self.scale * queries.points[rows])
        points = points.view(n_tiles, QUERIES_PER_TILE, -1).mT
        height = LOG2_E * queries.reference[rows]
        own = queries.own[rows]
        leaf = own // self.clouds.groups_per_leaf
        return (
            _two_floats(points, self.dtype),
            _two_floats(height, self.dtype),
            torch.stack([own, leaf], dim=1).int(),
        )


@dataclass(frozen=True)
class Runs:
    """Centres listed once for every column in which they have weight.

    A *run* is what a list holds of one leaf. In each block of draws it is cut into
    chunks, the last one filled up with centres of weight 0.

    Attributes
    ----------
    centers : Tensor of shape (n_chunks, n_features, n_centers)
        Relative to the middle of their leaf, in units of ``noise_std / scale``.
    squares : Tensor of shape (n_chunks, n_centers)
        Minus half the squared length of each centre.
    weights : Tensor of shape (n_chunks, n_centers)
        Weight of each centre in the list's column.
    groups : Tensor of shape (n_chunks, n_centers), int32
        Group of each centre.
    edges : Tensor of shape (n_blocks, n_runs + 1), int64
        First chunk of each run, and the end of the last.
    leaves, columns : Tensors of shape (n_runs,), int64
        Leaf and column of each run, ordered by column, then leaf.
    """

    centers: Tensor
    squares: Tensor
    weights: Tensor
    groups: Tensor
    edges: Tensor
    leaves: Tensor
    columns: Tensor

    @classmethod
    def of(cls, clouds: Clouds, bounds: list[tuple[int, int]], scale: float) -> Runs:
        """List the centres of some clouds; memory is one more copy of them."""
        columns, groups = torch.nonzero(clouds.weights.T > 0, as_tuple=True)
        runs, sizes = torch.unique_consecutive(
            columns * clouds.n_leaves + groups // clouds.groups_per_leaf,
            return_counts=True,
        )
        blocks = [_chunks(clouds, columns, groups, sizes, *block) for block in bounds]
        n_chunks, centers, weights, in_group = zip(*blocks, strict=True)
        n_per_run = torch.stack(n_chunks)
        ends = n_per_run.view(-1).cumsum(0).view_as(n_per_run)
        scaled = _in_slabs(scale * torch.cat(centers))
        return cls(
            centers=scaled.mT.contiguous(),
            squares=-0.5 * (scaled**2).sum(2),
            weights=torch.cat(weights),
            groups=torch.cat(in_group),
            edges=torch.cat([ends - n_per_run, ends[:, -1:]], dim=1),
            leaves=runs % clouds.n_leaves,
            columns=runs // clouds.n_leaves,
        )

    def kept(self, leaves: Tensor, n_columns: int) -> tuple[Tensor, Tensor]:
        """List the runs to sum over.

        Parameters
        ----------
        leaves : Tensor of shape (n_tiles, n_leaves), bool
            Leaves to sum over, tile by tile.
        n_columns : int
            Number of columns.

        Returns
        -------
        order : Tensor of shape (n_kept,), int64
            Runs, ordered by tile, then column.
        starts : Tensor of shape (n_tiles * n_columns + 1,), int64
            Where each tile's runs of a column start in `order`, and the end.
        """
        tile, order = torch.nonzero(leaves[:, self.leaves], as_tuple=True)
        n_kept = torch.bincount(
            tile * n_columns + self.columns[order], minlength=len(leaves) * n_columns
        )
        return order, pad(n_kept.cumsum(0), (1, 0))


def _require_gpu(device: torch.device) -> None:
    interpreted = not isinstance(_sum_runs, triton.JITFunction)
    if device.type != "cuda" and not interpreted:
        raise ValueError(
            "engine='triton' computes on a CUDA device. Got centers on "
            f"{str(device)!r}: move them, or take engine='auto'."
        )


def _chunks(
    clouds: Clouds,
    columns: Tensor,
    groups: Tensor,
    sizes: Tensor,
    start: int,
    stop: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cut the lists of one block of draws into chunks.

    The lists hold `groups`, with their weights in `columns`; the groups of a run are as
    many as `sizes` says. Returns the number of chunks of each run, and the centres of
    each chunk, their weights and groups.
    """
    n_draws = stop - start
    width = CENTERS_PER_CHUNK[clouds.offsets.dtype]
    n_per_run, run, place, is_filler = _cut(sizes * n_draws, width)
    # Of an empty block nothing is taken, but nothing divides by zero.
    nth, draw = place // max(1, n_draws), place % max(1, n_draws)
    member = (sizes.cumsum(0) - sizes)[run] + nth
    group = groups[member]
    weights = clouds.weights[group, columns[member]].masked_fill(is_filler, 0.0)
    centers = clouds.offsets[group, start + draw]
    return n_per_run, centers, weights.to(centers.dtype), group.int()


def _cut(lengths: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cut runs of these lengths into chunks.

    Returns the number of chunks of each run and, chunk by chunk, its run, the place in
    it of each slot, and which slots repeat the last place for want of more.
    """
    n_per_run = -(-lengths // width)
    run = torch.arange(len(lengths), device=lengths.device)
    run = run.repeat_interleave(n_per_run)[:, None]
    chunk = torch.arange(len(run), device=lengths.device)[:, None]
    nth = chunk - (n_per_run.cumsum(0) - n_per_run)[run]
    place = nth * width + torch.arange(width, device=lengths.device)
    last = lengths[run] - 1
    return n_per_run, run, place.minimum(last), place > last


def _in_slabs(places: Tensor) -> Tensor:
    """Fill up the features to whole slabs."""
    n_features = places.shape[-1]
    return pad(places, (0, -n_features % _slab(n_features)))


def _slab(n_features: int) -> int:
    return n_features if n_features <= FEATURES_IN_REGISTERS else FEATURES_PER_SLAB


def _two_floats(numbers: Tensor, dtype: torch.dtype) -> Tensor:
    """Write float64 numbers as sums of two, side by side in a new last axis."""
    high = numbers.to(dtype)
    return torch.stack([high, (numbers - high).to(dtype)], dim=-1)


def _own_sums(
    clouds: Clouds, queries: Queries, bounds: list[tuple[int, int]]
) -> Tensor:
    """Sum the kernels of each query's own group, in float64, block by block."""
    middles = clouds.middles[queries.own // clouds.groups_per_leaf]
    step = clouds.offsets[queries.own] - (queries.points - middles)[:, None]
    kernels = (queries.reference[:, None] - 0.5 * (step**2).sum(2)).exp()
    return torch.stack([kernels[:, a:b].sum(1) for a, b in bounds], dim=1)


@triton.jit
def _sum_runs(  # type: ignore[no-untyped-def]
    points,
    height,
    own,
    middles,
    centers,
    squares,
    weights,
    groups,
    edges,
    leaves,
    order,
    starts,
    sums,
    n_runs,
    n_columns,
    EXPANDED: tl.constexpr,
    FEATURES: tl.constexpr,
    SLAB: tl.constexpr,
    CENTERS: tl.constexpr,
    QUERIES: tl.constexpr,
):
    """Sum a share of a tile's runs, those of one block and one column.

    Queries are loaded and stored with gaps between them: of numbers without gaps Triton
    would give each thread neighbours, and move them between threads for every leaf.
    """
    tile = tl.program_id(0).to(tl.int64)
    block, column = tl.program_id(1) // n_columns, tl.program_id(1) % n_columns
    split, n_splits = tl.program_id(2), tl.num_programs(2)
    begin = tl.load(starts + tile * n_columns + column)
    n_kept = tl.load(starts + tile * n_columns + column + 1) - begin
    first = begin + n_kept * split // n_splits
    last = begin + n_kept * (split + 1) // n_splits

    query = tile * QUERIES + tl.arange(0, QUERIES)
    slot = tl.arange(0, CENTERS)
    here = points + 2 * (tile * FEATURES * QUERIES + tl.arange(0, QUERIES))
    reference = tl.load(height + 2 * query) + tl.load(height + 2 * query + 1)
    own_group = tl.load(own + 2 * query)
    own_leaf = tl.load(own + 2 * query + 1)
    run_edges = edges + block * (n_runs + 1)
    total = tl.zeros([QUERIES], tl.float64)
    for batch in range(first, last, RUNS_PER_FLUSH):
        part = tl.zeros([CENTERS, QUERIES], reference.dtype)
        for place in range(batch, tl.minimum(batch + RUNS_PER_FLUSH, last)):
            run = tl.load(order + place)
            leaf = tl.load(leaves + run)
            middle = middles + 2 * leaf * FEATURES
            holds_own = tl.max((own_leaf == leaf).to(tl.int32), axis=0) > 0
            for chunk in range(tl.load(run_edges + run), tl.load(run_edges + run + 1)):
                slots = chunk * CENTERS + slot
                exponent = _exponents(
                    here,
                    reference,
                    middle,
                    centers + chunk * (FEATURES * CENTERS) + slot,
                    squares + slots,
                    EXPANDED,
                    FEATURES,
                    SLAB,
                    CENTERS,
                    QUERIES,
                )
                kernels = tl.exp2(exponent)
                if holds_own:
                    is_own = tl.load(groups + slots)[:, None] == own_group[None, :]
                    kernels = tl.where(is_own, 0.0, kernels)
                part += kernels * tl.load(weights + slots)[:, None]
        total += tl.sum(part, axis=0).to(tl.float64)
    place = (query * tl.num_programs(1) + tl.program_id(1)) * n_splits + split
    tl.store(sums + place, total)


@triton.jit
def _exponents(  # type: ignore[no-untyped-def]
    here,
    reference,
    middle,
    cloud,
    squares,
    EXPANDED: tl.constexpr,
    FEATURES: tl.constexpr,
    SLAB: tl.constexpr,
    CENTERS: tl.constexpr,
    QUERIES: tl.constexpr,
):
    """Return the exponents of a chunk's kernels at a tile's queries.

    What depends on the queries alone, the compiler moves out of the loop over chunks.
    """
    first_term = tl.load(squares)[:, None] if EXPANDED else reference[None, :]
    exponent = tl.zeros([CENTERS, QUERIES], reference.dtype) + first_term
    at_middle = reference
    for slab in range(0, FEATURES, SLAB):
        for k in tl.static_range(SLAB):
            u = _relative(here, middle, slab + k, QUERIES)
            c = tl.load(cloud + (slab + k) * CENTERS)[:, None]
            if EXPANDED:
                at_middle -= 0.5 * u * u
                exponent += u[None, :] * c
            else:
                exponent -= (u[None, :] - c) * (u[None, :] - c)
    if EXPANDED:
        exponent += at_middle[None, :]
    return exponent


@triton.jit
def _relative(here, middle, k, QUERIES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return feature k of the tile's queries relative to a leaf's middle."""
    high = tl.load(here + 2 * k * QUERIES) - tl.load(middle + 2 * k)
    low = tl.load(here + 2 * k * QUERIES + 1) - tl.load(middle + 2 * k + 1)
    return high + low
