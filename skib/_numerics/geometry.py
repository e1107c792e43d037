"""Order in space: sort points so that neighbours share tiles, and box the tiles."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def spatial_order(points: Tensor, leaf_size: int) -> Tensor:
    """Order points by halving the widest side until a leaf is left.

    Parameters
    ----------
    points : Tensor of shape (n_points, n_features)
        Where the points are.
    leaf_size : int
        Every run of ``leaf_size`` points, counted from the first, becomes a
        compact leaf.

    Returns
    -------
    order : Tensor of shape (n_points,), int64
        ``points[order]`` is sorted; on the device of `points`.
    """
    values = points.detach().cpu().numpy()
    leaves: list[NDArray[np.int64]] = []
    waiting = [np.arange(len(values))]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= leaf_size:
            leaves.append(rows)
        else:
            left, right = _halves(values, rows, leaf_size)
            waiting += [right, left]
    return torch.from_numpy(np.concatenate(leaves)).to(points.device)


def _halves(
    values: NDArray[np.float64], rows: NDArray[np.int64], leaf_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # The left half is a whole number of leaves, so that runs and leaves agree.
    n_leaves = -(-len(rows) // leaf_size)
    middle = (n_leaves // 2) * leaf_size
    points = values[rows]
    widest = int(np.argmax(points.max(0) - points.min(0)))
    sorted_rows = rows[np.argpartition(points[:, widest], middle)]
    return sorted_rows[:middle], sorted_rows[middle:]


def boxes(points: Tensor, run: int) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest corner of every run of `run` points.

    Parameters
    ----------
    points : Tensor of shape (n_points, n_features)
        Points in order; the last run may be short.
    run : int
        Points per box.

    Returns
    -------
    low, high : Tensors of shape (n_boxes, n_features)
    """
    n_full = len(points) // run
    full = points[: n_full * run].reshape(n_full, run, points.shape[1])
    low, high = full.amin(1), full.amax(1)
    rest = points[n_full * run :]
    if len(rest):
        low = torch.cat([low, rest.amin(0, keepdim=True)])
        high = torch.cat([high, rest.amax(0, keepdim=True)])
    return low, high


def squared_gaps(
    low: Tensor, high: Tensor, other_low: Tensor, other_high: Tensor
) -> Tensor:
    """Squared distance between every box and every other box.

    Parameters
    ----------
    low, high : Tensors of shape (n_boxes, n_features)
        Corners of the boxes.
    other_low, other_high : Tensors of shape (n_others, n_features)
        Corners of the other boxes.

    Returns
    -------
    squared : Tensor of shape (n_boxes, n_others)
        Zero where boxes overlap.
    """
    squared = low.new_zeros(len(low), len(other_low))
    for axis in range(low.shape[1]):
        gap = torch.maximum(
            other_low[:, axis] - high[:, axis, None],
            low[:, axis, None] - other_high[:, axis],
        ).clamp_min_(0.0)
        squared.addcmul_(gap, gap)
    return squared
