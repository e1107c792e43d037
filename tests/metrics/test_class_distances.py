"""Distances within and between classes."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_distances, euclidean_distances

from skib.metrics import class_distances

RANDOM = np.random.RandomState(0)
POINTS, LABELS = RANDOM.randn(30, 4), RANDOM.randint(3, size=30)
FULL = {"euclidean": euclidean_distances, "cosine": cosine_distances}


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_all_pairs_are_split_by_class(metric):
    distances = class_distances(POINTS, LABELS, metric=metric)
    full = FULL[metric](POINTS)
    same = LABELS[:, None] == LABELS
    upper = np.triu(np.ones((30, 30), dtype=bool), k=1)
    np.testing.assert_allclose(
        np.sort(distances.within), np.sort(full[same & upper]), atol=1e-12
    )
    np.testing.assert_allclose(
        np.sort(distances.between), np.sort(full[~same & upper]), atol=1e-12
    )


def test_drawn_pairs_have_the_law_of_all_pairs():
    every = class_distances(POINTS, LABELS)
    drawn = class_distances(POINTS, LABELS, max_pairs=400, random_state=0)
    assert len(drawn.within) + len(drawn.between) == 400
    assert drawn.within.min() > 0
    error = every.between.std() / np.sqrt(len(drawn.between))
    assert abs(drawn.between.mean() - every.between.mean()) < 4 * error


def test_tight_clusters_have_small_distances_within():
    centers = np.eye(4)[np.arange(40) % 4]
    points = centers + 0.01 * RANDOM.randn(40, 4)
    distances = class_distances(points, np.arange(40) % 4)
    assert distances.within.max() < 0.1 < 1.3 < distances.between.min()


def test_refusals():
    with pytest.raises(ValueError, match="metric must be one of"):
        class_distances(POINTS, LABELS, metric="taxi")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        class_distances(POINTS, LABELS[:-1])
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        class_distances(POINTS[:1], LABELS[:1])
