"""Distances between representations of the same class and of different classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics.pairwise import paired_distances
from sklearn.utils import check_array, check_random_state

from skib._validation import as_numpy, check_column, check_option
from skib.exceptions import SilentRepresentationsWarning

__all__ = ["ClassDistances", "class_distances"]

METRICS = ("euclidean", "cosine")


@dataclass(frozen=True, eq=False)
class ClassDistances:
    """Distances of pairs of representations, by whether the classes are the same.

    Attributes
    ----------
    within : ndarray of shape (n_within,)
        Distances of pairs of one class.
    between : ndarray of shape (n_between,)
        Distances of pairs of different classes.
    within_classes : ndarray of shape (n_within,)
        Class of each pair of one class.
    between_classes : ndarray of shape (n_between, 2)
        Both classes of each of the other pairs.
    """

    within: np.ndarray
    between: np.ndarray
    within_classes: np.ndarray
    between_classes: np.ndarray


def class_distances(
    activations: Any,
    y: Any,
    *,
    metric: str = "euclidean",
    max_pairs: int = 1_000_000,
    random_state: Any = None,
) -> ClassDistances:
    """Measure how tightly the representations of a layer cluster by class.

    When a layer compresses, distances within a class move to 0 while those between
    classes stay: the clustering behind a fall of I(X;T) [1]_.

    Parameters
    ----------
    activations : array-like of shape (n_samples, n_units)
        Representations, in activation units.
    y : array-like of shape (n_samples,)
        Labels.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance in activation units, or 1 - cosine similarity, between 0 and 2;
        representations that are all zero have none and are left out, with a
        `SilentRepresentationsWarning`.
    max_pairs : int, default=1_000_000
        All pairs are taken up to this number; beyond it, that many pairs drawn at
        random, with replacement.
    random_state : int, RandomState instance or None, default=None
        Seed of the pairs.

    Returns
    -------
    distances : ClassDistances

    Raises
    ------
    ValueError
        If there are fewer than two samples, or the metric is unknown.

    References
    ----------
    .. [1] Goldfeld, Z. et al. (2019). Estimating Information Flow in Deep Neural
       Networks. ICML. https://arxiv.org/abs/1810.05728

    Examples
    --------
    >>> from skib.metrics import class_distances
    >>> distances = class_distances([[0.0], [1.0], [5.0]], [0, 0, 1])
    >>> distances.within, distances.between
    (array([1.]), array([5., 4.]))
    """
    check_option("metric", metric, METRICS)
    activations = check_array(
        as_numpy(activations), ensure_min_samples=2, input_name="activations"
    )
    y = check_column(y, activations)
    if metric == "cosine":
        activations, y = _with_direction(activations, y)
    one, other = _pairs(len(activations), max_pairs, check_random_state(random_state))
    distances = paired_distances(activations[one], activations[other], metric=metric)
    same = y[one] == y[other]
    return ClassDistances(
        distances[same],
        distances[~same],
        y[one[same]],
        np.stack([y[one[~same]], y[other[~same]]], axis=1),
    )


def _with_direction(
    activations: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out rows of zeros, which have an angle to none."""
    present = (activations != 0).any(axis=1)
    n_silent = len(present) - int(present.sum())
    if n_silent:
        warnings.warn(
            f"{n_silent} of {len(present)} representations are all zero and have no "
            "cosine to any other: they are left out. Use metric='euclidean' to count "
            "them.",
            SilentRepresentationsWarning,
            stacklevel=3,
        )
    if len(present) - n_silent < 2:
        raise ValueError(
            "The cosine needs at least two representations that are not all zero. Got "
            f"{len(present) - n_silent} of {len(present)}."
        )
    return activations[present], y[present]


def _pairs(
    n_samples: int, max_pairs: int, random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Two different samples for each pair."""
    if n_samples * (n_samples - 1) // 2 <= max_pairs:
        one, other = np.triu_indices(n_samples, k=1)
        return one, other
    one = random.randint(n_samples, size=max_pairs)
    # A step from 1 to n - 1 round the circle never ends where it began.
    step = random.randint(1, n_samples, size=max_pairs)
    return one, (one + step) % n_samples
