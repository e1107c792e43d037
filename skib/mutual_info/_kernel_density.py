"""Information of noisy layers by a density of kernels around samples."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import Tensor

from skib._numerics.threads import torch_threads
from skib.mutual_info._noisy_samples import NoisySamplesMIEstimator, Surprises

__all__ = ["KernelDensityMIEstimator"]

PAIRS_AT_A_TIME = 1 << 20
# Bandwidths tried are this many to a factor of two.
PER_OCTAVE = 4
POSITIVE = {"min_val": 0, "include_boundaries": "neither"}


class KernelDensityMIEstimator(NoisySamplesMIEstimator):
    """Information of a noisy layer from a kernel density of samples of it.

    Gaussian kernels around samples of the output; the density at a sample is that of
    all others, left one out, and minus the mean of its log is the entropy [1]_. It
    does not know that the noise is a kernel already, only samples: a rival of
    `GaussianMixtureMIEstimator`, for comparison. h(T|X) is taken as known where each
    input has one centre.

    Parameters
    ----------
    noise_std : float, default=0.1
        Standard deviation of the noise of the layer, in activation units, > 0. Over a
        recording, `information_flow` takes each layer's own for the default.
    bandwidth : float or "cv", default="cv"
        Standard deviation of the kernels, in activation units. "cv" takes the one of
        the largest likelihood of samples left out, one for each of h(T), h(T|Y) and
        h(T|X), among bandwidths from a fraction of the noise to the spread of the
        samples, four to an octave.
    n_samples : int, default=4096
        Samples of the layer's output; time grows as their square.
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
        h(T), h(T|X) in nats. With a fixed bandwidth their bias is up: a cross-entropy
        is never below the entropy.
    label_mutual_info_, label_conditional_entropy_ : float
        I(Y;T), h(T|Y) in nats. None without labels.
    mutual_info_std_error_, entropy_std_error_, ... : float
        Standard error of each of the above from finitely many samples. It does not
        count the bias, which grows with the number of units.
    bandwidth_ : float
        Bandwidth of the estimate of h(T).
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
    NearestNeighborMIEstimator : Neighbours in place of kernels.
    PairwiseDistanceMIEstimator : Bounds without samples.

    References
    ----------
    .. [1] Kandasamy, K. et al. (2015). Nonparametric von Mises Estimators for
       Entropies, Divergences and Mutual Informations. NeurIPS.
       https://arxiv.org/abs/1411.4342

    Examples
    --------
    >>> from skib.mutual_info import KernelDensityMIEstimator
    >>> estimator = KernelDensityMIEstimator(noise_std=1.0, random_state=0)
    >>> found = estimator.fit([[-1.0], [1.0]])
    >>> abs(found.mutual_info_ - 0.3368) < 4 * found.mutual_info_std_error_
    True
    """

    min_draws = 2

    def __init__(
        self,
        noise_std=0.1,
        *,
        bandwidth="cv",
        n_samples=4096,
        n_draws=32,
        target="input",
        random_state=None,
    ):
        self.noise_std = noise_std
        self.bandwidth = bandwidth
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
        bandwidths = self._bandwidths(samples)
        counts = np.bincount(groups)[groups]
        if counts.min() < 2:
            raise ValueError(
                "Each label needs two samples, one to leave out. Got one. Raise "
                f"n_samples={self.n_samples}."
            )
        with torch_threads(1):
            among_all, among_group = _log_sums_of_others(samples, groups, bandwidths)
        n_units = samples.shape[1]
        best, values = _best(among_all, len(samples) - 1, n_units, bandwidths)
        self.bandwidth_ = float(bandwidths[best])
        _, of_groups = _best(among_group, counts - 1, n_units, bandwidths)
        return Surprises(values, of_groups)

    def surprises_of_clouds(self, clouds):
        """Estimate -ln p(t|x) at samples of each input.

        Parameters
        ----------
        clouds : ndarray of shape (n_inputs, n_draws, n_units)

        Returns
        -------
        surprises : ndarray of shape (n_inputs, n_draws)
        """
        n_inputs, n_draws, n_units = clouds.shape
        steps = (clouds - clouds.mean(1, keepdims=True)).reshape(-1, n_units)
        bandwidths = self._bandwidths(steps, n_draws)
        size = max(1, PAIRS_AT_A_TIME // n_draws**2)
        with torch_threads(1):
            parts = [
                torch.stack(
                    [torch.logsumexp(exponents / h**2, -1) for h in bandwidths.tolist()]
                )
                for some in torch.from_numpy(clouds).split(size)
                for exponents in [_exponents_of_others(some)]
            ]
        log_sums = torch.cat(parts, 1).numpy().reshape(len(bandwidths), -1)
        _, values = _best(log_sums, n_draws - 1, n_units, bandwidths)
        return values.reshape(n_inputs, n_draws)

    def _bandwidths(self, samples, n_together=None):
        """Bandwidths to choose from, the widest first."""
        if self.bandwidth != "cv":
            return np.array([float(self.bandwidth)])
        n_units = samples.shape[1]
        n_samples = n_together or len(samples)
        # Silverman's rule for a Gaussian: wide for the whole, right for a lone kernel.
        silverman = (4 / (n_units + 2) / n_samples) ** (1 / (n_units + 4))
        widest = 2 * silverman * max(samples.std(0).max(), self.noise_std)
        narrowest = silverman * self.noise_std / 2
        octaves = math.ceil(math.log2(widest / narrowest))
        return widest * 2.0 ** (-np.arange(octaves * PER_OCTAVE + 1) / PER_OCTAVE)

    def _check_parameters(self):
        super()._check_parameters()
        if isinstance(self.bandwidth, str) and self.bandwidth == "cv":
            return
        check_scalar(self.bandwidth, "bandwidth", Real, **POSITIVE)


def _best(
    log_sums: np.ndarray,
    n_others: np.ndarray | int,
    n_units: int,
    bandwidths: np.ndarray,
) -> tuple[int, np.ndarray]:
    """Place of the likeliest bandwidth, and -ln of its densities.

    ``log_sums`` has shape (n_bandwidths, n_samples).
    """
    scale = n_units * (np.log(bandwidths) + 0.5 * math.log(2 * math.pi))
    surprises = np.log(n_others) + scale[:, None] - log_sums
    best = int(np.argmin(surprises.mean(1)))
    if not np.isfinite(surprises[best]).all():
        raise ValueError(
            "bandwidth must be wide enough that every sample has another within reach "
            f"of its kernel. Got bandwidth={bandwidths[best]:.3g}. Use 'cv'."
        )
    return best, surprises[best]


def _exponents_of_others(some: Tensor, every: Tensor | None = None, start: int = 0):
    """-distance^2 / 2 between samples, -inf from each to itself."""
    every = some if every is None else every
    exact = "donot_use_mm_for_euclid_dist"  # the fast form loses close pairs
    exponents = torch.cdist(some, every, compute_mode=exact).square_().mul_(-0.5)
    exponents.diagonal(start, -2, -1).fill_(-math.inf)
    return exponents


def _log_sums_of_others(
    samples: np.ndarray, groups: np.ndarray, bandwidths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log of sums of kernels of all others, and of all others of the same group.

    Kernels at half the squared bandwidth are squares: PER_OCTAVE / 2 bandwidths down
    takes one product in place of an exponential.
    """
    every = torch.from_numpy(samples)
    group = torch.from_numpy(groups)
    members = torch.nn.functional.one_hot(group).double()
    among_all = torch.empty(len(bandwidths), len(every), dtype=torch.float64)
    among_group = torch.empty_like(among_all)
    size = max(1, PAIRS_AT_A_TIME // len(every))
    by_square = PER_OCTAVE // 2
    for start in range(0, len(every), size):
        rows = slice(start, start + size)
        exponents = _exponents_of_others(every[rows], every, start)
        for first in range(min(by_square, len(bandwidths))):
            kernels = torch.exp(exponents / bandwidths[first] ** 2)
            for at in range(first, len(bandwidths), by_square):
                if at > first:
                    kernels.square_()
                sums = kernels @ members
                among_all[at, rows] = sums.sum(1).log()
                own = sums.gather(1, group[rows, None])[:, 0]
                among_group[at, rows] = own.log()
    return among_all.numpy(), among_group.numpy()
