"""Information over epochs and layers: truth, parallelism, resuming, refusals."""

import itertools
import math

import joblib
import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skib import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    NetworkMIEstimator,
    NoisyMLPClassifier,
    Recording,
)
from skib.exceptions import (
    EstimateNotConvergedWarning,
    HighDimensionWarning,
    ImportanceSamplingWarning,
)
from skib.inspection import InformationFlow, information_flow
from skib.mutual_info import awgn_mutual_info

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(48, 3)
Y = np.array(["a", "b", "c"])[RANDOM.randint(3, size=48)]
NOISE_STD = 0.3


def make_recording(activation="tanh", noise_std=NOISE_STD, epochs=(0, 1, 5)):
    random = np.random.RandomState(1)
    sizes = [3, 4, 2, 2]
    shapes = list(itertools.pairwise(sizes))
    coefs = [[(1 + e / 4) * random.randn(*s) * 0.7 for s in shapes] for e in epochs]
    intercepts = [[0.1 * random.randn(s[1]) for s in shapes] for _ in epochs]
    return Recording.from_weights(
        epochs, coefs, intercepts, activation=activation, noise_std=noise_std
    )


def flow_of(recording=None, X=X, y=Y, n_mc=8, **kwargs):
    recording = recording or make_recording()
    estimator = NetworkMIEstimator(n_mc=n_mc)
    kwargs = {"n_draws": 32, "estimator": estimator, "random_state": 0, **kwargs}
    return information_flow(recording, X, y, **kwargs)


class TestTruth:
    def test_linear_network_has_its_exact_information(self):
        recording = make_recording("identity")
        flow = flow_of(recording, y=None, n_mc=100)
        for e in range(3):
            signal, covariance = X, np.zeros((3, 3))
            for layer in range(3):
                coefs = recording.coefs[e][layer]
                signal = signal @ coefs + recording.intercepts[e][layer]
                covariance = coefs.T @ covariance @ coefs
                covariance += NOISE_STD**2 * np.eye(len(covariance))
                # Whitened, the channel has unit noise.
                white = signal @ np.linalg.inv(np.linalg.cholesky(covariance)).T
                truth = awgn_mutual_info(white, 1.0)
                error = math.hypot(
                    flow.mutual_info_std_error[e, layer],
                    getattr(truth, "error", 0.0),
                )
                assert abs(flow.mutual_info[e, layer] - truth) < 4 * error + 1e-6

    @pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu", "identity"])
    @pytest.mark.parametrize("noise_std", [0.005, 0.05, 0.5])
    def test_information_does_not_rise_with_the_layer(self, activation, noise_std):
        """Data processing, with no slack but three standard errors."""
        flow = flow_of(make_recording(activation, noise_std), n_mc=64)
        rise = np.diff(flow.mutual_info, axis=1)
        errors = flow.mutual_info_std_error
        error = np.hypot(errors[:, 1:], errors[:, :-1])
        assert (rise < 3 * error + 1e-9).all()
        assert (flow.mutual_info < math.log(48) + 3 * errors + 1e-9).all()

    def test_first_layer_has_no_bracket_to_speak_of(self):
        flow = flow_of()
        np.testing.assert_allclose(flow.mutual_info_low[:, 0], flow.mutual_info[:, 0])
        assert flow.conditional_entropy[0, 0] == pytest.approx(
            4 / 2 * math.log(2 * math.pi * math.e * NOISE_STD**2), abs=1e-10
        )

    def test_repeating_every_row_changes_nothing(self):
        twice = flow_of(X=np.repeat(X, 2, axis=0), y=np.repeat(Y, 2))
        once = flow_of()
        np.testing.assert_allclose(twice.mutual_info, once.mutual_info, atol=1e-12)
        np.testing.assert_allclose(
            twice.label_mutual_info, once.label_mutual_info, atol=1e-12
        )
        assert twice.input_entropy == pytest.approx(math.log(48))

    def test_one_input_with_two_labels(self):
        """Labels that are a fair coin given x are not to be known from T."""
        coin = flow_of(X=np.repeat(X, 2, axis=0), y=np.tile([0, 1], 48))
        np.testing.assert_allclose(coin.label_mutual_info, 0, atol=1e-12)
        np.testing.assert_allclose(coin.mutual_info, flow_of().mutual_info, atol=1e-12)

    def test_weights_are_used_and_say_how_well(self):
        flow = flow_of()
        assert flow.from_network.all()
        assert (flow.effective_fraction > 0.5).all()
        assert (flow.unconverged_fraction < 0.05).all()
        assert flow.provenance["parameters"]["n_draws"] == 32

    def test_where_importance_sampling_fails_the_errors_say_so(self):
        """Much noise before a nearly silent layer: too many ways to make a point."""
        random = np.random.RandomState(0)
        sizes = [3, 6, 6, 2]
        coefs = [4 * random.randn(*s) / s[0] ** 0.5 for s in itertools.pairwise(sizes)]
        intercepts = [0.3 * random.randn(n) for n in sizes[1:]]
        recording = Recording.from_weights(
            [7], [coefs], [intercepts], activation="tanh", noise_std=[0.5, 0.5, 0.005]
        )
        with (
            pytest.warns(ImportanceSamplingWarning, match="layer 3 of epoch 7: Imp"),
            pytest.warns(HighDimensionWarning, match="layer 3 of epoch 7: I.X;T. lies"),
        ):
            flow = information_flow(recording, X[:20], n_draws=64, random_state=0)
        assert flow.from_network.all()
        assert flow.method[0, 2] == "decoder"
        gap = flow.density_gap[0, 2]
        assert gap > 0.2
        assert flow.conditional_entropy_std_error[0, 2] > gap / 4
        low, high = (flow.columns[f"mutual_info_{e}"][0, 2] for e in ("low", "high"))
        assert 0 <= low < flow.mutual_info[0, 2] < high <= math.log(20)
        assert flow.mutual_info_std_error[0, 2] > (high - low) / 4

    def test_a_silent_layer_before_leaves_activations_alone(self):
        """Noise at layer 2 only: each input has one centre there."""
        recording = make_recording()
        recording.noise_std = (0.0, 0.3, 0.3)
        flow = information_flow(recording, X, layers=[2], epochs=[5], random_state=0)
        assert not flow.from_network.any()
        assert flow.density_gap is None
        centers = recording.activations(X, epoch=5, layer=2)
        truth = awgn_mutual_info(centers, 0.3)
        error = 4 * flow.mutual_info_std_error[0, 0]
        assert flow.mutual_info[0, 0] == pytest.approx(truth, abs=error)

    def test_tol_that_is_not_reached_is_named(self):
        estimator = NetworkMIEstimator(n_mc=2, tol=1e-3, max_samples=200)
        with pytest.warns(EstimateNotConvergedWarning, match=r"layer 2 of epoch 0.*"):
            flow_of(estimator=estimator)

    def test_binned_is_the_entropy_of_the_noise_free_network(self):
        recording = make_recording()
        flow = information_flow(recording, X, estimator=BinnedMIEstimator(8))
        activations = recording.transform(X, epoch=5, layer=2)
        expected = BinnedMIEstimator(8).fit(activations).entropy_
        assert flow.entropy[2, 1] == expected
        assert flow.mutual_info_low is None


