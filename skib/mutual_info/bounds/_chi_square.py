"""Chi-square information of a signal with its noisy version.

``I_chi2(S; S + Z) = E[phi(T - S) / p(T)] - 1`` over T ~ S + Z, phi the density of Z and
p that of S + Z. It is what the bias of the plug-in entropy hangs on: the expected
chi-square divergence between the smoothed empirical law of n samples and the smoothed
law itself is exactly I_chi2 / n.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skib._validation import check_noise_std
from skib.mutual_info.bounds._checks import check_count, exp_or_inf


def chi_square_of_atoms(n_atoms: int) -> float:
    """Bound the chi-square information of a signal on finitely many points.

    Parameters
    ----------
    n_atoms : int
        Number of points, >= 1: the distinct inputs, for the first hidden layer.

    Returns
    -------
    bound : float
        ``n_atoms - 1``, reached when noise confuses no two points.

    Raises
    ------
    ValueError
        If n_atoms is not a whole number >= 1.

    Notes
    -----
    ``p(t) >= w_i phi(t - c_i)`` in each of the k terms of
    ``sum_i w_i integral phi(t - c_i)^2 / p(t) dt`` leaves at most k.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> bounds.chi_square_of_atoms(4096)
    4095.0
    """
    return float(check_count("n_atoms", n_atoms) - 1)


def chi_square_of_cube(n_features: int, noise_std: float) -> float:
    """Bound the chi-square information of any signal in the cube [-1, 1]^d.

    Parameters
    ----------
    n_features : int
        Dimension d >= 1: the units of a tanh or logistic layer.
    noise_std : float
        Standard deviation of the noise, > 0.

    Returns
    -------
    bound : float
        ``min_m (m exp(9/8 (2 / (m s))^2))^d - 1``, about ``(4.95 / s)^d`` for s < 1;
        infinite where it exceeds the range of floats.

    Raises
    ------
    ValueError
        If n_features is not a whole number >= 1 or noise_std not > 0.

    Notes
    -----
    Cut the cube into m^d cells of side D = 2/m. As ``p >= w_cell p_cell``, one plus the
    information is at most the sum over cells of the same quantity for the signal
    within the cell, of mean mu. There Jensen gives
    ``p_cell(t) >= phi(t - mu) exp(-E|S - mu|^2 / 2 s^2)``, so each cell adds at most
    ``exp(E|S - mu|^2 / 2 s^2) E exp(|S - mu|^2 / s^2) <= exp(d (1/8 + 1) D^2 / s^2)``.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> round(bounds.chi_square_of_cube(1, noise_std=1.0), 2)
    3.95
    """
    n_features = check_count("n_features", n_features)
    noise_std = check_noise_std(noise_std)
    best = 3 / noise_std  # where the derivative over real m vanishes
    cells = {max(1, math.floor(best)), max(1, math.ceil(best))}
    log_side = min(math.log(m) + 9 / 8 * (2 / (m * noise_std)) ** 2 for m in cells)
    return exp_or_inf(n_features * log_side) - 1


def chi_square_of_gaussian(stds: Any, noise_std: float) -> float:
    """Chi-square information of a Gaussian signal.

    Parameters
    ----------
    stds : array-like of shape (n_features,)
        Standard deviations of the signal along its principal directions.
    noise_std : float
        Standard deviation of the noise, > 0.

    Returns
    -------
    information : float
        ``prod_i (1 + std_i^2 / noise_std^2) - 1``, exact.

    Raises
    ------
    ValueError
        If a standard deviation is not finite and >= 0, or noise_std not > 0.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> bounds.chi_square_of_gaussian([1.0, 2.0], noise_std=1.0)
    9.0
    """
    stds = np.atleast_1d(np.asarray(stds, dtype=np.float64))
    if stds.ndim != 1 or not (np.isfinite(stds) & (stds >= 0)).all():
        raise ValueError(
            f"stds must be a row of finite numbers >= 0. Got stds={stds.tolist()!r}."
        )
    gains = (stds / check_noise_std(noise_std)) ** 2
    return float(np.prod(1 + gains)) - 1
