"""Kernel sums on a GPU, by one Triton kernel compiled per number of features.

A thread owns a few queries and walks through the kept leaves, their groups, the blocks
of a group's draws and the centres of a block, a chunk at a time; nothing is shared
between threads, and the matrix units, whose products are too coarse here, are left
alone. Groups of a single draw fill a chunk together: each kernel is a group's sum, and
its exponent the logarithm that goes with it.

A number that float32 cannot hold exactly, a coordinate of a query or of a leaf's
middle, comes as a sum of two: their difference is right to the last digit of float32,
wherever it lies.

Exponentials are the processor's own: off by 2 units of the last digit (2e-7 of a
kernel), and 0 where a kernel is below 1e-38 of the own one.
"""

from __future__ import annotations

import itertools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn.functional import pad

from skib._numerics.kernel_sums.clouds import (
    EXPANDED_UP_TO_RADIUS,
    Clouds,
    Queries,
)
from skib._numerics.kernel_sums.levels import Levels

# Four queries for each thread of one warp: a coordinate of a centre is loaded once for
# four pairs, and the box of a tile stays small.
QUERIES = tl.constexpr(128)
WARPS = 1

# Their exponents wait in registers side by side.
CENTERS_PER_CHUNK = {torch.float32: 8, torch.float64: 4}

# Up to so many features the loop over them is unrolled, and the coordinates of a
# thread's queries stay in registers.
UNROLLED_UP_TO_FEATURES = 32

# So many totals by level and column do, too. More columns are shared out to programs,
# which pass over groups that have no weight in their share.
TOTALS_PER_QUERY = 8

# Few enough to be summed in single precision.
LEAVES_PER_PROGRAM = tl.constexpr(32)

# Values of the own clouds gathered at a time.
VALUES_PER_CHUNK = 1 << 24

# Where the exponents of places in a chunk begin that no centre takes.
FILLER = -1e30

# Smaller sums are raised to this one for their logarithm: s ln s is 0 at 0.
SMALLEST = tl.constexpr(2e-38)

LOG2_E = math.log2(math.e)


