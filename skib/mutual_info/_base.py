"""The contract of all estimators, and what those that are fitted to arrays share."""

from __future__ import annotations

import inspect
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skib._validation import (
    check_activations,
    check_discrete,
    check_labels,
    check_layers,
    check_rows,
    check_target,
    check_weights,
    draw_seed,
    seed_at,
    whatever_the_default_device,
)
from skib.exceptions import SaturationWarning
from skib.mutual_info._information import (
    BRACKET,
    QUANTITIES,
    Estimate,
    Information,
)
from skib.mutual_info._input_law import InputLaw, LayerLaw, layer_law, merge_inputs
from skib.recording import Snapshot, has_noise_before

__all__ = ["ActivationsMIEstimator", "MutualInfoEstimator"]


# Distance, in noise widths, at which inputs that rounding has left apart are one.
HIDDEN_BY_NOISE = 1e-3


class MutualInfoEstimator(BaseEstimator, ABC):
    """Base of everything that measures the information of layers of a network.

    Whoever goes over a recording asks `estimate` for layers of a snapshot. A subclass
    says what it makes of a snapshot in one method, ``estimate_layers``; one that needs
    no more than a layer's activations derives from `ActivationsMIEstimator` instead.

    See Also
    --------
    ActivationsMIEstimator : Estimators that are fitted to arrays of activations.
    skib.information_flow : Goes over epochs and layers.
    """

    #: Whether layers asked for together cost less than one by one: a sweep then hands
    #: out whole epochs.
    shares_passes = False

    @property
    def quantities(self) -> dict[str, str]:
        """What the value about the input, and that about the label, is called."""
        return {"input": "I(X;T)", "label": "I(Y;T)"}

    @whatever_the_default_device
    def estimate(
        self,
        snapshot: Snapshot,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        layers: Sequence[int] | None = None,
        random_state: Any = None,
    ) -> list[Information]:
        """Estimate the information of layers of a network at one epoch.

        Nothing is warned of: what limits a value stands in its ``limits``.

        Parameters
        ----------
        snapshot : Snapshot
            The network.
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs, the whole law of X. Equal rows are merged.
        y : array-like of shape (n_inputs,), default=None
            Discrete labels.
        sample_weight : array-like of shape (n_inputs,), default=None
            Law of the inputs, up to a factor; None is uniform.
        layers : sequence of int, default=None
            Layers counted from 1, or negative from the last, or by name where the
            snapshot has names; None is all.
        random_state : int, RandomState instance or None, default=None
            Seeds everything random; with it a layer's numbers do not depend on which
            others are asked for.

        Returns
        -------
        information : list of Information
            One for each layer.
        """
        names = getattr(snapshot, "layer_names", ())
        wanted = check_layers(layers, len(snapshot.noise_std), names=names)
        X = check_rows(X, any_shape=getattr(snapshot, "any_input_shape", False))
        labels = None if y is None else check_discrete(y, X)[1]
        inputs, law = merge_inputs(X, labels, check_weights(sample_weight, len(X)))
        self._check_parameters()
        return self.estimate_layers(
            snapshot, inputs, law, wanted, draw_seed(random_state)
        )

    @abstractmethod
    def estimate_layers(
        self, snapshot: Snapshot, X: Any, law: InputLaw, layers: list[int], seed: int
    ) -> list[Information]:
        """Estimate layers of a snapshot, everything checked.

        Parameters
        ----------
        snapshot : Snapshot
        X : array or Tensor of shape (n_inputs, n_features)
            Distinct inputs.
        law : InputLaw
            Their law.
        layers : list of int
            From 1.
        seed : int
            `skib.mutual_info` promises that numbers of a layer follow from it and the
            layer alone.

        Returns
        -------
        information : list of Information
            One for each layer.
        """

    def _check_parameters(self) -> None:
        """Refuse parameters that make no sense."""


