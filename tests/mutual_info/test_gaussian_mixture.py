"""The mixture estimator against closed forms, quadrature and identities."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.special import log_softmax, logsumexp
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold, cross_val_score
from sklearn.preprocessing import StandardScaler

from skib.exceptions import (
    EstimateNotConvergedWarning,
    HighDimensionWarning,
    SaturationWarning,
)
from skib.mutual_info import GaussianMixtureMIEstimator, awgn_mutual_info

RANDOM = np.random.RandomState(0)
CLOUD = RANDOM.randn(40, 3)


def noise_entropy(n_units, noise_std):
    return n_units / 2 * math.log(2 * math.pi * math.e * noise_std**2)


def assert_within(estimator, name, expected, n_errors=4):
    value = getattr(estimator, f"{name}_")
    error = getattr(estimator, f"{name}_std_error_")
    assert abs(value - expected) <= n_errors * error + 1e-9, (value, expected, error)


def quad_information(points, weights, noise_std):
    """Mutual information of a scalar channel by scipy's quadrature, for comparison."""

    def integrand(t):
        kernels = -((t - points) ** 2) / (2 * noise_std**2) + np.log(weights)
        log_p = logsumexp(kernels) - math.log(math.sqrt(2 * math.pi) * noise_std)
        return -math.exp(log_p) * log_p

    span = (points.min() - 12 * noise_std, points.max() + 12 * noise_std)
    entropy, _ = integrate.quad(integrand, *span, points=sorted(points), limit=500)
    return entropy - noise_entropy(1, noise_std)


def linear_clouds(n_inputs, n_draws, noise_std, seed):
    """Second layer of a linear noisy network, and its exact information."""
    fixed = np.random.RandomState(7)
    first = fixed.randn(n_inputs, 2)
    weights = fixed.randn(2, 2) * 0.8
    noise = np.random.RandomState(seed).randn(n_inputs, n_draws, 2)
    clouds = (first[:, None] + noise_std * noise) @ weights
    # T given x is Gaussian with one covariance for all x: whitening it makes the
    # channel a plain one with unit noise.
    covariance = noise_std**2 * (weights.T @ weights + np.eye(2))
    white = first @ weights @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    conditional = 0.5 * math.log(np.linalg.det(2 * math.pi * math.e * covariance))
    return clouds, awgn_mutual_info(white, 1.0), conditional


class TestExactCases:
    def test_conditional_entropy_of_one_center_is_that_of_the_noise(self):
        estimator = GaussianMixtureMIEstimator(0.3, random_state=0).fit(CLOUD)
        assert estimator.conditional_entropy_ == pytest.approx(
            noise_entropy(3, 0.3), abs=1e-10
        )
        assert estimator.conditional_entropy_std_error_ < 1e-12

    @pytest.mark.parametrize("noise_std", [1e-3, 1.0, 10.0])
    def test_coinciding_inputs_are_one_gaussian(self, noise_std):
        same = np.tile([[0.3, -0.2, 5.0]], (20, 1))
        estimator = GaussianMixtureMIEstimator(noise_std, random_state=0).fit(same)
        assert estimator.mutual_info_ == pytest.approx(0, abs=1e-10)
        assert estimator.entropy_ == pytest.approx(
            noise_entropy(3, noise_std), abs=1e-10
        )
        assert not estimator.saturated_

    def test_separated_inputs_are_all_told_apart(self):
        with pytest.warns(SaturationWarning, match="40 inputs"):
            estimator = GaussianMixtureMIEstimator(1e-3, random_state=0).fit(CLOUD)
        assert estimator.mutual_info_ == pytest.approx(math.log(40), abs=1e-10)
        assert estimator.mutual_info_std_error_ < 1e-10
        assert estimator.saturated_


