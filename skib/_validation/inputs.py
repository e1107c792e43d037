"""What networks are given: frames with names, sparse rows, arrays of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data
from torch import Tensor

__all__ = ["as_dense", "as_tensor", "check_columns"]


def as_tensor(array: Any, dtype: torch.dtype | None = None) -> Tensor:
    """Copy an array into a tensor on the CPU, whatever the default device.

    The array may be read-only, as memory-mapped ones are: torch warns of those.
    """
    return torch.from_numpy(np.array(array, order="C")).to(dtype)


def as_dense(X: Any) -> Any:
    """Return a sparse matrix as an array, anything else as it is."""
    return X.toarray() if issparse(X) else X


class _Fitted(BaseEstimator):
    """What scikit-learn's check of names reads."""

    def __init__(self, feature_names: np.ndarray) -> None:
        self.feature_names_in_ = feature_names
        self.n_features_in_ = len(feature_names)


def check_columns(X: Any, feature_names: np.ndarray | None) -> None:
    """Refuse a frame whose columns are others, or in another order.

    Parameters
    ----------
    X : array-like or data frame
        Only a frame with names is looked at.
    feature_names : array of str, or None
        Names of the inputs, where they are known.
    """
    names = getattr(X, "columns", None)
    has_names = names is not None and all(isinstance(name, str) for name in names)
    if feature_names is not None and has_names:
        fitted = _Fitted(feature_names)
        validate_data(fitted, X, reset=False, skip_check_array=True)
