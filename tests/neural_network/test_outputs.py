"""Outputs of classifiers: several labels, sparse rows, logarithms of probabilities."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import expit, log_softmax
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.neural_network import MLPClassifier

from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor, fit_seeds
from skib.recording import Recording

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
X_LABELS, LABELS = make_multilabel_classification(n_samples=80, random_state=0)
X_LABELS = X_LABELS / 10


def make_classifier(**options):
    options = {
        "max_iter": 20,
        "n_iter_no_change": np.inf,
        "random_state": 0,
        "record_epochs": "log",
        "learning_rate_init": 0.02,
        **options,
    }
    return NoisyMLPClassifier((8,), "tanh", **options)


# -- several labels ---------------------------------------------------------------


def test_labels_have_probabilities_of_their_own():
    model = make_classifier(max_iter=600, noise_std=0.01).fit(X_LABELS, LABELS)
    assert (model.out_activation_, model.n_outputs_) == ("logistic", 5)
    assert model.classes_.tolist() == [0, 1, 2, 3, 4]
    hidden = np.tanh(X_LABELS @ model.coefs_[0] + model.intercepts_[0])
    expected = expit(hidden @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(model.predict_proba(X_LABELS), expected, atol=1e-4)
    np.testing.assert_array_equal(model.predict(X_LABELS), expected > 0.5)
    assert model.score(X_LABELS, LABELS) > 0.8
    assert model.sample_proba(X_LABELS, n_draws=3).shape == (80, 3, 5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 80)])
def test_steps_on_several_labels_equal_those_of_mlp_classifier(weights):
    options = {"solver": "sgd", "max_iter": 5, "shuffle": False, "random_state": 0}
    options |= {"alpha": 0.1, "n_iter_no_change": np.inf, "activation": "tanh"}
    model = NoisyMLPClassifier(
        (7,), noise_std=0, record_epochs=[0], dtype="float64", **options
    ).fit(X_LABELS, LABELS, sample_weight=weights)
    reference = MLPClassifier((7,), **options).partial_fit(
        X_LABELS, LABELS, classes=np.arange(5)
    )
    reference.coefs_ = [coef.copy() for coef in model.recording_.coefs[0]]
    reference.intercepts_ = [each.copy() for each in model.recording_.intercepts[0]]
    reference.loss_curve_ = []
    reference.set_params(warm_start=True).fit(X_LABELS, LABELS, sample_weight=weights)
    np.testing.assert_allclose(model.loss_curve_, reference.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(
        model.predict_proba(X_LABELS), reference.predict_proba(X_LABELS), atol=1e-10
    )


def test_a_recording_of_labels_predicts_as_the_classifier(tmp_path):
    model = make_classifier().fit(X_LABELS, LABELS)
    model.recording_.save(tmp_path / "labels")
    for recording in (model.recording_, Recording.load(tmp_path / "labels")):
        assert recording.output == "logistic"
        for method in ("predict", "predict_proba"):
            np.testing.assert_array_equal(
                getattr(recording, method)(X_LABELS, epoch=20),
                getattr(model, method)(X_LABELS),
            )


def test_labels_in_batches_with_early_stopping_and_seeds():
    model = make_classifier()
    for _ in range(3):
        model.partial_fit(X_LABELS, sparse.csr_matrix(LABELS), classes=range(5))
    assert model.predict(X_LABELS).shape == (80, 5)
    early = make_classifier(early_stopping=True).fit(X_LABELS, LABELS)
    assert len(early.validation_scores_) == early.n_iter_
    pair = fit_seeds(make_classifier(), X_LABELS, LABELS, random_states=2)
    assert pair[0].predict(X_LABELS).shape == (80, 5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (2 * LABELS - 1, r"must hold zeros and ones.*Got values \[-1, 1\]"),
        (LABELS[:, :4], r"one column for each of the labels.*Got shape \(80, 4\)"),
        (LABELS[:, 0], r"one column for each of the labels.*Got shape \(80,\)"),
    ],
)
def test_other_columns_are_refused(labels, message):
    model = make_classifier(warm_start=True).fit(X_LABELS, LABELS)
    with pytest.raises(ValueError, match=message):
        model.fit(X_LABELS, labels)


# -- sparse rows ------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array]
)
def test_sparse_rows_are_as_good_as_dense_ones(make):
    model = make_classifier().fit(make(X), y)
    dense = make_classifier().fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], dense.coefs_[0])
    for method in ("predict", "predict_proba", "transform", "activations"):
        np.testing.assert_array_equal(
            getattr(model, method)(make(X)), getattr(dense, method)(X)
        )
    recording = model.recording_
    np.testing.assert_array_equal(
        recording.activations(make(X), epoch=20), recording.activations(X, epoch=20)
    )
    target = NoisyMLPRegressor(
        (3,), max_iter=2, n_iter_no_change=np.inf, random_state=0
    )
    np.testing.assert_array_equal(
        target.fit(make(X), X[:, 0]).predict(make(X)), target.predict(X)
    )


# -- logarithms of probabilities ---------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_log_probabilities_are_finite_where_logits_are_large():
    digits, classes = load_digits(return_X_y=True)
    model = NoisyMLPClassifier((100,), max_iter=20, random_state=0)
    model.fit(digits, classes)
    digits = 100 * digits
    found = model.predict_log_proba(digits)
    assert (model.predict_proba(digits) == 0).sum() > 1000
    assert np.isfinite(found).all()
    hidden = np.maximum(digits @ model.coefs_[0] + model.intercepts_[0], 0)
    scores = hidden @ model.coefs_[1] + model.intercepts_[1]
    expected = log_softmax(scores.astype(float), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# -- recordings from weights -------------------------------------------------------


def logistic_recording(n_outputs, **options):
    coefs = [np.eye(2), np.array([[1.0, 50.0], [-1.0, 2.0]])[:, :n_outputs]]
    return Recording.from_weights(
        [1],
        [coefs],
        None,
        activation="identity",
        noise_std=0.1,
        output="logistic",
        **options,
    )


def test_one_logistic_output_tells_two_classes_apart():
    recording = logistic_recording(1, classes=["no", "yes"])
    rows = np.array([[2.0, 0.0], [0.0, 1.0], [-300.0, 0.0]])
    scores = np.array([2.0, -1.0, -300.0])
    expected = np.c_[expit(-scores), expit(scores)]
    np.testing.assert_allclose(recording.predict_proba(rows, epoch=1), expected)
    assert recording.predict(rows, epoch=1).tolist() == ["yes", "no", "no"]
    log_proba = recording.at(1).predict_log_proba(rows)
    np.testing.assert_allclose(
        log_proba, np.c_[-np.logaddexp(0, scores), -np.logaddexp(0, -scores)]
    )


def test_several_logistic_outputs_are_labels():
    recording = logistic_recording(2, classes=["wet", "cold"])
    rows = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    scores = np.array([[2.0, 100.0], [-1.0, 2.0]])
    proba = recording.predict_proba(rows, epoch=1)
    np.testing.assert_allclose(proba, expit(scores))
    assert recording.predict(rows, epoch=1).tolist() == [[1, 1], [0, 1]]


def test_weights_of_a_binary_mlp_classifier_come_in_as_they_are():
    binary = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X[:100], y[:100])
    recording = Recording.from_weights(
        [0],
        [binary.coefs_],
        [binary.intercepts_],
        activation=binary.activation,
        noise_std=0.1,
        output=binary.out_activation_,
        classes=binary.classes_,
    )
    np.testing.assert_array_equal(recording.predict(X, epoch=0), binary.predict(X))
    np.testing.assert_allclose(
        recording.predict_proba(X, epoch=0), binary.predict_proba(X), atol=1e-12
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "softmax"}, "of a single one it is always 1.*output='logistic'"),
        ({"output": "logistic", "classes": [1]}, r"2 labels.*classes of shape \(1,\)"),
        ({"output": "logistic", "classes": [1, 2, 3]}, r"Got .* shape \(3,\)"),
        ({"output": "identity", "classes": [1, 2]}, "None unless output is 'softmax'"),
    ],
)
def test_outputs_and_classes_must_fit_together(options, message):
    coefs = [[np.eye(2), np.ones((2, 1))]]
    with pytest.raises(ValueError, match=message):
        Recording.from_weights(
            [1], coefs, None, activation="tanh", noise_std=0.1, **options
        )


def test_a_regression_has_no_probabilities():
    model = NoisyMLPRegressor(
        (2,), max_iter=1, n_iter_no_change=np.inf, record_epochs=1
    )
    recording = model.fit(X, X[:, 0]).recording_
    with pytest.raises(ValueError, match=r"Probabilities need.*Got output='identity'"):
        recording.predict_proba(X, epoch=1)
