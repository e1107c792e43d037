"""Estimators from samples: twins, closed forms within their bias, and labels."""

import math

import numpy as np
import pytest
from scipy.special import digamma, gamma
from sklearn.base import clone
from sklearn.neighbors import KernelDensity

from skib.exceptions import HighDimensionWarning
from skib.mutual_info import (
    KernelDensityMIEstimator,
    NearestNeighborMIEstimator,
    awgn_mutual_info,
)
from skib.mutual_info._kernel_density import _log_sums_of_others
from skib.mutual_info._nearest_neighbor import neighbor_weights

# Mixtures far apart are at their ceiling: that is no failure.
pytestmark = pytest.mark.filterwarnings("ignore::skib.exceptions.SaturationWarning")

RANDOM = np.random.RandomState(0)
RIVALS = [
    NearestNeighborMIEstimator(random_state=0),
    NearestNeighborMIEstimator(n_neighbors=20, weighted=True, random_state=0),
    KernelDensityMIEstimator(random_state=0),
]
ALL = pytest.mark.parametrize("make", [0, 1, 2], ids=["nearest", "weighted", "kernels"])


def rival(make, noise_std):
    return clone(RIVALS[make]).set_params(noise_std=noise_std)


class TestClosedForms:
    @ALL
    @pytest.mark.parametrize("n_units", [1, 2, 3])
    def test_entropy_of_a_gaussian(self, make, n_units):
        found = rival(make, 0.5).fit(np.zeros((1, n_units)))
        truth = n_units / 2 * math.log(2 * math.pi * math.e * 0.25)
        # Bias at 4096 samples and more in three units: about 0.03 nats.
        slack = 4 * found.entropy_std_error_ + 0.02 * (n_units > 1)
        assert found.entropy_ == pytest.approx(truth, abs=slack)
        assert found.conditional_entropy_ == pytest.approx(truth, abs=1e-12)

    @ALL
    @pytest.mark.parametrize("noise_std", [0.1, 0.5, 1.0])
    def test_information_of_a_channel(self, make, noise_std):
        points = np.array([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.3], [0.2, -1.0]])
        weights = [1.0, 2.0, 3.0, 4.0]
        found = rival(make, noise_std).fit(points, None, weights)
        truth = awgn_mutual_info(points, noise_std, weights)
        slack = 4 * found.mutual_info_std_error_ + 0.02
        assert found.mutual_info_ == pytest.approx(truth, abs=slack)

    @ALL
    def test_information_about_the_label(self, make):
        """I(Y;T) = h(T) - h(T|Y), each a channel of its own."""
        points = np.array([[-2.0], [-1.0], [1.0], [1.5]])
        found = rival(make, 0.5).fit(points, [0, 0, 1, 1])
        whole = awgn_mutual_info(points, 0.5)
        halves = [awgn_mutual_info(points[half], 0.5) for half in ([0, 1], [2, 3])]
        truth = whole - sum(halves) / 2
        slack = 4 * found.label_mutual_info_std_error_ + 0.02
        assert found.label_mutual_info_ == pytest.approx(truth, abs=slack)

    @ALL
    def test_draws_of_a_linear_layer(self, make):
        """The cloud of every input is Gaussian, so the truth is a plain channel."""
        first = RANDOM.randn(10, 2)
        coefs = np.array([[1.0, 0.5], [-1.0, 1.5]])
        X = (first[:, None] + 0.3 * RANDOM.randn(10, 400, 2)) @ coefs
        found = rival(make, 0.3).fit(X)
        covariance = coefs.T @ coefs + np.eye(2)
        white = first @ coefs @ np.linalg.inv(np.linalg.cholesky(covariance)).T
        truth = awgn_mutual_info(white, 0.3)
        slack = 4 * found.mutual_info_std_error_ + 0.06
        assert found.mutual_info_ == pytest.approx(truth, abs=slack)


def test_nearest_neighbours_as_in_the_paper():
    samples = RANDOM.randn(40, 3)
    estimator = NearestNeighborMIEstimator(n_neighbors=2)
    terms = estimator.surprises(samples, np.zeros(40, dtype=int)).among_all
    for i in range(40):
        distances = np.sort(np.linalg.norm(samples - samples[i], axis=1))
        ball = math.pi**1.5 / gamma(2.5) * distances[2] ** 3
        expected = digamma(40) - digamma(2) + math.log(ball)
        assert terms[i] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("k", "d"), [(3, 2), (12, 4), (30, 7), (60, 12)])
