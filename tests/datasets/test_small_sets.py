"""The small data sets: their shapes, and what is known of them."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import truncnorm
from sklearn.neighbors import KNeighborsClassifier

from skib.datasets import (
    corner_mixture_entropy,
    make_corner_mixture,
    make_leaky_relu_pair,
    make_reed_muller,
    make_single_neuron,
    make_spiral,
)
from skib.mutual_info import (
    NearestNeighborMIEstimator,
    awgn_mutual_info,
    gaussian_mixture_entropy,
)


def test_single_neuron_between_its_plateaus():
    """The weights of the paper's recipe at k = 250 and 2500 and their information."""
    X, y = make_single_neuron()
    assert X.shape == (4, 1)
    assert y.tolist() == [-1, -1, -1, 1]
    for w, b, expected in [(0.538, -0.896, 1.195), (1.171, -2.218, 1.012)]:
        assert awgn_mutual_info(np.tanh(w * X + b), 0.05) == pytest.approx(
            expected, abs=5e-3
        )


def test_leaky_relu_pair():
    X, y = make_leaky_relu_pair()
    assert X.ravel().tolist() == list(range(1, 9))
    assert y.tolist() == [0.0] * 4 + [0.25] * 4


@pytest.mark.parametrize("n_classes", [1, 2, 3, 5])
def test_spiral_has_an_arm_for_each_class(n_classes):
    X, y = make_spiral(100 * n_classes, n_classes=n_classes, noise=0.0)
    assert X.shape == (100 * n_classes, 2)
    assert np.bincount(y).tolist() == [100] * n_classes
    radius = np.linalg.norm(X, axis=1)
    assert radius.max() == pytest.approx(1)
    # No class is near another, but for the start that all share.
    far = radius > 0.1
    nearest = KNeighborsClassifier(1).fit(X[far][::2], y[far][::2])
    assert nearest.score(X[far][1::2], y[far][1::2]) == 1.0


def test_spiral_is_seeded():
    one, other = (make_spiral(50, random_state=0)[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert not np.allclose(one, make_spiral(50, random_state=1)[0])


@pytest.mark.parametrize(("r", "m"), [(0, 3), (1, 3), (1, 4), (2, 4), (3, 3), (2, 2)])
def test_reed_muller_is_the_code(r, m):
    """2^k different words, closed under sums, of distance 2^(m - r)."""
    k = sum(math.comb(m, order) for order in range(r + 1))
    bits = (make_reed_muller(r, m) + 1).astype(int) // 2
    words = {tuple(word) for word in bits}
    assert bits.shape == (2**k, 2**m)
    assert len(words) == 2**k
    some = bits[:: max(1, 2**k // 64)]
    for one, other in itertools.combinations(some, 2):
        assert tuple(one ^ other) in words
    assert min(word.sum() for word in bits[1:]) == 2 ** (m - r)


def test_whole_cube_is_as_many_channels_as_coordinates():
    one = awgn_mutual_info([[-1.0], [1.0]], 0.8)
    whole = awgn_mutual_info(make_reed_muller(1, 1), 0.8)
    assert whole == pytest.approx(2 * one, abs=1e-8)


class TestCornerMixture:
    @pytest.mark.parametrize("component_std", [0.02, 0.5, 3.0])
    def test_truncated_law(self, component_std):
        X = make_corner_mixture(20_000, 2, component_std=component_std, random_state=0)
        assert np.abs(X).max() <= 1
        # A coordinate's law: halves at both corners, cut at both sides.
        half = truncnorm(-2 / component_std, 0, loc=1, scale=component_std)
        grid = np.linspace(-1, 1, 41)[1:-1]
        cdf = (half.cdf(grid) + 1 - half.cdf(-grid)) / 2
        found = (X.ravel()[:, None] <= grid).mean(0)
        assert np.abs(found - cdf).max() < 0.015

    def test_entropy_without_truncation_is_that_of_a_mixture(self):
        found = corner_mixture_entropy(
            2, component_std=0.4, truncated=False, noise_std=0.3
        )
        corners = make_reed_muller(1, 1)
        assert found == pytest.approx(gaussian_mixture_entropy(corners, 0.5), abs=1e-7)

    def test_entropy_of_narrow_and_wide_gaussians(self):
        narrow = corner_mixture_entropy(1, component_std=1e-3)
        of_half = math.log(1e-3) + 0.5 * math.log(2 * math.pi * math.e) - math.log(2)
        assert narrow == pytest.approx(of_half + math.log(2), abs=1e-6)
        # Wide ones fill the cube evenly.
        wide = corner_mixture_entropy(3, component_std=100.0)
        assert wide == pytest.approx(3 * math.log(2), abs=1e-4)

    @pytest.mark.parametrize("noise_std", [0.01, 0.1, 0.5])
    def test_entropy_agrees_with_samples(self, noise_std):
        random = np.random.RandomState(0)
        X = make_corner_mixture(20_000, 1, random_state=random)
        X = X + noise_std * random.standard_normal(X.shape)
        estimator = NearestNeighborMIEstimator()
        terms = estimator.surprises(X, np.zeros(len(X), dtype=int)).among_all
        error = terms.std() / len(X) ** 0.5
        truth = corner_mixture_entropy(1, noise_std=noise_std)
        assert terms.mean() == pytest.approx(truth, abs=4 * error)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: make_spiral(2, n_classes=3), "n_samples"),
        (lambda: make_reed_muller(4, 3), "r =="),
        (lambda: make_reed_muller(3, 6), "more than fit"),
        (lambda: make_corner_mixture(component_std=0.0), "component_std"),
        (lambda: corner_mixture_entropy(noise_std=0.0), "noise_std"),
    ],
)
def test_refusals(make, match):
    with pytest.raises(ValueError, match=match):
        make()
