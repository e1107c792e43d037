"""Bounds on the information of a noisy layer from pairwise distances alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.threads import torch_threads
from skib._validation import check_noise_std, check_option
from skib.mutual_info._base import ActivationsMIEstimator
from skib.mutual_info._information import Estimate, Information
from skib.mutual_info._input_law import LayerLaw
from skib.mutual_info._mixture_terms import noise_entropy

__all__ = ["PairwiseDistanceMIEstimator"]

# Kernels exp(-distance^2 / (8 noise_std^2)) and its square and fourth power.
LOWER, MIDDLE, UPPER = range(3)
BOUNDS = {"lower": LOWER, "middle": MIDDLE, "upper": UPPER}
OTHER_SIDE = {LOWER: UPPER, MIDDLE: MIDDLE, UPPER: LOWER}
PAIRS_AT_A_TIME = 1 << 20


class PairwiseDistanceMIEstimator(ActivationsMIEstimator):
    """Information of a noisy layer from the distances between its centres.

    ``-sum_i w_i ln sum_j w_j exp(-|s_i - s_j|^2 / (c noise_std^2))`` with c = 8
    (Bhattacharyya) is not above the information I(X;T) of T = S + Z, and with c = 2
    (Kullback-Leibler) not below, whatever the number of units [1]_. With c = 4, the
    overlap of two kernels with its offset taken away [2]_, it is exact where the
    centres coincide, to first order where they are close, and where they are far
    apart. There is no sampling and no standard error; time grows as the square of the
    number of centres.

    Parameters
    ----------
    noise_std : float, default=0.1
        Standard deviation of the noise of the layer, in activation units, > 0. Over a
        recording, `information_flow` takes each layer's own for the default.
    bound : {"lower", "middle", "upper"}, default="middle"
        What ``mutual_info_`` and the other quantities are.
    n_draws : int, default=8
        Noisy passes per input that layers of a network are seen through. Arrays that
        are fitted bring their own.
    target : {"input", "label"}, default="input"
        What `score` measures the information about.

    Attributes
    ----------
    mutual_info_ : float
        The bound on I(X;T), or the value between them, in nats.
    mutual_info_low_, mutual_info_high_ : float
        The lower and the upper bound in nats, whatever ``bound`` is, clipped to 0 to
        H(X).
    entropy_, conditional_entropy_ : float
        Bounds on h(T) and h(T|X) in nats, of which ``mutual_info_`` is the difference
        before it is clipped to 0 to H(X): a lower bound on I(X;T) is one on h(T) less
        an upper one on h(T|X).
    label_mutual_info_, label_conditional_entropy_ : float
        The same of I(Y;T), clipped to 0 to H(Y), and h(T|Y). None without labels.
    mutual_info_std_error_, entropy_std_error_, ... : float
        0: nothing is sampled.
    input_entropy_ : float
        H(X) in nats, of the distinct inputs: the ceiling of I(X;T).
    saturated_ : bool
        Whether ``mutual_info_low_`` is at that ceiling.
    classes_ : ndarray of shape (n_classes,) or None
        The labels seen. None without labels.
    n_features_in_ : int
        Number of units.

    See Also
    --------
    skib.mutual_info.bounds.pairwise_mutual_info_bounds : Both bounds as a function.
    GaussianMixtureMIEstimator : The information itself, by sampling.

    Notes
    -----
    With several draws per input what is bounded is the information of the mixtures that
    these draws define: p(t|x) a mixture of n_draws Gaussians, p(t) the mean of p(t|x).
    That plug-in is on average not below I(X;T), so the upper bound holds on average for
    I(X;T) as well; the lower one does so as the draws become many.

    References
    ----------
    .. [1] Kolchinsky, A. and Tracey, B. D. (2017). Estimating Mixture Entropy with
       Pairwise Distances. Entropy 19, 361. Section 3. doi:10.3390/e19070361
    .. [2] Lee, N. (2026). On the Entropy of General Mixture Distributions.
       https://arxiv.org/abs/2602.15303

    Examples
    --------
    >>> from skib.mutual_info import PairwiseDistanceMIEstimator, awgn_mutual_info
    >>> points = [[0.0], [1.0], [3.0]]
    >>> found = PairwiseDistanceMIEstimator(noise_std=1.0).fit(points)
    >>> print(f"{found.mutual_info_low_:.3f} < {found.mutual_info_high_:.3f}")
    0.311 < 0.708
    >>> print(f"{found.mutual_info_:.3f}, true {awgn_mutual_info(points, 1.0):.3f}")
    0.504, true 0.449
    """

    def __init__(self, noise_std=0.1, *, bound="middle", n_draws=8, target="input"):
        self.noise_std = noise_std
        self.bound = bound
        self.n_draws = n_draws
        self.target = target

    @property
    def quantities(self):
        """What the values are called, with the side on which they bound it."""
        kind = "pairwise" if self.bound == "middle" else f"{self.bound} bound"
        return {"input": f"I(X;T), {kind}", "label": f"I(Y;T), {kind}"}

    def estimate_law(self, law):
        """Bound the information of one layer.

        Parameters
        ----------
        law : LayerLaw

        Returns
        -------
        information : Information
        """
        with torch_threads(1):
            overlaps = _overlaps(law, self.noise_std)
        ends = [overlaps.information(law, which) for which in range(3)]
        which = BOUNDS[self.bound]
        noise = noise_entropy(law.centers.shape[2], self.noise_std)
        given = OTHER_SIDE[which]
        return Information(
            mutual_info=Estimate(ends[which]),
            mutual_info_low=Estimate(ends[LOWER]),
            mutual_info_high=Estimate(ends[UPPER]),
            entropy=Estimate(noise + overlaps.of_all[which]),
            conditional_entropy=Estimate(noise + overlaps.of_inputs[given]),
            label_mutual_info=Estimate(overlaps.label_information(law, which)),
            label_conditional_entropy=Estimate(noise + overlaps.of_labels[given]),
            bounds_only=True,
        )

    def _check_parameters(self):
        super()._check_parameters()
        check_noise_std(self.noise_std)
        check_option("bound", self.bound, BOUNDS)


@dataclass(frozen=True)
class _Overlaps:
    """Entropies less that of the noise, for c = 8, 4 and 2, in nats.

    Attributes
    ----------
    of_all, of_inputs, of_labels : list of float
        Of T, of T given X and of T given Y.
    """

    of_all: list[float]
    of_inputs: list[float]
    of_labels: list[float]

    def information(self, law: LayerLaw, which: int) -> float:
        """Information about the input, between 0 and H(X)."""
        value = self.of_all[which] - self.of_inputs[OTHER_SIDE[which]]
        return min(max(value, 0.0), law.input_entropy)

    def label_information(self, law: LayerLaw, which: int) -> float:
        """Information about the label, between 0 and H(Y)."""
        value = self.of_all[which] - self.of_labels[OTHER_SIDE[which]]
        return min(max(value, 0.0), law.label_entropy or 0.0)


def _overlaps(law: LayerLaw, noise_std: float) -> _Overlaps:
    _, n_draws, n_units = law.centers.shape
    places = law.centers.double().reshape(-1, n_units)
    # Far from the origin the differences of close centres would drown in rounding.
    places = (places - places.mean(0)) / (math.sqrt(8) * noise_std)
    joint = law.joint.double().repeat_interleave(n_draws, dim=0) / n_draws
    totals = torch.zeros(3, 2, dtype=torch.float64, device=places.device)
    start = 0
    for some in places.split(max(1, PAIRS_AT_A_TIME // len(places))):
        weights = joint[start : start + len(some)]
        for which, kernel in enumerate(_kernels(some, places)):
            totals[which] += _mean_logs(kernel @ joint, weights, law.label_weights)
        start += len(some)
    of_all, of_labels = (-totals).T.tolist()
    return _Overlaps(of_all, _given_inputs(law, places), of_labels)


def _kernels(some: Tensor, places: Tensor) -> list[Tensor]:
    """Kernels of the three widths: one exponential, then squares."""
    exact = "donot_use_mm_for_euclid_dist"  # the fast form loses close pairs
    lower = torch.cdist(some, places, compute_mode=exact).square_().neg_().exp_()
    middle = lower.square()
    return [lower, middle, middle.square()]


def _mean_logs(sums: Tensor, weights: Tensor, label_weights: Tensor) -> Tensor:
    """Weighted logs of overlaps, with all centres and with those of one label.

    ``sums`` has a column per label. A row's own kernel is 1: where its weight is not 0
    neither is its sum.
    """
    among_all = weights.sum(1) @ sums.sum(1).log()
    among_label = torch.xlogy(weights, sums / label_weights.clamp_min(1e-300)).sum()
    return torch.stack([among_all, among_label])


def _given_inputs(law: LayerLaw, places: Tensor) -> list[float]:
    n_inputs, n_draws, n_units = law.centers.shape
    if n_draws == 1:
        return [0.0, 0.0, 0.0]
    clouds = places.reshape(n_inputs, n_draws, n_units)
    totals = torch.zeros(3, dtype=torch.float64, device=places.device)
    size = max(1, PAIRS_AT_A_TIME // n_draws**2)
    for some, weights in zip(
        clouds.split(size), law.input_weights.split(size), strict=True
    ):
        for which, kernel in enumerate(_kernels(some, some)):
            totals[which] += weights @ kernel.mean(2).log().mean(1)
    return (-totals).tolist()
