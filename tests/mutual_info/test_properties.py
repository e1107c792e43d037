"""What must not change the information, for many laws of the input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from skib.mutual_info import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    PairwiseDistanceMIEstimator,
)

quick = settings(derandomize=True, deadline=None, max_examples=15, database=None)

pytestmark = [
    pytest.mark.filterwarnings("ignore::skib.exceptions.SaturationWarning"),
    pytest.mark.filterwarnings("ignore::skib.exceptions.HighDimensionWarning"),
]

MIXTURE = GaussianMixtureMIEstimator(0.5, n_mc=32, random_state=0)
FIXED_BINS = BinnedMIEstimator(bin_width=0.25, value_range=(-4, 4))
MOVING_BINS = BinnedMIEstimator(
    bin_width=0.25, value_range=(-4, 4), n_offsets=8, random_state=0
)
PAIRS = PairwiseDistanceMIEstimator(0.5)
ALL = pytest.mark.parametrize(
    "estimator",
    [MIXTURE, FIXED_BINS, MOVING_BINS, PAIRS],
    ids=["mixture", "bins", "dithered", "pairs"],
)
NAMES = ("mutual_info", "label_mutual_info", "entropy", "conditional_entropy")


@st.composite
def laws(draw):
    """Activations of a few inputs, one or 8 draws each, with labels and weights.

    Inputs lie on a grid: some coincide, and none lies on the edge of a bin.
    """
    n_inputs = draw(st.integers(2, 12))
    n_units = draw(st.integers(1, 3))
    grid = arrays(np.int64, (n_inputs, n_units), elements=st.integers(-8, 8))
    X = 0.2 * draw(grid) + 0.06
    if draw(st.booleans()):
        random = np.random.RandomState(draw(st.integers(0, 100)))
        X = X[:, None] + 0.2 * random.randn(n_inputs, 8, n_units)
    y = draw(arrays(np.int64, n_inputs, elements=st.integers(0, 2)))
    weights = draw(arrays(np.float64, n_inputs, elements=st.sampled_from([0.5, 1, 3])))
    return X, y, weights


def assert_same(estimator, law, changed, n_errors=0):
    """To 1e-6, or to so many standard errors."""
    one, other = (
        clone(estimator).fit(X, y, weights) for X, y, weights in (law, changed)
    )
    for name in NAMES:
        errors = [getattr(fit, f"{name}_std_error_") for fit in (one, other)]
        difference = getattr(one, f"{name}_") - getattr(other, f"{name}_")
        assert abs(difference) <= 1e-6 + n_errors * math.hypot(*errors), name


@ALL
@quick
@given(law=laws())
def test_repeating_every_row(estimator, law):
    assert_same(estimator, law, [np.repeat(part, 2, axis=0) for part in law])


@ALL
@quick
@given(law=laws(), data=st.data())
def test_splitting_a_weight_in_two(estimator, law, data):
    """One input becomes two equal ones that share its weight."""
    row = data.draw(st.integers(0, len(law[1]) - 1))
    X, y, weights = (np.concatenate([part, part[[row]]]) for part in law)
    share = data.draw(st.sampled_from([0.1, 0.5]))
    weights[-1] *= share
    weights[row] *= 1 - share
    assert_same(estimator, law, (X, y, weights))


@ALL
@quick
@given(law=laws(), seed=st.integers(0, 1000))
def test_reordering_inputs(estimator, law, seed):
    order = np.random.RandomState(seed).permutation(len(law[1]))
    changed = [part[order] for part in law]
    # Other noise meets each input: a mixture estimate changes by its error.
    assert_same(estimator, law, changed, n_errors=5 if estimator is MIXTURE else 0)


@ALL
@quick
@given(law=laws(), seed=st.integers(0, 1000))
def test_permuting_units(estimator, law, seed):
    X, y, weights = law
    order = np.random.RandomState(seed).permutation(X.shape[-1])
    n_errors = 0 if estimator is FIXED_BINS else 5
    assert_same(estimator, law, (X[..., order], y, weights), n_errors)


@quick
@given(law=laws(), seed=st.integers(0, 1000))
def test_rotating_units(law, seed):
    """The noise is round; bins are not, and have corners."""
    X, y, weights = law
    n_units = X.shape[-1]
    rotation, _ = np.linalg.qr(np.random.RandomState(seed).randn(n_units, n_units))
    assert_same(MIXTURE, law, (X @ rotation, y, weights), n_errors=5)


@quick
@given(law=laws(), shift=st.floats(-100, 100))
def test_shifting_activations(law, shift):
    X, y, weights = law
    assert_same(MIXTURE, law, (X + shift, y, weights))


@pytest.mark.parametrize("estimator", [FIXED_BINS, MOVING_BINS])
@quick
@given(law=laws(), n_bins=st.integers(-6, 6))
def test_shifting_activations_by_whole_bins(estimator, law, n_bins):
    X, y, weights = law
    assert_same(estimator, law, (X + 0.25 * n_bins, y, weights))


@quick
@given(law=laws(), shift=st.floats(-1, 1))
def test_dithered_bins_can_shift_by_any_part_of_a_bin(law, shift):
    X, y, weights = law
    estimator = clone(MOVING_BINS).set_params(n_offsets=64)
    assert_same(estimator, law, (X + shift, y, weights), n_errors=5)
