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
    order = np.arange(len(points))
    # Runs of equal length are halved together: there are few lengths at a time.
    starts_by_length = {len(points): np.zeros(1, dtype=np.int64)}
    while starts_by_length:
        halves: dict[int, list[NDArray[np.int64]]] = {}
        for length, starts in starts_by_length.items():
            if length > leaf_size:
                # The left half is a whole number of leaves: runs and leaves agree.
                middle = -(-length // leaf_size) // 2 * leaf_size
                _halve(columns, order, starts[:, None] + np.arange(length), middle)
                halves.setdefault(middle, []).append(starts)
                halves.setdefault(length - middle, []).append(starts + middle)
        starts_by_length = {n: np.concatenate(runs) for n, runs in halves.items()}
    return torch.from_numpy(order).to(points.device)


def _halve(
    columns: NDArray[np.float64],
    order: NDArray[np.int64],
    runs: NDArray[np.int64],
    middle: int,
) -> None:
    """Reorder each run so that its first `middle` points lie on one side."""
    rows = order[runs]
    points = columns[:, rows]
    low, high = torch.from_numpy(points).aminmax(dim=2)
    widest = (high - low).argmax(0).numpy()
    side = points[widest, np.arange(len(rows))].argpartition(middle, axis=1)
    order[runs] = np.take_along_axis(rows, side, axis=1)


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
