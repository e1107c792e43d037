"""Functions of one unit's value, one for each input and unit, tabulated at nodes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["UnitTables"]


@dataclass(frozen=True)
class UnitTables:
    """Tables that are read in straight lines, so that a sum over units is one product.

    Beyond the nodes the functions are constant.

    Attributes
    ----------
    nodes : Tensor of shape (n_nodes,)
        Ascending.
    values : Tensor of shape (n_inputs, n_units * n_nodes)
        In single precision, twice as fast, where they are small.
    """

    nodes: Tensor
    values: Tensor

    def add_to(self, scores: Tensor, points: Tensor) -> Tensor:
        """Add the sums over units to scores of shape (n_points, n_inputs), in place."""
        return scores.add_(self._features(points) @ self.values.T)

    def _features(self, points: Tensor) -> Tensor:
        """Shares of the nodes around each unit's value."""
        nodes = self.nodes
        inside = points.clamp(float(nodes[0]), float(nodes[-1])).contiguous()
        right = torch.searchsorted(nodes, inside).clamp_(1, len(nodes) - 1)
        share = (inside - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
        share = share[..., None].to(self.values)
        found = share.new_zeros(*points.shape, len(nodes))
        found.scatter_(2, right[..., None], share)
        found.scatter_(2, right[..., None] - 1, 1 - share)
        return found.flatten(1)
