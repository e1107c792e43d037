"""The law of the inputs: how likely each is, its label, which activations it has.

All estimators start here: equal inputs are merged, with a joint weight for every
(input, label).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skib._validation import as_numpy, group_equal_rows, group_near_rows

__all__ = ["InputLaw", "LayerLaw", "layer_law", "merge_inputs"]


@dataclass(frozen=True, eq=False)
class InputLaw:
    """A finite law of (input, label).

    Attributes
    ----------
    joint : Tensor of shape (n_inputs, n_classes), float64
        Probability of each input with each label; sums to 1. One column when there
        are no labels.
    has_labels : bool
        Whether there are.
    """

    joint: Tensor
    has_labels: bool

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

    @property
    def label_entropy(self) -> float | None:
        """H(Y) in nats, the most that any I(Y;T) can be; None without labels."""
        return _entropy(self.label_weights) if self.has_labels else None

    def at_layer(self, activations: Tensor) -> LayerLaw:
        """Return the law with the activations of each input.

        Parameters
        ----------
        activations : Tensor, (n_inputs, n_units) or (n_inputs, n_draws, n_units)

        Returns
        -------
        law : LayerLaw
        """
        one_center = activations.ndim == 2
        return LayerLaw(
            self.joint.to(activations.device),
            self.has_labels,
            activations[:, None] if one_center else activations,
            one_center,
        )


@dataclass(frozen=True, eq=False)
class LayerLaw(InputLaw):
    """A law of (input, label), and the activations of a layer that each input causes.

    Attributes
    ----------
    centers : Tensor of shape (n_inputs, n_draws, n_units)
        Activations of each distinct input.
    one_center : bool
        Whether each input has exactly one centre, so that its law is known exactly.
    """

    centers: Tensor
    one_center: bool


def _entropy(weights: Tensor) -> float:
    return float(-torch.xlogy(weights, weights).sum())


def layer_law(
    activations: Tensor,
    labels: np.ndarray | None,
    sample_weight: np.ndarray | None,
    largest_gap: float,
) -> LayerLaw:
    """Build the law of a layer from one row of activations per input.

    Rows with equal activations are one input with the sum of their weights: repeating
    a data set changes no information. Rows of weight 0 are left out.

    Parameters
    ----------
    activations : Tensor of shape (n_rows, n_units) or (n_rows, n_draws, n_units)
    labels : int array of shape (n_rows,) or None
        Labels as 0 .. n_classes - 1.
    sample_weight : float array of shape (n_rows,) or None
    largest_gap : float
        How far apart rows may be that are equal up to rounding; 0 for exactly equal.

    Returns
    -------
    LayerLaw
    """
    distinct, law = merge_inputs(activations, labels, sample_weight, largest_gap)
    return law.at_layer(distinct)


def merge_inputs(
    rows: Any,
    labels: np.ndarray | None,
    sample_weight: np.ndarray | None,
    largest_gap: float = 0.0,
) -> tuple[Any, InputLaw]:
    """Merge equal rows, and leave out those of weight 0.

    Parameters
    ----------
    rows : array or Tensor of shape (n_rows, ...)
    labels : int array of shape (n_rows,) or None
    sample_weight : float array of shape (n_rows,) or None
    largest_gap : float, default=0.0
        How far apart rows may be that are equal up to rounding; 0 for exactly equal.

    Returns
    -------
    distinct : array or Tensor of shape (n_inputs, ...)
    law : InputLaw
    """
    n_rows = len(rows)
    weights = np.ones(n_rows) if sample_weight is None else sample_weight
    codes = np.zeros(n_rows, dtype=int) if labels is None else labels
    present = np.flatnonzero(weights)
    host = np.asarray(as_numpy(rows))
    if largest_gap:
        first, inverse = group_near_rows(host, present, largest_gap)
    else:
        first, inverse = group_equal_rows(host, present)
    joint = np.zeros((len(first), codes.max() + 1))
    np.add.at(joint, (inverse, codes[present]), weights[present] / weights.sum())
    law = InputLaw(torch.from_numpy(joint), labels is not None)
    if len(first) == n_rows:
        return rows, law
    is_tensor = isinstance(rows, Tensor)
    return rows[torch.as_tensor(first, device=rows.device) if is_tensor else first], law
