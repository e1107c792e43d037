"""Checks of the parameters of the noisy networks, and of sample weights."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_scalar
from sklearn.utils.validation import check_consistent_length

from skib._numerics.activations import ACTIVATIONS
from skib._validation import check_device, check_layer_noise, check_option
from skib.neural_network._training import NOISE_KINDS

__all__ = ["check_parameters", "check_sample_weight", "hidden_sizes"]

OPTIONS = {
    "activation": ACTIVATIONS,
    "solver": ["lbfgs", "sgd", "adam"],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "noise": NOISE_KINDS,
    "dtype": ["float32", "float64"],
}

# Type, smallest and largest value, and which of the two is allowed itself.
NUMBERS = {
    "alpha": (Real, 0, None, "left"),
    "learning_rate_init": (Real, 0, None, "neither"),
    "power_t": (Real, 0, None, "left"),
    "max_iter": (Integral, 1, None, "left"),
    "tol": (Real, 0, None, "left"),
    "momentum": (Real, 0, 1, "both"),
    "validation_fraction": (Real, 0, 1, "left"),
    "beta_1": (Real, 0, 1, "left"),
    "beta_2": (Real, 0, 1, "left"),
    "epsilon": (Real, 0, None, "neither"),
    "n_iter_no_change": (Real, 1, None, "left"),
    "max_fun": (Integral, 1, None, "left"),
    "orthonormality": (Real, 0, None, "left"),
}


def check_parameters(estimator):
    """Refuse the first parameter that makes no sense, in one sentence."""
    for name, options in OPTIONS.items():
        check_option(name, getattr(estimator, name), options)
    for name, (kind, low, high, closed) in NUMBERS.items():
        value = getattr(estimator, name)
        check_scalar(
            value, name, kind, min_val=low, max_val=high, include_boundaries=closed
        )
        if np.isnan(value) or (np.isinf(value) and name != "n_iter_no_change"):
            raise ValueError(f"{name} must be finite. Got {name}={value!r}.")
    if estimator.batch_size != "auto":
        check_scalar(estimator.batch_size, "batch_size", Integral, min_val=1)
    noise_std = check_layer_noise(estimator.noise_std, len(hidden_sizes(estimator)))
    if estimator.solver == "lbfgs" and (any(noise_std) or estimator.orthonormality):
        raise ValueError(
            "solver='lbfgs' needs a loss without noise and without orthonormal "
            f"updates. Got noise_std={estimator.noise_std!r} and orthonormality="
            f"{estimator.orthonormality!r}: use 'adam' or 'sgd', or set both to 0."
        )
    check_device(estimator.device)


def hidden_sizes(estimator):
    """Return the units of each hidden layer as a list."""
    sizes = np.atleast_1d(np.asarray(estimator.hidden_layer_sizes, dtype=object))
    is_int = all(isinstance(n, Integral) and not isinstance(n, bool) for n in sizes)
    if sizes.ndim != 1 or not len(sizes) or not is_int or min(sizes) < 1:
        raise ValueError(
            "hidden_layer_sizes must be one or more integers >= 1: the noise, and "
            "what is measured of it, sits in the hidden layers. Got "
            f"hidden_layer_sizes={estimator.hidden_layer_sizes!r}."
        )
    return [int(size) for size in sizes]


def check_sample_weight(sample_weight, X):
    """Return the weights as an array in the dtype of X, or None."""
    if sample_weight is None:
        return None
    sample_weight = check_array(
        sample_weight,
        ensure_2d=False,
        dtype=X.dtype,
        input_name="sample_weight",
    )
    if sample_weight.ndim != 1:
        raise ValueError(
            "sample_weight must be a 1D array, one weight per sample. Got shape "
            f"{sample_weight.shape}."
        )
    check_consistent_length(X, sample_weight)
    if (sample_weight < 0).any() or not sample_weight.any():
        raise ValueError(
            "sample_weight must be >= 0 and not zero everywhere. Got a smallest "
            f"weight of {sample_weight.min()} and a sum of {sample_weight.sum()}."
        )
    return sample_weight
