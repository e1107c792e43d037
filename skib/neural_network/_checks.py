"""Checks of parameters that several modules of this room share."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from skib._validation import check_noise_std

__all__ = ["check_layer", "check_layer_noise", "check_option"]


def check_layer(layer, n_layers):
    """Return the layer counted from 1, or say which layers there are."""
    is_int = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not is_int or layer == 0 or abs(layer) > n_layers:
        raise ValueError(
            f"layer must be one of the hidden layers 1 to {n_layers}, or -1 (the last) "
            f"to {-n_layers}. Got layer={layer!r}."
        )
    return int(layer) if layer > 0 else n_layers + 1 + int(layer)


def check_layer_noise(noise_std, n_layers):
    """Return one noise standard deviation per hidden layer, as a tuple."""
    if np.ndim(noise_std) == 0:
        return (check_noise_std(noise_std, zero_allowed=True),) * n_layers
    if len(noise_std) != n_layers:
        raise ValueError(
            f"noise_std must be one number, or one for each of the {n_layers} hidden "
            f"layers. Got {len(noise_std)} numbers."
        )
    return tuple(check_noise_std(std, zero_allowed=True) for std in noise_std)


def check_option(name, value, options):
    """Refuse a value that is not among the options."""
    if not any(value is option or value == option for option in options):
        known = ", ".join(map(repr, options))
        raise ValueError(f"{name} must be one of {known}. Got {name}={value!r}.")
