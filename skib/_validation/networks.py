"""Weights become a noisy network; layers and epochs of it are found."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skib._numerics.activations import ACTIVATIONS
from skib._numerics.noisy_network import OUTPUTS, NoisyNetwork
from skib._validation.arrays import as_numpy
from skib._validation.inputs import as_tensor
from skib._validation.settings import check_noise_std, check_option

__all__ = [
    "check_epochs",
    "check_layer",
    "check_layer_activation",
    "check_layer_noise",
    "check_layers",
    "check_network",
    "check_new_epochs",
    "check_outputs",
    "check_weight_chain",
]


def check_network(
    coefs: Sequence[Any],
    intercepts: Sequence[Any] | None,
    activation: str | Sequence[str],
    noise_std: Any,
    *,
    zero_allowed: bool = False,
) -> NoisyNetwork:
    """Return hidden layers as a network in float64, or say why they make none."""
    coefs, intercepts = check_weight_chain(coefs, intercepts)
    return NoisyNetwork(
        tuple(as_tensor(coef, torch.float64) for coef in coefs),
        tuple(b if b is None else as_tensor(b, torch.float64) for b in intercepts),
        check_layer_activation(activation, len(coefs)),
        check_layer_noise(noise_std, len(coefs), zero_allowed=zero_allowed),
    )


def check_weight_chain(
    coefs: Sequence[Any], intercepts: Sequence[Any] | None, where: str = ""
) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    """Copy the layers of a network, in one float type; they must form a chain.

    Parameters
    ----------
    coefs : sequence of array-likes of shape (n_in, n_out)
    intercepts : sequence of array-likes of shape (n_out,) or None, or None
        None means no bias.
    where : str
        Says which network, in an error: " at epoch 3".
    """
    intercepts = [None] * len(coefs) if intercepts is None else intercepts
    if len(coefs) != len(intercepts) or not len(coefs):
        raise ValueError(
            "A network needs one coef and one intercept per layer, at least one layer. "
            f"Got {len(coefs)} coefs and {len(intercepts)} intercepts{where}."
        )
    coefs = [_real_array(coef, where) for coef in coefs]
    is_single = np.result_type(np.float32, *coefs) == np.float32
    dtype = np.float32 if is_single else np.float64
    coefs = [coef.astype(dtype) for coef in coefs]
    intercepts = [
        None if b is None else _real_array(b, where).astype(dtype) for b in intercepts
    ]
    n_in = len(coefs[0]) if coefs[0].ndim else 0
    for layer, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True), 1):
        _check_link(coef, intercept, n_in, f"Layer {layer}{where}")
        n_in = coef.shape[1]
    return coefs, intercepts


def _real_array(weights: Any, where: str) -> np.ndarray:
    array = np.asarray(as_numpy(weights, "weights"))
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"Weights must be arrays of real numbers. Got {array.dtype} values{where}."
        )
    return array


def _check_link(
    coef: np.ndarray, intercept: np.ndarray | None, n_in: int, layer: str
) -> None:
    shape = None if intercept is None else intercept.shape
    fits = coef.ndim == 2 and len(coef) == n_in
    if not fits or (shape is not None and shape != coef.shape[1:]):
        raise ValueError(
            f"{layer} must have coefs of shape ({n_in}, n_out) and intercepts of shape "
            f"(n_out,) or None. Got {coef.shape} and {shape}."
        )
    parts = [coef] if intercept is None else [coef, intercept]
    if not all(np.isfinite(part).all() for part in parts):
        raise ValueError(f"{layer} has NaN or infinity among its weights.")


def check_layer_activation(
    activation: str | Sequence[str], n_layers: int
) -> tuple[str, ...]:
    """Return the name of one activation function per layer."""
    is_one = isinstance(activation, str) or not hasattr(activation, "__iter__")
    names: list[Any] = [activation] * n_layers if is_one else list(activation)
    if len(names) != n_layers:
        raise ValueError(
            f"activation must be one name, or one for each of the {n_layers} hidden "
            f"layers. Got {len(names)} names."
        )
    for name in names:
        check_option("activation", name, ACTIVATIONS)
    return tuple(names)


def check_layer_noise(
    noise_std: Any, n_layers: int, *, zero_allowed: bool = True
) -> tuple[float, ...]:
    """Return one noise standard deviation per hidden layer, as a tuple."""
    noise_std = _plain(noise_std)
    is_one = isinstance(noise_std, str) or not hasattr(noise_std, "__iter__")
    stds = [noise_std] * n_layers if is_one else [_plain(std) for std in noise_std]
    if len(stds) != n_layers:
        raise ValueError(
            f"noise_std must be one number, or one for each of the {n_layers} hidden "
            f"layers. Got {len(stds)} numbers."
        )
    return tuple(check_noise_std(std, zero_allowed=zero_allowed) for std in stds)


def _plain(value: Any) -> Any:
    """Return a tensor or an array as Python's numbers, anything else as it is."""
    is_array = isinstance(value, (Tensor, np.ndarray))
    return np.asarray(as_numpy(value, "noise_std")).tolist() if is_array else value


