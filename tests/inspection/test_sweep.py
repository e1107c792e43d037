"""The way over epochs and layers: seeds, workers, memory, interruptions, warnings."""

import json
import math
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skib import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    NetworkMIEstimator,
    Recording,
    information_flow,
)
from skib.exceptions import SweepInterruptedWarning, UncoveredBinsWarning
from skib.mutual_info import (
    ActivationsMIEstimator,
    Estimate,
    Information,
    KernelDensityMIEstimator,
    NearestNeighborMIEstimator,
    PairwiseDistanceMIEstimator,
)

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(40, 3)
Y = RANDOM.randint(3, size=40)
EPOCHS = [0, 1, 5]
ESTIMATORS = [
    NetworkMIEstimator(n_mc=4, n_draws=8),
    GaussianMixtureMIEstimator(n_mc=4, n_draws=8),
    BinnedMIEstimator(n_offsets=2),
    PairwiseDistanceMIEstimator(n_draws=4),
    NearestNeighborMIEstimator(n_samples=200, n_draws=8),
    KernelDensityMIEstimator(n_samples=200, n_draws=8),
]


def make_recording(epochs=EPOCHS):
    shapes = [(3, 4), (4, 2), (2, 2)]
    coefs = [
        [0.7 * np.random.RandomState(e).randn(*shape) for shape in shapes]
        for e in epochs
    ]
    return Recording.from_weights(
        epochs, coefs, [None] * len(epochs), activation="tanh", noise_std=0.3
    )


def flow_of(estimator=ESTIMATORS[0], **kwargs):
    options = {"recording": make_recording(), "X": X, "y": Y, "random_state": 0}
    return information_flow(estimator=estimator, **{**options, **kwargs})


class TeachersEstimator(ActivationsMIEstimator):
    """An estimator of one's own: pairwise lower bound of Kolchinsky and Tracey."""

    def __init__(self, noise_std=0.1):
        self.noise_std = noise_std

    def estimate_law(self, law):
        centers = law.centers.double().mean(1)
        squared = torch.cdist(centers, centers).square()
        weights = law.input_weights
        overlap = torch.exp(-squared / (8 * self.noise_std**2)) @ weights
        return Information(Estimate(-float(weights @ overlap.log())))


class FailingEstimator(GaussianMixtureMIEstimator):
    def estimate_law(self, law):
        raise RuntimeError("this is the one that was asked")


class WarningEstimator(BinnedMIEstimator):
    def estimate_law(self, law):
        warnings.warn("a word from a worker", RuntimeWarning, stacklevel=1)
        return super().estimate_law(law)


class CountingRecording:
    """Hands out snapshots, and interrupts before the one after so many."""

    def __init__(self, interrupt_after=math.inf):
        self.recording = make_recording()
        self.epochs = self.recording.epochs
        self.interrupt_after = interrupt_after
        self.n_asked = 0

    def at(self, epoch):
        # The first two calls look at the network, before there is any work.
        self.n_asked += 1
        if self.n_asked > self.interrupt_after:
            raise KeyboardInterrupt
        return self.recording.at(epoch)


