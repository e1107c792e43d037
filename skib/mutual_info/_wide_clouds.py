"""Information of clouds of activations that draws do not fill: what a bracket leaves.

In many units, averages of kernels over the draws no longer stand for the law of an
input, and no extrapolation in the number of draws makes up for it. Two bounds go on
holding: from below, how well a decoder tells the input, which no draw that it was
fitted to made; from above, the plug-in, since information is convex in the channel.
Nothing says where between them the truth lies, so the value is their middle, and its
error that of a uniform law on the bracket.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import softplus

from skib._numerics.decoder import DrawnPoints, decode_clouds
from skib._numerics.moments import scatter_within
from skib.mutual_info._information import Estimate
from skib.mutual_info._input_law import LayerLaw
from skib.mutual_info._mixture_terms import NoisySampler
from skib.mutual_info._stratified import GivenDraws, Terms

__all__ = ["between_bounds", "predicted_bias"]

# Inputs whose clouds tell how wide those of all are.
INPUTS_LOOKED_AT = 64
# At least so many points of each input, to be shared out between halves of its draws.
FEWEST_POINTS = 2


def predicted_bias(law: LayerLaw, noise_std: float) -> float:
    """Bias of the plug-in estimate of h(T|X), in nats, were clouds Gaussian.

    The leading term is chi-square / (2 draws), with the chi-square of the cloud in
    noise; where it is large, the bias grows as its logarithm.

    Parameters
    ----------
    law : LayerLaw
    noise_std : float

    Returns
    -------
    bias : float
    """
    n_inputs, n_draws, _ = law.centers.shape
    rows = np.unique(np.linspace(0, n_inputs - 1, INPUTS_LOOKED_AT).round())
    clouds = law.centers[torch.as_tensor(rows.astype(int), device=law.centers.device)]
    clouds = clouds.double()
    clouds = (clouds - clouds.mean(1, keepdim=True)) / noise_std
    # 1 + chi-square is the determinant of identity + covariance, or, which is the same,
    # of identity + the products of the draws.
    if n_draws < clouds.shape[2]:
        clouds = clouds.mT
    covariance = clouds.mT @ clouds / (n_draws - 1)
    identity = torch.eye(covariance.shape[1]).to(covariance)
    log_one_more = torch.linalg.slogdet(identity + covariance)[1]
    log_chi_square = log_one_more + torch.log1p(-(-log_one_more).exp().clamp_max(1.0))
    return float(0.5 * softplus(log_chi_square - math.log(n_draws)).mean())


def between_bounds(
    law: LayerLaw, noise_std: float, means: GivenDraws, generator: np.random.Generator
) -> dict[str, Estimate]:
    """Estimate every quantity by the middle of its bounds.

    Parameters
    ----------
    law : LayerLaw
    noise_std : float
    means : GivenDraws
        Of the plug-in terms.
    generator : numpy.random.Generator
        Of fresh noise for the decoder.

    Returns
    -------
    estimates : dict of Estimate
    """
    decoded = _decoder_means(law, noise_std, means.n_samples, generator)
    ceiling = law.input_entropy
    low = _clipped(decoded.estimate("low"), 0.0, ceiling)
    high = _clipped(means.estimate("mutual_info_high"), low.value, ceiling)
    information = _between(low, high)
    most = min(law.label_entropy or 0.0, high.value)
    label_low = _clipped(decoded.estimate("label_low"), 0.0, most)
    label_high = means.estimate("label_mutual_info_high")
    label = _between(label_low, _clipped(label_high, label_low.value, most))
    conditional = _between(
        means.estimate("conditional_entropy_low"),
        Estimate(_gaussian_conditional_entropy(law, noise_std)),
    )
    entropy = _sum(conditional, information)
    return {
        "mutual_info": information,
        "mutual_info_low": low,
        "mutual_info_high": high,
        "entropy": entropy,
        "conditional_entropy": conditional,
        "label_mutual_info": label,
        "label_conditional_entropy": _sum(entropy, label, sign=-1),
    }


def _decoder_means(
    law: LayerLaw, noise_std: float, n_mc: int, generator: np.random.Generator
) -> GivenDraws:
    n_mc = max(n_mc, FEWEST_POINTS)
    samples = NoisySampler(law, noise_std, generator).draw(n_mc)
    points = law.centers[samples.groups, samples.draws].double() + samples.noise
    drawn = DrawnPoints(points, samples.groups, samples.draws)
    found = decode_clouds(law.centers, law.joint, noise_std, drawn)
    means = GivenDraws(law.input_weights, law.centers.mean(1), law.centers.shape[1])
    means.add(Terms({"low": found.low, "label_low": found.label_low}), samples.draws)
    return means


def _gaussian_conditional_entropy(law: LayerLaw, noise_std: float) -> float:
    """Bound on h(T|X): a Gaussian has the most entropy, one for all inputs more."""
    _, n_draws, n_units = law.centers.shape
    scatter = scatter_within(law.centers, law.input_weights).cpu()
    covariance = scatter / (n_draws - 1) + noise_std**2 * torch.eye(n_units)
    log_det = torch.linalg.slogdet(covariance)[1]
    return 0.5 * (n_units * math.log(2 * math.pi * math.e) + float(log_det))


def _between(low: Estimate, high: Estimate) -> Estimate:
    """Take the middle of two bounds, with the error of a uniform law between them."""
    value = 0.5 * (low.value + high.value)
    spread = abs(high.value - low.value) / math.sqrt(12)
    ends = 0.5 * math.hypot(low.std_error, high.std_error)
    return Estimate(value, math.hypot(spread, ends))


def _clipped(end: Estimate, least: float, most: float) -> Estimate:
    return Estimate(min(max(end.value, least), most), end.std_error)


def _sum(one: Estimate, other: Estimate, sign: int = 1) -> Estimate:
    value = one.value + sign * other.value
    return Estimate(value, math.hypot(one.std_error, other.std_error))
