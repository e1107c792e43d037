"""The binned estimator of earlier work."""

from __future__ import annotations

import warnings
from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import xlogy
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skib._numerics.binning import bin_codes, number_distinct, number_rows
from skib.exceptions import UncoveredBinsWarning
from skib.mutual_info._input_law import (
    check_activations,
    check_known_labels,
    check_labels,
    check_target,
    check_weights,
    input_law,
)
from skib.mutual_info._stratified import StratifiedMean

__all__ = ["BinnedMIEstimator"]

POSITIVE = {"min_val": 0, "max_val": np.inf, "include_boundaries": "neither"}


class BinnedMIEstimator(BaseEstimator):
    """Information of the binned activations of a layer.

    Each unit's activation is cut into bins, and the entropies are those of the cells
    that are hit. For a deterministic network ``I(X;Bin(T))`` is ``H(Bin(T))``: it says
    how the activations cluster at the scale of the bins, and grows to H(X) as the bins
    shrink, whatever the network does [1]_.

    Parameters
    ----------
    n_bins : int, default=30
        Bins per unit over ``value_range``.
    bin_width : float or None, default=None
        Width of a bin, in activation units; takes the place of ``n_bins``. The bins
        start at the lower end of ``value_range``, and the last may reach beyond it.
    value_range : tuple of float or "data", default=(-1, 1)
        Range of the bins, in activation units; "data" is the range of the activations
        that are fitted. Bins are half-open, the upper edge belongs to the last bin,
        and values outside go to the end bins, with an `UncoveredBinsWarning`.
    target : {"input", "label"}, default="input"
        What `score` measures the information about.

    Attributes
    ----------
    mutual_info_ : float
        I(X;Bin(T)) in nats, between 0 and H(X).
    entropy_ : float
        H(Bin(T)) in nats.
    conditional_entropy_ : float
        H(Bin(T)|X) in nats; 0 when each input has one activation.
    label_mutual_info_ : float
        I(Y;Bin(T)) in nats, between 0 and H(Y). None without labels.
    label_conditional_entropy_ : float
        H(Bin(T)|Y) in nats. None without labels.
    mutual_info_std_error_, entropy_std_error_, ... : float
        Standard error of each of the above from having finitely many draws per input;
        0 when each input has one activation, since X is taken as the whole law of the
        input. The plug-in bias of finitely many draws is not corrected: it lowers
        H(Bin(T)|X) by up to about (cells hit by an input - 1) / (2 n_draws).
    n_bins_ : int
        Bins per unit.
    value_range_ : tuple of float
        Lower edge of the first and upper edge of the last bin.
    input_entropy_ : float
        H(X) in nats, of the distinct inputs: the ceiling of I(X;Bin(T)).
    saturated_ : bool
        Whether ``mutual_info_`` is at that ceiling: no two inputs share a cell.
    classes_ : ndarray of shape (n_classes,) or None
        The labels seen. None without labels.
    n_features_in_ : int
        Number of units.

    See Also
    --------
    GaussianMixtureMIEstimator : Information of noisy layers.

    References
    ----------
    .. [1] Goldfeld, Z. et al. (2019). Estimating Information Flow in Deep Neural
       Networks. ICML. https://arxiv.org/abs/1810.05728
    .. [2] Shwartz-Ziv, R. and Tishby, N. (2017). Opening the Black Box of Deep Neural
       Networks via Information. https://arxiv.org/abs/1703.00810

    Examples
    --------
    Of four inputs two fall into the same cell.

    >>> import numpy as np
    >>> from skib.mutual_info import BinnedMIEstimator
    >>> activations = np.array([[-0.9], [-0.3], [0.3], [0.35]])
    >>> information = BinnedMIEstimator(n_bins=4).fit(activations)
    >>> print(f"{information.mutual_info_:.4f} of {np.log(4):.4f} nats")
    1.0397 of 1.3863 nats
    """

    def __init__(
        self, n_bins=30, *, bin_width=None, value_range=(-1, 1), target="input"
    ):
        self.n_bins = n_bins
        self.bin_width = bin_width
        self.value_range = value_range
        self.target = target

    def fit(self, X, y=None, sample_weight=None):
        """Estimate the information of binned activations about inputs and labels.

        Parameters
        ----------
        X : array-like or Tensor, (n_inputs, n_units) or (n_inputs, n_draws, n_units)
            Activations, one row per input; with three dimensions, draws of a noisy
            activation.
        y : array-like of shape (n_inputs,), default=None
            Discrete labels.
        sample_weight : array-like of shape (n_inputs,), default=None
            Law of the inputs, up to a factor; None is uniform.

        Returns
        -------
        self : BinnedMIEstimator

        Raises
        ------
        ValueError
            If the activations are not finite, the bins make no sense, or labels or
            weights do not fit the activations.
        """
        check_target(self.target)
        X = check_activations(self, X, reset=True)
        self.classes_, labels = check_labels(self, y, X)
        law = input_law(X, labels, check_weights(sample_weight, len(X)))
        self.n_bins_, self.value_range_ = self._fit_bins(X)
        self._set_results(self._terms(law), law)
        return self

    def score(self, X, y=None):
        """Information of activations X in the fitted bins.

        Parameters
        ----------
        X : array-like or Tensor, (n_inputs, n_units) or (n_inputs, n_draws, n_units)
            Activations, as in `fit`.
        y : array-like of shape (n_inputs,), default=None
            Labels among those of `fit`; needed when ``target="label"``.

        Returns
        -------
        information : float
            I(X;Bin(T)), or I(Y;Bin(T)) when ``target="label"``, in nats.
        """
        check_is_fitted(self)
        X = check_activations(self, X, reset=False)
        labels = check_known_labels(self, y, X) if self.target == "label" else None
        terms = self._terms(input_law(X, labels, None))
        name = "mutual_info" if self.target == "input" else "label_mutual_info"
        return terms.mean(name)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = self.target == "label"
        return tags

    def _fit_bins(self, X):
        low, high = self._check_value_range(X)
        if self.bin_width is None:
            return check_scalar(self.n_bins, "n_bins", Integral, min_val=1), (low, high)
        check_scalar(self.bin_width, "bin_width", Real, **POSITIVE)
        # A width that divides the range up to rounding makes no sliver of a last bin.
        n_bins = max(1, int(np.ceil((high - low) / self.bin_width - 1e-9)))
        return n_bins, (low, low + n_bins * self.bin_width)

    def _check_value_range(self, X):
        smallest, largest = float(X.min()), float(X.max())
        if isinstance(self.value_range, str) and self.value_range == "data":
            # Equal activations have a range of no width; any bin holds them all.
            return smallest, largest if largest > smallest else smallest + 1.0
        try:
            low, high = map(float, self.value_range)
        except (TypeError, ValueError):
            low = high = np.nan
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(
                "value_range must be 'data' or two finite numbers, low < high. Got "
                f"value_range={self.value_range!r}."
            )
        if smallest < low or largest > high:
            warnings.warn(
                f"Activations from {smallest:.4g} to {largest:.4g} are not covered by "
                f"bins on [{low:.4g}, {high:.4g}]: those outside were put into the end "
                "bins. Use value_range='data', or a range that covers them.",
                UncoveredBinsWarning,
            )
        return low, high

    def _terms(self, law):
        return _binned_terms(law, self.n_bins_, *self.value_range_)

    def _set_results(self, terms, law):
        for name in terms.names:
            known = self.classes_ is not None or not name.startswith("label")
            # One activation per input is the whole law: nothing was sampled.
            error = 0.0 if law.one_center else terms.std_error(name)
            setattr(self, f"{name}_", terms.mean(name) if known else None)
            setattr(self, f"{name}_std_error_", error if known else None)
        self.input_entropy_ = law.input_entropy
        slack = self.input_entropy_ - self.mutual_info_
        self.saturated_ = bool(self.input_entropy_ > 0 and slack <= 1e-9)


