"""Estimators of I(X;T), each a function of a problem and a seed.

Each returns a value and its standard error; None where it states none, and no pair at
all where it cannot take the problem.
"""

from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from scipy.special import digamma

from benchmarks.yardstick.critic import critic_mutual_info, info_nce, mine
from skib import GaussianMixtureMIEstimator, NetworkMIEstimator
from skib.mutual_info import (
    BinnedMIEstimator,
    KernelDensityMIEstimator,
    NearestNeighborMIEstimator,
    PairwiseDistanceMIEstimator,
)

FROM_WEIGHTS, FROM_ACTIVATIONS = "network-aware", "activations alone"
N_DRAWS = 64
N_SAMPLES = 4096
NEIGHBORS = 3


def contenders():
    """Names and functions of all that are installed."""
    every = {
        FROM_WEIGHTS: of_skib(NetworkMIEstimator()),
        FROM_ACTIVATIONS: of_skib(GaussianMixtureMIEstimator(n_draws=N_DRAWS)),
        "pairwise distances": of_skib(PairwiseDistanceMIEstimator(), has_error=False),
        "nearest neighbours": of_skib(NearestNeighborMIEstimator()),
        "kernel density": of_skib(KernelDensityMIEstimator()),
        "10 bins": binned(n_bins=10),
        "30 bins": binned(n_bins=30),
        "100 bins": binned(n_bins=100),
        "bins as wide as the noise": noise_wide_bins,
        "KSG of discrete inputs": ksg,
        "MINE": partial(critic_mutual_info, bound=mine),
        "InfoNCE": partial(critic_mutual_info, bound=info_nce),
    }
    if find_spec("ennemi"):
        every["ennemi (one unit only)"] = of_ennemi
    return every


def of_skib(estimator, *, has_error=True):
    def run(problem, seed):
        (found,) = estimator.estimate(
            problem.snapshot, problem.X, layers=[-1], random_state=seed
        )
        estimate = found.mutual_info
        return estimate.value, estimate.std_error if has_error else None

    return run


def binned(**bins):
    """Cut the range of the activations, without noise, as is done for plain nets."""
    estimator = BinnedMIEstimator(value_range="data", **bins)
    return of_skib(estimator, has_error=False)


def noise_wide_bins(problem, seed):
    """Dither bins whose uniform noise is of the variance of the layer's own."""
    width = problem.noise_std * 12**0.5
    # What estimators state here is the error over offsets, none of the information.
    return binned(bin_width=width, n_offsets=8)(problem, seed)


def ksg(problem, seed):
    """Neighbours of the same input against all: Ross (2014), in maximum norm."""
    rows, t = problem.samples(N_SAMPLES, seed)
    rows, t = torch.as_tensor(rows), torch.as_tensor(t)
    distances = torch.cdist(t, t, p=torch.inf).fill_diagonal_(torch.inf)
    others = distances.masked_fill(rows[:, None] != rows, torch.inf)
    radius = others.kthvalue(NEIGHBORS, dim=1, keepdim=True).values
    n_within = (distances <= radius).sum(1)
    n_same = torch.bincount(rows)[rows]
    return _mean_of_digammas(n_within.numpy(), n_same.numpy()), None


def _mean_of_digammas(n_within, n_same):
    constant = digamma(N_SAMPLES) + digamma(NEIGHBORS)
    return float(constant - np.mean(digamma(n_within) + digamma(n_same)))


def of_ennemi(problem, seed):
    if problem.n_units > 1:
        return None
    from ennemi import estimate_mi

    rows, t = problem.samples(N_SAMPLES, seed)
    found = estimate_mi(t[:, 0], rows, k=NEIGHBORS, discrete_x=True, max_threads=1)
    return float(found.squeeze()), None
