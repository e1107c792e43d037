"""Labels, and weights of inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.multiclass import type_of_target

from skib._validation.arrays import as_numpy

__all__ = [
    "check_column",
    "check_discrete",
    "check_labels",
    "check_target",
    "check_weights",
]

TARGETS = ("input", "label")
DISCRETE_TARGETS = ("binary", "multiclass")


def check_target(target: Any) -> None:
    """Refuse a target that is neither the input nor the label."""
    if not isinstance(target, str) or target not in TARGETS:
        raise ValueError(f"target must be one of {TARGETS}. Got target={target!r}.")


def check_labels(
    estimator: Any, y: Any, X: Any
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the classes and, for each row of X, the index of its class."""
    if y is None:
        if getattr(estimator, "target", "input") == "label":
            name = type(estimator).__name__
            raise ValueError(
                f"This {name} estimator requires y to be passed, but the target y is "
                "None. Pass the labels, or use target='input'."
            )
        return None, None
    return check_discrete(y, X)


def check_discrete(y: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of discrete labels and, for each row of X, its class."""
    y = check_column(y, X)
    if y.dtype.kind == "f" and np.isnan(y).any():
        raise ValueError(
            "y contains NaN, which is no label. Leave these rows out, or give what is "
            "unknown a label of its own."
        )
    if type_of_target(y, input_name="y") not in DISCRETE_TARGETS:
        raise ValueError(
            "y must hold discrete labels: I(Y;T) is measured as the information of the "
            f"activations about a class. Got {type_of_target(y)!r} values. Bin them "
            "first. Unknown label type."
        )
    return np.unique(y, return_inverse=True)


def check_column(y: Any, X: Any) -> np.ndarray:
    """Return labels of shape (n,), one for each row of X; a column is as good."""
    values = np.asarray(as_numpy(y))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(
            "y must hold one label per input, of shape (n_inputs,) or (n_inputs, 1). "
            f"Got shape {values.shape}: turn one-hot rows into labels, "
            "y.argmax(axis=1), and several labels into one."
        )
    check_consistent_length(X, values)
    return values


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return sample weights as float64, or say what is wrong with them."""
    if sample_weight is None:
        return None
    weights = np.asarray(as_numpy(sample_weight))
    if weights.shape == (n_rows, 1):
        weights = weights[:, 0]
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have one weight for each of the {n_rows} inputs. Got "
            f"an array of shape {weights.shape}."
        )
    weights = check_array(
        weights, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.min() < 0 or not weights.any():
        raise ValueError(
            "sample_weight must not be negative, nor all weights zero: it is the law "
            f"of the inputs. Got weights from {weights.min()} to {weights.max()}."
        )
    # A law needs their ratios only: large ones must not overflow in sums.
    return weights / weights.max()
