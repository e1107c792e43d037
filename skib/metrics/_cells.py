"""Entropy of binned representations."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from scipy.stats import entropy
from sklearn.utils import check_array, check_scalar

from skib._numerics.binning import bin_codes, number_rows
from skib._validation import as_numpy

__all__ = ["binned_entropy"]

POSITIVE = {"min_val": 0, "max_val": np.inf, "include_boundaries": "neither"}


def binned_entropy(
    activations: Any,
    bin_widths: Any = (0.05,),
    *,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> np.ndarray:
    """Entropy H(Bin(T)) of the cells of bins that representations hit.

    Of a noise-free network it says how the representations cluster at the scale of
    the bins; it grows to the entropy of the distinct ones as the bins shrink [1]_.

    Parameters
    ----------
    activations : array-like of shape (n_samples, n_units)
        Representations, all equally likely.
    bin_widths : float or sequence of float, default=(0.05,)
        Widths of a bin, in activation units.
    value_range : tuple of float, default=(-1, 1)
        Where the bins start, and what they cover at least. Beyond it there are as many
        more bins as the representations need: none is out of reach.

    Returns
    -------
    entropies : ndarray of shape (n_widths,)
        In nats.

    See Also
    --------
    skib.BinnedMIEstimator : Its mutual information, with labels, weights and errors.

    References
    ----------
    .. [1] Goldfeld, Z. et al. (2019). Estimating Information Flow in Deep Neural
       Networks. ICML. https://arxiv.org/abs/1810.05728

    Examples
    --------
    >>> from skib.metrics import binned_entropy
    >>> binned_entropy([[-0.9], [-0.3], [0.3], [0.35]], [0.5, 0.01]).round(4)
    array([1.0397, 1.3863])
    """
    activations = check_array(
        as_numpy(activations), dtype=np.float64, input_name="activations"
    )
    widths = [
        check_scalar(float(width), "bin_widths", Real, **POSITIVE)
        for width in np.ravel(bin_widths)
    ]
    low = min(value_range[0], float(activations.min()))
    high = max(value_range[1], float(activations.max()))
    return np.array(
        [_entropy(activations, width, value_range[0], low, high) for width in widths]
    )


def _entropy(
    activations: np.ndarray, width: float, start: float, low: float, high: float
) -> float:
    """Entropy in bins of one width that have an edge at ``start``."""
    first = start - width * math.ceil((start - low) / width - 1e-9)
    # A width that divides the range up to rounding makes no sliver of a last bin.
    n_bins = max(1, math.ceil((high - first) / width - 1e-9))
    codes = bin_codes(activations, n_bins, first, first + n_bins * width)
    return float(entropy(np.bincount(number_rows(codes, n_bins))))