class ActivationsMIEstimator(MutualInfoEstimator):
    """Base of estimators that are fitted to arrays of activations.

    A new estimator is its parameters and one method, `estimate_law`. Checks, merging of
    equal inputs, fitted attributes, `score`, saturation, warnings and the way over the
    layers of a network come from here.

    Attributes
    ----------
    passes : {"noisy", "noise-free"}
        Class attribute: whether layers of a noisy network are seen through noisy
        passes, as noiseless activations after noisy earlier layers, or without noise.
    min_draws : int
        Class attribute: the fewest draws per input of three-dimensional activations.
    n_draws : int
        Class attribute or parameter: noisy passes per input that layers of a network
        are seen through.

    Examples
    --------
    The entropy of the rounded activations, 20 lines less:

    >>> import numpy as np
    >>> from skib.mutual_info import ActivationsMIEstimator, Estimate, Information
    >>> class RoundedMIEstimator(ActivationsMIEstimator):
    ...     passes = "noise-free"
    ...
    ...     def __init__(self, decimals=1):
    ...         self.decimals = decimals
    ...
    ...     def estimate_law(self, law):
    ...         rounded = law.centers[:, 0].numpy().round(self.decimals)
    ...         _, cell = np.unique(rounded, axis=0, return_inverse=True)
    ...         p = np.bincount(cell, law.input_weights)
    ...         return Information(Estimate(-(p * np.log(p)).sum()))
    >>> estimator = RoundedMIEstimator().fit([[0.11], [0.12], [0.3], [0.4]])
    >>> print(f"{estimator.mutual_info_:.4f}")
    1.0397
    """

    passes = "noisy"
    min_draws = 1
    n_draws: int = 128

    @abstractmethod
    def estimate_law(self, law: LayerLaw) -> Information:
        """Estimate the information of one layer.

        Parameters
        ----------
        law : LayerLaw
            Distinct inputs with their weights and labels, and the activations of each.

        Returns
        -------
        information : Information
            With at least ``mutual_info``.
        """

    @whatever_the_default_device
    def fit(self, X, y=None, sample_weight=None):
        """Estimate the information of activations about their inputs and labels.

        Parameters
        ----------
        X : array-like or Tensor, (n_inputs, n_units) or (n_inputs, n_draws, n_units)
            Activations, one row per input; with three dimensions, independent draws of
            an activation that noise in earlier layers moves.
        y : array-like of shape (n_inputs,), default=None
            Discrete labels.
        sample_weight : array-like of shape (n_inputs,), default=None
            Law of the inputs, up to a factor; None is uniform.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If activations are not finite or have too few draws, a parameter makes no
            sense, or labels or weights do not fit the activations.
        """
        self._check_parameters()
        X = self._check_activations(X, reset=True)
        self.classes_, labels = check_labels(self, y, X)
        law = self._law_of(X, labels, sample_weight)
        information = self.estimate_law(law).of(law)
        self._set_results(information)
        for limit in information.limits:
            # Without noise small bins keep any inputs apart: nothing to warn of.
            if self.passes == "noisy" or not isinstance(limit, SaturationWarning):
                warnings.warn(limit, stacklevel=2)
        return self

    @whatever_the_default_device
    def score(self, X, y=None, sample_weight=None):
        """Information of the activations X, estimated anew with the same settings.

        What cross-validation of a pipeline needs: each network gets the information of
        its own activations. A search over the estimator's own ``noise_std`` always
        picks the smallest, since less noise hides less.

        Parameters
        ----------
        X : array-like or Tensor, (n_inputs, n_units) or (n_inputs, n_draws, n_units)
            Activations, as in `fit`.
        y : array-like of shape (n_inputs,), default=None
            Labels; needed when ``target="label"``.
        sample_weight : array-like of shape (n_inputs,), default=None
            Law of the inputs, up to a factor; None is uniform.

        Returns
        -------
        information : float
            I(X;T), or I(Y;T) when ``target="label"``, in nats; clipped to what is
            possible, 0 to the entropy of the inputs, or labels, given.
        """
        check_is_fitted(self)
        X = self._check_activations(X, reset=False)
        _, labels = check_labels(self, y, X)
        law = self._law_of(X, labels, sample_weight)
        information = self._estimate_anew(law)
        for limit in information.limits:
            warnings.warn(limit, stacklevel=2)
        estimate: Estimate | None = information.mutual_info
        ceiling: float | None = law.input_entropy
        if getattr(self, "target", "input") == "label":
            estimate, ceiling = information.label_mutual_info, law.label_entropy
        assert estimate is not None
        assert ceiling is not None
        return min(max(estimate.value, 0.0), ceiling)

    def estimate_layers(
        self, snapshot: Snapshot, X: Any, law: InputLaw, layers: list[int], seed: int
    ) -> list[Information]:
        """Estimate each layer from its activations.

        Parameters
        ----------
        snapshot : Snapshot
        X : array or Tensor of shape (n_inputs, n_features)
            Distinct inputs.
        law : InputLaw
            Their law.
        layers : list of int
            From 1.
        seed : int

        Returns
        -------
        information : list of Information
        """
        self._check_noise(snapshot, layers)
        return [
            self._estimate_layer(snapshot, X, law, layer, seed_at(seed, layer))
            for layer in layers
        ]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = getattr(self, "target", "input") == "label"
        return tags

    def _check_parameters(self) -> None:
        check_target(getattr(self, "target", "input"))

    def _check_activations(self, X: Any, *, reset: bool) -> Tensor:
        X = check_activations(self, X, reset=reset)
        if X.ndim == 3 and X.shape[1] < self.min_draws:
            raise ValueError(
                f"X must hold at least {self.min_draws} draws per input, so that the "
                f"bias of having few shows. Got {X.shape[1]} in an array of shape "
                f"{tuple(X.shape)}. Draw more, or give a two-dimensional array if each "
                "input has exactly one centre."
            )
        return X

    def _law_of(self, X: Tensor, labels: Any, sample_weight: Any) -> LayerLaw:
        """Merge inputs; where noise hides rounding, those it leaves apart as well."""
        largest_gap = 0.0
        if self.passes == "noisy":
            largest_gap = HIDDEN_BY_NOISE * float(getattr(self, "noise_std", 0.0))
        weights = check_weights(sample_weight, len(X))
        return layer_law(X, labels, weights, largest_gap)

    def _estimate_anew(self, law: LayerLaw) -> Information:
        return clone(self).estimate_law(law)

    def _set_results(self, information: Information) -> None:
        found = information.estimates()
        for name in QUANTITIES + BRACKET:
            estimate = found.get(name)
            setattr(self, f"{name}_", estimate and estimate.value)
            setattr(self, f"{name}_std_error_", estimate and estimate.std_error)
        for name, value in information.diagnostics.items():
            setattr(self, f"{name}_", value)
        self.input_entropy_ = information.input_entropy
        self.saturated_ = information.saturated

    def _estimate_layer(
        self, snapshot: Snapshot, X: Any, law: InputLaw, layer: int, seed: int
    ) -> Information:
        own = self._for_layer(snapshot.noise_std[layer - 1], seed_at(seed, 1))
        own._check_parameters()
        activations = self._activations(snapshot, X, layer, seed_at(seed, 0))
        at_layer = law.at_layer(own._check_activations(activations, reset=True))
        return own.estimate_law(at_layer).of(at_layer)

    def _activations(self, snapshot: Snapshot, X: Any, layer: int, seed: int) -> Any:
        if self.passes == "noise-free":
            return snapshot.transform(X, layer=layer)
        # Without noise before the layer, each input has one centre.
        is_moved = has_noise_before(snapshot, layer)
        return snapshot.activations(
            X,
            layer=layer,
            n_draws=self.n_draws if is_moved else None,
            random_state=seed,
        )

    def _for_layer(self, noise_std: float, seed: int) -> Any:
        """Return a clone with the noise of a layer and a seed, where it has these."""
        changes = {"noise_std": noise_std, "random_state": seed}
        names = self.get_params(deep=False)
        return clone(self).set_params(**{n: changes[n] for n in changes if n in names})

    def _check_noise(self, snapshot: Snapshot, layers: list[int]) -> None:
        """Refuse noise that was set, and is not the network's."""
        own: Any = getattr(self, "noise_std", None)
        default = inspect.signature(type(self)).parameters.get("noise_std")
        if default is None or own == default.default:
            return
        noise = {layer: float(snapshot.noise_std[layer - 1]) for layer in layers}
        wrong = {layer: n for layer, n in noise.items() if not math.isclose(n, own)}
        if wrong:
            raise ValueError(
                "The estimator must have the noise that the network was recorded with: "
                f"{wrong} by layer. Got noise_std={own!r}. Set it, or leave it at its "
                "default: then each layer's own is taken."
            )
