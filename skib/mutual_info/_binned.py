"""The binned estimator of earlier work."""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from skib._numerics.binning import bin_codes, number_rows
from skib._validation import check_option
from skib.exceptions import UncoveredBinsWarning
from skib.mutual_info._base import ActivationsMIEstimator
from skib.mutual_info._cells import cell_means
from skib.mutual_info._information import Estimate, Information

__all__ = ["BinnedMIEstimator"]

CORRECTIONS = (None, "miller-madow")
POSITIVE = {"min_val": 0, "max_val": np.inf, "include_boundaries": "neither"}


class BinnedMIEstimator(ActivationsMIEstimator):
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
    n_offsets : int or None, default=None
        None keeps the bins where ``value_range`` puts them. A number, at least 2, of
        random offsets dithers them: each shifts the bins of every unit by its own
        uniform fraction of a bin, and all quantities are means over the offsets.
        ``entropy_`` then estimates I(T;T+U) with noise U uniform over one bin, which
        is to uniform noise what `GaussianMixtureMIEstimator` is to Gaussian noise.
    correction : {None, "miller-madow"}, default=None
        What to do about the bias of entropies of finitely many draws, which is down:
        nothing, or add its leading term, half the sum over cells of the variance of
        a cell's share over that share. For one sample of n draws that is
        (cells hit - 1) / (2 n). 0 when each input has one activation.
    target : {"input", "label"}, default="input"
        What `score` measures the information about.
    random_state : int, RandomState instance or None, default=None
        Seed of the offsets.

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
        Standard error of each of the above, from finitely many offsets and draws per
        input; 0 when each input has one activation and the bins are fixed, since X is
        taken as the whole law of the input. It does not count what bias of finitely
        many draws the ``correction`` leaves: without one, H(Bin(T)|X) is too low by
        about (cells hit by an input - 1) / (2 n_draws), and I(X;Bin(T)) too high.
    n_bins_ : int
        Bins per unit.
    value_range_ : tuple of float
        Lower edge of the first and upper edge of the last bin.
    offsets_ : ndarray of shape (n_offsets, n_units)
        By what fraction of a bin each offset moves the bins of each unit down; one
        row of zeros when the bins are fixed.
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

    passes = "noise-free"

    def __init__(
        self,
        n_bins=30,
        *,
        bin_width=None,
        value_range=(-1, 1),
        n_offsets=None,
        correction=None,
        target="input",
        random_state=None,
    ):
        self.n_bins = n_bins
        self.bin_width = bin_width
        self.value_range = value_range
        self.n_offsets = n_offsets
        self.correction = correction
        self.target = target
        self.random_state = random_state

    @property
    def quantities(self):
        """What the values are called; of one activation per input H(Bin(T)|X) is 0."""
        return {"input": "H(Bin(T))", "label": "I(Y;Bin(T))"}

    def estimate_law(self, law):
        """Estimate the information of the activations in bins chosen for them.

        Parameters
        ----------
        law : LayerLaw

        Returns
        -------
        information : Information
        """
        self.n_bins_, self.value_range_ = self._fit_bins(law.centers)
        self.offsets_ = self._draw_offsets(law.centers.shape[2])
        return self._estimate_in_bins(law)

    def _estimate_anew(self, law):
        """Keep the bins of the fit."""
        return self._estimate_in_bins(law)

    def _check_parameters(self):
        super()._check_parameters()
        check_option("correction", self.correction, CORRECTIONS)

    def _fit_bins(self, X):
        low, high = self._check_value_range(X)
        if self.bin_width is None:
            return check_scalar(self.n_bins, "n_bins", Integral, min_val=1), (low, high)
        check_scalar(self.bin_width, "bin_width", Real, **POSITIVE)
        # A width that divides the range up to rounding makes no sliver of a last bin.
        n_bins = max(1, int(np.ceil((high - low) / self.bin_width - 1e-9)))
        return n_bins, (low, low + n_bins * self.bin_width)

    def _check_value_range(self, X):
        if isinstance(self.value_range, str) and self.value_range == "data":
            smallest, largest = _range(X)
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
        return low, high

    def _uncovered(self, X):
        """Return what there is to say of activations outside of the bins."""
        (low, high), (smallest, largest) = self.value_range_, _range(X)
        if low <= smallest and largest <= high:
            return ()
        return (
            UncoveredBinsWarning(
                f"Activations from {smallest:.4g} to {largest:.4g} are not covered by "
                f"bins on [{low:.4g}, {high:.4g}]: those outside were put into the end "
                "bins. Use value_range='data', or a range that covers them."
            ),
        )

    def _draw_offsets(self, n_units):
        if self.n_offsets is None:
            return np.zeros((1, n_units))
        # Two, so that the error of having finitely many shows.
        n_offsets = check_scalar(self.n_offsets, "n_offsets", Integral, min_val=2)
        random = check_random_state(self.random_state)
        return random.uniform(size=(n_offsets, n_units))

    def _estimate_in_bins(self, law):
        means = self._means(law)
        estimates = {
            name: _over_offsets(means, name, sampled=not law.one_center)
            for name in means[0].names
        }
        return Information(**estimates, limits=self._uncovered(law.centers))

    def _means(self, law):
        """Means of the information terms, for each offset of the bins."""
        n_inputs, n_draws, n_units = law.centers.shape
        activations = law.centers.cpu().numpy().reshape(-1, n_units)
        owner = np.repeat(np.arange(n_inputs), n_draws)
        low, high = self.value_range_
        width = (high - low) / self.n_bins_
        means = []
        for offset in self.offsets_:
            # Bins that move down by part of a bin: one more reaches the upper edge.
            n_bins = self.n_bins_ + bool(offset.any())
            codes = bin_codes(
                activations + width * offset, n_bins, low, low + n_bins * width
            )
            cell = number_rows(codes, n_bins)
            means.append(cell_means(law, cell, owner, corrected=bool(self.correction)))
        return means


def _range(X):
    return float(X.min()), float(X.max())


def _over_offsets(means, name, *, sampled):
    """Mean over offsets, and its standard error from offsets and draws."""
    values = [each.mean(name) for each in means]
    variance = np.var(values, ddof=1) / len(values) if len(values) > 1 else 0.0
    # One activation per input is the whole law: nothing was sampled.
    if sampled:
        variance += np.mean([each.std_error(name) ** 2 for each in means])
    return Estimate(float(np.mean(values)), math.sqrt(variance))
