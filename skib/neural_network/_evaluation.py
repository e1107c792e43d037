"""What a network given as arrays does with inputs: activations and outputs."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_array, check_scalar

from skib._validation import draw_seeds
from skib.neural_network._checks import check_layer
from skib.neural_network._forward import layer_activations, network_outputs

__all__ = ["network_activations", "predict_outputs", "sample_outputs"]


def network_activations(
    X,
    coefs,
    intercepts,
    activation,
    noise_std,
    *,
    layer=-1,
    n_draws=None,
    random_state=None,
):
    """Activations of one hidden layer from arrays; see ``Recording.activations``."""
    layer = check_layer(layer, len(noise_std))
    if n_draws is not None:
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
    inputs, coefs, intercepts = _as_tensors(X, coefs[:layer], intercepts[:layer])
    values = layer_activations(
        inputs,
        coefs,
        intercepts,
        activation,
        noise_std,
        n_draws=n_draws or 1,
        seed=draw_seeds(random_state, 1)[0],
    )
    values = values[:, 0] if n_draws is None else values
    return values if isinstance(X, torch.Tensor) else values.numpy()


def predict_outputs(X, coefs, intercepts, activation, output):
    """Return outputs of the network, without noise, of shape (n_inputs, n_outputs)."""
    n_hidden = len(coefs) - 1
    inputs, coefs, intercepts = _as_tensors(X, coefs, intercepts)
    hidden = layer_activations(
        inputs,
        coefs[:-1],
        intercepts[:-1],
        activation,
        [0.0] * n_hidden,
        n_draws=1,
        seed=0,
    )
    outputs = network_outputs(hidden[:, 0], coefs[-1], intercepts[-1], output)
    return outputs if isinstance(X, torch.Tensor) else outputs.numpy()


def sample_outputs(
    X, coefs, intercepts, activation, noise_std, output, *, n_draws, random_state
):
    """Return noisy outputs of shape (n_inputs, n_draws, n_outputs)."""
    check_scalar(n_draws, "n_draws", Integral, min_val=1)
    seeds = draw_seeds(random_state, 2)
    inputs, coefs, intercepts = _as_tensors(X, coefs, intercepts)
    hidden = layer_activations(
        inputs,
        coefs[:-1],
        intercepts[:-1],
        activation,
        noise_std,
        n_draws=n_draws,
        seed=seeds[0],
    )
    generator = torch.Generator().manual_seed(seeds[1])
    noise = torch.empty(hidden.shape, dtype=hidden.dtype).normal_(generator=generator)
    hidden = hidden.add_(noise.to(hidden.device), alpha=noise_std[-1])
    outputs = network_outputs(hidden, coefs[-1], intercepts[-1], output)
    return outputs if isinstance(X, torch.Tensor) else outputs.numpy()


def _as_tensors(X, coefs, intercepts):
    """Return inputs and weights as tensors of one dtype on one device."""
    dtype = torch.from_numpy(coefs[0][:0]).dtype
    n_features = coefs[0].shape[0]
    if isinstance(X, torch.Tensor):
        inputs = X.detach().to(dtype)
    else:
        inputs = torch.from_numpy(
            np.array(check_array(X, dtype=coefs[0].dtype), order="C")
        )
    if inputs.ndim != 2 or inputs.shape[1] != n_features:
        raise ValueError(
            f"X must have shape (n_inputs, {n_features}), as the network has "
            f"{n_features} inputs. Got shape {tuple(inputs.shape)}."
        )
    return inputs, *(
        [torch.tensor(array, device=inputs.device) for array in arrays]
        for arrays in (coefs, intercepts)
    )
