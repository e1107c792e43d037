"""From errors of entropies to errors of mutual information, and bounds on the latter.

References: DE is Z. Goldfeld, K. Greenewald, Y. Polyanskiy, "Estimating Differential
Entropy under Gaussian Convolutions", 2018, arXiv:1810.11589.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skib._validation import check_noise_std
from skib.mutual_info._exact import check_law
from skib.mutual_info.bounds._checks import check_count, check_number

PAIRS_PER_BATCH = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A quantity lies between `low` and `high`, both in nats."""

    low: float
    high: float


def mutual_info_ceiling(n_features: int, noise_std: float) -> float:
    """Most that a noisy layer with activations in [-1, 1] can tell (DE eqs. 25-28).

    Parameters
    ----------
    n_features : int
        Dimension d >= 1.
    noise_std : float
        Standard deviation of the noise, > 0.

    Returns
    -------
    ceiling : float
        ``(d / 2) log(1 + 1 / s^2)`` nats. The entropy of the inputs is another.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> round(bounds.mutual_info_ceiling(3, noise_std=0.1), 4)
    6.9227
    """
    n_features = check_count("n_features", n_features)
    return 0.5 * n_features * math.log1p(check_noise_std(noise_std) ** -2)


def mutual_info_risk_bound(
    risk: float,
    conditional_risk: float,
    n_features: int,
    noise_std: float,
    n_inputs: int | None,
) -> float:
    """Bound the error of I(X;T) by those of its two entropies (DE Proposition 1).

    Parameters
    ----------
    risk : float
        Bound on the expected error of h(T), in nats.
    conditional_risk : float
        Bound on the expected error of h(T | X = x), for every x. 0 in the first
        hidden layer.
    n_features : int
        Dimension d >= 1.
    noise_std : float
        Standard deviation of the noise, > 0.
    n_inputs : int or None
        Inputs drawn at random over which h(T | X = x) is averaged; None if all inputs
        were enumerated.

    Returns
    -------
    bound : float
        ``risk + conditional_risk + d log(1 + 1 / s^2) / (4 sqrt(n_inputs))``, on
        E|I - I_plugin|, in nats, for activations in [-1, 1].

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> round(bounds.mutual_info_risk_bound(0.01, 0.02, 3, 0.1, n_inputs=None), 4)
    0.03
    """
    total = check_number("risk", risk)
    total += check_number("conditional_risk", conditional_risk)
    spread = 0.5 * mutual_info_ceiling(n_features, noise_std)
    if n_inputs is None:
        return total
    return total + spread / math.sqrt(check_count("n_inputs", n_inputs))


def label_mutual_info_risk_bound(
    risk: Callable[[int], float],
    n_samples: int,
    n_features: int,
    noise_std: float,
    class_probabilities: Any,
) -> float:
    """Bound the error of I(Y;T) by that of the entropies (DE Proposition 2, eq. 77).

    Parameters
    ----------
    risk : callable
        ``risk(n)`` bounds the expected error of an entropy from n samples, in nats.
    n_samples : int
        Samples n in all classes together.
    n_features : int
        Dimension d >= 1.
    noise_std : float
        Standard deviation of the noise, > 0.
    class_probabilities : array-like of shape (n_classes,)
        Positive, with sum 1.

    Returns
    -------
    bound : float
        On E|I(Y;T) - estimate|, in nats, for activations in [-1, 1].

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    ``risk(n) + c sqrt((K - 1) / n) + K (R exp(-n p_min^2 / (8 p_max)) + risk(n p_min /
    2))`` with ``c = (d / 2) max(-log(2 pi e s^2), log(2 pi e (1 + s^2)))`` and R the
    largest error possible, here `mutual_info_ceiling`: both the entropy and its
    estimate lie that close together for activations in [-1, 1].

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> chi_square = bounds.chi_square_of_cube(2, noise_std=0.5)
    >>> bound = bounds.label_mutual_info_risk_bound(
    ...     lambda n: bounds.risk_bound(n, chi_square), 1e6, 2, 0.5, [0.5, 0.5]
    ... )
    >>> print(f"{bound:.3f}")
    0.038
    """
    n = check_count("n_samples", n_samples)
    d = check_count("n_features", n_features)
    s2 = check_noise_std(noise_std) ** 2
    classes = _check_class_probabilities(class_probabilities)
    low, high, n_classes = classes.min(), classes.max(), len(classes)
    flat = 2 * math.pi * math.e
    largest_entropy = 0.5 * d * max(-math.log(flat * s2), math.log(flat * (1 + s2)))
    rare = mutual_info_ceiling(d, noise_std) * math.exp(-n * low**2 / (8 * high))
    per_class = rare + risk(max(1, math.floor(n * low / 2)))
    frequencies = largest_entropy * math.sqrt((n_classes - 1) / n)
    return float(risk(n) + frequencies + n_classes * per_class)


