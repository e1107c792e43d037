"""Noisy layers behind a snapshot that can be run, and differentiated, from the first.

The weights of a network, where they are known; else a torch module through autograd,
where that can be afforded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skib._numerics.noisy_network import NoisyLayers, NoisyNetwork
from skib._validation import check_inputs
from skib.mutual_info._choice import least_operations
from skib.recording import Snapshot

__all__ = ["known_layers"]

# Of a module: multiplications that a layer's chains cost at the least, and floats of
# the slopes of one point, of a surrogate for each input, and of the noise of all passes
# that are there at once.
MOST_OPERATIONS = 1e12
MOST_SLOPES, MOST_SURROGATES, MOST_NOISES = 1 << 18, 1 << 26, 1 << 26
# Passes that are made by default.
PASSES, PASSES_PER_INPUT = 1 << 14, 32


def known_layers(
    snapshot: Snapshot, X: Any, layer: int
) -> tuple[NoisyLayers, Tensor] | str:
    """Return the layers up to one and the inputs, or why that is impossible.

    Parameters
    ----------
    snapshot : Snapshot
    X : array or Tensor of shape (n_inputs, ...)
    layer : int
        From 1.

    Returns
    -------
    layers, inputs
        In float64 on the CPU.
    """
    if min(snapshot.noise_std[:layer]) == 0:
        return "a layer has no noise"
    network: NoisyNetwork | None = getattr(snapshot, "network", None)
    if network is not None:
        network = network.up_to(layer).to(torch.float64)
        if getattr(snapshot, "any_input_shape", False):
            X = X.reshape(len(X), -1)
        return network, check_inputs(X, network.n_features_in, torch.float64).cpu()
    take = getattr(snapshot, "noisy_layers", None)
    if take is None:
        return "only activations are known"
    found = take(X, layer)
    if isinstance(found, str):
        return found
    return _too_costly(found[0], layer, len(X)) or found


def _too_costly(layers: NoisyLayers, layer: int, n_inputs: int) -> str:
    """Say why slopes by autograd, or chains, are not worth it; empty if they are."""
    n_units, n_noises = layers.layer_sizes[-1], sum(layers.sizes_before(layer))
    n_passes = max(PASSES, PASSES_PER_INPUT * n_inputs)
    if n_passes * (n_units + n_noises) > MOST_NOISES:
        return f"the noise of {n_units + n_noises} units takes too much memory"
    if layer == 1:
        return ""
    if n_units * n_noises > MOST_SLOPES or n_inputs * n_units**2 > MOST_SURROGATES:
        return f"{n_units} units behind {n_noises} noisy ones are too many"
    operations = least_operations(layers)
    if operations > MOST_OPERATIONS:
        return f"{operations:.1e} multiplications would be too many"
    return ""
