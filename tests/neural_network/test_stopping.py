"""What ends training is said, kept and right."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor
from skib.recording import Recording

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


def make_classifier(**options):
    options = {"max_iter": 200, "random_state": 0, "record_epochs": 5, **options}
    return NoisyMLPClassifier((5,), "tanh", **options)


STOPS = [
    ("max_iter", {"max_iter": 4, "n_iter_no_change": np.inf}),
    ("n_iter_no_change", {"tol": 1.0}),
    ("early_stopping", {"early_stopping": True, "tol": 1.0}),
    ("tol", {"solver": "lbfgs", "noise_std": 0, "max_iter": 1000, "tol": 0.1}),
]


@pytest.mark.parametrize(("reason", "options"), STOPS)
def test_what_stopped_training_is_said_and_recorded(reason, options, capsys, tmp_path):
    model = make_classifier(verbose=True, **options).fit(X, y)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"Stopped by {reason} after {model.n_iter_} epochs"
    assert model.recording_.stopped_by == reason
    model.recording_.save(tmp_path / "recording")
    assert Recording.load(tmp_path / "recording").stopped_by == reason


def test_nothing_stops_single_epochs_but_the_caller():
    model = make_classifier().partial_fit(X, y, classes=[0, 1, 2])
    assert model.recording_.stopped_by is None


def test_an_interrupt_is_recorded(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "bmm", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        model = make_classifier().fit(X, y)
    assert model.recording_.stopped_by == "interrupt"


def test_lbfgs_warns_when_it_runs_out_of_evaluations():
    model = make_classifier(
        solver="lbfgs", noise_std=0, max_fun=5, n_iter_no_change=np.inf
    )
    with pytest.warns(ConvergenceWarning, match=r"Maximum evaluations \(5\).*max_fun"):
        model.fit(X, y)
    assert model.recording_.stopped_by == "max_fun"


def test_callbacks_see_the_fitted_weights_when_stopping_early():
    pytest.importorskip("sklearn.callback")

    class Witness:
        def setup(self, estimator, context):
            self.last = None

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            self.last = fitted_estimator.coefs_[0].copy()

    witness = Witness()
    model = make_classifier(
        early_stopping=True, learning_rate_init=0.3, batch_size=20, noise_std=0.5
    )
    model.set_callbacks(witness).fit(X, y)
    # The best epoch was not the last one.
    assert np.abs(model.recording_.coefs[-1][0] - model.coefs_[0]).max() > 0.01
    np.testing.assert_array_equal(witness.last, model.coefs_[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_rows", [20, 60])
def test_early_stopping_takes_as_few_rows_as_mlp_classifier(n_rows):
    digits, labels = load_digits(return_X_y=True)
    options = {"early_stopping": True, "max_iter": 3, "random_state": 0}
    for make in (MLPClassifier, NoisyMLPClassifier):
        model = make((5,), **options).fit(digits[:n_rows], labels[:n_rows])
        assert len(model.validation_scores_) == 3


def test_two_classes_are_both_held_out():
    labels = (np.arange(150) >= 140).astype(int)
    with pytest.raises(ValueError, match="least populated class"):
        make_classifier(early_stopping=True).fit(X[:141], labels[:141])


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_regressor_that_diverges_says_so(early_stopping):
    model = NoisyMLPRegressor(
        (100,),
        "identity",
        solver="sgd",
        learning_rate_init=1,
        max_iter=20,
        early_stopping=early_stopping,
        random_state=0,
    )
    with pytest.raises(ValueError, match=r"not finite.*Got learning_rate_init=1\."):
        model.fit(X, y)
