"""Pairwise bounds: against sums written out, the truth, and what samples say."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from skib.mutual_info import (
    GaussianMixtureMIEstimator,
    PairwiseDistanceMIEstimator,
    awgn_mutual_info,
    bounds,
)

# Mixtures far apart are at their ceiling: that is no failure.
pytestmark = pytest.mark.filterwarnings("ignore::skib.exceptions.SaturationWarning")

RANDOM = np.random.RandomState(0)


def overlap(centers, weights, own, scale, noise_std):
    """The sum of the paper, one pair after the other."""
    total = 0.0
    for i, w in enumerate(own):
        distances = ((centers[i] - centers) ** 2).sum(1)
        inner = sum(weights * np.exp(-distances / (scale * noise_std**2)))
        total -= w * math.log(inner) if w > 0 else 0.0
    return total


def written_out(X, y, weights, noise_std, which):
    """I(X;T), I(Y;T), h(T) and h(T|X) less the noise's, of several draws each."""
    scale, other = {"lower": (8, 2), "middle": (4, 4), "upper": (2, 8)}[which]
    n_inputs, n_draws, _ = X.shape
    weights = weights / weights.sum()
    flat = X.reshape(-1, X.shape[2])
    each = np.repeat(weights / n_draws, n_draws)
    of_all = overlap(flat, each, each, scale, noise_std)
    even = np.full(n_draws, 1 / n_draws)
    of_inputs = sum(
        weights[i] * overlap(X[i], even, even, other, noise_std)
        for i in range(n_inputs)
    )
    of_labels = 0.0
    for label in np.unique(y):
        p = weights[y == label].sum()
        members = np.where(np.repeat(y == label, n_draws), each, 0.0) / p
        of_labels += p * overlap(flat, members, members, other, noise_std)
    return of_all - of_inputs, of_all - of_labels, of_all, of_inputs


@pytest.mark.parametrize("bound", ["lower", "middle", "upper"])
@pytest.mark.parametrize("n_draws", [1, 5])
def test_equals_the_sums_written_out(bound, n_draws):
    X = RANDOM.randn(12, n_draws, 3)
    y = RANDOM.randint(3, size=12)
    weights = RANDOM.uniform(0.5, 2, size=12)
    found = PairwiseDistanceMIEstimator(0.6, bound=bound).fit(X, y, weights)
    of_input, of_label, of_all, of_inputs = written_out(X, y, weights, 0.6, bound)
    h_x = entropy(weights)
    noise = 1.5 * math.log(2 * math.pi * math.e * 0.36)
    assert found.mutual_info_ == pytest.approx(np.clip(of_input, 0, h_x), abs=1e-10)
    h_y = entropy(np.bincount(y, weights))
    assert found.label_mutual_info_ == pytest.approx(
        np.clip(of_label, 0, h_y), abs=1e-10
    )
    assert found.entropy_ == pytest.approx(of_all + noise, abs=1e-10)
    assert found.conditional_entropy_ == pytest.approx(of_inputs + noise, abs=1e-10)
    assert found.mutual_info_std_error_ == 0


def test_bounds_hold_on_random_mixtures():
    """A hundred mixtures; the truth is a quadrature to 1e-10."""
    for seed in range(100):
        random = np.random.RandomState(seed)
        n_points, n_units = random.randint(2, 13), random.randint(1, 3)
        points = random.uniform(0.1, 3) * random.randn(n_points, n_units)
        weights = random.uniform(0.1, 1, size=n_points)
        noise_std = random.uniform(0.1, 1.5)
        found = PairwiseDistanceMIEstimator(noise_std).fit(points, None, weights)
        truth = awgn_mutual_info(points, noise_std, weights)
        assert found.mutual_info_low_ <= truth + 1e-9
        assert found.mutual_info_high_ >= truth - 1e-9
        assert found.mutual_info_low_ <= found.mutual_info_ <= found.mutual_info_high_
        interval = bounds.pairwise_mutual_info_bounds(points, noise_std, weights)
        assert found.mutual_info_low_ == pytest.approx(interval.low, abs=1e-10)
        assert found.mutual_info_high_ == pytest.approx(interval.high, abs=1e-10)


@pytest.mark.parametrize("distance", [0.0, 0.02, 100.0])
def test_middle_is_exact_near_and_far(distance):
    points = np.array([[0.0], [distance], [2 * distance]])
    found = PairwiseDistanceMIEstimator(1.0).fit(points)
    # The next order, distance^4, is what is left of close ones.
    truth = awgn_mutual_info(points, 1.0)
    assert found.mutual_info_ == pytest.approx(truth, abs=1e-7)


def test_several_draws_bound_their_mixture():
    X = RANDOM.randn(20, 1, 2) + 0.3 * RANDOM.randn(20, 8, 2)
    y = np.arange(20) % 2
    plug_in = GaussianMixtureMIEstimator(0.3, n_mc=400, random_state=0).fit(X, y)
    found = PairwiseDistanceMIEstimator(0.3).fit(X, y)
    slack = 3 * plug_in.mutual_info_high_std_error_
    assert found.mutual_info_low_ <= plug_in.mutual_info_high_ + slack
    assert found.mutual_info_high_ >= plug_in.mutual_info_high_ - slack


def test_tensors_and_far_places():
    X = RANDOM.randn(30, 2)
    near = PairwiseDistanceMIEstimator(0.1).fit(X)
    far = PairwiseDistanceMIEstimator(0.1).fit(torch.tensor(X) + 1e6)
    assert far.mutual_info_ == pytest.approx(near.mutual_info_, abs=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="bound must be one of 'lower'"):
        PairwiseDistanceMIEstimator(bound="tight").fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match="noise_std must be > 0"):
        PairwiseDistanceMIEstimator(0).fit([[0.0], [1.0]])