def check_outputs(output: Any, classes: Any, n_outputs: int) -> np.ndarray | None:
    """Return the labels of the outputs; they must fit what the last layer applies."""
    check_option("output", output, [None, *OUTPUTS])
    if output == "softmax" and n_outputs == 1:
        raise ValueError(
            "output='softmax' needs an output for each class: of a single one it is "
            "always 1. Use output='logistic', the probability of the second class."
        )
    if classes is None:
        return None
    classes = np.array(as_numpy(classes, "classes"))
    n_classes = 2 if (output, n_outputs) == ("logistic", 1) else n_outputs
    wanted = f"{n_classes} labels, one for each class"
    if output in (None, "identity"):
        wanted = "None unless output is 'softmax' or 'logistic'"
    elif classes.shape == (n_classes,):
        return classes
    raise ValueError(
        f"classes must be {wanted}. Got output={output!r}, {n_outputs} outputs and "
        f"classes of shape {classes.shape}."
    )


def check_layer(layer: Any, n_layers: int, name: str = "layer") -> int:
    """Return the layer counted from 1, or say which layers there are."""
    is_int = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not is_int or layer == 0 or abs(layer) > n_layers:
        raise ValueError(
            f"{name} must be one of the hidden layers 1 to {n_layers}, or -1 (the "
            f"last) to {-n_layers}. Got {name}={layer!r}."
        )
    return int(layer) if layer > 0 else n_layers + 1 + int(layer)


def check_layers(layers: Any, n_layers: int) -> list[int]:
    """Return several layers counted from 1, each once; None is all."""
    if layers is None:
        return list(range(1, n_layers + 1))
    wanted = list(np.ravel(layers))
    if not wanted:
        raise ValueError(
            f"layers must name at least one of the hidden layers 1 to {n_layers}. Got "
            f"layers={layers!r}."
        )
    return list(dict.fromkeys(check_layer(layer, n_layers) for layer in wanted))


def check_epochs(epochs: Any, recorded: np.ndarray) -> list[int]:
    """Return the epochs, all of them recorded, each once; None is all."""
    if epochs is None:
        return [int(epoch) for epoch in recorded]
    unknown = np.setdiff1d(epochs, recorded)
    if unknown.size or not np.size(epochs):
        raise ValueError(
            "epochs must be among the recorded ones, "
            f"{np.asarray(recorded).tolist()}. Got epochs={epochs!r}."
        )
    return list(dict.fromkeys(int(epoch) for epoch in np.ravel(epochs)))


def check_new_epochs(epochs: Any) -> np.ndarray:
    """Return the epochs of a recording to be, or say why they are none."""
    epochs = np.asarray(as_numpy(epochs, "epochs"))
    is_list = epochs.ndim == 1 and epochs.size and epochs.dtype.kind in "fiu"
    is_counted = is_list and np.isfinite(epochs).all() and (epochs >= 0).all()
    is_counted = is_counted and not (epochs % 1).any()
    if not is_counted or len(np.unique(epochs)) != len(epochs):
        raise ValueError(
            "epochs must be a list of different numbers >= 0, whole ones: completed "
            f"passes over the training data. Got epochs={epochs!r}."
        )
    return epochs.astype(np.int64)
