"""Cutting activations into bins, and finding equal cells."""

from __future__ import annotations

import numpy as np


def bin_codes(activations: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of every activation; values outside go to the end bins."""
    codes = np.searchsorted(edges, activations, side="right") - 1
    return codes.clip(0, len(edges) - 2)


def cell_index(codes: np.ndarray, n_bins: int) -> np.ndarray:
    """Number the distinct rows of codes, and return each row's number."""
    return np.unique(codes, axis=0, return_inverse=True)[1].ravel()