def _check_class_probabilities(probabilities):
    classes = np.atleast_1d(np.asarray(probabilities, dtype=np.float64))
    if not (classes > 0).all() or abs(classes.sum() - 1) > 1e-9:
        raise ValueError(
            "class_probabilities must be > 0 with sum 1. Got "
            f"class_probabilities={classes.tolist()!r}."
        )
    return classes


def pairwise_mutual_info_bounds(
    points: Any, noise_std: float, weights: Any = None
) -> Interval:
    """Bounds on `awgn_mutual_info` from the distances between points alone.

    No integration, no sampling, any dimension; time grows as the square of n_points.

    Parameters
    ----------
    points : array-like of shape (n_points, n_features)
        Places of a discrete input X.
    noise_std : float
        Standard deviation of the noise, > 0.
    weights : array-like of shape (n_points,), default=None
        Relative frequencies >= 0 of the points; None means all equal.

    Returns
    -------
    interval : Interval
        I(X; X + Z) in nats is in it. Its ends are
        ``-sum_i w_i log sum_j w_j exp(-|c_i - c_j|^2 / (a s^2))`` with a = 8
        (Bhattacharyya) and a = 2 (Kullback-Leibler). Add the entropy of the noise for
        bounds on the entropy of the mixture.

    Raises
    ------
    ValueError
        If points, noise_std or weights cannot be used.

    References
    ----------
    A. Kolchinsky, B. D. Tracey, "Estimating Mixture Entropy with Pairwise Distances",
    Entropy 19, 2017, doi:10.3390/e19070361, section 3.

    Examples
    --------
    >>> from skib.mutual_info import awgn_mutual_info, bounds
    >>> points = [[0.0], [1.0], [3.0]]
    >>> interval = bounds.pairwise_mutual_info_bounds(points, noise_std=1.0)
    >>> exact = awgn_mutual_info(points, noise_std=1.0)
    >>> print(f"{interval.low:.3f} < {exact:.3f} < {interval.high:.3f}")
    0.311 < 0.449 < 0.708
    """
    noise_std = check_noise_std(noise_std)
    places, law = (torch.from_numpy(array) for array in check_law(points, weights))
    places = (places - places.mean(0)) / noise_std
    low = -float(law @ _log_overlaps(places, law, 8.0))
    high = -float(law @ _log_overlaps(places, law, 2.0))
    return Interval(low, high)


def _log_overlaps(places, law, scale):
    """Log of the weighted sum of exp(-distance^2 / scale) from each point."""
    rows = max(1, PAIRS_PER_BATCH // len(places))
    exact = "donot_use_mm_for_euclid_dist"  # the fast form loses close pairs
    return torch.cat(
        [
            torch.logsumexp(
                law.log() - torch.cdist(some, places, compute_mode=exact) ** 2 / scale,
                dim=1,
            )
            for some in places.split(rows)
        ]
    )
