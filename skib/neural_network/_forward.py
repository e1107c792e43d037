"""Forward passes outside training: activations with noise, outputs without."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skib._numerics.activations import ACTIVATIONS
from skib.neural_network._threads import threads_for

__all__ = ["layer_activations", "network_outputs"]

# Floats of one block's widest layer: 1 MiB of float32 stays in a core's cache.
BLOCK_SIZE = 2**18

OUTPUTS = {
    "identity": lambda values: values,
    "softmax": lambda values: torch.softmax(values, dim=-1),
}


def layer_activations(
    inputs: Tensor,
    coefs: Sequence[Tensor],
    intercepts: Sequence[Tensor],
    activation: str,
    noise_std: Sequence[float],
    *,
    n_draws: int,
    seed: int,
) -> Tensor:
    """Noiseless activations of the last layer given, after noisy earlier layers.

    Parameters
    ----------
    inputs : Tensor of shape (n_inputs, n_features)
        On any device, in the dtype of the weights.
    coefs, intercepts : sequences of Tensors of shape (n_in, n_out) and (n_out,)
        One pair for each layer up to the one wanted.
    activation : str
        A key of ``ACTIVATIONS``.
    noise_std : sequence of float
        Standard deviation of the noise after each layer.
    n_draws : int
        Noisy passes per input.
    seed : int
        Seeds the noise, which is drawn on the CPU: the same on every device.

    Returns
    -------
    activations : Tensor of shape (n_inputs, n_draws, n_units)
    """
    generator = torch.Generator().manual_seed(seed)
    widest = max(coef.shape[1] for coef in coefs)
    block = max(1, BLOCK_SIZE // (n_draws * widest))
    result = inputs.new_empty(len(inputs), n_draws, coefs[-1].shape[1])
    layers = list(zip(coefs[1:], intercepts[1:], noise_std, strict=False))
    with threads_for(block * n_draws * max(coef.numel() for coef in coefs)):
        for start in range(0, len(inputs), block):
            rows = slice(start, start + block)
            # No noise comes before the first layer: one pass serves all draws.
            values = _layer(inputs[rows, None], coefs[0], intercepts[0], activation)
            for coef, intercept, std in layers:
                values = _with_noise(values, std, n_draws, generator)
                values = _layer(values, coef, intercept, activation)
            result[rows] = values
    return result


def network_outputs(
    hidden: Tensor, coef: Tensor, intercept: Tensor, output: str
) -> Tensor:
    """Output of the network from the last hidden layer, along the last axis."""
    return OUTPUTS[output](hidden @ coef + intercept)


def _layer(values: Tensor, coef: Tensor, intercept: Tensor, activation: str) -> Tensor:
    """One layer on inputs of shape (n_inputs, n_draws, n_in)."""
    flat = torch.addmm(intercept, values.flatten(0, 1), coef)
    return ACTIVATIONS[activation].apply_(flat).unflatten(0, values.shape[:2])


def _with_noise(
    values: Tensor, std: float, n_draws: int, generator: torch.Generator
) -> Tensor:
    """Noisy copies of ``values``; one row per input becomes ``n_draws`` rows."""
    if std == 0:
        return values
    noise = torch.empty(len(values), n_draws, values.shape[2], dtype=values.dtype)
    return noise.normal_(0, std, generator=generator).to(values.device).add_(values)