def test_weights_cancel_the_leading_bias(k, d):
    weights = neighbor_weights(k, d, weighted=True)
    allowed = {j * k // d for j in range(1, d + 1)}
    assert set(np.flatnonzero(weights) + 1) <= allowed
    assert weights.sum() == pytest.approx(1)
    j = np.arange(1, k + 1)
    for power in range(1, d // 4 + 1):
        ratios = np.array([math.gamma(i + 2 * power / d) / math.gamma(i) for i in j])
        assert abs(weights @ ratios) < 1e-10 * np.abs(weights * ratios).sum()


def test_weights_lower_the_bias_in_eight_units():
    truth = 4 * math.log(2 * math.pi * math.e)
    errors = []
    for weighted in (False, True):
        estimator = NearestNeighborMIEstimator(
            1.0, n_neighbors=40, weighted=weighted, n_samples=4096, random_state=0
        )
        errors.append(abs(estimator.fit(np.zeros((1, 8))).entropy_ - truth))
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize("bandwidth", [0.2, 1.0])
def test_kernels_that_leave_one_out(bandwidth):
    samples, groups = RANDOM.randn(30, 2), np.arange(30) % 2
    estimator = KernelDensityMIEstimator(bandwidth=bandwidth)
    found = estimator.surprises(samples, groups)
    kernels = KernelDensity(bandwidth=bandwidth)
    for i in range(30):
        others = np.arange(30) != i
        alone = kernels.fit(samples[others]).score_samples(samples[[i]])
        assert found.among_all[i] == pytest.approx(-alone[0], abs=1e-10)
        others &= groups == groups[i]
        alone = kernels.fit(samples[others]).score_samples(samples[[i]])
        assert found.among_group[i] == pytest.approx(-alone[0], abs=1e-10)


def test_squares_of_kernels_are_narrower_kernels():
    samples = RANDOM.randn(50, 3)
    groups = np.zeros(50, dtype=int)
    bandwidths = 2.0 ** (-np.arange(13) / 4)
    together, _ = _log_sums_of_others(samples, groups, bandwidths)
    for at, bandwidth in enumerate(bandwidths):
        alone, _ = _log_sums_of_others(samples, groups, np.array([bandwidth]))
        np.testing.assert_allclose(together[at], alone[0], rtol=1e-9)


def test_chosen_bandwidth_is_the_likeliest():
    chosen = KernelDensityMIEstimator(0.5, random_state=0).fit([[0.0], [3.0]])
    entropies = [
        KernelDensityMIEstimator(0.5, bandwidth=h, random_state=0)
        .fit([[0.0], [3.0]])
        .entropy_
        for h in chosen.bandwidth_ * np.array([0.5, 1.0, 2.0])
    ]
    assert np.argmin(entropies) == 1
    assert entropies[1] == pytest.approx(chosen.entropy_, abs=1e-10)


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (NearestNeighborMIEstimator(n_neighbors=0), "n_neighbors"),
        (NearestNeighborMIEstimator(n_samples=3), "need more samples"),
        (KernelDensityMIEstimator(bandwidth=0.0), "bandwidth"),
        (KernelDensityMIEstimator(bandwidth=1e-9), "within reach"),
        (KernelDensityMIEstimator(0.0), "noise_std must be > 0"),
    ],
)
def test_refusals(estimator, match):
    with pytest.raises(ValueError, match=match):
        estimator.fit([[0.0], [1.0]])


def test_too_few_neighbours_for_the_weights():
    estimator = NearestNeighborMIEstimator(n_neighbors=3, weighted=True)
    with pytest.raises(ValueError, match="at least 4"):
        estimator.fit(np.zeros((1, 12)))


def test_values_that_cannot_be_are_named():
    """Ten units and little noise: the samples are too few to see the density."""
    X = np.tanh(np.random.RandomState(0).randn(100, 10))
    estimator = KernelDensityMIEstimator(0.01, n_samples=128, random_state=0)
    with pytest.warns(HighDimensionWarning, match="cannot be: it lies between 0 and"):
        estimator.fit(X)
