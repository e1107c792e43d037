"""A centre near each point: where to look, and how far it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from skib._numerics.geometry import boxes
from skib._numerics.kernel_sums.clouds import Clouds

# Neighbouring points that search the same leaves, and how many.
POINTS_PER_TILE = 64
LEAVES_SEARCHED = 4

# Distances of tiles to leaves, and of points to centres, at a time.
DISTANCES_PER_PART = 1 << 20


def squared_distances_to_near_centers(
    clouds: Clouds, points: Tensor, near: float
) -> Tensor:
    """Squared distance of each point to some centre, mostly one of the nearest.

    A few leaves are searched first, then all, in single precision.

    Parameters
    ----------
    clouds : Clouds
        One group per leaf.
    points : Tensor of shape (n_points, n_features), float64
        In units of the noise, relative to the origin; neighbours side by side.
    near : float
        No nearer centre is looked for than one at this distance.

    Returns
    -------
    squared : Tensor of shape (n_points,), float64
        To the precision of `clouds` in coordinates relative to a leaf's middle.
    """
    n_tiles = max(1, DISTANCES_PER_PART // clouds.n_leaves)
    parts = points.split(n_tiles * POINTS_PER_TILE)
    search = _LeafSearch(clouds)
    squared = torch.cat([_search_near_leaves(search, part) for part in parts])
    far = torch.nonzero(squared > near**2)[:, 0]
    if len(far):
        squared[far] = _search_all_leaves(search, points[far])
    return squared


class _LeafSearch:
    """Search of leaves for their centre nearest to a point, by matrix products."""

    def __init__(self, clouds: Clouds) -> None:
        self.clouds = clouds
        self.centers = _with_half_squares(clouds.offsets)

    def squared(self, leaf: Tensor, points: Tensor) -> Tensor:
        """Squared distances of points to the nearest centre of a leaf.

        Parameters
        ----------
        leaf : Tensor of shape (n,), int64
        points : Tensor of shape (n, n_points, n_features), float64

        Returns
        -------
        squared : Tensor of shape (n, n_points), float64
        """
        steps = points - self.clouds.middles[leaf][:, None]
        closeness = self.centers[leaf] @ _with_one(steps).to(self.centers.dtype).mT
        return (steps**2).sum(2) - 2 * closeness.amax(1)


def _search_near_leaves(search: _LeafSearch, points: Tensor) -> Tensor:
    """Search the leaves whose middles are nearest to the middle of a tile."""
    low, high = boxes(points, POINTS_PER_TILE)
    n_lacking = len(low) * POINTS_PER_TILE - len(points)
    tiles = pad(points, (0, 0, 0, n_lacking)).unflatten(0, (-1, POINTS_PER_TILE))
    to_leaves = torch.cdist(0.5 * (low + high), search.clouds.middles)
    n_searched = min(LEAVES_SEARCHED, search.clouds.n_leaves)
    near = to_leaves.topk(n_searched, largest=False).indices
    squared = torch.stack([search.squared(leaf, tiles) for leaf in near.T])
    return squared.amin(0).flatten()[: len(points)]


def _search_all_leaves(search: _LeafSearch, points: Tensor) -> Tensor:
    """Find out which leaf holds the nearest centre, then search it."""
    clouds = search.clouds
    centers = _with_half_squares((clouds.middles[:, None] + clouds.offsets).float())
    flat = centers.flatten(0, 1)
    squared = []
    for part in points.split(max(1, DISTANCES_PER_PART // len(flat))):
        closeness = flat @ _with_one(part).float().T
        # Points last: a maximum over neighbours in memory takes many times longer.
        leaf = closeness.unflatten(0, centers.shape[:2]).amax(1).argmax(0)
        squared.append(search.squared(leaf, part[:, None])[:, 0])
    return torch.cat(squared)


def _with_half_squares(centers: Tensor) -> Tensor:
    """Add a feature that makes of tc the closeness tc - |c|^2 / 2."""
    return torch.cat([centers, -0.5 * (centers**2).sum(-1, keepdim=True)], dim=-1)


def _with_one(points: Tensor) -> Tensor:
    return pad(points, (0, 1), value=1.0)