class TestAgainstQuadrature:
    @pytest.mark.parametrize("distance", [0.5, 1.0, 2.0, 4.0])
    def test_two_points(self, distance):
        points = np.array([0.0, distance])
        estimator = GaussianMixtureMIEstimator(1.0, random_state=1).fit(points[:, None])
        truth = quad_information(points, np.array([0.5, 0.5]), 1.0)
        assert_within(estimator, "mutual_info", truth)
        assert_within(estimator, "entropy", truth + noise_entropy(1, 1.0))

    def test_discrete_input_of_unequal_weights(self):
        points = np.array([-1.0, -0.3, 0.2, 0.9])
        weights = np.array([0.1, 0.4, 0.2, 0.3])
        estimator = GaussianMixtureMIEstimator(0.2, random_state=0)
        estimator.fit(points[:, None], sample_weight=5 * weights)
        assert_within(estimator, "mutual_info", quad_information(points, weights, 0.2))

    def test_product_in_eight_dimensions(self):
        corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 8), -1).reshape(-1, 8)
        estimator = GaussianMixtureMIEstimator(1.0, random_state=0).fit(corners)
        per_unit = quad_information(np.array([-1.0, 1.0]), np.array([0.5, 0.5]), 1.0)
        assert_within(estimator, "mutual_info", 8 * per_unit)

    def test_labels(self):
        """I(Y;T) is I(X;T) - I(X;T|Y), each by quadrature."""
        points = np.array([-1.0, -0.2, 0.1, 1.0])
        y = np.array(["a", "a", "b", "b"])
        estimator = GaussianMixtureMIEstimator(0.4, random_state=0)
        estimator.fit(points[:, None], y)
        uniform = np.full(4, 0.25)
        truth = quad_information(points, uniform, 0.4) - np.mean(
            [
                quad_information(points[:2], np.array([0.5, 0.5]), 0.4),
                quad_information(points[2:], np.array([0.5, 0.5]), 0.4),
            ]
        )
        assert_within(estimator, "label_mutual_info", truth)
        assert estimator.label_conditional_entropy_ == pytest.approx(
            estimator.entropy_ - estimator.label_mutual_info_
        )

    @pytest.mark.parametrize("seed", range(3))
    def test_linear_network(self, seed):
        clouds, information, conditional = linear_clouds(50, 256, 0.3, seed)
        estimator = GaussianMixtureMIEstimator(0.3, random_state=seed).fit(clouds)
        assert_within(estimator, "mutual_info", information)
        assert_within(estimator, "conditional_entropy", conditional)
        assert_within(estimator, "entropy", information + conditional)


class TestDraws:
    @pytest.mark.parametrize("n_draws", [16, 32, 128])
    def test_bracket_holds_and_correction_helps_on_average(self, n_draws):
        fits = []
        for seed in range(12):
            clouds, information, _ = linear_clouds(50, n_draws, 0.3, seed)
            estimator = GaussianMixtureMIEstimator(0.3, n_mc=64, random_state=seed)
            fits.append(estimator.fit(clouds))
        mean, low, high = (
            np.mean([getattr(fit, f"mutual_info{end}_") for fit in fits])
            for end in ("", "_low", "_high")
        )
        spread = np.std([fit.mutual_info_ for fit in fits]) / math.sqrt(len(fits))
        assert low - 3 * spread <= information <= high + 3 * spread
        assert abs(mean - information) < abs(high - information)

    def test_lonely_draws_leave_a_finite_bracket(self):
        """No draw is near any other: the decoder can only guess."""
        random = np.random.RandomState(0)
        clouds = np.where(random.rand(30, 8, 1) < 0.5, -1.0, 1.0) * 500
        clouds = clouds + 100 * random.randn(30, 8, 2)
        estimator = GaussianMixtureMIEstimator(0.01, n_mc=8, random_state=0)
        with pytest.warns(HighDimensionWarning, match=r"between .* and 3.401 nats"):
            estimator.fit(clouds)
        assert math.log(1e-3) <= estimator.mutual_info_low_ < 1
        assert estimator.mutual_info_high_ == pytest.approx(math.log(30))

    def test_standard_error_is_not_below_the_spread_over_draws(self):
        fits = [
            GaussianMixtureMIEstimator(0.3, n_mc=32, random_state=seed).fit(
                linear_clouds(50, 32, 0.3, seed)[0]
            )
            for seed in range(30)
        ]
        spread = np.std([fit.mutual_info_ for fit in fits])
        claimed = np.mean([fit.mutual_info_std_error_ for fit in fits])
        assert 0.8 * spread < claimed < 2 * spread

    def test_a_dimension_out_of_reach_warns_with_the_bracket(self):
        random = np.random.RandomState(0)
        clouds = 0.3 * random.randn(40, 1, 60) + random.randn(40, 16, 60)
        estimator = GaussianMixtureMIEstimator(1.0, n_mc=4, random_state=0)
        with pytest.warns(HighDimensionWarning, match="16 draws .* do not fill 60"):
            estimator.fit(clouds)
        assert estimator.mutual_info_low_ < 0.75 * estimator.mutual_info_high_

    @pytest.mark.parametrize("n_draws", [4, 5, 6, 7])
    def test_draws_that_quarters_do_not_divide(self, n_draws):
        clouds, information, _ = linear_clouds(50, n_draws, 0.3, 0)
        estimator = GaussianMixtureMIEstimator(0.3, random_state=0).fit(clouds)
        assert estimator.mutual_info_low_ < information < estimator.mutual_info_high_

    def test_equal_draws_are_one_center(self):
        """Draws that do not differ have no bias to correct."""
        points = RANDOM.randn(30, 2)
        one = GaussianMixtureMIEstimator(0.5, random_state=0).fit(points)
        many = GaussianMixtureMIEstimator(0.5, random_state=0).fit(
            np.repeat(points[:, None], 8, axis=1)
        )
        assert_within(many, "mutual_info", one.mutual_info_)
        assert many.mutual_info_high_ == pytest.approx(many.mutual_info_, abs=1e-6)
        assert many.conditional_entropy_ == pytest.approx(noise_entropy(2, 0.5))


