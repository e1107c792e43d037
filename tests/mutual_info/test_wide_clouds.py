"""Activations alone in wide layers: brackets hold, and errors cover the truth."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from skib import GaussianMixtureMIEstimator, Recording
from skib.exceptions import EstimateNotConvergedWarning, SkibWarning
from skib.mutual_info import awgn_mutual_info
from skib.mutual_info._input_law import layer_law
from skib.mutual_info._wide_clouds import predicted_bias

DIGITS = load_digits().data / 16


def linear_layer(n_units, noise_std, n_inputs, n_draws, seed):
    """Second layer of a linear network on digits: draws, and its exact information."""
    random = np.random.RandomState(seed)
    X = DIGITS[random.permutation(len(DIGITS))[:n_inputs]] - DIGITS.mean(0)
    sizes = [64, n_units, n_units]
    coefs = [random.randn(*s) / math.sqrt(s[0]) for s in itertools.pairwise(sizes)]
    coefs[0] *= 4
    recording = Recording.from_weights(
        [0], [coefs], None, activation="identity", noise_std=noise_std
    )
    clouds = recording.activations(X, epoch=0, n_draws=n_draws, random_state=seed)
    covariance = noise_std**2 * (coefs[1].T @ coefs[1] + np.eye(n_units))
    white = X @ coefs[0] @ coefs[1] @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    _, log_det = np.linalg.slogdet(2 * math.pi * math.e * covariance)
    return clouds, awgn_mutual_info(white, 1.0, random_state=0), 0.5 * log_det


def fit(clouds, noise_std, y=None, **options):
    estimator = GaussianMixtureMIEstimator(noise_std, random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkibWarning)
        return estimator.fit(clouds, y)


@pytest.mark.parametrize("n_units", [2, 8, 16, 64])
@pytest.mark.parametrize("noise_std", [0.4, 1.0])
@pytest.mark.parametrize("n_draws", [4, 32])
def test_the_bracket_holds_and_the_error_covers(n_units, noise_std, n_draws):
    for seed in range(3):
        clouds, truth, conditional = linear_layer(n_units, noise_std, 60, n_draws, seed)
        fitted = fit(clouds, noise_std)
        error = math.hypot(fitted.mutual_info_std_error_, truth.error)
        assert abs(fitted.mutual_info_ - truth) <= 3 * error + 0.02
        for side, end in ((1, "low"), (-1, "high")):
            value = getattr(fitted, f"mutual_info_{end}_")
            slack = getattr(fitted, f"mutual_info_{end}_std_error_")
            assert side * (value - truth) <= 4 * math.hypot(slack, truth.error) + 1e-6
        assert fitted.mutual_info_low_ <= fitted.mutual_info_ + 1e-9
        assert fitted.mutual_info_ <= fitted.mutual_info_high_ + 1e-9
        off = fitted.conditional_entropy_ - conditional
        assert abs(off) <= 4 * fitted.conditional_entropy_std_error_


def test_the_lower_end_closes_with_the_draws():
    lows = [
        fit(linear_layer(32, 1.0, 100, n_draws, 0)[0], 1.0).mutual_info_low_
        for n_draws in (8, 32, 128)
    ]
    truth = linear_layer(32, 1.0, 100, 4, 0)[1]
    assert lows == sorted(lows)
    assert truth - lows[-1] < 0.15 < truth - lows[0]


def test_the_middle_carries_what_the_bracket_leaves_open():
    fitted = fit(linear_layer(64, 1.0, 100, 16, 0)[0], 1.0)
    width = fitted.mutual_info_high_ - fitted.mutual_info_low_
    assert width > 0.5
    assert fitted.mutual_info_std_error_ >= width / math.sqrt(12)


@pytest.mark.filterwarnings("ignore::skib.exceptions.HighDimensionWarning")
def test_tol_is_not_reached_by_noise_where_the_bracket_is_open():
    clouds, *_ = linear_layer(64, 1.0, 100, 16, 0)
    with pytest.warns(EstimateNotConvergedWarning, match="draws per input alone"):
        GaussianMixtureMIEstimator(1.0, tol=0.05, random_state=0).fit(clouds)


def test_labels_stay_between_their_bounds():
    clouds, *_ = linear_layer(32, 1.0, 100, 16, 0)
    fitted = fit(clouds, 1.0, np.arange(100) % 3)
    assert 0 <= fitted.label_mutual_info_ <= math.log(3)
    assert fitted.label_mutual_info_std_error_ > 0
    # Labels that say nothing beyond chance are not told from 60 draws of noise.
    shuffled = fit(clouds, 1.0, np.random.RandomState(0).permutation(100) % 2)
    assert shuffled.label_mutual_info_ <= math.log(2)


def test_units_may_be_rotated():
    clouds, *_ = linear_layer(16, 1.0, 60, 32, 0)
    rotation = np.linalg.qr(np.random.RandomState(0).randn(16, 16))[0]
    one, other = fit(clouds, 1.0), fit(clouds @ rotation, 1.0)
    error = math.hypot(one.mutual_info_low_std_error_, other.mutual_info_std_error_)
    assert abs(one.mutual_info_low_ - other.mutual_info_low_) < 4 * error


@pytest.mark.parametrize("n_inputs", [40, 90])
def test_few_directions_of_very_wide_layers_still_bound(n_inputs, monkeypatch):
    """More inputs than units, and fewer."""
    clouds, truth, _ = linear_layer(64, 1.0, n_inputs, 32, seed=0)
    whole = fit(clouds, 1.0)
    monkeypatch.setattr(
        "skib._numerics.decoder.clouds.MOST_COVARIANCES", n_inputs * 25**2
    )
    few = fit(clouds, 1.0)
    assert few.mutual_info_low_ != whole.mutual_info_low_
    error = math.hypot(few.mutual_info_low_std_error_, truth.error)
    assert few.mutual_info_low_ <= truth + 4 * error
    # 25 directions hold most of what 64 do.
    assert few.mutual_info_low_ > 0.6 * whole.mutual_info_low_


def test_the_predicted_bias_is_the_same_from_draws_and_from_units():
    """Sylvester: twin by the determinant in all units, with fewer draws than units."""
    clouds, *_ = linear_layer(16, 0.5, 30, 8, seed=0)
    law = layer_law(torch.from_numpy(clouds), None, None, 0.0)
    steps = (clouds - clouds.mean(1, keepdims=True)) / 0.5
    covariance = steps.transpose(0, 2, 1) @ steps / 7
    log_one_more = np.linalg.slogdet(np.eye(16) + covariance)[1]
    expected = 0.5 * np.log1p(np.expm1(log_one_more) / 8).mean()
    assert predicted_bias(law, 0.5) == pytest.approx(expected)
