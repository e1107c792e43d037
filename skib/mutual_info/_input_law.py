"""The law of the inputs: which activations they have, how likely each is, its label.

Both estimators start here: arrays from the user become clouds of activations with a
joint weight for every (input, label), equal inputs merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data
from torch import Tensor

from skib._validation import group_equal_rows

__all__ = [
    "InputLaw",
    "check_activations",
    "check_discrete",
    "check_known_labels",
    "check_labels",
    "check_target",
    "check_weights",
    "input_law",
]

TARGETS = ("input", "label")
DISCRETE_TARGETS = ("binary", "multiclass")


@dataclass(frozen=True)
class InputLaw:
    """A finite law of (input, label) and the activations that each input causes.

    Attributes
    ----------
    centers : Tensor of shape (n_inputs, n_draws, n_units)
        Activations of each distinct input.
    joint : Tensor of shape (n_inputs, n_classes), float64
        Probability of each input with each label; sums to 1. One column when there
        are no labels.
    one_center : bool
        Whether each input has exactly one centre, so that its law is known exactly.
    """

    centers: Tensor
    joint: Tensor
    one_center: bool

    @property
    def input_weights(self) -> Tensor:
        """Probability of each input, shape (n_inputs,)."""
        return self.joint.sum(1)

    @property
    def label_weights(self) -> Tensor:
        """Probability of each label, shape (n_classes,)."""
        return self.joint.sum(0)

    @property
    def input_entropy(self) -> float:
        """H(X) in nats, the most that any I(X;T) can be."""
        return _entropy(self.input_weights)


def _entropy(weights: Tensor) -> float:
    return float(-torch.xlogy(weights, weights).sum())


def input_law(
    activations: Tensor, labels: np.ndarray | None, sample_weight: np.ndarray | None
) -> InputLaw:
    """Build the law of the inputs from one row of activations per input.

    Rows with equal activations are one input with the sum of their weights: repeating
    a data set changes no information. Rows of weight 0 are left out.

    Parameters
    ----------
    activations : Tensor of shape (n_rows, n_units) or (n_rows, n_draws, n_units)
    labels : int array of shape (n_rows,) or None
        Labels as 0 .. n_classes - 1.
    sample_weight : float array of shape (n_rows,) or None

    Returns
    -------
    InputLaw
    """
    one_center = activations.ndim == 2
    clouds = activations[:, None] if one_center else activations
    n_rows = len(clouds)
    weights = np.ones(n_rows) if sample_weight is None else sample_weight
    labels = np.zeros(n_rows, dtype=int) if labels is None else labels
    present = np.flatnonzero(weights)
    first, inverse = group_equal_rows(clouds, present)
    joint = np.zeros((len(first), labels.max() + 1))
    np.add.at(joint, (inverse, labels[present]), weights[present] / weights.sum())
    if len(first) < n_rows:
        clouds = clouds[torch.as_tensor(first, device=clouds.device)]
    return InputLaw(clouds, torch.as_tensor(joint, device=clouds.device), one_center)


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
    X = X.detach()
    if not X.is_floating_point():
        X = X.double()
    if not bool(torch.isfinite(X).all()):
        raise ValueError(
            "X must hold finite activations. Got NaN or infinity; look at the layer "
            "that made them."
        )
    _check_n_features(estimator, X.shape[-1], reset=reset)
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


def check_target(target: Any) -> None:
    """Refuse a target that is neither the input nor the label."""
    if target not in TARGETS:
        raise ValueError(f"target must be one of {TARGETS}. Got target={target!r}.")


def check_labels(
    estimator: Any, y: Any, X: Tensor
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the classes and, for each row of X, the index of its class."""
    if y is None:
        if estimator.target == "label":
            name = type(estimator).__name__
            raise ValueError(
                f"This {name} estimator requires y to be passed, but the target y is "
                "None. Pass the labels, or use target='input'."
            )
        return None, None
    return check_discrete(y, X)


def check_discrete(y: Any, X: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of discrete labels and, for each row of X, its class."""
    if isinstance(y, Tensor):
        y = y.cpu().numpy()
    y = column_or_1d(y, warn=True)
    check_consistent_length(X, y)
    if type_of_target(y) not in DISCRETE_TARGETS:
        raise ValueError(
            "y must hold discrete labels: I(Y;T) is measured as the information of the "
            f"activations about a class. Got {type_of_target(y)!r} values. Bin them "
            "first. Unknown label type."
        )
    return np.unique(y, return_inverse=True)


def check_known_labels(estimator: Any, y: Any, X: Tensor) -> np.ndarray:
    """Return, for each row of X, the index of its label among the fitted classes."""
    classes, labels = check_labels(estimator, y, X)
    assert classes is not None, "labels are required where they are to be known"
    assert labels is not None
    unknown = np.setdiff1d(classes, estimator.classes_)
    if unknown.size:
        raise ValueError(
            f"y must hold labels seen in fit, {estimator.classes_}. Got {unknown}."
        )
    return np.searchsorted(estimator.classes_, classes)[labels]


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return sample weights as float64, or say what is wrong with them."""
    if sample_weight is None:
        return None
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have one weight for each of the {n_rows} inputs. Got "
            f"an array of shape {weights.shape}."
        )
    if weights.min() < 0 or weights.sum() == 0:
        raise ValueError(
            "sample_weight must not be negative, nor all weights zero: it is the law "
            f"of the inputs. Got weights from {weights.min()} to {weights.max()}."
        )
    return weights
