"""Levels: which draws of every input are summed together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Levels:
    """Sets of draws that are summed together, made of blocks of neighbouring draws.

    Attributes
    ----------
    edges : list of n_blocks + 1 ints
        Where the blocks begin and end.
    members : Tensor of shape (n_levels, n_blocks, n_blocks), float64
        Whether a level holds a block, 1 or 0: by level, block of the query's own draw,
        block.
    """

    edges: list[int]
    members: Tensor

    @classmethod
    def among(cls, n_draws: int, members: Tensor) -> Levels:
        """Cut so many draws into blocks of nearly equal length."""
        n_blocks = members.shape[1]
        edges = [block * n_draws // n_blocks for block in range(n_blocks + 1)]
        return cls(edges, members.double())

    @property
    def is_single(self) -> bool:
        """Whether all draws together are the only level."""
        return self.members.numel() == 1

    def blocks_of(self, draws: Tensor) -> Tensor:
        """Blocks in each level of queries with these own draws.

        Of shape (n_levels, n_blocks, n_queries).
        """
        own = self.block_of(draws)
        return self.members.to(draws.device)[:, own].mT.contiguous()

    def block_of(self, draws: Tensor) -> Tensor:
        """Block in which each draw lies."""
        starts = torch.tensor(self.edges[:-1], device=draws.device)
        return torch.searchsorted(starts, draws, right=True) - 1
