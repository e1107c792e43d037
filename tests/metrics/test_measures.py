"""Measures of clustering, against sums written out and what is known."""

import math

import numpy as np
import pytest
from scipy.stats import f_oneway
from sklearn.metrics.pairwise import cosine_similarity

from skib import BinnedMIEstimator, class_distances
from skib.metrics import (
    binned_entropy,
    class_separation,
    effective_rank,
    saturated_fraction,
)

RANDOM = np.random.RandomState(0)
POINTS, LABELS = RANDOM.randn(40, 3), np.repeat(["a", "b", "c", "c"], 10)


class TestSeparation:
    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    def test_is_the_ratio_of_mean_distances(self, metric):
        """The definition of the paper, all pairs, classes counting alike."""
        squared = ((POINTS[:, None] - POINTS) ** 2).sum(2)
        distances = squared if metric == "euclidean" else 1 - cosine_similarity(POINTS)
        classes = np.unique(LABELS)
        means = np.array(
            [
                [distances[a == LABELS][:, b == LABELS].mean() for b in classes]
                for a in classes
            ]
        )
        expected = 1 - np.diag(means).mean() / means.mean()
        found = class_separation(POINTS, LABELS, metric=metric)
        assert found == pytest.approx(expected, abs=1e-12)

    def test_is_the_correlation_ratio(self):
        """eta^2 = F (k - 1) / (F (k - 1) + n - k) of one unit, equal classes."""
        x, y = POINTS[:30, :1], LABELS[:30]
        f = f_oneway(*(x[y == label, 0] for label in "abc")).statistic
        assert class_separation(x, y) == pytest.approx(2 * f / (2 * f + 27))

    @pytest.mark.parametrize("metric", ["euclidean", "cosine"])
    def test_ends(self, metric):
        corners = np.eye(3)[[0, 0, 1, 1, 2]]
        assert class_separation(corners, [0, 0, 1, 1, 2], metric=metric) == 1.0
        assert class_separation(np.ones((4, 3)), [0, 0, 1, 1], metric=metric) == 0.0
        assert class_separation(POINTS, np.zeros(40), metric=metric) == 0.0


class TestBinnedEntropy:
    @pytest.mark.parametrize("n_units", [1, 2, 9])
    def test_is_that_of_the_estimator(self, n_units):
        X = np.tanh(3 * RANDOM.randn(300, n_units))
        X[0] = 1.0
        widths = [1.0, 0.3, 0.1, 0.05, 1e-3]
        found = binned_entropy(X, widths)
        for value, width in zip(found, widths, strict=True):
            expected = BinnedMIEstimator(bin_width=width).fit(X).entropy_
            assert value == pytest.approx(expected, abs=1e-12)

    def test_bins_reach_beyond_the_range(self):
        found = binned_entropy([[-5.0], [0.0], [7.3], [7.4]], 1.0)
        assert found == pytest.approx([1.5 * math.log(2)])


@pytest.mark.parametrize(
    ("value_range", "tolerance", "expected"),
    [((-1, 1), 0.025, 0.5), ((-1, 1), 0.0, 0.0), ((0, 1), 0.025, 0.75)],
)
def test_saturated_fraction(value_range, tolerance, expected):
    X = [[-0.96, 0.0], [0.5, 0.98]]
    assert saturated_fraction(X, value_range, tolerance=tolerance) == expected


class TestEffectiveRank:
    def test_known_spectra(self):
        assert effective_rank(np.eye(5), centered=False) == pytest.approx(5)
        line = np.outer(RANDOM.randn(20), [1.0, 2.0, 3.0])
        assert effective_rank(line) == pytest.approx(1)
        assert effective_rank(np.ones((4, 3)) / 3) == 0.0
        assert effective_rank(np.zeros((4, 3)), centered=False) == 0.0

    def test_definition(self):
        values = np.linalg.svd(POINTS - POINTS.mean(0), compute_uv=False)
        p = values / values.sum()
        expected = math.exp(-(p * np.log(p)).sum())
        assert effective_rank(POINTS) == pytest.approx(expected)
        assert effective_rank(7 * POINTS + 1e3) == pytest.approx(expected)


def test_pairs_know_their_classes():
    distances = class_distances(POINTS, LABELS)
    for label in "abc":
        alone = class_distances(POINTS[label == LABELS], LABELS[label == LABELS])
        np.testing.assert_allclose(
            distances.within[distances.within_classes == label], alone.within
        )
    assert len(distances.between_classes) == len(distances.between)
    one, other = distances.between_classes.T
    assert (one != other).all()


@pytest.mark.parametrize(
    ("measure", "match"),
    [
        (lambda: class_separation(POINTS, LABELS, metric="l1"), "metric must be"),
        (lambda: class_separation(POINTS, POINTS[:, 0]), "discrete labels"),
        (lambda: binned_entropy(POINTS, [0.1, 0.0]), "bin_widths"),
        (lambda: saturated_fraction(POINTS, (1, 1)), "low < high"),
        (lambda: saturated_fraction(POINTS, tolerance=0.6), "tolerance"),
        (lambda: effective_rank([[np.nan]]), "NaN"),
    ],
)
def test_refusals(measure, match):
    with pytest.raises(ValueError, match=match):
        measure()
