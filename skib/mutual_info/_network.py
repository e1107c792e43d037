"""What a known network says about its own layers: log p(t | x) without smoothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array
from torch import Tensor

from skib._numerics.activations import ACTIVATIONS
from skib._numerics.importance import ConditionalDensity, log_conditional_density
from skib._numerics.linearised_posterior import LayerProblem
from skib._numerics.noisy_network import NoisyNetwork, NoisyPass
from skib._validation import check_noise_std, draw_seeds

__all__ = [
    "LayerLogConditional",
    "check_network",
    "check_network_inputs",
    "layer_log_density",
    "network_log_conditional",
]

# Derivatives by the noise kept at a time: 8 MB each, a handful at once.
SLOPES_PER_BATCH = 1_000_000


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


def network_log_conditional(
    coefs: Sequence[Any],
    intercepts: Sequence[Any],
    X: Any,
    *,
    activation: str = "tanh",
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
    intercepts : sequence of array-likes, each of shape (n_out,)
    X : array-like of shape (n_inputs, n_features)
        Repeat rows for several passes per input.
    activation : {"tanh", "relu", "leaky_relu", "logistic", "identity"}, default="tanh"
    noise_std : float or sequence of float
        Standard deviation of the noise, > 0: one for all layers, or one per layer.
    n_pairs : int, default=8
        Mirrored pairs of samples per input and layer; inputs whose linearised
        posterior is a poor fit get eight times as many.
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
    inputs = torch.from_numpy(check_network_inputs(X, network))
    if not isinstance(n_pairs, Integral) or n_pairs < 1:
        raise ValueError(f"n_pairs must be an integer >= 1. Got n_pairs={n_pairs!r}.")
    generator = torch.Generator().manual_seed(draw_seeds(random_state, 1)[0])
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
        noisy=(clean + network.noise_stds[layer - 1] * noise).numpy(),
        low=density.low.numpy(),
        high=density.high.numpy(),
        standard_error=density.standard_error.numpy(),
        effective_fraction=density.effective_fraction.numpy(),
        n_samples=density.n_samples.numpy(),
        converged=density.converged.numpy(),
    )


def layer_log_density(
    network: NoisyNetwork,
    layer: int,
    noisy_pass: NoisyPass,
    n_pairs: int,
    generator: torch.Generator,
) -> ConditionalDensity:
    """Log p(t | x) of what came out of one layer, a batch of points at a time."""
    noise_std = network.noise_stds[layer - 1]
    clean, noise = noisy_pass.clean[layer - 1], noisy_pass.noise[layer - 1]
    if layer == 1:
        return _first_layer_density(noise, noise_std)
    points = clean + noise_std * noise
    problem = LayerProblem(network, layer, noisy_pass.clean[0], points)
    before = torch.cat(noisy_pass.noise[: layer - 1], dim=1)
    n_slopes = points.shape[1] * problem.n_noises
    batches = torch.arange(len(points)).split(max(1, SLOPES_PER_BATCH // n_slopes))
    densities = [
        log_conditional_density(
            problem.rows(rows), before[rows], n_pairs=n_pairs, generator=generator
        )
        for rows in batches
    ]
    return ConditionalDensity(
        **{
            field.name: torch.cat([getattr(part, field.name) for part in densities])
            for field in fields(ConditionalDensity)
        }
    )


def _first_layer_density(noise: Tensor, noise_std: float) -> ConditionalDensity:
    """No noise comes before: one Gaussian, in closed form."""
    exact = -0.5 * noise**2 - math.log(noise_std * math.sqrt(2 * math.pi))
    exact = exact.sum(1)
    return ConditionalDensity(
        low=exact,
        high=exact,
        standard_error=torch.zeros_like(exact),
        effective_fraction=torch.ones_like(exact),
        n_samples=torch.zeros(len(exact), dtype=torch.int64),
        converged=torch.ones(len(exact), dtype=torch.bool),
    )


# --- what users hand in ------------------------------------------------------------


def _as_tensor(array: Any, name: str, *, ensure_2d: bool) -> Tensor:
    if isinstance(array, Tensor):
        array = array.detach().cpu().numpy()
    checked = check_array(
        array, dtype=np.float64, ensure_2d=ensure_2d, input_name=name, copy=True
    )
    return torch.from_numpy(checked)


def check_network(
    coefs: Sequence[Any], intercepts: Sequence[Any], activation: str, noise_std: Any
) -> NoisyNetwork:
    """Return the network as float64 tensors, or say why it is none."""
    weights = tuple(_as_tensor(w, "coefs", ensure_2d=True) for w in coefs)
    biases = tuple(_as_tensor(b, "intercepts", ensure_2d=False) for b in intercepts)
    if not weights or len(weights) != len(biases):
        raise ValueError(
            "coefs and intercepts must have one entry per hidden layer, at least one. "
            f"Got {len(weights)} and {len(biases)}."
        )
    n_in = weights[0].shape[0]
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        shapes = tuple(weight.shape), tuple(bias.shape)
        if shapes != ((n_in, shapes[0][1]), shapes[0][1:]):
            raise ValueError(
                f"Layer {layer} must have coefs of shape ({n_in}, n_out) and "
                f"intercepts of shape (n_out,). Got {shapes[0]} and {shapes[1]}."
            )
        n_in = weight.shape[1]
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {sorted(ACTIVATIONS)}. Got {activation!r}."
        )
    stds = [noise_std] * len(weights) if np.ndim(noise_std) == 0 else list(noise_std)
    if len(stds) != len(weights):
        raise ValueError(
            f"noise_std must be one number, or one per layer ({len(weights)}). Got "
            f"{len(stds)}."
        )
    return NoisyNetwork(
        weights, biases, activation, tuple(check_noise_std(std) for std in stds)
    )


def check_network_inputs(X: Any, network: NoisyNetwork) -> np.ndarray:
    """Return the inputs as a float64 copy, or say why they do not fit."""
    inputs = _as_tensor(X, "X", ensure_2d=True).numpy()
    n_features = network.coefs[0].shape[0]
    if inputs.shape[1] != n_features:
        raise ValueError(
            f"X must have {n_features} features, as the first of coefs has that many "
            f"rows. Got {inputs.shape[1]}."
        )
    return inputs
