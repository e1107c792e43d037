"""Leaf by leaf: which tiles of queries each leaf of centres meets.

A leaf is prepared once and meets all its tiles at once, in rectangles of leaves and
tiles that a few large operations work through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LeafVisits:
    """Some leaves and, for each, as many tiles that visit it.

    Attributes
    ----------
    leaves : Tensor of shape (n_leaves,), int64
        Which leaves.
    tiles : Tensor of shape (n_leaves, n_visits), int64
        Their visitors. A leaf with fewer is visited by tile ``n_tiles``, which is none.
    queries : Tensor of shape (n_owned,), int64
        Queries that find their own group here.
    places, columns : Tensors of shape (n_owned,), int64
        Where: at which of the leaves, as which of its ``n_visits * tile`` queries.
    """

    leaves: Tensor
    tiles: Tensor
    queries: Tensor
    places: Tensor
    columns: Tensor


def leaf_visits(
    kept: Tensor, own_leaf: Tensor, tile: int, visits_at_a_time: int
) -> Iterator[LeafVisits]:
    """Yield all pairs of a leaf and a tile that keeps it, many at a time.

    Parameters
    ----------
    kept : Tensor of shape (n_tiles, n_leaves), bool
        Leaves to visit, tile by tile.
    own_leaf : Tensor of shape (n_queries,), int64
        Leaf of each query's own group.
    tile : int
        Queries per tile.
    visits_at_a_time : int
        Most pairs in what is yielded.
    """
    n_tiles = len(kept)
    n_visits = kept.sum(0)
    # Leaves with as many visitors side by side: few have to be filled up.
    order = torch.argsort(n_visits, descending=True)
    order = order[: int((n_visits > 0).sum())]
    if not len(order):
        return
    counts = n_visits[order]
    first = counts.cumsum(0) - counts
    visitor = torch.nonzero(kept.T[order])[:, 1]
    own = _OwnVisits(kept, order, own_leaf, tile)
    most = counts.tolist()
    start = 0
    while start < len(order):
        n_slots = most[start]
        stop = min(start + max(1, visits_at_a_time // n_slots), len(order))
        for slots in torch.arange(n_slots, device=kept.device).split(visits_at_a_time):
            at = (first[start:stop, None] + slots).clamp_max_(len(visitor) - 1)
            is_visited = slots < counts[start:stop, None]
            yield LeafVisits(
                order[start:stop],
                torch.where(is_visited, visitor[at], n_tiles),
                *own.among(start, stop, slots),
            )
        start = stop


class _OwnVisits:
    """Where each query meets its own group, if its tile keeps it.

    Parameters
    ----------
    kept : Tensor of shape (n_tiles, n_leaves), bool
    order : Tensor of shape (n_visited,), int64
        Leaf of each rank.
    own_leaf : Tensor of shape (n_queries,), int64
    tile : int
        Queries per tile.
    """

    def __init__(
        self, kept: Tensor, order: Tensor, own_leaf: Tensor, tile: int
    ) -> None:
        self.tile = tile
        ranks = own_leaf.new_full((kept.shape[1],), -1)
        ranks[order] = torch.arange(len(order), device=order.device)
        queries = torch.arange(len(own_leaf), device=own_leaf.device)
        at = queries // tile, own_leaf
        rank = torch.where(kept[at], ranks[own_leaf], -1)
        slot = kept.cumsum(0)[at] - 1
        # Sorted by rank, whose queries are then a run.
        self.queries = torch.argsort(rank)
        self.rank, self.slot = rank[self.queries], slot[self.queries]
        edges = torch.arange(len(order) + 1, device=order.device)
        self.edges = torch.searchsorted(self.rank, edges).tolist()

    def among(self, start: int, stop: int, slots: Tensor) -> tuple[Tensor, ...]:
        """Return queries that meet leaves of these ranks in these slots, and where."""
        run = slice(self.edges[start], self.edges[stop])
        slot = self.slot[run] - slots[0]
        here = (slot >= 0) & (slot < len(slots))
        queries = self.queries[run][here]
        columns = slot[here] * self.tile + queries % self.tile
        return queries, self.rank[run][here] - start, columns
