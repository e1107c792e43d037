"""Clustering over epochs and layers: the measures, the sweep, the table."""

import numpy as np
import pytest

from skib import BinnedMIEstimator, Recording, class_distances, information_flow
from skib.exceptions import SilentRepresentationsWarning
from skib.inspection import ClusteringFlow, clustering_flow
from skib.inspection._clustering_measures import N_BINS, on_common_bins
from skib.metrics import class_separation, effective_rank, saturated_fraction

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(60, 3)
Y = np.array(["a", "b", "c"])[RANDOM.randint(3, size=60)]
EPOCHS = [0, 1, 5]


def make_recording(activation="tanh", noise_std=0.0, scale=1.0):
    shapes = [(3, 4), (4, 2)]
    coefs = [
        [scale * (1 + e) * np.random.RandomState(e).randn(*shape) for shape in shapes]
        for e in EPOCHS
    ]
    return Recording.from_weights(
        EPOCHS, coefs, None, activation=activation, noise_std=noise_std
    )


def flow_of(recording=None, **kwargs):
    recording = recording or make_recording()
    return clustering_flow(recording, X, **{"y": Y, "random_state": 0, **kwargs})


class TestMeasures:
    def test_are_those_of_the_functions(self):
        recording, flow = make_recording(), flow_of()
        for e, epoch in enumerate(EPOCHS):
            for layer in (1, 2):
                T = recording.transform(X, epoch=epoch, layer=layer)
                place = e, layer - 1
                pairs = class_distances(T, Y)
                assert flow.within_distance[place] == pytest.approx(pairs.within.mean())
                np.testing.assert_allclose(
                    flow.between_distance_quantiles[place],
                    np.quantile(pairs.between, flow.quantiles),
                )
                cosine = class_distances(T, Y, metric="cosine")
                assert flow.between_cosine[place] == pytest.approx(
                    1 - cosine.between.mean()
                )
                assert flow.separation[place] == pytest.approx(class_separation(T, Y))
                assert flow.saturation[place] == saturated_fraction(T)
                assert flow.effective_rank[place] == pytest.approx(effective_rank(T))

    def test_binned_entropy_is_that_of_the_estimator(self):
        flow = flow_of(bin_widths=[0.05, 0.3])
        noisy = make_recording(noise_std=0.1)
        for at, width in enumerate(flow.bin_widths):
            binned = information_flow(
                noisy, X, estimator=BinnedMIEstimator(bin_width=width)
            )
            np.testing.assert_allclose(
                flow.binned_entropy[..., at], binned.entropy, atol=1e-12
            )

    def test_classes_by_themselves(self):
        flow = flow_of(metrics=["euclidean"])
        T = make_recording().transform(X, epoch=5, layer=1)
        for at, label in enumerate(flow.classes):
            alone = class_distances(T[label == Y], Y[label == Y]).within.mean()
            assert flow.within_distance_by_class[2, 0, at] == pytest.approx(alone)
        # Each pair between classes belongs to two of these.
        pairs = class_distances(T, Y)
        own = [(pairs.between_classes == label).any(1) for label in flow.classes]
        expected = [pairs.between[each].mean() for each in own]
        np.testing.assert_allclose(flow.between_distance_by_class[2, 0], expected)

    def test_histograms_have_common_bins(self):
        flow = flow_of(make_recording("identity", scale=3.0))
        edges = np.array(flow.distance_edges)
        for e, epoch in enumerate(EPOCHS):
            T = make_recording("identity", scale=3.0).transform(X, epoch=epoch, layer=2)
            pairs = class_distances(T, Y)
            counts, _ = np.histogram(pairs.within, edges)
            np.testing.assert_allclose(
                flow.within_distance_histogram[e, 1], counts / len(pairs.within)
            )
        assert edges[-1] / 2 < flow.between_distance_quantiles.max() * 2 < 4 * edges[-1]
        np.testing.assert_allclose(flow.between_distance_histogram.sum(2), 1)

    def test_joining_bins(self):
        shares = RANDOM.dirichlet(np.ones(N_BINS), size=3)
        common, edges = on_common_bins(shares, np.array([0, 2, -40]))
        assert edges[-1] == 4.0
        np.testing.assert_allclose(common[0, 0], shares[0, :4].sum())
        np.testing.assert_array_equal(common[1], shares[1])
        assert common[2, 0] == pytest.approx(1)

    def test_noise_blurs_clusters(self):
        """The mean distance of pairs grows to that of the noise, 2 sigma on average."""
        still = flow_of(make_recording(noise_std=3.0))
        noisy = flow_of(make_recording(noise_std=3.0), noisy=True)
        assert (noisy.within_distance > still.within_distance + 2).all()

    def test_no_range_no_saturation(self):
        flow = flow_of(make_recording("relu"), metrics="saturation")
        assert np.isnan(flow.saturation).all()
        known = flow_of(
            make_recording("relu"), metrics="saturation", value_range=(0, 1)
        )
        assert (known.saturation > 0).all()

    def test_silent_representations_are_told_once(self):
        recording = make_recording("relu")
        with pytest.warns(
            SilentRepresentationsWarning, match="layers and ep"
        ) as caught:
            flow = flow_of(recording, metrics=["cosine"])
        assert len(caught) == 1
        T = recording.transform(X, epoch=0, layer=2)
        silent = (T == 0).all(axis=1).mean()
        assert flow.silent_fraction[0, 1] == pytest.approx(silent)


