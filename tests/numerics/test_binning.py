import numpy as np
import pytest

from skib._numerics.binning import bin_codes, number_rows


def assert_same_kinds(numbers, codes):
    """Counted from 0, and equal exactly where the rows are: one number per kind."""
    _, kinds = np.unique(codes, axis=0, return_inverse=True)
    pairs = np.unique(np.column_stack([numbers, kinds.ravel()]), axis=0)
    n_kinds = kinds.max() + 1
    assert sorted(pairs[:, 0]) == sorted(pairs[:, 1]) == list(range(n_kinds))


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
def test_rows_get_the_number_of_their_kind(rng, n_columns, n_bins):
    distinct = rng.integers(n_bins, size=(40, n_columns))
    codes = distinct[rng.integers(40, size=500)].astype(np.min_scalar_type(n_bins - 1))
    assert_same_kinds(number_rows(codes, n_bins), codes)


def test_a_label_is_one_column_more(rng):
    codes = rng.integers(30, size=(1000, 2))
    labels = rng.integers(10, size=1000)
    joint = np.column_stack([codes, labels])
    assert_same_kinds(number_rows(joint, [30, 30, 10]), joint)


@pytest.mark.parametrize("n_columns", [63, 64, 130])
def test_keys_of_many_columns_lose_no_column(n_columns):
    """From 64 columns of two codes on, a number of all of them would wrap."""
    codes = np.ones((3, n_columns), dtype=np.uint8)
    codes[2, 0] = 0
    assert_same_kinds(number_rows(codes, 2), codes)
