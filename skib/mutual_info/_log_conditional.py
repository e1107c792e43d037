"""What a known network says about its own layers: log p(t | x) without smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch

from skib._numerics.layer_density import layer_log_density
from skib._numerics.noisy_network import NoisyNetwork, NoisyPass
from skib._validation import (
    check_inputs,
    check_network,
    draw_seed,
    whatever_the_default_device,
)

__all__ = ["LayerLogConditional", "network_log_conditional"]


@dataclass(frozen=True)
class LayerLogConditional:
    """One noisy pass through one hidden layer, with log p(t | x) of what came out.

    Attributes
    ----------
    clean : ndarray of shape (n_inputs, n_units)
        S, the activations before their own noise.
    noisy : ndarray of shape (n_inputs, n_units)
        T = S + noise: the points t.
    low, high : ndarray of shape (n_inputs,)
        Estimates of log p(t | x), in nats, that are not above and not below the truth
        in expectation over the noise. Equal in the first layer and in linear
        networks, where they are exact.
    standard_error : ndarray of shape (n_inputs,)
        Standard error of `low` from the spread of its samples.
    effective_fraction : ndarray of shape (n_inputs,)
        Share of the samples that independent exact ones would need for the same
        error: 1 is exact; much below 0.1, look at the distance of low from high.
    n_samples : ndarray of shape (n_inputs,)
        Samples of the noise before the layer that each estimate rests on.
    converged : ndarray of bool, of shape (n_inputs,)
        Whether the search for the likeliest noise came to rest. At the kink of a ReLU
        it may not; low and high stay valid, and say what it costs.
    """

    clean: np.ndarray
    noisy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    standard_error: np.ndarray
    effective_fraction: np.ndarray
    n_samples: np.ndarray
    converged: np.ndarray

    @property
    def log_density(self) -> np.ndarray:
        """Mean of `low` and `high`, whose biases cancel to first order."""
        return 0.5 * (self.low + self.high)


@whatever_the_default_device
def network_log_conditional(
    coefs: Sequence[Any],
    intercepts: Sequence[Any] | None,
    X: Any,
    *,
    activation: str | Sequence[str] = "tanh",
    noise_std: Any,
    n_pairs: int = 8,
    random_state: Any = None,
) -> list[LayerLogConditional]:
    """Send every input once through a noisy network; return log p(t | x) per layer.

    The density of a hidden layer given the input is an integral over the noise of all
    layers before. A kernel average over fresh passes smooths it; here it is importance
    sampled with the Gaussian posterior of that noise in the linearised network, so that
    a handful of samples is enough where the noise is small.

    Parameters
    ----------
    coefs : sequence of array-likes, each of shape (n_in, n_out)
        Weights of the hidden layers.
    intercepts : sequence of array-likes of shape (n_out,) or None, or None
        None means no bias.
    X : array-like of shape (n_inputs, n_features)
        Repeat rows for several passes per input.
    activation : {"tanh", "relu", "leaky_relu", "logistic", "identity"}, default="tanh"
        One for all layers, or a sequence of one per layer.
    noise_std : float or sequence of float
        Standard deviation of the noise, > 0: one for all layers, or one per layer.
    n_pairs : int, default=8
        Mirrored pairs of samples per input and layer; inputs whose linearised
        posterior is a poor fit get eleven times as many.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    layers : list of LayerLogConditional
        One per hidden layer, all from the same pass. The mean of ``-log_density``
        estimates the conditional entropy h(T | X) in nats.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, the activation is unknown, or a noise_std
        is not > 0.

    References
    ----------
    Z. Goldfeld et al., "Estimating Information Flow in Deep Neural Networks", ICML 2019
    (the channel); R. Grosse, Z. Ghahramani, R. Adams, "Sandwiching the marginal
    likelihood using bidirectional Monte Carlo", 2015, arXiv:1511.02543 (low and high).

    Examples
    --------
    The second layer of a linear network is Gaussian given the input, with variance
    0.1^2 (2^2 + 1):

    >>> import numpy as np
    >>> from skib.mutual_info import network_log_conditional
    >>> first, second = network_log_conditional(
    ...     [[[1.0]], [[2.0]]], [[0.0], [0.0]], [[0.5]],
    ...     activation="identity", noise_std=0.1, random_state=0,
    ... )
    >>> variance = 0.1**2 * 5
    >>> exact = -0.5 * (second.noisy - 1.0) ** 2 / variance
    >>> exact -= 0.5 * np.log(2 * np.pi * variance)
    >>> bool(np.allclose(second.log_density, exact[:, 0]))
    True
    """
    network = check_network(coefs, intercepts, activation, noise_std)
    inputs = check_inputs(X, network.n_features_in, torch.float64).cpu()
    if not isinstance(n_pairs, Integral) or n_pairs < 1:
        raise ValueError(f"n_pairs must be an integer >= 1. Got n_pairs={n_pairs!r}.")
    generator = torch.Generator().manual_seed(draw_seed(random_state))
    noisy_pass = network.sample(inputs, generator)
    return [
        _layer_result(network, layer, noisy_pass, int(n_pairs), generator)
        for layer in range(1, network.n_layers + 1)
    ]


def _layer_result(
    network: NoisyNetwork,
    layer: int,
    noisy_pass: NoisyPass,
    n_pairs: int,
    generator: torch.Generator,
) -> LayerLogConditional:
    clean, noise = noisy_pass.clean[layer - 1], noisy_pass.noise[layer - 1]
    density = layer_log_density(network, layer, noisy_pass, n_pairs, generator)
    return LayerLogConditional(
        clean=clean.numpy(),
        noisy=(clean + network.noise_std[layer - 1] * noise).numpy(),
        low=density.low.numpy(),
        high=density.high.numpy(),
        standard_error=density.standard_error.numpy(),
        effective_fraction=density.effective_fraction.numpy(),
        n_samples=density.n_samples.numpy(),
        converged=density.converged.numpy(),
    )
