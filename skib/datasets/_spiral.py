"""Spirals that interleave."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state, check_scalar

__all__ = ["make_spiral"]

# Radians that one arm turns.
TURN = 4.0


def make_spiral(n_samples=300, *, n_classes=3, noise=0.2, random_state=None):
    """Make a spiral with one arm per class, in two dimensions.

    Along an arm the radius goes from 0 to 1 and the angle through 4 radians; the arms
    start at equal angles from each other (for three classes, where the generator of
    the course CS231n starts them 4 radians apart, close to that).

    Parameters
    ----------
    n_samples : int, default=300
        Points in all, spread evenly over the classes and along the arms.
    n_classes : int, default=3
        Arms.
    noise : float, default=0.2
        Standard deviation of the angle, in radians.
    random_state : int, RandomState instance or None, default=None
        Seed of the angles.

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
    y : ndarray of shape (n_samples,)
        0 to n_classes - 1, one class after the other.

    References
    ----------
    Goldfeld, Z., Greenewald, K. and Polyanskiy, Y. (2018). Estimating Differential
    Entropy under Gaussian Convolutions. https://arxiv.org/abs/1810.11589: a network on
    such data, with parameters it does not give.

    Examples
    --------
    >>> from skib.datasets import make_spiral
    >>> X, y = make_spiral(90, random_state=0)
    >>> X.shape, bool(abs(X).max() <= 1)
    ((90, 2), True)
    """
    n_classes = check_scalar(n_classes, "n_classes", Integral, min_val=1)
    n_samples = check_scalar(n_samples, "n_samples", Integral, min_val=n_classes)
    check_scalar(noise, "noise", Real, min_val=0)
    random = check_random_state(random_state)
    y = np.sort(np.arange(n_samples) % n_classes)
    sizes = np.bincount(y)
    along = np.concatenate([np.linspace(0.0, 1.0, size) for size in sizes])
    angle = TURN * along + 2 * np.pi * y / n_classes + noise * random.randn(n_samples)
    return np.stack([along * np.sin(angle), along * np.cos(angle)], 1), y
