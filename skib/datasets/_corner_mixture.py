"""Gaussians at the corners of a cube: a density whose entropy is known."""

from __future__ import annotations

import itertools
import math
from numbers import Integral, Real

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr, ndtri, xlogy
from sklearn.utils import check_random_state, check_scalar

from skib._validation import check_noise_std

__all__ = ["corner_mixture_entropy", "make_corner_mixture"]

POSITIVE = {"min_val": 0, "include_boundaries": "neither"}


def make_corner_mixture(
    n_samples=1000,
    n_features=5,
    *,
    component_std=0.5,
    truncated=True,
    random_state=None,
):
    """Draw from equal Gaussians at the 2^d corners of the cube [-1, 1]^d.

    The benchmark of entropy estimators in [1]_, which does not say what standard
    deviation the Gaussians had. Coordinates are independent of each other.

    Parameters
    ----------
    n_samples : int, default=1000
    n_features : int, default=5
        Dimension d of the cube.
    component_std : float, default=0.5
        Standard deviation of each Gaussian, in every direction, > 0.
    truncated : bool, default=True
        Whether the density is cut off outside of the cube, as activations of tanh are.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)

    See Also
    --------
    corner_mixture_entropy : Their entropy, also with noise.

    References
    ----------
    .. [1] Goldfeld, Z., Greenewald, K. and Polyanskiy, Y. (2018). Estimating
       Differential Entropy under Gaussian Convolutions. Section IV.B.
       https://arxiv.org/abs/1810.11589

    Examples
    --------
    >>> from skib.datasets import make_corner_mixture
    >>> X = make_corner_mixture(100, 3, random_state=0)
    >>> X.shape, bool(abs(X).max() <= 1)
    ((100, 3), True)
    """
    n_samples = check_scalar(n_samples, "n_samples", Integral, min_val=1)
    n_features = check_scalar(n_features, "n_features", Integral, min_val=1)
    check_scalar(component_std, "component_std", Real, **POSITIVE)
    random = check_random_state(random_state)
    shape = n_samples, n_features
    corners = random.choice([-1.0, 1.0], size=shape)
    if not truncated:
        return corners + component_std * random.standard_normal(shape)
    # From a corner inwards, up to the opposite side: the law of each half is the same.
    probability = random.uniform(size=shape) * (ndtr(2 / component_std) - 0.5) + 0.5
    inwards = np.minimum(component_std * ndtri(probability), 2.0)
    return corners * (1 - inwards)


def corner_mixture_entropy(
    n_features=5, *, component_std=0.5, truncated=True, noise_std=None
):
    """Entropy of `make_corner_mixture`, and of it with Gaussian noise.

    Parameters
    ----------
    n_features : int, default=5
    component_std : float, default=0.5
    truncated : bool, default=True
    noise_std : float or None, default=None
        Standard deviation of noise that is added to every coordinate; None is none.

    Returns
    -------
    entropy : float
        h(S), or h(S + Z), in nats, by quadrature of one coordinate to about 1e-9.

    Examples
    --------
    >>> from skib.datasets import corner_mixture_entropy
    >>> print(f"{corner_mixture_entropy(5, noise_std=0.1):.4f} nats")
    3.7738 nats
    """
    n_features = check_scalar(n_features, "n_features", Integral, min_val=1)
    check_scalar(component_std, "component_std", Real, **POSITIVE)
    noise = 0.0 if noise_std is None else check_noise_std(noise_std)
    spread = math.hypot(component_std, noise)
    reach = 1 + 12 * (noise if truncated else spread)

    def density(t):
        """Density of one coordinate: two halves, mirrored."""
        return (
            _half(t, component_std, noise, truncated=truncated)
            + _half(-t, component_std, noise, truncated=truncated)
        ) / 2

    # Symmetric: the right half, cut where the density bends.
    edges = np.unique(
        np.clip([0, 1 - 4 * noise, 1 - spread, 1, 1 + 4 * noise, reach], 0, reach)
    )
    pieces = itertools.pairwise(edges)
    return (
        n_features
        * 2
        * sum(
            quad(lambda t: -xlogy(density(t), density(t)), low, high, limit=200)[0]
            for low, high in pieces
        )
    )


def _half(t, component_std, noise_std, *, truncated):
    """Density of the coordinate of one corner, at 1, with noise."""
    variance = component_std**2 + noise_std**2
    whole = math.exp(-((t - 1) ** 2) / (2 * variance)) / math.sqrt(
        2 * math.pi * variance
    )
    if not truncated:
        return whole
    mass = ndtr(2 / component_std) - 0.5
    if noise_std == 0:
        return whole / mass if abs(t) <= 1 else 0.0
    # Given t, the place before the noise is Gaussian; it must lie in the cube.
    mean = (t * component_std**2 + noise_std**2) / variance
    std = component_std * noise_std / math.sqrt(variance)
    return whole / mass * (ndtr((1 - mean) / std) - ndtr((-1 - mean) / std))