class TestInvariance:
    def fit(self, X, *args, **kwargs):
        estimator = GaussianMixtureMIEstimator(0.4, random_state=0, n_mc=256)
        return estimator.fit(X, *args, **kwargs)

    def test_repeating_every_row_changes_nothing(self):
        assert self.fit(np.repeat(CLOUD, 2, axis=0)).mutual_info_ == pytest.approx(
            self.fit(CLOUD).mutual_info_, abs=1e-12
        )

    def test_weight_two_is_two_rows(self):
        weights = np.array([2.0] + [1.0] * 39)
        rows = np.concatenate([CLOUD, CLOUD[:1]])
        assert self.fit(CLOUD, sample_weight=weights).mutual_info_ == pytest.approx(
            self.fit(rows).mutual_info_, abs=1e-12
        )

    def test_weight_zero_is_no_row(self):
        weights = np.array([0.0] + [1.0] * 39)
        labels = ["only here"] + ["a", "b", "c"] * 13
        assert self.fit(
            CLOUD, labels, sample_weight=weights
        ).label_mutual_info_ == pytest.approx(
            self.fit(CLOUD[1:], labels[1:]).label_mutual_info_, abs=1e-12
        )

    def test_shift(self):
        assert self.fit(CLOUD + 1000).mutual_info_ == pytest.approx(
            self.fit(CLOUD).mutual_info_, abs=1e-6
        )

    @pytest.mark.parametrize("change", ["permute", "rotate", "reorder"])
    def test_units_and_inputs_have_no_order(self, change):
        rotation, _ = np.linalg.qr(np.random.RandomState(3).randn(3, 3))
        changed = {
            "permute": CLOUD[:, [2, 0, 1]],
            "rotate": CLOUD @ rotation,
            "reorder": CLOUD[::-1],
        }[change]
        one, other = self.fit(CLOUD), self.fit(changed)
        error = math.hypot(one.mutual_info_std_error_, other.mutual_info_std_error_)
        assert abs(one.mutual_info_ - other.mutual_info_) < 4 * error

    def test_labels_that_name_the_input_know_as_much_as_the_input(self):
        fitted = self.fit(CLOUD, np.arange(40))
        assert_within(fitted, "mutual_info", fitted.label_mutual_info_)

    def test_float32_and_tensors(self):
        expected = self.fit(CLOUD).mutual_info_
        single = CLOUD.astype(np.float32)
        assert self.fit(single).mutual_info_ == pytest.approx(expected, abs=1e-4)
        tensor = torch.from_numpy(CLOUD)
        assert self.fit(tensor).mutual_info_ == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("n_draws", [None, 16])
    def test_n_jobs(self, n_draws):
        X = CLOUD
        if n_draws is not None:
            X = CLOUD[:, None] + 0.3 * np.random.RandomState(0).randn(40, n_draws, 3)
        one, two = (
            GaussianMixtureMIEstimator(0.4, n_jobs=n_jobs, random_state=0).fit(X)
            for n_jobs in (1, 2)
        )
        assert one.mutual_info_ == pytest.approx(two.mutual_info_, abs=1e-6)


