"""The binned estimator against hand counts, scipy's entropy and identities."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy, norm

from skib.exceptions import UncoveredBinsWarning
from skib.mutual_info import BinnedMIEstimator

RANDOM = np.random.RandomState(0)
ACTIVATIONS = np.tanh(RANDOM.randn(200, 3))
LABELS = RANDOM.randint(3, size=200)


def plain_entropy(codes, weights=None):
    """Entropy of rows by a dictionary, one row after the other."""
    mass = {}
    for row, weight in zip(codes, weights or [1] * len(codes), strict=True):
        mass[tuple(row)] = mass.get(tuple(row), 0) + weight
    return entropy(list(mass.values()))


def plain_codes(activations, n_bins):
    return np.minimum(np.floor((activations + 1) / 2 * n_bins), n_bins - 1)


class TestDeterministicNetworks:
    @pytest.mark.parametrize("n_bins", [1, 2, 5, 30])
    def test_information_is_the_entropy_of_the_cells(self, n_bins):
        fitted = BinnedMIEstimator(n_bins).fit(ACTIVATIONS)
        expected = plain_entropy(plain_codes(ACTIVATIONS, n_bins))
        assert fitted.entropy_ == pytest.approx(expected, abs=1e-12)
        assert fitted.mutual_info_ == fitted.entropy_
        assert fitted.conditional_entropy_ == 0
        assert fitted.mutual_info_std_error_ == 0

    def test_label_information_is_entropy_minus_entropy_within_labels(self):
        fitted = BinnedMIEstimator(4).fit(ACTIVATIONS, LABELS)
        codes = plain_codes(ACTIVATIONS, 4)
        within = sum(
            (label == LABELS).mean() * plain_entropy(codes[label == LABELS])
            for label in range(3)
        )
        assert fitted.label_conditional_entropy_ == pytest.approx(within, abs=1e-12)
        assert fitted.label_mutual_info_ == pytest.approx(fitted.entropy_ - within)

    def test_small_bins_keep_all_inputs_apart(self):
        fitted = BinnedMIEstimator(bin_width=1e-9).fit(ACTIVATIONS)
        assert fitted.mutual_info_ == pytest.approx(math.log(200))
        assert fitted.saturated_

    def test_many_units_whose_cells_have_no_number(self):
        """30 bins in 50 units: 30^50 cells do not fit an integer."""
        wide = np.tanh(RANDOM.randn(40, 50))
        twice = np.concatenate([wide, wide + 1e-9])
        assert BinnedMIEstimator().fit(twice).entropy_ == pytest.approx(math.log(40))

    def test_weights_are_the_law_of_the_inputs(self):
        weights = RANDOM.randint(1, 5, size=200)
        fitted = BinnedMIEstimator(4).fit(ACTIVATIONS, LABELS, sample_weight=weights)
        rows = np.repeat(np.arange(200), weights)
        repeated = BinnedMIEstimator(4).fit(ACTIVATIONS[rows], LABELS[rows])
        assert fitted.entropy_ == pytest.approx(repeated.entropy_, abs=1e-12)
        assert fitted.label_mutual_info_ == pytest.approx(repeated.label_mutual_info_)


class TestBins:
    def test_are_half_open_and_the_last_is_closed(self):
        activations = np.array([[-1.0], [-0.5], [0.0], [0.5], [1.0]])
        fitted = BinnedMIEstimator(4).fit(activations)
        # 0.5 and 1.0 share the last bin [0.5, 1].
        assert fitted.entropy_ == pytest.approx(entropy([1, 1, 1, 2]))

    def test_width_that_divides_the_range_makes_no_sliver(self):
        fitted = BinnedMIEstimator(bin_width=0.05).fit(ACTIVATIONS)
        assert fitted.n_bins_ == 40
        assert fitted.entropy_ == BinnedMIEstimator(40).fit(ACTIVATIONS).entropy_

    def test_uncovered_activations_warn_and_go_to_the_end_bins(self):
        activations = np.array([[-7.0], [-0.9], [0.9], [7.0]])
        with pytest.warns(UncoveredBinsWarning, match="-7 to 7 are not covered"):
            fitted = BinnedMIEstimator(2).fit(activations)
        assert fitted.entropy_ == pytest.approx(math.log(2))

    def test_range_of_the_data(self):
        activations = 10 * RANDOM.rand(100, 2)
        fitted = BinnedMIEstimator(5, value_range="data").fit(activations)
        assert fitted.value_range_ == (activations.min(), activations.max())

    def test_constant_activations_have_no_information(self):
        fitted = BinnedMIEstimator(value_range="data").fit(np.full((5, 2), 3.0))
        assert fitted.entropy_ == 0
        assert not fitted.saturated_


class TestNoisyActivations:
    def test_conditional_entropy_is_that_of_the_draws(self):
        """Two inputs, each with a fair coin over two of three cells."""
        draws = np.array([[-0.9, -0.9, 0.0, 0.0], [0.0, 0.0, 0.9, 0.9]])[:, :, None]
        fitted = BinnedMIEstimator(3).fit(draws, [0, 1])
        assert fitted.entropy_ == pytest.approx(entropy([1, 2, 1]))
        assert fitted.conditional_entropy_ == pytest.approx(math.log(2))
        assert fitted.label_mutual_info_ == pytest.approx(fitted.mutual_info_)

    def test_standard_error_is_the_spread_over_draws(self):
        centers = RANDOM.uniform(-0.5, 0.5, size=(20, 1, 2))
        fits = [
            BinnedMIEstimator(6).fit(
                centers + 0.1 * np.random.RandomState(seed).randn(20, 200, 2)
            )
            for seed in range(60)
        ]
        for name in ("mutual_info", "entropy", "conditional_entropy"):
            spread = np.std([getattr(fit, f"{name}_") for fit in fits], ddof=1)
            claimed = np.mean([getattr(fit, f"{name}_std_error_") for fit in fits])
            assert 0.7 * spread < claimed < 1.4 * spread


class TestOffsets:
    @pytest.mark.parametrize("width", [0.2, 0.7, 2.0])
    def test_information_is_that_of_a_channel_with_uniform_noise(self, width):
        """E_u H(Bin_u(T)) = I(T; T + U), here by summing over the pieces of p(t)."""
        centers = np.array([-0.9, -0.5, -0.45, 0.1, 0.8])
        weights = np.array([1.0, 2.0, 3.0, 1.0, 2.0])
        # p(t + u) is constant between the edges of the uniform densities.
        edges = np.unique(np.concatenate([centers - width / 2, centers + width / 2]))
        middles, lengths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        reaches = np.abs(middles[:, None] - centers) < width / 2
        density = reaches @ weights / weights.sum() / width
        density, lengths = density[density > 0], lengths[density > 0]
        expected = -np.sum(lengths * density * np.log(density)) - math.log(width)
        fitted = BinnedMIEstimator(bin_width=width, n_offsets=400, random_state=0)
        fitted.fit(centers[:, None], sample_weight=weights)
        assert fitted.entropy_std_error_ > 0
        assert fitted.entropy_ == pytest.approx(
            expected, abs=4 * fitted.entropy_std_error_
        )

    def test_standard_error_is_the_spread_over_seeds(self):
        fits = [
            BinnedMIEstimator(5, n_offsets=8, random_state=seed).fit(
                ACTIVATIONS, LABELS
            )
            for seed in range(100)
        ]
        for name in ("mutual_info", "label_mutual_info", "label_conditional_entropy"):
            spread = np.std([getattr(fit, f"{name}_") for fit in fits], ddof=1)
            claimed = np.mean([getattr(fit, f"{name}_std_error_") for fit in fits])
            assert 0.8 * spread < claimed < 1.2 * spread

    def test_no_activation_leaves_the_bins(self):
        edges = np.array([[-1.0], [1.0]])
        fitted = BinnedMIEstimator(1, n_offsets=50, random_state=0).fit(edges)
        # An offset between two bins as wide as the range always parts its ends.
        assert fitted.entropy_ == pytest.approx(math.log(2))

    def test_score_uses_the_fitted_offsets(self):
        fitted = BinnedMIEstimator(4, n_offsets=5).fit(ACTIVATIONS)
        assert fitted.offsets_.shape == (5, 3)
        assert fitted.score(ACTIVATIONS) == fitted.mutual_info_


class TestCorrection:
    def fits(self, correction):
        """Normal draws round three inputs, whose cells have known probabilities."""
        centers = np.array([-0.4, 0.0, 0.1])[:, None, None]
        for seed in range(200):
            draws = centers + 0.3 * np.random.RandomState(seed).randn(3, 40, 1)
            yield BinnedMIEstimator(
                bin_width=0.25, value_range=(-3, 3), correction=correction
            ).fit(draws, [0, 0, 1], sample_weight=[1, 2, 3])

    def truth(self):
        edges = np.linspace(-3, 3, 25)
        cells = np.array(
            [np.diff(norm.cdf(edges, center, 0.3)) for center in (-0.4, 0.0, 0.1)]
        )
        weights = np.array([1, 2, 3]) / 6
        total = entropy(weights @ cells)
        within = 0.5 * entropy(weights[:2] @ cells[:2]) + 0.5 * entropy(cells[2])
        return {
            "entropy": total,
            "conditional_entropy": weights @ entropy(cells, axis=1),
            "mutual_info": total - weights @ entropy(cells, axis=1),
            "label_conditional_entropy": within,
            "label_mutual_info": total - within,
        }

    def test_takes_away_most_of_the_bias(self):
        plain, corrected = list(self.fits(None)), list(self.fits("miller-madow"))
        for name, expected in self.truth().items():
            bias, left = (
                abs(np.mean([getattr(fit, f"{name}_") for fit in fits]) - expected)
                for fits in (plain, corrected)
            )
            assert left < 0.5 * bias

    def test_is_that_of_one_sample(self):
        """(cells hit - 1) / (2 n) where there is one input."""
        draws = np.array([[[-0.9], [-0.9], [0.0], [0.9]]])
        fitted = BinnedMIEstimator(3, correction="miller-madow").fit(draws)
        expected = entropy([2, 1, 1]) + (3 - 1) / (2 * 4)
        assert fitted.entropy_ == pytest.approx(expected)
        assert fitted.conditional_entropy_ == pytest.approx(expected)

    def test_is_nothing_where_nothing_was_sampled(self):
        plain = BinnedMIEstimator(4).fit(ACTIVATIONS, LABELS)
        other = BinnedMIEstimator(4, correction="miller-madow").fit(ACTIVATIONS, LABELS)
        assert plain.entropy_ == other.entropy_
        assert plain.label_mutual_info_ == other.label_mutual_info_


class TestScore:
    def test_is_the_information_in_the_fitted_bins(self):
        fitted = BinnedMIEstimator(4, value_range="data").fit(ACTIVATIONS)
        assert fitted.score(ACTIVATIONS) == fitted.mutual_info_
        half = BinnedMIEstimator(4).fit(ACTIVATIONS).score(ACTIVATIONS[:100])
        assert half == pytest.approx(plain_entropy(plain_codes(ACTIVATIONS[:100], 4)))

    def test_about_labels(self):
        fitted = BinnedMIEstimator(4, target="label").fit(ACTIVATIONS, LABELS)
        assert fitted.score(ACTIVATIONS, LABELS) == fitted.label_mutual_info_


def test_tensors_are_arrays():
    one = BinnedMIEstimator(7).fit(ACTIVATIONS)
    other = BinnedMIEstimator(7).fit(torch.from_numpy(ACTIVATIONS))
    assert one.entropy_ == other.entropy_


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"n_bins": 0}, "n_bins == 0, must be >= 1"),
        ({"bin_width": -1}, "bin_width == -1, must be > 0"),
        ({"value_range": (1, -1)}, "low < high"),
        ({"value_range": "date"}, "value_range must be 'data' or two finite numbers"),
        ({"value_range": None}, "value_range must be 'data' or two finite numbers"),
        ({"n_offsets": 1}, "n_offsets == 1, must be >= 2"),
        ({"correction": "jackknife"}, "correction must be one of"),
        ({"target": "output"}, "target must be one of"),
        ({"target": "label"}, "requires y to be passed"),
    ],
)
def test_refusals(parameters, match):
    with pytest.raises(ValueError, match=match):
        BinnedMIEstimator(**parameters).fit(ACTIVATIONS)
