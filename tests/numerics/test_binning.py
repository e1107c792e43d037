import numpy as np
import pytest

from skib._numerics.binning import bin_codes, count_rows


def plain_counts(codes):
    return np.unique(codes, axis=0, return_counts=True)[1]


def test_codes_are_half_open_with_the_ends_taken_in():
    values = np.array([[-7.0, -1.0, -0.5, 0.0, 0.999, 1.0, 7.0]])
    assert bin_codes(values, 4, -1.0, 1.0).tolist() == [[0, 0, 1, 2, 3, 3, 3]]


@pytest.mark.parametrize("n_bins", [3, 7, 30, 300])
def test_every_edge_opens_its_bin(n_bins):
    edges = np.linspace(-1, 1, n_bins + 1)
    below = np.nextafter(edges, -np.inf)
    expected = np.arange(n_bins)
    assert (bin_codes(edges[None, :-1], n_bins, -1, 1)[0] == expected).all()
    assert (bin_codes(below[None, 1:], n_bins, -1, 1)[0] == expected).all()


@pytest.mark.parametrize("n_columns", [1, 3, 12, 13, 50])
@pytest.mark.parametrize("n_bins", [2, 30, 1000])
def test_counts_agree_with_unique_rows(rng, n_columns, n_bins):
    distinct = rng.integers(n_bins, size=(40, n_columns))
    codes = distinct[rng.integers(40, size=500)].astype(np.min_scalar_type(n_bins - 1))
    found = count_rows(codes, n_bins)
    assert sorted(found) == sorted(plain_counts(codes))


@pytest.mark.parametrize("n_columns", [2, 40])
def test_weights_are_summed_by_cell(rng, n_columns):
    codes = rng.integers(3, size=(5, n_columns))[rng.integers(5, size=200)]
    weights = rng.random(200)
    _, inverse = np.unique(codes, axis=0, return_inverse=True)
    expected = np.bincount(inverse.ravel(), weights)
    np.testing.assert_allclose(
        np.sort(count_rows(codes, 3, weights)), np.sort(expected), rtol=1e-12
    )


def test_a_label_is_one_column_more(rng):
    codes = rng.integers(30, size=(1000, 2))
    labels = rng.integers(10, size=1000)
    joint = np.column_stack([codes, labels])
    assert sorted(count_rows(joint, [30, 30, 10])) == sorted(plain_counts(joint))


def test_largest_key_still_fits():
    corner = np.full((2, 63), 1, dtype=np.uint8)
    assert count_rows(corner, 2).tolist() == [2]