class TestWhoRuns:
    def test_the_estimator_given_is_the_one_that_runs(self):
        with pytest.raises(RuntimeError, match="the one that was asked"):
            flow_of(FailingEstimator())

    def test_an_estimator_of_ones_own(self):
        estimator = TeachersEstimator()
        flow = flow_of(estimator)
        centers = make_recording().at(5).activations(X, layer=1)
        alone = TeachersEstimator(0.3).fit(centers)
        assert flow.mutual_info[2, 0] == pytest.approx(alone.mutual_info_, abs=1e-12)
        assert flow.provenance["estimator"] == repr(estimator)
        assert flow.mutual_info_low is None

    def test_noise_at_its_default_is_that_of_each_layer(self):
        recording = make_recording()
        recording.noise_std = (0.2, 0.4, 0.6)
        flow = flow_of(GaussianMixtureMIEstimator(), recording=recording)
        of_noise = 2 * math.log(2 * math.pi * math.e * 0.2**2)
        assert flow.conditional_entropy[0, 0] == pytest.approx(of_noise)

    def test_settings_arrive_as_they_are(self):
        flow = flow_of(GaussianMixtureMIEstimator(n_mc=1, n_draws=8))
        assert (flow.n_mc == 1).all()

    @pytest.mark.parametrize("estimator", ["binned", BinnedMIEstimator, object()])
    def test_what_is_no_estimator_is_refused(self, estimator):
        with pytest.raises(TypeError, match="estimator must be an estimator"):
            flow_of(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
class TestSeeds:
    def test_a_subset_has_the_same_numbers(self, estimator):
        whole = flow_of(estimator)
        part = flow_of(estimator, epochs=[5, 1], layers=[3, 2])
        np.testing.assert_array_equal(
            part.mutual_info, whole.mutual_info[[2, 1]][:, [2, 1]]
        )

    def test_workers_change_nothing(self, estimator):
        one = flow_of(estimator)
        two = flow_of(estimator, n_jobs=2)
        assert one == two

    def test_other_seeds_other_numbers(self, estimator):
        assert flow_of(estimator) == flow_of(estimator)
        assert flow_of(estimator) != flow_of(estimator, random_state=1)


class TestMemory:
    @pytest.mark.parametrize("as_tensor", [False, True])
    def test_nothing_is_done_twice(self, tmp_path, monkeypatch, as_tensor):
        inputs = torch.tensor(X) if as_tensor else X
        first = flow_of(X=inputs, memory=tmp_path)

        def refuse(*_, **__):
            raise AssertionError("done again")

        monkeypatch.setattr(NetworkMIEstimator, "estimate", refuse)
        inputs = torch.tensor(X) if as_tensor else X
        assert flow_of(X=inputs, memory=str(tmp_path)) == first
        part = flow_of(X=inputs, memory=str(tmp_path), epochs=[1])
        np.testing.assert_array_equal(part.mutual_info[0], first.mutual_info[1])
        with pytest.raises(AssertionError, match="done again"):
            flow_of(X=inputs, memory=str(tmp_path), random_state=1)
        with pytest.raises(AssertionError, match="done again"):
            flow_of(X=inputs + 1, memory=str(tmp_path))

    def test_weights_of_the_network_count(self, tmp_path, monkeypatch):
        first = flow_of(memory=str(tmp_path))
        other = make_recording()
        other.coefs[0][0] = other.coefs[0][0] + 1
        second = flow_of(recording=other, memory=str(tmp_path))
        assert second.mutual_info[0, 0] != first.mutual_info[0, 0]


class TestInterruption:
    def test_what_is_finished_is_returned(self):
        whole = flow_of()
        with pytest.warns(SweepInterruptedWarning, match="2 of 3 epochs"):
            flow = flow_of(recording=CountingRecording(interrupt_after=3))
        assert flow.epochs.tolist() == [0, 1]
        np.testing.assert_array_equal(flow.mutual_info, whole.mutual_info[:2])

    def test_what_is_kept_is_said(self, tmp_path):
        recording = CountingRecording(interrupt_after=3)
        with pytest.warns(SweepInterruptedWarning, match="kept in memory"):
            flow_of(recording=recording, memory=str(tmp_path))

    def test_an_epoch_without_all_layers_is_not_finished(self):
        estimator = GaussianMixtureMIEstimator(n_mc=4, n_draws=8)
        recording = CountingRecording(interrupt_after=5)
        with pytest.warns(SweepInterruptedWarning, match="1 of 3 epochs"):
            flow = flow_of(estimator, recording=recording)
        assert flow.epochs.tolist() == [0]

    def test_nothing_finished_is_an_interruption(self):
        with pytest.raises(KeyboardInterrupt):
            flow_of(recording=CountingRecording(interrupt_after=1))


class TestWarnings:
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_words_of_workers_reach_the_caller(self, n_jobs):
        with pytest.warns(RuntimeWarning, match="a word from a worker"):
            flow_of(WarningEstimator(), n_jobs=n_jobs)

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_limits_are_told_once_with_their_places(self, n_jobs):
        narrow = BinnedMIEstimator(value_range=(-0.1, 0.1))
        with pytest.warns(UncoveredBinsWarning, match="layer 1 of epoch 0") as caught:
            flow_of(narrow, n_jobs=n_jobs)
        assert len(caught) == 1
        assert "and 5 more" in str(caught[0].message)


def test_a_bar_counts_layers(capsys):
    flow_of(ESTIMATORS[1], verbose=1)
    assert "9/9" in capsys.readouterr().err


def test_numpy_scalars_are_saved(tmp_path):
    flow = flow_of(n_draws=np.int64(8), random_state=np.int64(0))
    flow.save(tmp_path / "flow.npz")
    assert type(flow).load(tmp_path / "flow.npz") == flow
    assert json.dumps(flow.provenance)


BACKENDS = ["loky", "threading", "multiprocessing"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_of_joblib_give_the_numbers_of_one_worker(backend):
    for estimator in ESTIMATORS:
        one = flow_of(clone(estimator))
        with joblib.parallel_config(backend):
            assert flow_of(clone(estimator), n_jobs=2) == one


# The workers' own warnings are theirs.
@pytest.mark.backends
@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_numbers_of_one_worker():
    distributed = pytest.importorskip("distributed")
    one = flow_of()
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        assert flow_of(n_jobs=2) == one


@pytest.mark.backends
@pytest.mark.filterwarnings("ignore")
def test_ray_gives_the_numbers_of_one_worker():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    one = flow_of()
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        runtime_env={"env_vars": {"PYTHONPATH": ":".join(sys.path)}},
    )
    try:
        register_ray()
        with joblib.parallel_config("ray"):
            assert flow_of(n_jobs=2) == one
    finally:
        ray.shutdown()