class TestWork:
    def test_same_numbers_for_any_n_jobs_and_backend(self):
        one = flow_of(n_jobs=1)
        for backend in ("loky", "threading"):
            with joblib.parallel_config(backend):
                two = flow_of(n_jobs=2)
            np.testing.assert_allclose(two.mutual_info, one.mutual_info, atol=1e-6)

    def test_chosen_layers_and_epochs(self):
        flow = flow_of(layers=[-1, 1], epochs=[5])
        assert flow.epochs.tolist() == [5]
        assert flow.layers.tolist() == [3, 1]
        assert flow.mutual_info.shape == (1, 2)

    def test_tensors_in(self):
        flow = flow_of(X=torch.from_numpy(X), y=torch.arange(48) % 2)
        np.testing.assert_allclose(flow.mutual_info, flow_of().mutual_info, atol=1e-6)

    def test_one_input_has_no_information(self):
        flow = information_flow(make_recording(), X[:1], random_state=0)
        np.testing.assert_allclose(flow.mutual_info, 0, atol=1e-12)

    def test_defaults_are_told(self):
        flow = information_flow(make_recording(), X, epochs=[0], random_state=0)
        assert flow.provenance["estimator"] == "NetworkMIEstimator()"
        assert flow.provenance["parameters"]["n_draws"] == 32

    def test_progress_bar(self, capsys):
        flow_of(verbose=1)
        assert "9/9" in capsys.readouterr().err

    def test_noise_of_each_layer(self):
        recording = make_recording(noise_std=(0.1, 0.2, 0.4))
        flow = flow_of(recording, estimator=None)
        assert flow.conditional_entropy[0, 0] == pytest.approx(
            4 / 2 * math.log(2 * math.pi * math.e * 0.1**2), abs=1e-10
        )
        assert flow.provenance["noise_std"] == [0.1, 0.2, 0.4]


