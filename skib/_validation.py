"""The border: what users hand in becomes tensors, generators and devices."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

__all__ = ["check_device", "check_noise_std", "draw_seeds", "group_equal_rows"]


def check_noise_std(noise_std: Any, *, zero_allowed: bool = False) -> float:
    """Return ``noise_std`` as a float, or say why it cannot be one."""
    wanted = "a finite number >= 0" if zero_allowed else "a finite number > 0"
    is_number = isinstance(noise_std, Real) and not isinstance(noise_std, bool)
    if not is_number or not np.isfinite(noise_std) or noise_std < 0:
        raise ValueError(f"noise_std must be {wanted}. Got noise_std={noise_std!r}.")
    if noise_std == 0 and not zero_allowed:
        raise ValueError(
            "noise_std must be > 0: without noise a layer keeps every input apart, so "
            "I(X;T) is the entropy of the inputs, or infinite, whatever the network "
            "does. Give the network noise, or use BinnedMIEstimator to measure "
            f"clustering. Got noise_std={noise_std!r}."
        )
    return float(noise_std)


def check_device(device: Any) -> torch.device:
    """Return the torch device named by ``device``; None means the CPU."""
    try:
        resolved = torch.device("cpu" if device is None else device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be None or a torch device such as 'cpu' or 'cuda'. Got "
            f"device={device!r}."
        ) from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r} was asked for, but torch sees no CUDA device here. "
            "Use device=None."
        )
    return resolved


def draw_seeds(random_state: Any, n_seeds: int) -> list[int]:
    """Draw one seed per task before the tasks are handed out.

    The seeds, and so the results, do not depend on who works on which task.
    """
    random = check_random_state(random_state)
    return [int(seed) for seed in random.randint(np.iinfo(np.int32).max, size=n_seeds)]


def group_equal_rows(
    X: np.ndarray | torch.Tensor, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Group rows that are equal in every bit.

    Parameters
    ----------
    X : array or Tensor of shape (n_rows, ...)
    rows : int array, default=None
        The rows to look at; None is all.

    Returns
    -------
    first : int array of shape (n_groups,)
        The first row of each group, ascending.
    inverse : int array of shape (n_rows,)
        The group of each row looked at.
    """
    host = X.cpu().numpy() if isinstance(X, torch.Tensor) else np.asarray(X)
    rows = np.arange(len(host)) if rows is None else rows
    groups: dict[bytes, int] = {}
    inverse = [groups.setdefault(host[row].tobytes(), len(groups)) for row in rows]
    first = np.unique(inverse, return_index=True)[1]
    return rows[first], np.array(inverse)
