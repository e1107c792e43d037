"""Error of integrating a mixture's log density by sampling noise.

The entropy of a mixture of n centres is estimated by ``-mean log g(c_i + Z_ij)`` over
n_mc noise samples at every centre. References: DE is Z. Goldfeld, K. Greenewald,
Y. Polyanskiy, "Estimating Differential Entropy under Gaussian Convolutions", 2018,
arXiv:1810.11589.
"""

from __future__ import annotations

import math

from skib._validation import check_noise_std
from skib.mutual_info.bounds._checks import check_count, check_number


def monte_carlo_mse_bound(n_centers: int, n_mc: int, n_features: int) -> float:
    """Bound the mean squared error of the sampled mixture entropy.

    Holds for any centres and any noise level.

    Parameters
    ----------
    n_centers : int
        Components n of the mixture.
    n_mc : int
        Noise samples per component.
    n_features : int
        Dimension d.

    Returns
    -------
    bound : float
        ``d / (n n_mc)``, in nats squared; its root bounds the standard error.

    Raises
    ------
    ValueError
        If an argument is not a whole number >= 1.

    Notes
    -----
    The gradient of log g at v is ``-E[Z | V = v] / s^2``. Poincare's inequality for
    N(0, s^2) gives ``Var log g(c_i + Z) <= s^2 E|grad log g(c_i + Z)|^2``; averaged
    over the centres that is s^2 times the Fisher information of the mixture, at most
    d.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> round(bounds.monte_carlo_mse_bound(4096, 100, 10) ** 0.5, 4)
    0.0049
    """
    n_noise = check_count("n_centers", n_centers) * check_count("n_mc", n_mc)
    return check_count("n_features", n_features) / n_noise


def monte_carlo_mse_bound_cube(
    n_centers: int, n_mc: int, n_features: int, noise_std: float
) -> float:
    """Bound of the paper for centres in [-1, 1]^d (DE Theorem 5 (i), equation 9).

    Prefer `monte_carlo_mse_bound`, which is smaller everywhere.

    Parameters
    ----------
    n_centers, n_mc, n_features : int
        As in `monte_carlo_mse_bound`.
    noise_std : float
        Standard deviation of the noise, > 0.

    Returns
    -------
    bound : float
        ``2 d (2 + s^2) / (s^2 n n_mc)``, in nats squared.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> bounds.monte_carlo_mse_bound_cube(100, 10, 1, noise_std=1.0)
    0.006
    """
    s2 = check_noise_std(noise_std) ** 2
    return 2 * (2 + s2) / s2 * monte_carlo_mse_bound(n_centers, n_mc, n_features)


def monte_carlo_mse_bound_moment(
    n_centers: int,
    n_mc: int,
    n_features: int,
    noise_std: float,
    second_moment: float,
) -> float:
    """Bound of the paper for centres of bounded second moment (DE Theorem 5 (ii)).

    Prefer `monte_carlo_mse_bound`, which is smaller everywhere.

    Parameters
    ----------
    n_centers, n_mc, n_features : int
        As in `monte_carlo_mse_bound`.
    noise_std : float
        Standard deviation of the noise, > 0.
    second_moment : float
        Mean M of the squared lengths of the centres.

    Returns
    -------
    bound : float
        ``(9 d s^2 + 49 M + 24 s sqrt(d M)) / (s^2 n n_mc)``, in nats squared.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    The print mixes powers of the unit of length; this is what its proof (equations 73
    and 74) gives when redone.

    Examples
    --------
    >>> from skib.mutual_info import bounds
    >>> bounds.monte_carlo_mse_bound_moment(100, 10, 1, 1.0, second_moment=1.0)
    0.082
    """
    d = check_count("n_features", n_features)
    s = check_noise_std(noise_std)
    moment = check_number("second_moment", second_moment)
    factor = 9 * d * s**2 + 49 * moment + 24 * s * math.sqrt(d * moment)
    return factor / s**2 * monte_carlo_mse_bound(n_centers, n_mc, 1)