class TestSampling:
    def test_tol_is_reached(self):
        estimator = GaussianMixtureMIEstimator(0.5, tol=0.003, random_state=0)
        estimator.fit(CLOUD, np.arange(40) % 2)
        assert estimator.mutual_info_std_error_ <= 0.003
        assert estimator.label_conditional_entropy_std_error_ <= 0.003
        assert estimator.n_mc_ > 205

    def test_tol_out_of_reach_warns(self):
        estimator = GaussianMixtureMIEstimator(0.5, tol=1e-6, max_samples=20_000)
        with pytest.warns(EstimateNotConvergedWarning, match=r"tol=1e-06"):
            estimator.fit(CLOUD)
        assert estimator.n_mc_ == 500

    def test_tol_that_the_draws_do_not_allow_stops_early(self):
        clouds, _, _ = linear_clouds(50, 16, 0.3, 0)
        estimator = GaussianMixtureMIEstimator(0.3, tol=1e-3, random_state=0)
        with pytest.warns(EstimateNotConvergedWarning, match="16 draws per input"):
            estimator.fit(clouds)
        assert estimator.n_mc_ < 1000

    def test_tol_is_reached_where_the_draws_allow_it(self):
        clouds, _, _ = linear_clouds(50, 64, 0.3, 0)
        estimator = GaussianMixtureMIEstimator(0.3, tol=0.015, random_state=0)
        assert estimator.fit(clouds).mutual_info_std_error_ <= 0.015

    def test_one_sample_per_input_still_has_an_error(self):
        spread = [
            GaussianMixtureMIEstimator(0.5, n_mc=1, random_state=seed).fit(CLOUD)
            for seed in range(40)
        ]
        values = [fit.mutual_info_ for fit in spread]
        claimed = np.mean([fit.mutual_info_std_error_ for fit in spread])
        assert np.std(values) < 1.3 * claimed

    def test_same_seed_same_numbers(self):
        fits = [
            GaussianMixtureMIEstimator(0.5, random_state=3).fit(CLOUD) for _ in range(2)
        ]
        assert fits[0].mutual_info_ == fits[1].mutual_info_


class TestScore:
    def test_is_the_information_of_the_activations_given(self):
        clouds, _, _ = linear_clouds(50, 32, 0.3, 0)
        fresh, _, _ = linear_clouds(30, 32, 0.3, 1)
        weights = RANDOM.rand(30)
        fitted = GaussianMixtureMIEstimator(0.3, random_state=0).fit(clouds)
        anew = GaussianMixtureMIEstimator(0.3, random_state=0)
        assert fitted.score(clouds) == fitted.mutual_info_
        assert fitted.score(fresh) == anew.fit(fresh).mutual_info_
        anew.fit(fresh, sample_weight=weights)
        assert fitted.score(fresh, sample_weight=weights) == anew.mutual_info_

    @pytest.mark.filterwarnings("ignore::skib.exceptions.SaturationWarning")
    def test_cross_validation_stays_below_the_entropy_of_a_fold(self):
        X, y = load_iris(return_X_y=True)
        X = StandardScaler().fit_transform(X)
        estimator = GaussianMixtureMIEstimator(0.05, random_state=0)
        scores = cross_val_score(estimator, X, y, cv=KFold(3))
        assert (scores <= math.log(50) + 1e-9).all()
        assert (scores > 2).all()

    def test_label_score_is_the_label_information(self):
        labels = np.arange(40) % 3
        estimator = GaussianMixtureMIEstimator(0.3, target="label", random_state=0)
        estimator.fit(CLOUD, labels)
        assert estimator.score(CLOUD, labels) == estimator.label_mutual_info_

    def test_score_samples_is_the_log_density(self):
        points = np.array([[0.0, 0, 0], [1, 2, 3], [50, 0, 0]])
        estimator = GaussianMixtureMIEstimator(0.4, random_state=0).fit(CLOUD)
        squared = ((points[:, None] - CLOUD) ** 2).sum(2)
        expected = logsumexp(-squared / (2 * 0.4**2), axis=1) - math.log(40)
        expected -= 3 / 2 * math.log(2 * math.pi * 0.4**2)
        np.testing.assert_allclose(estimator.score_samples(points), expected, rtol=1e-9)