class TestWork:
    def test_workers_and_subsets_change_nothing(self):
        whole = flow_of(max_pairs=200)
        assert flow_of(max_pairs=200, n_jobs=2) == whole
        part = flow_of(max_pairs=200, epochs=[5], layers=[2])
        np.testing.assert_array_equal(
            part.within_distance, whole.within_distance[2:, 1:]
        )

    def test_resumes_from_memory(self, tmp_path, monkeypatch):
        first = flow_of(memory=str(tmp_path))
        monkeypatch.setattr(
            "skib.inspection._clustering_measures.Measuring.__call__", None
        )
        assert flow_of(memory=str(tmp_path)) == first

    def test_without_labels(self):
        flow = flow_of(y=None)
        assert flow.within_distance is None
        assert flow.effective_rank.shape == (3, 2)

    @pytest.mark.parametrize(
        ("kwargs", "match"),
        [
            ({"metrics": ["manhattan"]}, "metrics must be one of"),
            ({"metrics": []}, "metrics must be 'all' or some"),
            ({"metrics": ["cosine"], "y": None}, "compare classes: give y"),
            ({"layers": [3]}, "hidden layers 1 to 2"),
            ({"epochs": [2]}, "among the recorded"),
            ({"bin_widths": [0.0]}, "bin_widths"),
            ({"max_pairs": 0}, "max_pairs"),
        ],
    )
    def test_refusals(self, kwargs, match):
        with pytest.raises(ValueError, match=match):
            flow_of(**kwargs)


class TestTable:
    def test_save_and_load(self, tmp_path):
        flow = flow_of()
        flow.save(tmp_path / "flow.npz")
        assert ClusteringFlow.load(tmp_path / "flow.npz") == flow

    def test_frame(self):
        flow = flow_of()
        frame = flow.to_frame(unit="bits")
        assert len(frame) == 6
        assert frame["separation"].iloc[1] == flow.separation[0, 1]
        assert frame["binned_entropy[0.05]"].iloc[5] == pytest.approx(
            flow.binned_entropy[2, 1, 1] / np.log(2)
        )
        assert "within_distance_by_class[a]" in frame
        assert not any("histogram" in name for name in frame)

    def test_provenance(self):
        known = flow_of().provenance
        assert known["n_inputs"] == 60
        assert known["layer_sizes"] == [4, 2]
        assert known["random_state"] == 0
