"""Bias, fluctuation and risk of the plug-in entropy: sharper bounds.

References, by the short names used below:

DE : Z. Goldfeld, K. Greenewald, Y. Polyanskiy, "Estimating Differential Entropy under
    Gaussian Convolutions", 2018, arXiv:1810.11589.
"""

from __future__ import annotations

import math

import numpy as np

from skib._validation import check_noise_std
from skib.mutual_info._exact import awgn_mutual_info
from skib.mutual_info.bounds._checks import (
    binary_entropy,
    check_count,
    check_number,
)


def worst_case_bias(n_samples: int, n_features: int, noise_std: float) -> float:
    """Bias that some law in the cube [-1, 1]^d forces on the plug-in.

    No better bound on the bias than this can hold for every layer with bounded
    activations: where it is large, the dimension is out of the estimator's reach
    unless the law is known to be simpler.

    Parameters
    ----------
    n_samples : int
        Samples n >= 1.
    n_features : int
        Dimension d >= 1.
    noise_std : float
        Standard deviation of the noise, > 0.

    Returns
    -------
    bias : float
        Lower bound on sup (h - E h_plugin), in nats, >= 0.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    The plug-in never exceeds h(Z) + log n, as a mixture of n components, while
    activations that take k equally spaced values independently have
    ``h = h(Z) + d I_k``, I_k the information of one of them through the noise. So the
    bias is at least ``max_k d I_k - log n``. DE Theorem 4 is this with Fano's
    inequality in place of I_k.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> print(f"{bounds.worst_case_bias(1000, 10, noise_std=0.1):.3f}")
    10.587
    """
    n = check_count("n_samples", n_samples)
    d = check_count("n_features", n_features)
    return max(0.0, d * _levels_information(check_noise_std(noise_std)) - math.log(n))


def _levels_information(noise_std: float) -> float:
    """Largest information of k equally likely, equally spaced levels in [-1, 1]."""
    # Levels closer than the noise add next to nothing: sqrt(12) s apart they are as
    # hard to tell as the noise is wide.
    spacing = np.array([1.0, 1.5, 2.0, 3.0, 4.0])
    n_levels = {2, *np.ceil(1 + 2 / (spacing * noise_std)).clip(2, 10_000).astype(int)}
    return max(
        awgn_mutual_info(np.linspace(-1, 1, int(k))[:, None], noise_std)
        for k in n_levels
    )


def bias_bound(n_samples: int, chi_square: float) -> float:
    """Bound on how far the plug-in entropy lies below the entropy, on average.

    Parameters
    ----------
    n_samples : int
        Samples n >= 1.
    chi_square : float
        Chi-square information of the signal (`chi_square_of_atoms`,
        `chi_square_of_cube`, `chi_square_of_gaussian`), or a bound on it.

    Returns
    -------
    bound : float
        ``log(1 + chi_square / n)``, in nats, with
        ``0 <= h - E h_plugin <= bound``.

    Raises
    ------
    ValueError
        If n_samples is not a whole number >= 1 or chi_square not >= 0.

    Notes
    -----
    The bias is the information between the n samples and one noisy draw from them
    (DE Lemma 3), which is the expected Kullback-Leibler divergence of the smoothed
    empirical law from the smoothed law; that is at most the log of one plus the
    chi-square divergence, and Jensen moves the expectation inside.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> round(bounds.bias_bound(1000, bounds.chi_square_of_atoms(101)), 4)
    0.0953
    """
    n = check_count("n_samples", n_samples)
    return math.log1p(check_number("chi_square", chi_square) / n)


def leading_bias(n_samples: int, chi_square: float) -> float:
    """Bias of the plug-in entropy to first order in 1 / n.

    Parameters
    ----------
    n_samples : int
        Samples n >= 1.
    chi_square : float
        Chi-square information of the signal, >= 0.

    Returns
    -------
    bias : float
        ``chi_square / (2 n)``, in nats: what Richardson extrapolation over n removes.

    Raises
    ------
    ValueError
        If n_samples is not a whole number >= 1 or chi_square not >= 0.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> bounds.leading_bias(1000, chi_square=100.0)
    0.05
    """
    n = check_count("n_samples", n_samples)
    return check_number("chi_square", chi_square) / (2 * n)


def deviation_bound(n_samples: int) -> float:
    """Bound on the standard deviation of the plug-in entropy, in any dimension.

    Parameters
    ----------
    n_samples : int
        Samples n >= 1.

    Returns
    -------
    bound : float
        ``sqrt(n) H_b(1/n) / 2``, about ``(log n + 1) / (2 sqrt n)`` nats.

    Raises
    ------
    ValueError
        If n_samples is not a whole number >= 1.

    Notes
    -----
    One sample more or less is one part in n of a mixture, ``h(mixture) = (1 - 1/n)
    h(rest) + h(Z) / n + I(part; T)`` with I between 0 and H_b(1/n): exchanging it moves
    the entropy by at most H_b(1/n). Efron-Stein and McDiarmid do the rest.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> print(f"{bounds.deviation_bound(1_000_000):.4f}")
    0.0074
    """
    n = check_count("n_samples", n_samples)
    return 0.5 * math.sqrt(n) * binary_entropy(1 / n)


def deviation_probability_bound(n_samples: int, deviation: float) -> float:
    """Bound the probability that the plug-in entropy strays from its mean.

    Parameters
    ----------
    n_samples : int
        Samples n >= 2.
    deviation : float
        How far, in nats, >= 0.

    Returns
    -------
    bound : float
        On ``P(|h_plugin - E h_plugin| >= deviation)``, at most 1:
        ``2 exp(-2 deviation^2 / (n H_b(1/n)^2))``.

    Raises
    ------
    ValueError
        If n_samples is not a whole number >= 2 or deviation not >= 0.

    See Also
    --------
    deviation_bound : The standard deviation, with the reason for both.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> print(f"{bounds.deviation_probability_bound(1_000_000, 0.03):.1e}")
    5.5e-04
    """
    n = check_count("n_samples", n_samples, at_least=2)
    deviation = check_number("deviation", deviation)
    exponent = -2 * deviation**2 / (n * binary_entropy(1 / n) ** 2)
    return min(1.0, 2 * math.exp(exponent))


def risk_bound(n_samples: int, chi_square: float) -> float:
    """Bound on the expected error of the plug-in entropy, valid for every n.

    Parameters
    ----------
    n_samples : int
        Samples n >= 1.
    chi_square : float
        Chi-square information of the signal, or a bound on it.

    Returns
    -------
    bound : float
        On E|h - h_plugin|: `bias_bound` plus `deviation_bound`, in nats.

    Raises
    ------
    ValueError
        If n_samples is not a whole number >= 1 or chi_square not >= 0.

    Examples
    --------
    Two hundred times below DE Table I in seven dimensions:

    >>> from skib.mutual_info import bounds
    >>> chi_square = bounds.chi_square_of_cube(7, noise_std=1.0)
    >>> print(f"{bounds.risk_bound(1e9, chi_square):.5f}")
    0.00042
    >>> print(f"{bounds.cube_risk_bound(1e9, 7, noise_std=1.0):.5f}")
    0.08559
    """
    return bias_bound(n_samples, chi_square) + deviation_bound(n_samples)
