import hashlib
from math import comb

import numpy as np
import pytest
from scipy.special import xlogy

from skib.datasets import make_szt


def test_labels_are_those_of_the_published_data():
    """The digest is that of the 4096 labels released by the authors, in order."""
    _, y = make_szt()
    digest = hashlib.sha256(y.astype(np.uint8).tobytes()).hexdigest()
    assert digest == "77732f16f85e91b49d3997196b56163b3bd362d8cf631468a8de3f986e88359f"


def test_rows_count_in_binary_with_the_highest_bit_first():
    X, _ = make_szt()
    np.testing.assert_array_equal(X @ 2.0 ** np.arange(11, -1, -1), np.arange(4096))


def test_ones_per_weight():
    X, y = make_szt()
    counts = [int(y[X.sum(axis=1) == weight].sum()) for weight in range(13)]
    always_one = [comb(12, weight) for weight in range(8, 13)]
    assert counts == [0, 0, 0, 0, 0, 60, 532, 732, *always_one]


def test_label_is_monotone_in_every_bit():
    _, y = make_szt()
    for bit in 1 << np.arange(12):
        unset = np.flatnonzero(~np.arange(4096) & bit)
        assert (y[unset] <= y[unset | bit]).all()


def bits(p):
    return -(xlogy(p, p) + xlogy(1 - p, 1 - p)) / np.log(2)


def test_soft_labels_at_8_25_carry_0_99_bit():
    draws = [make_szt(gamma=8.25, random_state=seed)[1] for seed in range(400)]
    p = np.mean(draws, axis=0)
    assert bits(p.mean()) - bits(p).mean() == pytest.approx(0.99, abs=0.002)


def test_steep_soft_labels_are_the_hard_ones():
    _, hard = make_szt()
    _, soft = make_szt(gamma=1000, random_state=0)
    np.testing.assert_array_equal(soft, hard)


def test_soft_labels_follow_random_state():
    labels = [make_szt(gamma=1.0, random_state=seed)[1] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(labels[0], labels[1])
    assert (labels[0] != labels[2]).any()


@pytest.mark.parametrize(
    ("gamma", "error"),
    [(-1, ValueError), (np.inf, ValueError), (np.nan, ValueError), ("8", TypeError)],
)
def test_a_bad_gamma_is_refused(gamma, error):
    with pytest.raises(error, match="gamma"):
        make_szt(gamma=gamma)
