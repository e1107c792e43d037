"""Information of noisy layers by the distances to nearest neighbours of samples."""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np
from scipy.special import digamma, gammaln
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_scalar

from skib.mutual_info._noisy_samples import NoisySamplesMIEstimator, Surprises

__all__ = ["NearestNeighborMIEstimator"]

TINY = np.finfo(float).tiny


class NearestNeighborMIEstimator(NoisySamplesMIEstimator):
    """Information of a noisy layer from nearest neighbours of samples of it.

    The estimator of Kozachenko and Leonenko takes the ball that reaches to the k-th
    neighbour of a sample for a measure of the density there [1]_. It does not know
    that the density is a mixture of Gaussians, only its samples: a rival of
    `GaussianMixtureMIEstimator`, for comparison. h(T|X) is taken as known where each
    input has one centre.

    Parameters
    ----------
    noise_std : float, default=0.1
        Standard deviation of the noise of the layer, in activation units, > 0. Over a
        recording, `information_flow` takes each layer's own for the default.
    n_neighbors : int, default=3
        The k of k-th neighbour.
    weighted : bool, default=False
        Whether the estimates for 1 to k neighbours are weighed so that the leading
        terms of the bias in four or more dimensions cancel [2]_. Takes a larger k, the
        more so the more units.
    n_samples : int, default=8192
        Samples of the layer's output.
    n_draws : int, default=32
        Noisy passes per input that layers of a network are seen through. Arrays that
        are fitted bring their own.
    target : {"input", "label"}, default="input"
        What `score` measures the information about.
    random_state : int, RandomState instance or None, default=None
        Seed of the samples.

    Attributes
    ----------
    mutual_info_ : float
        I(X;T) in nats. Bias may take it out of 0 to H(X): then a
        `HighDimensionWarning` says so.
    entropy_, conditional_entropy_ : float
        h(T), h(T|X) in nats.
    label_mutual_info_, label_conditional_entropy_ : float
        I(Y;T), h(T|Y) in nats. None without labels.
    mutual_info_std_error_, entropy_std_error_, ... : float
        Standard error of each of the above from finitely many samples. It does not
        count the bias, which grows with the number of units and is the larger part of
        the error from about five on: of order n_samples^(-2 / n_units) without weights.
    input_entropy_ : float
        H(X) in nats, of the distinct inputs: the ceiling of I(X;T).
    saturated_ : bool
        Whether ``mutual_info_`` is within its error of that ceiling.
    classes_ : ndarray of shape (n_classes,) or None
        The labels seen. None without labels.
    n_features_in_ : int
        Number of units.

    See Also
    --------
    KernelDensityMIEstimator : Kernels in place of neighbours.
    PairwiseDistanceMIEstimator : Bounds without samples.

    References
    ----------
    .. [1] Kozachenko, L. F. and Leonenko, N. N. (1987). Sample Estimate of the Entropy
       of a Random Vector. Problems of Information Transmission 23, 95-101.
    .. [2] Berrett, T. B., Samworth, R. J. and Yuan, M. (2019). Efficient multivariate
       entropy estimation via k-nearest neighbour distances. Annals of Statistics 47,
       288-318. Equation 2. doi:10.1214/18-AOS1688

    Examples
    --------
    >>> from skib.mutual_info import NearestNeighborMIEstimator
    >>> estimator = NearestNeighborMIEstimator(noise_std=1.0, random_state=0)
    >>> found = estimator.fit([[-1.0], [1.0]])
    >>> abs(found.mutual_info_ - 0.3368) < 4 * found.mutual_info_std_error_
    True
    """

    min_draws = 2

    def __init__(
        self,
        noise_std=0.1,
        *,
        n_neighbors=3,
        weighted=False,
        n_samples=8192,
        n_draws=32,
        target="input",
        random_state=None,
    ):
        self.noise_std = noise_std
        self.n_neighbors = n_neighbors
        self.weighted = weighted
        self.n_samples = n_samples
        self.n_draws = n_draws
        self.target = target
        self.random_state = random_state

    def surprises(self, samples, groups):
        """Estimate -ln of densities at samples of them.

        Parameters
        ----------
        samples : ndarray of shape (n_samples, n_units)
        groups : int array of shape (n_samples,)

        Returns
        -------
        surprises : Surprises
        """
        among_all = self._surprise(samples)
        present = np.unique(groups)
        if len(present) == 1:
            return Surprises(among_all, among_all)
        among_group = np.empty(len(samples))
        for group in present:
            members = groups == group
            among_group[members] = self._surprise(samples[members])
        return Surprises(among_all, among_group)

    def surprises_of_clouds(self, clouds):
        """Estimate -ln p(t|x) at samples of each input.

        Parameters
        ----------
        clouds : ndarray of shape (n_inputs, n_draws, n_units)

        Returns
        -------
        surprises : ndarray of shape (n_inputs, n_draws)
        """
        return np.stack([self._surprise(cloud) for cloud in clouds])

    def _surprise(self, samples):
        n_samples, n_units = samples.shape
        if n_samples <= self.n_neighbors:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} neighbours need more samples than "
                f"that of every label, and more draws of every input. Got {n_samples}."
                " Raise n_samples or n_draws, or lower n_neighbors."
            )
        weights = neighbor_weights(self.n_neighbors, n_units, weighted=self.weighted)
        found = NearestNeighbors(n_neighbors=self.n_neighbors).fit(samples)
        distances, _ = found.kneighbors()
        # The mean of the log of the mass within the j-th neighbour of n - 1 others.
        log_mass = digamma(np.arange(1, self.n_neighbors + 1)) - digamma(n_samples)
        log_ball = n_units / 2 * math.log(math.pi) - gammaln(n_units / 2 + 1)
        log_volume = log_ball + n_units * np.log(np.maximum(distances, TINY))
        return (log_volume - log_mass) @ weights

    def _check_parameters(self):
        super()._check_parameters()
        check_scalar(self.n_neighbors, "n_neighbors", Integral, min_val=1)
        check_scalar(self.weighted, "weighted", (bool, np.bool_))


def neighbor_weights(n_neighbors: int, n_units: int, *, weighted: bool) -> np.ndarray:
    """Weights of the estimates from 1 to k neighbours, with sum 1.

    All on the k-th without ``weighted``; with it the smallest, in the sense of squares,
    on the neighbours k/d, 2k/d, ..., k (rounded down) such that ``sum_j w_j
    Gamma(j + 2l/d) / Gamma(j)`` is 0 for l = 1 to d/4: these are the leading terms of
    the bias.
    """
    weights = np.zeros(n_neighbors)
    if not weighted:
        weights[-1] = 1.0
        return weights
    used = np.unique(np.arange(1, n_units + 1) * n_neighbors // n_units)
    used = used[used > 0]
    powers = 2 * np.arange(n_units // 4 + 1) / n_units
    if len(powers) > len(used):
        raise ValueError(
            f"weighted=True in {n_units} units needs n_neighbors of at least "
            f"{len(powers)}, better {4 * n_units}. Got n_neighbors={n_neighbors}."
        )
    rows = np.exp(gammaln(used + powers[:, None]) - gammaln(used))
    # Each condition in its own units.
    rows /= np.abs(rows).max(1, keepdims=True)
    target = np.zeros(len(powers))
    target[0] = 1.0
    weights[used - 1] = np.linalg.lstsq(rows, target, rcond=None)[0]
    return weights
