"""Centres and queries made ready for the engines: scaled, sorted, locally centred.

Lengths are in units of the noise's standard deviation. Centres are kept relative to
the middle of their *leaf*, a run of neighbouring groups, so that float32 resolves the
distances that matter however far the data lie from zero or from each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.geometry import boxes, spatial_order

# A leaf is tested against a tile of queries as one: many enough centres to make the
# test cheap, few enough to keep the leaf's box small.
CENTERS_PER_LEAF = 64

# Neighbouring groups are brought together down to runs of this many.
RUN = 32

# Half the widest side of a leaf (in noise widths) up to which float32 coordinates keep
# four digits of the distances that matter, a few noise widths.
SINGLE_UP_TO_HALF_WIDTH = 500.0

# The expanded square |t|^2 - 2tc + |c|^2 loses radius^2 of the last digit: within these
# radii of the leaves (in noise widths) an exponent is right to 5e-4 in float32, 1e-9 in
# float64.
EXPANDED_UP_TO_RADIUS = {torch.float32: 40.0, torch.float64: 1000.0}

# Values converted to float64 at a time while the centres are scaled: they stay in the
# cache from one step to the next.
VALUES_PER_CHUNK = 1 << 16


@dataclass(frozen=True)
class Clouds:
    """Weighted clouds of centres, in units of the noise, sorted in space.

    Attributes
    ----------
    offsets : Tensor of shape (n_groups, n_draws, n_features), float32 or float64
        Centres, groups in order, relative to the middle of their leaf.
    weights : Tensor of shape (n_groups, n_columns), float64
        Weights, in the same order.
    middles : Tensor of shape (n_leaves, n_features), float64
        Middle of each leaf, relative to `origin`.
    low, high : Tensors of shape (n_leaves, n_features), float64
        Box of each leaf, relative to `origin`.
    groups_per_leaf : int
        Group ``g`` lies in leaf ``g // groups_per_leaf``.
    rank : Tensor of shape (n_groups,), int64
        Place of each of the caller's groups in the order.
    origin : Tensor of shape (n_features,), float64
        Mean of the centres, in the caller's units.
    noise_std : float
        Unit of length.
    """

    offsets: Tensor
    weights: Tensor
    middles: Tensor
    low: Tensor
    high: Tensor
    groups_per_leaf: int
    rank: Tensor
    origin: Tensor
    noise_std: float

    @classmethod
    def sorted_in_space(
        cls, centers: Tensor, weights: Tensor, noise_std: float, dtype: torch.dtype
    ) -> Clouds:
        """Scale and sort the clouds; memory is one copy of them.

        That copy is in `dtype`, or in float64 when leaves are too wide for float32.
        """
        n_groups, n_draws, _ = centers.shape
        low, mean, high = _group_summaries(centers)
        origin = mean.mean(0)
        groups_per_leaf = max(1, CENTERS_PER_LEAF // n_draws)
        order = spatial_order(mean, groups_per_leaf * -(-RUN // groups_per_leaf))
        rank = torch.empty_like(order)
        rank[order] = torch.arange(n_groups, device=order.device)
        low = boxes((low[order] - origin) / noise_std, groups_per_leaf)[0]
        high = boxes((high[order] - origin) / noise_std, groups_per_leaf)[1]
        middles = 0.5 * (low + high)
        if float((high - low).max()) > 2 * SINGLE_UP_TO_HALF_WIDTH:
            dtype = torch.float64
        places = origin + noise_std * middles.repeat_interleave(groups_per_leaf, 0)
        offsets = torch.empty(centers.shape, dtype=dtype, device=centers.device)
        n_rows = _chunk(centers)
        for rows, part, place in zip(
            order.split(n_rows),
            offsets.split(n_rows),
            places[:n_groups].split(n_rows),
            strict=True,
        ):
            scaled = centers[rows].double().sub_(place[:, None]).mul_(1 / noise_std)
            part.copy_(scaled)
        return cls(
            offsets=offsets,
            weights=weights.double()[order],
            middles=middles,
            low=low,
            high=high,
            groups_per_leaf=groups_per_leaf,
            rank=rank,
            origin=origin,
            noise_std=noise_std,
        )

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        return len(self.middles)

    @property
    def radii(self) -> Tensor:
        """Distance of each leaf's middle to its corners, of shape (n_leaves,)."""
        return 0.5 * (self.high - self.low).norm(dim=1)

    def scaled(self, points: Tensor) -> Tensor:
        """Express points in units of the noise, relative to the origin."""
        return (points.double() - self.origin) / self.noise_std


@dataclass(frozen=True)
class Queries:
    """Points at which kernels are summed, sorted in space.

    Attributes
    ----------
    points : Tensor of shape (n_queries, n_features), float64
        In units of the noise, relative to the clouds' origin.
    reference : Tensor of shape (n_queries,), float64
        Half the squared length of the noise: kernels are in units of
        ``exp(-reference)``.
    own : Tensor of shape (n_queries,), int64
        Own group's place in the clouds.
    draws : Tensor of shape (n_queries,), int64
        Which draw of it is the own centre.
    order : Tensor of shape (n_queries,), int64
        The caller's row of each query.
    """

    points: Tensor
    reference: Tensor
    own: Tensor
    draws: Tensor
    order: Tensor

    @classmethod
    def around_own_centers(
        cls,
        clouds: Clouds,
        centers: Tensor,
        groups: Tensor,
        draws: Tensor,
        noise: Tensor,
        *,
        tile: int,
    ) -> Queries:
        """Place each query at its own centre plus noise."""
        offset = noise.double() / clouds.noise_std
        points = clouds.scaled(centers[groups, draws]) + offset
        order = spatial_order(points, tile)
        return cls(
            points=points[order],
            reference=0.5 * (offset**2).sum(1)[order],
            own=clouds.rank[groups][order],
            draws=draws[order],
            order=order,
        )

    def part(self, start: int, stop: int) -> Queries:
        """Return a run of the queries."""
        rows = slice(start, stop)
        return Queries(
            self.points[rows],
            self.reference[rows],
            self.own[rows],
            self.draws[rows],
            self.order[rows],
        )

    def parts(self, size: int) -> Iterator[Queries]:
        """Yield runs of this many queries, the last one shorter."""
        for start in range(0, len(self.points), size):
            yield self.part(start, start + size)


def _chunk(centers: Tensor) -> int:
    return max(1, VALUES_PER_CHUNK // centers[0].numel())


def _group_summaries(centers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    summaries = centers.new_empty(3, len(centers), centers.shape[2])
    n_rows = _chunk(centers)
    for part, summary in zip(
        centers.split(n_rows), summaries.split(n_rows, dim=1), strict=True
    ):
        # Draws last: reductions over neighbours in memory are several times faster.
        draws = part.mT.contiguous()
        summary[0] = draws.amin(2)
        summary[1] = draws.mean(2)
        summary[2] = draws.amax(2)
    low, mean, high = summaries.double()
    return low, mean, high