class TritonEngine:
    """Kernel sums over some clouds, compiled for a GPU and their number of features.

    Parameters
    ----------
    clouds : Clouds
        The centres, on a GPU (or on the CPU, if Triton interprets its kernels).
    levels : Levels
        Which draws to sum together.
    """

    queries_per_tile = QUERIES.value

    def __init__(self, clouds: Clouds, levels: Levels) -> None:
        _require_gpu(clouds.offsets.device)
        self.clouds, self.levels = clouds, levels
        self.dtype = clouds.offsets.dtype
        # The expanded square takes one operation per feature, the difference form two.
        self.expanded = float(clouds.radii.max()) <= EXPANDED_UP_TO_RADIUS[self.dtype]
        # In these units a kernel is 2^(-distance^2 / 2), or 2^(-distance^2).
        self.scale = math.sqrt(LOG2_E if self.expanded else 0.5 * LOG2_E)
        # Groups of one draw fill a chunk together.
        one_draw = clouds.offsets.shape[1] == 1 and levels.is_single
        self.together = CENTERS_PER_CHUNK[self.dtype] if one_draw else 1
        self.middles = _two_floats(self.scale * clouds.middles, self.dtype)
        members = levels.members.to(clouds.offsets)
        self.members = _filled_up(members, triton.next_power_of_2(len(members)))
        self.centers = self._chunks()
        self.weights = self._shares()

    def sums(self, queries: Queries, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum the kernels of the kept leaves at each query: see `Engine`."""
        n_rows = max(1, VALUES_PER_CHUNK // self.clouds.offsets[0].numel())
        own = torch.cat([self._own_sums(part) for part in queries.parts(n_rows)])
        others, others_log = self._partial_sums(queries, kept)
        rows, levels = slice(len(own)), slice(own.shape[1])
        columns = slice(self.clouds.weights.shape[1])
        others = others.sum(1, dtype=torch.float64).transpose(1, 2).flatten(2)
        others_log = others_log.sum((1, 2), dtype=torch.float64) / LOG2_E
        return own, others[rows, levels, columns], others_log[rows, levels]

    def _own_sums(self, queries: Queries) -> Tensor:
        """Sum the kernels of each query's own group, in float64."""
        middles = self.clouds.middles[queries.own // self.clouds.groups_per_leaf]
        step = self.clouds.offsets[queries.own] - (queries.points - middles)[:, None]
        kernels = (queries.reference[:, None] - 0.5 * (step**2).sum(2)).exp()
        bounds = itertools.pairwise(self.levels.edges)
        by_block = torch.stack([kernels[:, a:b].sum(1) for a, b in bounds])
        return (self.levels.blocks_of(queries.draws) * by_block).sum(1).T

    def _partial_sums(self, queries: Queries, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Sum over the other groups: by query, program, share of the columns, level.

        Levels and columns are filled up to powers of two, queries to whole tiles.
        """
        n_tiles, n_kept = len(kept), kept.sum(1)
        n_programs = max(1, -(-int(n_kept.max()) // LEAVES_PER_PROGRAM.value))
        n_shares, n_columns = self.weights.shape[1:3]
        n_features, n_centers = self.middles.shape[1], self.centers.shape[-1]
        shape = (n_tiles * QUERIES.value, n_programs, n_shares, len(self.members))
        others = self.centers.new_empty(*shape, n_columns)
        others_log = self.centers.new_empty(shape)
        # Triton starts its kernels on the current device.
        with torch.cuda.device_of(others):
            _sum_leaves[(n_tiles, n_programs, n_shares)](
                *self._by_tile(queries, n_tiles),
                torch.nonzero(kept)[:, 1].contiguous(),
                pad(n_kept.cumsum(0), (1, 0)),
                self.middles,
                self.centers,
                self.weights,
                self.members,
                others,
                others_log,
                self.clouds.groups_per_leaf // self.together,
                *self.centers.shape[:3],
                EXPANDED=self.expanded,
                FEATURES=n_features,
                UNROLLED=n_features if n_features <= UNROLLED_UP_TO_FEATURES else 1,
                LEVELS=len(self.members),
                COLUMNS=n_columns,
                CENTERS=n_centers,
                TOGETHER=self.together,
                num_warps=WARPS,
                enable_fp_fusion=True,
            )
        return others, others_log

    def _by_tile(self, queries: Queries, n_tiles: int) -> tuple[Tensor, Tensor]:
        """Return the queries, numbers of a tile side by side, and their own blocks.

        The numbers are the coordinates and the reference, as sums of two.
        """
        numbers = torch.cat(
            [self.scale * queries.points, LOG2_E * queries.reference[:, None]], dim=1
        )
        own = torch.stack([queries.own, self.levels.block_of(queries.draws)], dim=1)
        # A short tile repeats its last query.
        rows = torch.arange(n_tiles * QUERIES.value, device=own.device)
        rows.clamp_max_(len(own) - 1)
        by_tile = numbers[rows].unflatten(0, (n_tiles, -1)).mT
        return _two_floats(by_tile, self.dtype), own[rows].int()

    def _chunks(self) -> Tensor:
        """Cut the centres of each block into chunks.

        The result has shape (n_items, n_blocks, n_chunks, n_features + 1, n_centers):
        an item is a group, or a chunk of groups together, and what comes after the
        features is where exponents begin.
        """
        offsets, together = self.clouds.offsets, self.together
        # A short chunk repeats its last group.
        rows = torch.arange(-(-len(offsets) // together) * together)
        rows = rows.clamp_max(len(offsets) - 1).to(offsets.device)
        items = (self.scale * offsets[rows]).unflatten(0, (-1, together)).flatten(1, 2)
        edges = [together * edge for edge in self.levels.edges]
        longest = max(b - a for a, b in itertools.pairwise(edges))
        width = min(CENTERS_PER_CHUNK[self.dtype], triton.next_power_of_2(longest))
        length = width * -(-longest // width)
        shape = (len(items), len(edges) - 1, length, items.shape[2] + 1)
        chunks = items.new_zeros(shape)
        chunks[..., -1] = FILLER
        for block, (start, stop) in enumerate(itertools.pairwise(edges)):
            centers = items[:, start:stop]
            begin = -0.5 * (centers**2).sum(2) if self.expanded else 0.0
            chunks[:, block, : stop - start, :-1] = centers
            chunks[:, block, : stop - start, -1] = begin
        return chunks.unflatten(2, (-1, width)).mT.contiguous()

    def _shares(self) -> Tensor:
        """Share the columns of the weights out to programs.

        The result has shape (n_items, n_shares, n_columns, n_groups): by item, and by
        group in an item.
        """
        weights = _filled_up(self.clouds.weights.to(self.dtype), self.together)
        at_most = max(1, TOTALS_PER_QUERY // len(self.members))
        width = min(at_most, triton.next_power_of_2(weights.shape[1]))
        shares = _filled_up(weights.T, width).unflatten(0, (-1, width))
        by_item = shares.unflatten(2, (-1, self.together))
        return by_item.permute(2, 0, 1, 3).contiguous()


def _require_gpu(device: torch.device) -> None:
    interpreted = not isinstance(_sum_leaves, triton.JITFunction)
    if device.type != "cuda" and not interpreted:
        raise ValueError(
            "engine='triton' computes on a CUDA device. Got centers on "
            f"{str(device)!r}: move them, or take engine='auto'."
        )


def _filled_up(rows: Tensor, size: int) -> Tensor:
    """Fill up the last run of so many rows with zeros."""
    return torch.cat([rows, rows.new_zeros(-len(rows) % size, *rows.shape[1:])])


def _two_floats(numbers: Tensor, dtype: torch.dtype) -> Tensor:
    """Write float64 numbers as sums of two, side by side in a new last axis."""
    high = numbers.to(dtype)
    return torch.stack([high, (numbers - high).to(dtype)], dim=-1)


@triton.jit
def _sum_leaves(  # type: ignore[no-untyped-def]
    queries,
    own,
    order,
    starts,
    middles,
    centers,
    weights,
    members,
    others,
    others_log,
    items_per_leaf,
    n_items,
    n_blocks,
    n_chunks,
    EXPANDED: tl.constexpr,
    FEATURES: tl.constexpr,
    UNROLLED: tl.constexpr,
    LEVELS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CENTERS: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    """Sum some of the leaves that a tile keeps, in a share of the columns.

    Queries are loaded and stored with gaps between them: of numbers without gaps Triton
    would give each thread neighbours, and move them between threads for every leaf.
    """
    tile = tl.program_id(0).to(tl.int64)
    program, n_programs = tl.program_id(1), tl.num_programs(1)
    share, n_shares = tl.program_id(2), tl.num_programs(2)
    first = tl.load(starts + tile) + program * LEAVES_PER_PROGRAM
    last = tl.minimum(first + LEAVES_PER_PROGRAM, tl.load(starts + tile + 1))

    level, column = tl.arange(0, LEVELS), tl.arange(0, COLUMNS)
    query = tile * QUERIES + tl.arange(0, QUERIES)
    here = queries + 2 * (tile * FEATURES * QUERIES + query)
    reference = here + 2 * FEATURES * QUERIES
    height = tl.load(reference) + tl.load(reference + 1)
    own_group, own_block = tl.load(own + 2 * query), tl.load(own + 2 * query + 1)
    member = members + (level[:, None] * n_blocks + own_block[None, :]) * n_blocks
    total = tl.zeros([LEVELS, COLUMNS, QUERIES], height.dtype)
    log_total = tl.zeros([LEVELS, QUERIES], height.dtype)
    for place in range(first, last):
        leaf = tl.load(order + place)
        middle = middles + 2 * leaf * FEATURES
        begin = leaf * items_per_leaf
        for item in range(begin, tl.minimum(begin + items_per_leaf, n_items)):
            weight = weights + (item * n_shares + share) * (COLUMNS * TOGETHER)
            chunk = centers + item * n_blocks * n_chunks * ((FEATURES + 1) * CENTERS)
            if TOGETHER > 1:
                log_s = _exponents(
                    here, height, middle, chunk, EXPANDED, FEATURES, UNROLLED, CENTERS
                )
                s = tl.exp2(log_s)
            else:
                s = tl.zeros([LEVELS, QUERIES], height.dtype)
                has_weight = tl.sum(tl.load(weight + column)) > 0
                for block in range(tl.where(has_weight, n_blocks, 0)):
                    in_block = tl.zeros([QUERIES], height.dtype)
                    for _ in range(n_chunks):
                        exponent = _exponents(
                            here,
                            height,
                            middle,
                            chunk,
                            EXPANDED,
                            FEATURES,
                            UNROLLED,
                            CENTERS,
                        )
                        in_block += tl.sum(tl.exp2(exponent), axis=0)
                        chunk += (FEATURES + 1) * CENTERS
                    s += tl.load(member + block) * in_block[None, :]
                log_s = tl.log2(tl.maximum(s, SMALLEST))
            group = (item * TOGETHER + tl.arange(0, TOGETHER)).to(tl.int32)
            s = tl.where(group[:, None] == own_group[None, :], 0.0, s)
            total, log_total = _add_weighted(
                total, log_total, s, log_s, weight, COLUMNS, TOGETHER
            )
    place = ((query * n_programs + program) * n_shares + share)[None, :] * LEVELS
    place += level[:, None]
    tl.store(others_log + place, log_total)
    place = place[:, None, :] * COLUMNS + column[None, :, None]
    tl.store(others + place, total)


@triton.jit
def _exponents(  # type: ignore[no-untyped-def]
    here,
    height,
    middle,
    chunk,
    EXPANDED: tl.constexpr,
    FEATURES: tl.constexpr,
    UNROLLED: tl.constexpr,
    CENTERS: tl.constexpr,
):
    """Return the exponents of a chunk's kernels at a tile's queries.

    What depends on the queries alone, the compiler moves out of the loop over chunks.
    """
    center = chunk + tl.arange(0, CENTERS)
    begin = tl.load(center + FEATURES * CENTERS)[:, None]
    exponent = begin + tl.zeros([CENTERS, QUERIES], height.dtype)
    for slab in range(0, FEATURES, UNROLLED):
        for nth in tl.static_range(UNROLLED):
            k = slab + nth
            t, m = here + 2 * k * QUERIES, middle + 2 * k
            u = (tl.load(t) - tl.load(m)) + (tl.load(t + 1) - tl.load(m + 1))
            c = tl.load(center + k * CENTERS)[:, None]
            if EXPANDED:
                exponent += u[None, :] * c
                height -= 0.5 * u * u
            else:
                exponent -= (u[None, :] - c) * (u[None, :] - c)
    return exponent + height[None, :]


@triton.jit
def _add_weighted(  # type: ignore[no-untyped-def]
    total,
    log_total,
    s,
    log_s,
    weights,
    COLUMNS: tl.constexpr,
    TOGETHER: tl.constexpr,
):
    """Add weighted sums to the columns' totals, and s ln s with all their weight."""
    column, slot = tl.arange(0, COLUMNS)[None, :, None], tl.arange(0, TOGETHER)
    logs = s * log_s
    for c in tl.static_range(COLUMNS):
        weight = tl.load(weights + c * TOGETHER + slot)[:, None]
        terms = _over_groups(weight * s, TOGETHER)
        total = tl.where(column == c, total + terms[:, None, :], total)
        log_total += _over_groups(weight * logs, TOGETHER)
    return total, log_total


@triton.jit
def _over_groups(terms, TOGETHER: tl.constexpr):  # type: ignore[no-untyped-def]
    if TOGETHER > 1:
        terms = tl.sum(terms, axis=0)[None, :]
    return terms
