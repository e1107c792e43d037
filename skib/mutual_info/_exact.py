"""Exact values: what the estimators should find, where that can be computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array

from skib._numerics.quadrature import mixture_information
from skib._validation import (
    as_numpy,
    check_layer_noise,
    check_noise_std,
    check_weight_chain,
    draw_seed,
    draw_seeds,
    whatever_the_default_device,
)

__all__ = [
    "ExactValue",
    "awgn_mutual_info",
    "gaussian_mixture_entropy",
    "linear_network_mutual_info",
    "product_mutual_info",
]


class ExactValue(float):
    """A float, in nats, that knows how far it may be off and how it was found.

    Parameters
    ----------
    value : float
    error : float, default=0.0
        Estimated absolute error if `method` is "quadrature" (rounding included), one
        standard error if it is "monte carlo", 0 if it is "closed form".
    method : {"closed form", "quadrature", "monte carlo"}, default="closed form"

    Examples
    --------
    >>> from skib.mutual_info import ExactValue
    >>> value = ExactValue(0.5, error=1e-12, method="quadrature")
    >>> value
    ExactValue(0.5, error=1e-12, method='quadrature')
    >>> 2 * value
    1.0
    """

    error: float
    method: str

    def __new__(
        cls, value: float, error: float = 0.0, method: str = "closed form"
    ) -> ExactValue:
        self = super().__new__(cls, value)
        self.error = float(error)
        self.method = method
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return float(self), self.error, self.method

    def __repr__(self) -> str:
        return (
            f"ExactValue({float(self)!r}, error={self.error:.2g}, "
            f"method={self.method!r})"
        )

    __str__ = float.__repr__


@whatever_the_default_device
def awgn_mutual_info(
    points: Any,
    noise_std: float,
    weights: Any = None,
    *,
    n_mc: int = 20_000,
    random_state: Any = None,
) -> ExactValue:
    """Mutual information of a discrete input through additive Gaussian noise.

    I(X; X + Z) for X on the given points and Z ~ N(0, noise_std^2) in every
    coordinate: the value that an estimator of I(X;T) must find in the first hidden
    layer of a noisy network, whose clean activations are the points.

    Parameters
    ----------
    points : array-like of shape (n_points, n_features)
        Places of the input. Equal points count as one.
    noise_std : float
        Standard deviation of the noise, > 0, in the units of the points.
    weights : array-like of shape (n_points,), default=None
        Relative frequencies >= 0 of the points; None means all equal.
    n_mc : int, default=20_000
        Noise samples, where points that noise can confuse extend in more than three
        dimensions. Not used otherwise.
    random_state : int, RandomState instance or None, default=None
        Source of those samples.

    Returns
    -------
    ExactValue
        In nats, between 0 and the entropy of the weights. The error is about 1e-13
        in one dimension, 1e-10 in two or three.

    Raises
    ------
    ValueError
        If points, weights, noise_std or n_mc cannot be used.

    See Also
    --------
    gaussian_mixture_entropy : The entropy of X + Z.
    product_mutual_info : Independent coordinates.

    References
    ----------
    Z. Goldfeld et al., "Estimating Information Flow in Deep Neural Networks",
    ICML 2019: the first hidden layer of a noisy network is this channel.

    Examples
    --------
    Two points close to each other, and two that no noise confuses:

    >>> from skib.mutual_info import awgn_mutual_info
    >>> print(f"{awgn_mutual_info([[-1.0], [1.0]], noise_std=1.0):.6f}")
    0.336831
    >>> print(f"{awgn_mutual_info([[-1.0], [1.0]], noise_std=0.01):.6f}")
    0.693147
    """
    noise_std = check_noise_std(noise_std)
    points, weights = check_law(points, weights)
    generator = torch.Generator().manual_seed(draw_seed(random_state))
    information = mixture_information(
        points / noise_std, weights, n_mc=_check_n_mc(n_mc), generator=generator
    )
    return ExactValue(
        information.value,
        information.error,
        "monte carlo" if information.sampled else "quadrature",
    )


def gaussian_mixture_entropy(
    centers: Any,
    noise_std: float,
    weights: Any = None,
    *,
    n_mc: int = 20_000,
    random_state: Any = None,
) -> ExactValue:
    """Differential entropy of a mixture of equally wide round Gaussians.

    Parameters
    ----------
    centers : array-like of shape (n_centers, n_features)
    noise_std : float
        Standard deviation of every component, > 0.
    weights : array-like of shape (n_centers,), default=None
        Relative weights >= 0 of the components; None means all equal.
    n_mc : int, default=20_000
    random_state : int, RandomState instance or None, default=None
        As in `awgn_mutual_info`.

    Returns
    -------
    ExactValue
        In nats; between the entropy of one component and that plus the entropy of
        the weights.

    Raises
    ------
    ValueError
        If centers, weights, noise_std or n_mc cannot be used.

    See Also
    --------
    awgn_mutual_info : The same value less the entropy of one component.

    References
    ----------
    Z. Goldfeld, K. Greenewald, Y. Polyanskiy, "Estimating Differential Entropy under
    Gaussian Convolutions", 2018, arXiv:1810.11589: equation 2 is this entropy.

    Examples
    --------
    >>> from skib.mutual_info import gaussian_mixture_entropy
    >>> gaussian_mixture_entropy([[0.0]], noise_std=1.0)
    ExactValue(1.4189385332046727, error=2.2e-16, method='quadrature')
    """
    information = awgn_mutual_info(
        centers, noise_std, weights, n_mc=n_mc, random_state=random_state
    )
    n_features = np.shape(as_numpy(centers))[1]
    component = 0.5 * n_features * math.log(2 * math.pi * math.e * noise_std**2)
    rounding = np.spacing(abs(component))
    return ExactValue(
        component + information, information.error + rounding, information.method
    )


def product_mutual_info(
    factors: Sequence[Any],
    noise_std: float,
    *,
    n_mc: int = 20_000,
    random_state: Any = None,
) -> ExactValue:
    """Mutual information of independent inputs, each through its own Gaussian noise.

    The points of the product would be all combinations; the information is the sum.

    Parameters
    ----------
    factors : sequence of array-likes, each (n_points,) or (n_points, n_features)
        Equally likely points of each independent input.
    noise_std : float
        Standard deviation of the noise, > 0.
    n_mc : int, default=20_000
    random_state : int, RandomState instance or None, default=None
        As in `awgn_mutual_info`.

    Returns
    -------
    ExactValue
        In nats.

    Raises
    ------
    ValueError
        If there is no factor, or one cannot be used.

    Examples
    --------
    All 65536 words of +-1 in 16 dimensions, the Reed-Muller code RM(4, 4):

    >>> from skib.mutual_info import product_mutual_info
    >>> print(f"{product_mutual_info([[-1.0, 1.0]] * 16, noise_std=1.0):.4f}")
    5.3893
    """
    if len(factors) == 0:
        raise ValueError("factors must hold at least one set of points. Got none.")
    seeds = draw_seeds(random_state, len(factors))
    parts = [
        awgn_mutual_info(_as_columns(factor), noise_std, n_mc=n_mc, random_state=seed)
        for factor, seed in zip(factors, seeds, strict=True)
    ]
    sampled = any(part.method == "monte carlo" for part in parts)
    total_error = math.hypot if sampled else lambda *errors: math.fsum(errors)
    return ExactValue(
        math.fsum(parts),
        total_error(*(part.error for part in parts)),
        "monte carlo" if sampled else "quadrature",
    )


def linear_network_mutual_info(
    coefs: Sequence[Any], noise_std: Any, input_covariance: Any = None
) -> np.ndarray:
    """I(X;T_l) of every layer of a noisy linear network with Gaussian input.

    X ~ N(mean, input_covariance), T_0 = X and T_l = T_(l-1) W_l + b_l + Z_l with
    Z_l ~ N(0, noise_std_l^2) in every unit. Means and biases do not matter.

    Parameters
    ----------
    coefs : sequence of array-likes, each of shape (n_in, n_out)
        Weights W_l.
    noise_std : float or sequence of float
        Standard deviation of the noise, > 0: one for all layers, or one per layer.
    input_covariance : array-like of shape (n_inputs, n_inputs), default=None
        None means independent inputs of variance 1.

    Returns
    -------
    mutual_info : ndarray of shape (n_layers,)
        In nats, falling with the layer (data processing).

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or a noise_std is not > 0.

    Notes
    -----
    ``I = log det(I + S_l N_l^-1) / 2``, with S_l the covariance that X gives to T_l
    and N_l the covariance of the noise that has gathered there (T. M. Cover,
    J. A. Thomas, Elements of Information Theory, 2nd ed. 2006, equation 9.73).

    Examples
    --------
    >>> from skib.mutual_info import linear_network_mutual_info
    >>> linear_network_mutual_info([[[3.0]], [[1.0]]], noise_std=1.0).round(4)
    array([1.1513, 0.8524])
    """
    chain, _ = check_weight_chain(coefs, None)
    weights = [weight.astype(np.float64) for weight in chain]
    stds = check_layer_noise(noise_std, len(weights), zero_allowed=False)
    signal = _check_covariance(input_covariance, weights)
    noise = np.zeros_like(signal)
    information = []
    for weight, std in zip(weights, stds, strict=True):
        signal = weight.T @ signal @ weight
        noise = weight.T @ noise @ weight + std**2 * np.eye(weight.shape[1])
        information.append(_gaussian_information(signal, noise))
    return np.array(information)


def _gaussian_information(signal, noise):
    """Half the log-determinant of identity + signal / noise."""
    whiten = np.linalg.inv(np.linalg.cholesky(noise))
    gains = np.linalg.eigvalsh(whiten @ signal @ whiten.T)
    return 0.5 * np.log1p(gains.clip(0.0)).sum()


# --- what users hand in ------------------------------------------------------------


def _as_columns(factor):
    factor = np.asarray(as_numpy(factor), dtype=np.float64)
    return factor[:, None] if factor.ndim == 1 else factor


def check_law(points, weights):
    """Return points of positive weight and their probabilities."""
    points = check_array(as_numpy(points), dtype=np.float64, input_name="points")
    if weights is None:
        return points, np.full(len(points), 1 / len(points))
    weights = np.asarray(as_numpy(weights), dtype=np.float64)
    if weights.shape != (len(points),):
        raise ValueError(
            f"weights must hold one number per point, shape ({len(points)},). Got "
            f"shape {weights.shape}."
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(
            "weights must be finite, >= 0 and not all zero. Got "
            f"values from {weights.min()} to {weights.max()}."
        )
    weights = weights / weights.max()  # so that the sum cannot overflow
    probable = weights > 0
    return points[probable], weights[probable] / weights.sum()


def _check_n_mc(n_mc):
    if not isinstance(n_mc, Integral) or n_mc < 2:
        raise ValueError(f"n_mc must be an integer >= 2. Got n_mc={n_mc!r}.")
    return int(n_mc)


def _check_covariance(covariance, weights):
    n_inputs = len(weights[0])
    if covariance is None:
        return np.eye(n_inputs)
    covariance = check_array(as_numpy(covariance), dtype=np.float64)
    if covariance.shape != (n_inputs, n_inputs):
        raise ValueError(
            f"input_covariance must have shape ({n_inputs}, {n_inputs}), as the first "
            f"of coefs has {n_inputs} rows. Got shape {covariance.shape}."
        )
    scale = np.abs(covariance).max()
    lowest = np.linalg.eigvalsh(covariance).min()
    if not np.allclose(covariance, covariance.T) or lowest < -1e-10 * scale:
        raise ValueError(
            "input_covariance must be symmetric without negative eigenvalues. Got "
            f"smallest eigenvalue {lowest:.3g}."
        )
    return covariance