class TestRefusals:
    @pytest.mark.parametrize(
        ("kwargs", "match"),
        [
            ({"layers": [4]}, "hidden layers 1 to 3"),
            ({"layers": [0]}, "hidden layers 1 to 3"),
            ({"layers": []}, "hidden layers 1 to 3"),
            ({"epochs": [2]}, r"among the recorded ones, \[0, 1, 5\]"),
            ({"epochs": []}, "among the recorded ones"),
            ({"n_draws": 2}, "at least 4 draws"),
            ({"n_draws": 0}, "n_draws"),
            ({"y": Y[:-1]}, "inconsistent numbers of samples"),
            ({"X": np.full((4, 3), np.nan), "y": None}, "contains NaN"),
            ({"X": X[:, :2]}, "X must have 3 features"),
            (
                {"estimator": GaussianMixtureMIEstimator(0.2)},
                r"the noise that the network was recorded with: {1: 0.3",
            ),
            (
                {"estimator": BinnedMIEstimator(), "n_draws": 8},
                "no meaning for a BinnedMIEstimator",
            ),
        ],
    )
    def test_arguments(self, kwargs, match):
        with pytest.raises(ValueError, match=match):
            flow_of(**kwargs)

    def test_nothing_recorded(self):
        network = NoisyMLPClassifier((2,), max_iter=1, n_iter_no_change=np.inf)
        with pytest.raises(NotFittedError, match="not fitted yet"):
            information_flow(network, X)
        with pytest.raises(TypeError, match="fitted with record_epochs"):
            information_flow(network.fit(X, Y), X)

    def test_network_without_noise(self):
        with pytest.raises(ValueError, match="entropy of the inputs, or infinite"):
            flow_of(make_recording(noise_std=0.0))


class TestResult:
    def test_save_and_load(self, tmp_path):
        flow = flow_of()
        flow.save(tmp_path / "flow.npz")
        loaded = InformationFlow.load(tmp_path / "flow.npz")
        np.testing.assert_array_equal(loaded.mutual_info_low, flow.mutual_info_low)
        np.testing.assert_array_equal(loaded.saturated, flow.saturated)
        assert loaded.provenance == flow.provenance
        assert loaded.label_entropy == flow.label_entropy

    def test_frame_in_bits(self):
        flow = flow_of()
        frame = flow.to_frame(unit="bits")
        assert len(frame) == 9
        assert frame.attrs["unit"] == "bits"
        row = frame.set_index(["epoch", "layer"]).loc[(5, 2)]
        assert row["mutual_info"] == pytest.approx(flow.mutual_info[2, 1] / math.log(2))
        assert row["effective_fraction"] == flow.effective_fraction[2, 1]
        assert row["saturated"] == flow.saturated[2, 1]

    def test_columns_for_any_library_of_frames(self):
        flow = flow_of()
        columns = flow.to_dict(unit="bits")
        frame = flow.to_frame(unit="bits")
        assert list(columns) == list(frame.columns)
        np.testing.assert_array_equal(columns["mutual_info"], frame["mutual_info"])

    def test_text_is_short_and_says_what_was_done(self):
        flow = flow_of()
        title, *rows = repr(flow).splitlines()
        assert "3 epochs from 0 to 5" in title
        assert "layer_sizes=[4, 2, 2], 48 inputs, NetworkMIEstimator" in title
        assert len(rows) == 4
        assert rows[3].split()[:2] == ["5", f"{flow.mutual_info[2, 0]:.3f}"]
        many = InformationFlow(
            np.arange(300),
            np.arange(12),
            mutual_info=np.zeros((300, 12)),
            mutual_info_std_error=np.zeros((300, 12)),
        )
        lines = repr(many).splitlines()
        assert len(lines) == 7
        assert max(map(len, lines)) < 130

    def test_html_is_escaped(self):
        flow = flow_of()
        flow.provenance["estimator"] = "<script>"
        html = flow._repr_html_()
        assert "<script>" not in html
        assert html.count("<tr>") == 4

    def test_provenance(self):
        known = flow_of().provenance
        assert known["random_state"] == 0
        assert known["layer_sizes"] == [4, 2, 2]
        assert known["n_inputs"] == 48
        assert known["quantities"]["input"] == "I(X;T)"

    def test_estimates_fitted_by_hand_tell_of_every_layer(self):
        fits = [
            GaussianMixtureMIEstimator(std, n_mc=4, random_state=0).fit(X)
            for std in (0.1, 0.5)
        ]
        flow = InformationFlow.from_estimates([fits], epochs=[3], layers=[1, 2])
        names = flow.provenance["layer_estimators"]
        assert ["noise_std=0.5" in name for name in names] == [False, True]
        assert flow.provenance["layer_sizes"] == [3, 3]

    def test_unknown_unit(self):
        with pytest.raises(ValueError, match="unit must be one of"):
            flow_of().to_frame(unit="bytes")

    def test_dataset_in_bits(self):
        flow = flow_of()
        dataset = flow.to_xarray(unit="bits")
        assert dict(dataset.sizes) == {"epoch": 3, "layer": 3}
        found = float(dataset.mutual_info.sel(epoch=5, layer=2))
        assert found == pytest.approx(flow.mutual_info[2, 1] / math.log(2))
        assert dataset.attrs["unit"] == "bits"
