"""The same input gets the same answer at every door, or one clear sentence."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skib import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    InformationFlow,
    NetworkMIEstimator,
    NoisyMLPClassifier,
    class_distances,
    information_flow,
)
from skib.exceptions import (
    SaturationWarning,
    SilentRepresentationsWarning,
    UncoveredBinsWarning,
)
from skib.inspection import RepresentationDisplay, clustering_flow
from skib.mutual_info import (
    KernelDensityMIEstimator,
    NearestNeighborMIEstimator,
    PairwiseDistanceMIEstimator,
    awgn_mutual_info,
    gaussian_mixture_entropy,
    network_log_conditional,
    network_mutual_info,
)
from skib.recording import Recording, TorchRecorder

RANDOM = np.random.RandomState(0)
# Multiples of 1/8 are the same in every float type; the last row is a repetition.
X = RANDOM.randint(-8, 9, size=(24, 2)) / 8.0
X[-1] = X[0]
Y = RANDOM.randint(3, size=24)
Y[-1] = Y[0]
WEIGHTS = RANDOM.randint(1, 5, size=24).astype(float)
WEIGHTS[-1] = WEIGHTS[0]

NETWORK = NoisyMLPClassifier(
    (3, 2),
    "tanh",
    noise_std=0.3,
    max_iter=2,
    n_iter_no_change=np.inf,
    record_epochs=[2],
    dtype="float64",
    random_state=0,
).fit(X, Y)
RECORDING = NETWORK.recording_
MODULE = torch.nn.Sequential(
    torch.nn.Linear(2, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 2)
).double()
RECORDER = TorchRecorder(MODULE, ["1", "2"], noise_std=0.3)
RECORDER.record(2)
COEFS, INTERCEPTS = RECORDING.coefs[0][:2], RECORDING.intercepts[0][:2]
MIXTURE = GaussianMixtureMIEstimator(0.3, random_state=0)
NETWORK_AWARE = NetworkMIEstimator(n_mc=4, n_draws=8)
OPTIONS = {"noise_std": 0.3, "random_state": 0}


def flow(X, y=None, sample_weight=None):
    found = information_flow(
        RECORDING,
        X,
        y,
        sample_weight=sample_weight,
        estimator=NETWORK_AWARE,
        layers=[2],
        random_state=0,
    )
    return found.mutual_info if y is None else found.label_mutual_info


def of_network(X, y=None, sample_weight=None):
    settings = {"layers": [2], "n_mc": 4, "n_draws": 8, **OPTIONS}
    (found,) = network_mutual_info(COEFS, INTERCEPTS, X, y, sample_weight, **settings)
    return (found.mutual_info if y is None else found.label_mutual_info).value


def fit_mixture(X, y=None, sample_weight=None):
    fitted = GaussianMixtureMIEstimator(**OPTIONS).fit(X, y, sample_weight)
    return fitted.mutual_info_ if y is None else fitted.label_mutual_info_


def fit_bins(X, y=None, sample_weight=None):
    fitted = BinnedMIEstimator(5).fit(X, y, sample_weight)
    return fitted.mutual_info_ if y is None else fitted.label_mutual_info_


def score_mixture(X, y=None, sample_weight=None):
    target = "input" if y is None else "label"
    fitted = GaussianMixtureMIEstimator(**OPTIONS, target=target).fit(X, y)
    return fitted.score(X, y, sample_weight)


def score_bins(X, y=None, sample_weight=None):
    target = "input" if y is None else "label"
    fitted = BinnedMIEstimator(5, target=target).fit(X, y)
    return fitted.score(X, y, sample_weight)


def log_conditional(X):
    *_, last = network_log_conditional(COEFS, INTERCEPTS, X, **OPTIONS)
    return last.log_density


def distances(X, y=Y):
    return class_distances(X, y).within


def points_of(X, y=Y):
    display = RepresentationDisplay(X, y)
    assert display.labels.shape == (len(Y),)
    return display.activations


def clusters(X, y=None):
    metrics = ["effective_rank"] if y is None else ["separation"]
    found = clustering_flow(
        RECORDING, X, y, metrics=metrics, layers=[2], random_state=0
    )
    return next(iter(found.columns.values()))


def rival(estimator):
    return lambda X: clone(estimator).fit(X).mutual_info_


DOORS = {
    "clustering_flow": clusters,
    "KernelDensityMIEstimator.fit": rival(KernelDensityMIEstimator(**OPTIONS)),
    "NearestNeighborMIEstimator.fit": rival(NearestNeighborMIEstimator(**OPTIONS)),
    "PairwiseDistanceMIEstimator.fit": rival(PairwiseDistanceMIEstimator(0.3)),
    "GaussianMixtureMIEstimator.fit": fit_mixture,
    "GaussianMixtureMIEstimator.score": score_mixture,
    "GaussianMixtureMIEstimator.score_samples": (
        lambda T: GaussianMixtureMIEstimator(**OPTIONS).fit(X).score_samples(T)
    ),
    "BinnedMIEstimator.fit": fit_bins,
    "BinnedMIEstimator.score": score_bins,
    "information_flow": flow,
    "network_mutual_info": of_network,
    "network_log_conditional": log_conditional,
    "Recording.activations": (
        lambda X: RECORDING.activations(X, epoch=2, n_draws=3, random_state=0)
    ),
    "Recording.transform": lambda X: RECORDING.transform(X, epoch=2),
    "Recording.predict_proba": lambda X: RECORDING.predict_proba(X, epoch=2),
    "TorchRecorder.activations": (
        lambda X: RECORDER.activations(X, epoch=2, n_draws=3, random_state=0)
    ),
    "TorchRecorder.transform": lambda X: RECORDER.transform(X, epoch=2),
    "NoisyMLPClassifier.activations": (
        lambda X: NETWORK.activations(X, n_draws=3, random_state=0)
    ),
    "NoisyMLPClassifier.transform": NETWORK.transform,
    "NoisyMLPClassifier.predict_proba": NETWORK.predict_proba,
    "class_distances": distances,
    "awgn_mutual_info": lambda X: awgn_mutual_info(X, 0.3),
    "gaussian_mixture_entropy": lambda X: gaussian_mixture_entropy(X, 0.3),
    "RepresentationDisplay": points_of,
}
# scikit-learn's classifier takes them.
TAKES_SPARSE = {
    "Recording.activations",
    "Recording.transform",
    "Recording.predict_proba",
    "NoisyMLPClassifier.transform",
    "NoisyMLPClassifier.predict_proba",
    "NoisyMLPClassifier.activations",
}


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


SAME_X = {
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "lists": lambda X: X.tolist(),
    "a frame": lambda X: pd.DataFrame(X),
    "read-only": read_only,
    "another order in memory": np.asfortranarray,
    "reversed twice": lambda X: X[::-1].copy()[::-1],
    "negative zeros": lambda X: np.where(X == 0, -0.0, X),
    "a tensor": torch.tensor,
    "a tensor of float32": lambda X: torch.tensor(X).float(),
    "a tensor of bfloat16": lambda X: torch.tensor(X).bfloat16(),
    "a tensor with a graph": lambda X: torch.tensor(X, requires_grad=True) * 1.0,
    "a transposed tensor": lambda X: torch.tensor(X.T.copy()).T,
}
BAD_X = {
    "NaN": lambda X: np.where(X > 0.5, np.nan, X),
    "infinity": lambda X: np.where(X > 0.5, np.inf, X),
    "a tensor of NaN": lambda X: torch.full(X.shape, torch.nan),
    "complex": lambda X: X + 1j,
    "a complex tensor": lambda X: torch.tensor(X + 1j),
    "a sparse matrix": csr_matrix,
    "a sparse tensor": lambda X: torch.tensor(X).to_sparse(),
    "a tensor without numbers": lambda X: torch.empty(X.shape, device="meta"),
    "nothing": lambda X: X[:0],
    "one axis": lambda X: X[:, 0],
    "words": lambda X: np.full(X.shape, "word"),
    "None": lambda X: None,
}


def answer(door, values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = door(values)
    return np.asarray(found.detach() if isinstance(found, torch.Tensor) else found)


@pytest.mark.parametrize("kind", SAME_X)
@pytest.mark.parametrize("door", DOORS)
def test_the_same_inputs_get_the_same_answer(door, kind):
    expected = answer(DOORS[door], X)
    found = answer(DOORS[door], SAME_X[kind](X))
    # Of activations in single precision the arithmetic is, too.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", BAD_X)
@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_input_is_refused_in_words(door, kind):
    if kind == "a sparse matrix" and door in TAKES_SPARSE:
        np.testing.assert_allclose(
            answer(DOORS[door], csr_matrix(X)), answer(DOORS[door], X)
        )
        return
    with pytest.raises((ValueError, TypeError)) as refusal:
        answer(DOORS[door], BAD_X[kind](X))
    assert len(str(refusal.value).split()) >= 4


WITH_LABELS = {
    "clustering_flow": lambda y: clusters(X, y),
    "GaussianMixtureMIEstimator.fit": lambda y: fit_mixture(X, y),
    "GaussianMixtureMIEstimator.score": lambda y: score_mixture(X, y),
    "BinnedMIEstimator.fit": lambda y: fit_bins(X, y),
    "BinnedMIEstimator.score": lambda y: score_bins(X, y),
    "information_flow": lambda y: flow(X, y),
    "network_mutual_info": lambda y: of_network(X, y),
    "class_distances": lambda y: distances(X, y),
    "RepresentationDisplay": lambda y: points_of(X, y),
}
SAME_Y = {
    "a column": lambda y: y[:, None],
    "a list": lambda y: y.tolist(),
    "a frame": lambda y: pd.DataFrame({"y": y}),
    "a series": lambda y: pd.Series(y),
    "a tensor": torch.tensor,
    "a column tensor": lambda y: torch.tensor(y)[:, None],
    "words": lambda y: np.array(["a", "b", "c"])[y],
    "objects": lambda y: np.array(["a", "b", "c"], dtype=object)[y],
    "floats": lambda y: y.astype(float),
}
BAD_Y = {
    "one-hot rows": lambda y: np.eye(3)[y],
    "a one-hot tensor": lambda y: torch.eye(3)[torch.tensor(y)],
    "too few": lambda y: y[:-1],
}
NO_LABELS = {
    "continuous": lambda y: y + 0.123,
    "NaN": lambda y: np.where(y == 0, np.nan, y),
}


@pytest.mark.parametrize("kind", SAME_Y)
@pytest.mark.parametrize("door", WITH_LABELS)
def test_the_same_labels_get_the_same_answer(door, kind):
    expected = answer(WITH_LABELS[door], Y)
    np.testing.assert_allclose(answer(WITH_LABELS[door], SAME_Y[kind](Y)), expected)


@pytest.mark.parametrize("kind", BAD_Y)
@pytest.mark.parametrize("door", WITH_LABELS)
def test_what_are_no_labels_is_refused_in_words(door, kind):
    with pytest.raises(ValueError, match=r"one label per input|inconsistent numbers"):
        answer(WITH_LABELS[door], BAD_Y[kind](Y))


@pytest.mark.parametrize("kind", NO_LABELS)
@pytest.mark.parametrize("door", list(WITH_LABELS)[:7])
def test_information_is_about_a_class(door, kind):
    with pytest.raises(ValueError, match=r"discrete labels|contains NaN"):
        answer(WITH_LABELS[door], NO_LABELS[kind](Y))


def train(sample_weight):
    """The penalty alone depends on the scale of the weights."""
    options = {"max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0}
    model = NoisyMLPClassifier((2,), alpha=0, dtype="float64", **options)
    return model.fit(X, Y, sample_weight).loss_


WEIGHTED = {
    "NoisyMLPClassifier.fit": train,
    "GaussianMixtureMIEstimator.fit": lambda w: fit_mixture(X, None, w),
    "GaussianMixtureMIEstimator.score": lambda w: score_mixture(X, None, w),
    "BinnedMIEstimator.fit": lambda w: fit_bins(X, None, w),
    "BinnedMIEstimator.score": lambda w: score_bins(X, None, w),
    "information_flow": lambda w: flow(X, None, w),
    "network_mutual_info": lambda w: of_network(X, None, w),
}
SAME_WEIGHTS = {
    "a list": lambda w: w.tolist(),
    "a series": lambda w: pd.Series(w),
    "a column": lambda w: w[:, None],
    "whole numbers": lambda w: w.astype(int),
    "a tensor with a graph": lambda w: torch.tensor(w, requires_grad=True),
    "huge": lambda w: 1e307 * w,
    "tiny": lambda w: 1e-300 * w,
    "read-only": read_only,
}
BAD_WEIGHTS = {
    "negative": lambda w: w - 2,
    "zeros": lambda w: 0 * w,
    "NaN": lambda w: np.where(w > 2, np.nan, w),
    "too few": lambda w: w[:-1],
    "two columns": lambda w: np.stack([w, w], 1),
    "a number": lambda w: 1.0,
}


@pytest.mark.parametrize("kind", SAME_WEIGHTS)
@pytest.mark.parametrize("door", WEIGHTED)
def test_the_same_weights_get_the_same_answer(door, kind):
    expected = answer(WEIGHTED[door], WEIGHTS)
    found = answer(WEIGHTED[door], SAME_WEIGHTS[kind](WEIGHTS))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
@pytest.mark.parametrize("door", WEIGHTED)
def test_what_is_no_law_is_refused_in_words(door, kind):
    with pytest.raises(ValueError, match="sample_weight"):
        answer(WEIGHTED[door], BAD_WEIGHTS[kind](WEIGHTS))


@pytest.mark.parametrize("door", DOORS)
def test_a_default_device_changes_nothing(door):
    expected = answer(DOORS[door], X)
    torch.set_default_device("meta")
    try:
        np.testing.assert_array_equal(answer(DOORS[door], X), expected)
    finally:
        torch.set_default_device(None)


def test_rows_equal_up_to_rounding_are_one_input():
    """A matrix product rounds a row differently in another place of the batch."""
    centers = np.tanh(RANDOM.randn(50, 10))
    twice = np.concatenate([centers, centers * (1 + 3e-16) + 1e-16])
    assert (twice[:50] != twice[50:]).any()
    fitted = GaussianMixtureMIEstimator(2.0, random_state=0)
    fitted.fit(twice)
    assert fitted.input_entropy_ == pytest.approx(np.log(50), abs=1e-12)
    apart = fitted.fit(np.concatenate([centers, centers + 1e-6]))
    assert apart.input_entropy_ == pytest.approx(np.log(100), abs=1e-12)
    # Bins tell apart what is not equal.
    bins = BinnedMIEstimator(bin_width=1e-17, value_range=(-1, 1))
    assert bins.fit(centers).input_entropy_ == pytest.approx(np.log(50))


def test_chains_of_rounding_are_one_input():
    steps = 1 + np.arange(200)[:, None] * 2e-16
    apart = np.concatenate([steps, [[0.5]]])
    fitted = GaussianMixtureMIEstimator(0.1, random_state=0)
    with pytest.warns(SaturationWarning):
        fitted.fit(apart)
    assert fitted.input_entropy_ == pytest.approx(
        -200 / 201 * np.log(200 / 201) + np.log(201) / 201
    )


def test_a_pipeline_and_a_search_are_recordings():
    pipeline = make_pipeline(
        StandardScaler(),
        NoisyMLPClassifier(
            (2,),
            noise_std=0.3,
            max_iter=1,
            n_iter_no_change=np.inf,
            record_epochs=1,
            random_state=0,
        ),
    ).fit(X, Y)
    options = {"estimator": NETWORK_AWARE, "random_state": 0}
    scaled = pipeline[0].transform(X)
    expected = information_flow(pipeline[-1].recording_, scaled, Y, **options)
    assert information_flow(pipeline, X, Y, **options) == expected
    search = GridSearchCV(pipeline, {"noisymlpclassifier__alpha": [1e-4]}, cv=2)
    assert information_flow(search.fit(X, Y), X, Y, **options) == expected


def test_columns_in_another_order_are_refused_in_a_flow():
    frame = pd.DataFrame(X, columns=["a", "b"])
    network = NoisyMLPClassifier(
        (2,), max_iter=1, n_iter_no_change=np.inf, record_epochs=1, random_state=0
    ).fit(frame, Y)
    options = {"estimator": NETWORK_AWARE, "random_state": 0}
    expected = information_flow(network, X, **options)
    assert information_flow(network, frame, **options) == expected
    for recording in (network, network.recording_):
        with pytest.raises(ValueError, match="must be in the same order"):
            information_flow(recording, frame[["b", "a"]], **options)
        with pytest.raises(ValueError, match="must be in the same order"):
            RepresentationDisplay.from_recording(
                recording, frame[["b", "a"]], Y, epoch=1
            )


def test_binned_scores_warn_of_what_bins_do_not_cover():
    fitted = BinnedMIEstimator(5).fit(X)
    with pytest.warns(UncoveredBinsWarning, match="not covered"):
        fitted.score(10 * X)


@pytest.mark.parametrize("n", range(1, 201, 7))
def test_equal_activations_are_not_saturated(n):
    fitted = BinnedMIEstimator().fit(np.zeros((n, 2)))
    assert not fitted.saturated_
    assert fitted.mutual_info_ == pytest.approx(0, abs=1e-12)


def test_a_binned_value_below_the_entropy_is_not_saturated():
    four = Recording.from_weights(
        [0], [[[[1.0]]]], None, activation="identity", noise_std=0.1
    )
    inputs = [[-0.9], [-0.3], [0.3], [0.35]]
    found = information_flow(four, inputs, estimator=BinnedMIEstimator(4))
    assert found.mutual_info[0, 0] == pytest.approx(1.0397, abs=1e-4)
    assert not found.saturated[0, 0]


def test_silent_representations_have_no_cosine():
    silent = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    with pytest.warns(SilentRepresentationsWarning, match="2 of 4"):
        found = class_distances(silent, [0, 0, 1, 1], metric="cosine")
    assert found.within.size == 0
    np.testing.assert_allclose(found.between, [1.0])
    with (
        pytest.warns(SilentRepresentationsWarning),
        pytest.raises(ValueError, match="at least two"),
    ):
        class_distances(silent[1:], [0, 1, 1], metric="cosine")


def test_layers_named_twice_are_one():
    single = Recording.from_weights(
        [0], [[np.ones((2, 1))]], None, activation="tanh", noise_std=0.3
    )
    assert information_flow(single, X, layers=[1, -1], random_state=0).layers == [1]


def test_a_file_of_something_else_is_no_flow(tmp_path):
    np.savez(tmp_path / "other.npz", within=X)
    with pytest.raises(ValueError, match=r"that InformationFlow.save wrote"):
        InformationFlow.load(tmp_path / "other.npz")
