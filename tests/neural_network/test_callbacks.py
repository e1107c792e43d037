"""scikit-learn's callback protocol, where the installed version has it."""

import importlib.util
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from skib.neural_network import NoisyMLPClassifier

callback = pytest.importorskip("sklearn.callback")

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


def make_classifier(**options):
    options = {"max_iter": 6, "n_iter_no_change": np.inf, "random_state": 0, **options}
    return NoisyMLPClassifier((5,), "tanh", learning_rate_init=0.05, **options)


class Notebook:
    """Writes down what it is told."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.scores = []
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.calls.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X, y))
        return len(self.scores) == self.stop_after


def test_callbacks_hear_of_fit_and_every_epoch():
    notebook = Notebook()
    model = make_classifier().set_callbacks(notebook).fit(X, y)
    epochs = ["begin epoch", "end epoch"] * 6
    assert notebook.calls == ["setup", "begin fit", *epochs, "end fit", "teardown"]
    assert notebook.scores[-1] == notebook.scores[-2] == model.score(X, y)
    assert len(set(notebook.scores)) > 2


def test_callbacks_see_the_network_of_their_epoch():
    notebook = Notebook()
    make_classifier().set_callbacks(notebook).fit(X, y)
    short = [make_classifier(max_iter=n).fit(X, y).score(X, y) for n in range(1, 7)]
    assert notebook.scores[:-1] == short


def test_a_callback_may_stop_training():
    model = make_classifier(record_epochs="log").set_callbacks(Notebook(stop_after=3))
    model.fit(X, y)
    assert model.n_iter_ == 3
    assert model.recording_.epochs.tolist() == [0, 1, 2, 3]


def test_partial_fit_and_lbfgs_report_too():
    notebook = Notebook()
    make_classifier().set_callbacks(notebook).partial_fit(X, y, classes=[0, 1, 2])
    assert notebook.calls[1:-1] == ["begin fit", "begin epoch", "end epoch", "end fit"]
    notebook = Notebook(stop_after=4)
    model = make_classifier(solver="lbfgs", noise_std=0, max_iter=50)
    assert model.set_callbacks(notebook).fit(X, y).n_iter_ == 4
    notebook = Notebook()
    model.set_params(max_iter=5).set_callbacks(notebook).fit(X, y)
    assert notebook.calls.count("end epoch") == 5


def test_the_scoring_monitor_logs_each_epoch():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    make_classifier().set_callbacks(monitor).fit(X, y)
    names = [row["task_name"] for row in monitor.get_logs().data]
    assert names.count("epoch") == 6


def test_the_progress_bar_follows_fit():
    pytest.importorskip("rich")
    classifier = make_classifier().set_callbacks(callback.ProgressBar()).fit(X, y)
    assert classifier.n_iter_ == 6


def test_a_monitor_follows_the_classifier_through_a_search():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = make_classifier().set_callbacks(monitor)
    GridSearchCV(model, {"noise_std": [0.0, 0.1]}, cv=2).fit(X, y)
    names = [row["task_name"] for row in monitor.get_logs().data]
    assert names.count("epoch") == 6 * (2 * 2 + 1)


def test_without_callbacks_in_scikit_learn_all_else_works(monkeypatch):
    """Versions before 1.9 have no such module."""
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    path = importlib.util.find_spec("skib.neural_network._callbacks").origin
    spec = importlib.util.spec_from_file_location("callbacks_of_old", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    silent = module.FitCallbacks(make_classifier(), 3, X, y, None)
    silent.begin_epoch()
    assert silent.end_epoch(dict) is False
    assert silent.end_fit(dict) is None
    assert module.with_callbacks(make_classifier) is make_classifier
    assert vars(module.CallbackSupportMixin).get("set_callbacks") is None
