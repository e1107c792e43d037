"""Order in space: sort points so that neighbours share tiles, and box the tiles."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Distances worked on at a time, half a megabyte of float64.
VALUES_IN_CACHE = 1 << 16


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
    columns = np.ascontiguousarray(points.detach().cpu().numpy().T)
    leaves: list[NDArray[np.int64]] = []
    waiting = [np.arange(len(points))]
    while waiting:
        rows = waiting.pop()
        if len(rows) <= leaf_size:
            leaves.append(rows)
        else:
            left, right = _halves(columns, rows, leaf_size)
            waiting += [right, left]
    return torch.from_numpy(np.concatenate(leaves)).to(points.device)


def _halves(
    columns: NDArray[np.float64], rows: NDArray[np.int64], leaf_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # The left half is a whole number of leaves, so that runs and leaves agree.
    n_leaves = -(-len(rows) // leaf_size)
    middle = (n_leaves // 2) * leaf_size
    points = columns.take(rows, axis=1)
    widest = (points.max(1) - points.min(1)).argmax()
    sorted_rows = rows[points[widest].argpartition(middle)]
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
    n_rows = max(1, VALUES_IN_CACHE // max(1, len(other_low)))
    for part, part_low, part_high in zip(
        squared.split(n_rows), low.split(n_rows), high.split(n_rows), strict=True
    ):
        for axis in range(low.shape[1]):
            gap = torch.maximum(
                other_low[:, axis] - part_high[:, axis, None],
                part_low[:, axis, None] - other_high[:, axis],
            ).clamp_min_(0.0)
            part.addcmul_(gap, gap)
    return squared