def _binned_terms(law, n_bins, low, high):
    """Mean of the information terms over the inputs' draws, with their spread.

    The terms are the influence functions of the plug-in quantities, so their spread
    over the draws of an input is that of the estimate.
    """
    n_inputs, n_draws, n_units = law.centers.shape
    activations = law.centers.cpu().numpy().reshape(-1, n_units)
    joint = law.joint.cpu().numpy()
    cell = number_rows(bin_codes(activations, n_bins, low, high), n_bins)
    owner = np.repeat(np.arange(n_inputs), n_draws)

    by_label = np.stack([np.bincount(cell, p[owner] / n_draws) for p in joint.T], 1)
    p_cell = by_label.sum(1)
    own_cell = number_distinct(owner * len(p_cell) + cell)
    p_cell_given_input = np.bincount(own_cell)[own_cell] / n_draws
    # A label of weight 0 has no cells: its ratio is 0 / 0, and its share 0.
    prior = np.maximum(by_label.sum(0), np.finfo(float).tiny)
    ratio = by_label / p_cell[:, None] / prior
    share = joint / joint.sum(1, keepdims=True)
    label_information = xlogy(share[owner], ratio[cell]).sum(1)

    entropy = -np.log(p_cell[cell])
    conditional_entropy = -np.log(p_cell_given_input)
    terms = {
        "mutual_info": entropy - conditional_entropy,
        "entropy": entropy,
        "conditional_entropy": conditional_entropy,
        "label_mutual_info": label_information,
        "label_conditional_entropy": entropy - label_information,
    }
    means = StratifiedMean(law.input_weights.cpu())
    means.add({name: torch.from_numpy(t) for name, t in terms.items()}, n_draws)
    return means
