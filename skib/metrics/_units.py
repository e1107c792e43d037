"""Saturation and effective rank: what units do, whatever the labels."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from scipy.stats import entropy
from sklearn.utils import check_array, check_scalar

from skib._validation import as_numpy

__all__ = ["effective_rank", "saturated_fraction"]


def saturated_fraction(
    activations: Any,
    value_range: tuple[float, float] = (-1.0, 1.0),
    *,
    tolerance: float = 0.025,
) -> float:
    """Share of activations that are at an end of the range of a bounded function.

    Parameters
    ----------
    activations : array-like of shape (n_samples, n_units)
    value_range : tuple of float, default=(-1, 1)
        The range of the activation function: (-1, 1) of tanh, (0, 1) of the logistic.
    tolerance : float, default=0.025
        How near to an end counts, as a part of the range: for tanh beyond 0.95.

    Returns
    -------
    fraction : float
        Of the pairs of sample and unit, between 0 and 1.

    Examples
    --------
    >>> from skib.metrics import saturated_fraction
    >>> saturated_fraction([[-0.99, 0.0], [0.5, 0.98]])
    0.5
    """
    activations = check_array(as_numpy(activations), input_name="activations")
    check_scalar(tolerance, "tolerance", Real, min_val=0, max_val=0.5)
    low, high = map(float, value_range)
    if not low < high:
        raise ValueError(
            "value_range must be two numbers, low < high: the ends of what the "
            f"activation function can be. Got value_range={value_range!r}."
        )
    near = tolerance * (high - low)
    saturated = (activations <= low + near) | (activations >= high - near)
    return float(saturated.mean())


def effective_rank(activations: Any, *, centered: bool = True) -> float:
    """Effective number of dimensions that representations extend in.

    The exponential of the entropy of the singular values, scaled to sum 1 [1]_:
    1 where all lie on a line, n_units where they extend equally in all directions.

    Parameters
    ----------
    activations : array-like of shape (n_samples, n_units)
    centered : bool, default=True
        Whether the mean is taken off before; [1]_ speaks of any matrix, as it is.

    Returns
    -------
    rank : float
        Between 1 and the smaller of n_samples and n_units; 0 where nothing is left
        but zeros.

    References
    ----------
    .. [1] Roy, O. and Vetterli, M. (2007). The Effective Rank: a Measure of Effective
       Dimensionality. EUSIPCO. Definition 1.

    Examples
    --------
    >>> from skib.metrics import effective_rank
    >>> print(f"{effective_rank([[1.0, 0], [-1, 0], [0, 1], [0, -1]]):.3f}")
    2.000
    """
    activations = check_array(
        as_numpy(activations), dtype=np.float64, input_name="activations"
    )
    scale = np.abs(activations).max()
    if centered:
        activations = activations - activations.mean(axis=0)
    values = np.linalg.svd(activations, compute_uv=False)
    # Below this all is rounding.
    least = scale * max(activations.shape) * np.finfo(float).eps
    values = values[values > least]
    return float(np.exp(entropy(values))) if values.size else 0.0
