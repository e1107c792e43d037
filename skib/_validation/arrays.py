"""Arrays and tensors of inputs and activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

__all__ = [
    "as_numpy",
    "check_activations",
    "check_inputs",
    "check_rows",
]

HALF_TYPES = (torch.float16, torch.bfloat16)


def as_numpy(array: Any, name: str = "X") -> Any:
    """Return a tensor of any kind as a numpy array, anything else as it is."""
    if not isinstance(array, Tensor):
        return array
    array = check_tensor(array, name).cpu()
    return (array.float() if array.dtype in HALF_TYPES else array).numpy()


def check_tensor(X: Tensor, name: str = "X") -> Tensor:
    """Return a tensor that holds numbers, cut off from its graph, or refuse it."""
    if X.is_meta or X.layout != torch.strided:
        kind = "on the device 'meta'" if X.is_meta else f"of layout {X.layout}"
        raise ValueError(
            f"{name} must be a dense tensor that holds numbers. Got one {kind}; call "
            "to_dense(), or materialise it."
        )
    if X.is_complex():
        raise ValueError(
            f"Complex data not supported: {name} must hold real numbers. Got "
            f"{X.dtype}; pass real and imaginary parts side by side."
        )
    return X.detach().resolve_neg()


def check_rows(X: Any) -> Any:
    """Return inputs as an array or a tensor of rows, or say what is wrong."""
    if not isinstance(X, Tensor):
        return check_array(X, input_name="X")
    X = _check_finite(check_tensor(X))
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            "X must hold one input per row, shape (n_inputs, n_features), at least one "
            f"of each. Got a tensor of shape {tuple(X.shape)}."
        )
    return X


def check_inputs(X: Any, n_features: int, dtype: torch.dtype) -> Tensor:
    """Return inputs of a network, of shape (n_inputs, n_features), as a tensor.

    Tensors stay where they live; of anything else a copy is made.
    """
    if isinstance(X, Tensor):
        inputs = _check_finite(check_tensor(X)).to(dtype)
    else:
        checked = check_array(X, dtype=np.float64, input_name="X")
        # Not torch.tensor, which would go to a default device.
        inputs = torch.from_numpy(checked.copy()).to(dtype)
    if inputs.ndim != 2 or inputs.shape[1] != n_features:
        raise ValueError(
            f"X must have {n_features} features, shape (n_inputs, {n_features}), as "
            f"the network has that many inputs. Got shape {tuple(inputs.shape)}."
        )
    return inputs


def check_activations(
    estimator: Any, X: Any, *, reset: bool, device: torch.device | None = None
) -> Tensor:
    """Return activations as a tensor of 2 or 3 dimensions, or say what is wrong.

    Tensors stay where they live unless a device is named.
    """
    if isinstance(X, Tensor):
        return _check_tensor(estimator, X, reset=reset).to(device or X.device)
    options = {"dtype": [np.float64, np.float32], "estimator": estimator}
    n_dimensions = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    if n_dimensions <= 2:
        del options["estimator"]
        X = validate_data(estimator, X, reset=reset, **options)
    else:
        X = check_array(X, allow_nd=True, input_name="X", **options)
        _check_shape(X.shape)
        _check_n_features(estimator, X.shape[-1], reset=reset)
    # A copy: arrays may be read-only or reversed, which tensors cannot be.
    return torch.from_numpy(X.copy()).to(device)


def _check_tensor(estimator: Any, X: Tensor, *, reset: bool) -> Tensor:
    _check_shape(X.shape)
    X = _check_finite(check_tensor(X))
    if not X.is_floating_point():
        X = X.double()
    elif X.dtype in HALF_TYPES:
        X = X.float()
    _check_n_features(estimator, X.shape[-1], reset=reset)
    return X


def _check_finite(X: Tensor) -> Tensor:
    if not bool(torch.isfinite(X).all()):
        raise ValueError(
            "X must hold finite numbers. Got a tensor that contains NaN or infinity; "
            "look at what made it."
        )
    return X


def _check_shape(shape: Any) -> None:
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(
            "X must hold activations as (n_inputs, n_units) or (n_inputs, n_draws, "
            "n_units), with at least one of each. Got an array of shape "
            f"{tuple(shape)}."
        )


def _check_n_features(estimator: Any, n_features: int, *, reset: bool) -> None:
    if reset:
        estimator.n_features_in_ = n_features
    elif n_features != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_features} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
