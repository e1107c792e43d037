"""Bias and risk of the plug-in entropy, as the papers bound them.

References, by the short names used below:

DE : Z. Goldfeld, K. Greenewald, Y. Polyanskiy, "Estimating Differential Entropy under
    Gaussian Convolutions", 2018, arXiv:1810.11589.
"""

from __future__ import annotations

import math

from scipy.stats import norm

from skib._validation import check_noise_std
from skib.mutual_info.bounds._checks import (
    binary_entropy,
    check_count,
    check_number,
    exp_or_inf,
)


def cube_risk_bound(
    n_samples: int, n_features: int, noise_std: float, *, slack: float = 0.005
) -> float:
    """Risk bound of the paper for activations in [-1, 1] (DE Theorem 2, equation 52).

    Prefer `risk_bound` with `chi_square_of_cube`: valid for every n, and smaller.

    Parameters
    ----------
    n_samples : int
        Samples n >= 2. The theorem holds for n "sufficiently large".
    n_features : int
        Dimension d >= 1.
    noise_std : float
        Standard deviation of the noise, > 0.
    slack : float, default=0.005
        The theorem's epsilon, >= 0; the default gives the digits of DE Table I.

    Returns
    -------
    bound : float
        On E|h - h_plugin|, in nats.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    The row d = 5 of DE Table I:

    >>> from skib.mutual_info import bounds
    >>> print(f"{bounds.cube_risk_bound(1e9, 5, noise_std=1.0):.4f}")
    0.0179
    """
    n = check_count("n_samples", n_samples, at_least=2)
    d = check_count("n_features", n_features)
    s2 = check_noise_std(noise_std) ** 2
    slack = check_number("slack", slack)
    side = 2 + 2 * math.sqrt(s2 * (2 + slack) * math.log(n))
    log_cells = d * math.log(side)
    log_scale = (
        0.5 * log_cells - 0.5 * math.log(n) - 0.25 * d * math.log(4 * math.pi * s2)
    )
    logarithm = math.log(n) + log_cells - 0.5 * d * math.log(math.pi * s2)
    c = 0.5 * d * math.log(2 * math.pi * s2) + d / s2
    tail = c**2 + 2 * c * d * (1 + s2) / s2
    tail += 8 * d * (d + 2 * s2**2 + d * s2**2) / s2**2
    return 0.5 * exp_or_inf(log_scale) * logarithm + 2 * tail / n


def subgaussian_risk_bound(
    n_samples: int, n_features: int, noise_std: float, psi2_norm: float
) -> float:
    """Risk bound of the paper for unbounded activations (DE Theorem 3, equation 59).

    Parameters
    ----------
    n_samples : int
        Samples n >= 2. The theorem holds for n "sufficiently large".
    n_features : int
        Dimension d >= 1.
    noise_std : float
        Standard deviation of the noise, > 0.
    psi2_norm : float
        Bound K > 0 on ``sup_p E[|S_i|^p]^(1/p) / sqrt(p)`` of every activation.

    Returns
    -------
    bound : float
        On E|h - h_plugin|, in nats.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    Two slips of the print are mended: the last factor is ``2 e d / n`` (equation 43),
    and the second factor has ``6 d K^2``, since ``3 E|S|^2 <= 6 d K^2`` (equations 46
    and 57). Both make the bound larger.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> print(f"{bounds.subgaussian_risk_bound(1e9, 2, 1.0, psi2_norm=1.0):.4f}")
    0.0022
    """
    n = check_count("n_samples", n_samples, at_least=2)
    d = check_count("n_features", n_features)
    s2 = check_noise_std(noise_std) ** 2
    k2 = check_number("psi2_norm", psi2_norm) ** 2
    width = (math.sqrt(k2) + math.sqrt(s2)) ** 2 * math.log(n)
    width /= (math.e - 1) * math.pi * s2
    log_scale = 0.25 * d * math.log(2 * width) - 0.5 * math.log(n)
    logarithm = 0.5 * math.log(n) + 0.25 * d * math.log(8 * width)
    c = 0.5 * d * math.log(2 * math.pi * s2)
    tail = (c + 2 * d * k2 / s2) * (c + (2 * s2 * d + 6 * d * k2) / s2)
    tail += 8 * (16 * d**2 * k2**2 + s2**2 * d * (2 + d)) / s2**2
    return exp_or_inf(log_scale) * logarithm + 2 * math.e * d * tail / n


def worst_case_bias_fano(
    n_samples: int, n_features: int, noise_std: float, error_probability: float
) -> float:
    """Bias that some law in the cube forces on the plug-in (DE Theorem 4).

    Prefer `worst_case_bias`, which is larger and needs no error probability.

    Parameters
    ----------
    n_samples : int
        Samples n >= 1.
    n_features : int
        Dimension d >= 1.
    noise_std : float
        Standard deviation of the noise, > 0.
    error_probability : float
        The theorem's epsilon, from ``1 - (1 - 2 Q(1 / (2 s)))^d`` to 1.

    Returns
    -------
    bias : float
        Lower bound on sup (h - E h_plugin), in nats; 0 where the theorem is silent.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> print(f"{bounds.worst_case_bias_fano(1000, 10, 0.1, 0.01):.3f}")
    3.913
    """
    n = check_count("n_samples", n_samples)
    d = check_count("n_features", n_features)
    noise_std = check_noise_std(noise_std)
    lowest = -math.expm1(d * math.log1p(-2 * norm.sf(0.5 / noise_std)))
    epsilon = check_number("error_probability", error_probability, lowest, 1.0)
    if epsilon == 1.0:
        return 0.0
    per_unit = -math.expm1(math.log1p(-epsilon) / d)
    n_levels = math.floor(1 / (noise_std * norm.isf(per_unit / 2)))
    told_apart = d * (1 - epsilon) * math.log(max(n_levels, 1))
    return max(0.0, told_apart - math.log(n) - binary_entropy(epsilon))