class TestRefusals:
    @pytest.mark.parametrize("noise_std", [-1.0, math.nan, math.inf, "1", None, True])
    def test_noise_that_is_none(self, noise_std):
        with pytest.raises(ValueError, match="noise_std must be a finite number > 0"):
            GaussianMixtureMIEstimator(noise_std).fit(CLOUD)

    def test_zero_noise_with_the_reason(self):
        with pytest.raises(ValueError, match="entropy of the inputs, or infinite"):
            GaussianMixtureMIEstimator(0).fit(CLOUD)

    @pytest.mark.parametrize(
        ("parameters", "match"),
        [
            ({"target": "output"}, "target must be one of"),
            ({"n_mc": 0}, "n_mc == 0, must be >= 1"),
            ({"max_samples": 0}, "max_samples == 0, must be >= 1"),
            ({"tol": 0}, "tol == 0, must be > 0"),
            ({"device": "abacus"}, "device must be None or a torch device"),
            ({"target": "label"}, "requires y to be passed"),
        ],
    )
    def test_parameters(self, parameters, match):
        with pytest.raises(ValueError, match=match):
            GaussianMixtureMIEstimator(**parameters).fit(CLOUD)

    @pytest.mark.parametrize(
        ("X", "match"),
        [
            (np.full((3, 2), np.nan), "contains NaN"),
            (np.full((3, 8, 2), np.inf), "contains infinity"),
            (torch.full((3, 2), torch.nan), "contains NaN or infinity"),
            (np.zeros((0, 3)), r"0 sample\(s\)"),
            (torch.zeros(3, 0), r"\(3, 0\)"),
            (np.zeros((3, 4, 5, 6)), "Got an array of shape"),
            (np.zeros((3, 2, 5)), "at least 4 draws"),
            (np.zeros(3), "Expected 2D array"),
        ],
    )
    def test_activations(self, X, match):
        with pytest.raises(ValueError, match=match):
            GaussianMixtureMIEstimator().fit(X)

    @pytest.mark.parametrize("parameters", [{"n_mc": 2.5}, {"tol": "small"}])
    def test_parameters_of_a_wrong_type(self, parameters):
        with pytest.raises(TypeError, match="must be an instance of"):
            GaussianMixtureMIEstimator(**parameters).fit(CLOUD)

    def test_labels_and_weights_that_do_not_fit(self):
        estimator = GaussianMixtureMIEstimator()
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            estimator.fit(CLOUD, [0, 1])
        with pytest.raises(ValueError, match="discrete labels"):
            estimator.fit(CLOUD, CLOUD[:, 0])
        with pytest.raises(ValueError, match="one weight for each of the 40"):
            estimator.fit(CLOUD, sample_weight=[1.0])
        with pytest.raises(ValueError, match="nor all weights zero"):
            estimator.fit(CLOUD, sample_weight=np.zeros(40))

    def test_one_sample_of_one_input_has_no_error(self):
        with pytest.raises(ValueError, match="n_mc must be at least 2"):
            GaussianMixtureMIEstimator(n_mc=1).fit(np.zeros((3, 2)))

    def test_score_of_what_was_not_fitted(self):
        estimator = GaussianMixtureMIEstimator(0.3, target="label", random_state=0)
        estimator.fit(CLOUD, np.arange(40) % 2)
        with pytest.raises(ValueError, match="requires y"):
            estimator.score(CLOUD)
        with pytest.raises(ValueError, match="3 features"):
            estimator.score_samples(np.zeros((5, 2)))
        with pytest.raises(ValueError, match="must be outputs of the layer"):
            estimator.score_samples(np.zeros((5, 4, 3)))


def test_averaging_over_inputs_takes_most_of_the_noise_away():
    """Against the log-ratio at the own input, which has the same mean."""
    points, noise_std = np.linspace(-1, 1, 5)[:, None], 0.4
    noise = noise_std * np.random.default_rng(0).normal(size=(5, 4000))
    exponent = -(((points + noise)[:, :, None] - points[:, 0]) ** 2)
    log_posterior = log_softmax(exponent / (2 * noise_std**2), axis=2)
    ratio = math.log(5) + log_posterior[range(5), :, range(5)]
    of_own = math.sqrt(ratio.var(axis=1).mean() / ratio.size)
    estimator = GaussianMixtureMIEstimator(noise_std, n_mc=4000, random_state=0)
    estimator.fit(points)
    assert estimator.mutual_info_std_error_ < of_own / 2
    assert abs(estimator.mutual_info_ - ratio.mean()) < 4 * of_own
