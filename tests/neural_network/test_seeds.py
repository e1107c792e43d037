import numpy as np
import pytest
from joblib import parallel_config
from sklearn.datasets import load_iris

from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor, fit_seeds

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
OPTIONS = {
    "hidden_layer_sizes": (6, 5),
    "activation": "tanh",
    "dtype": "float64",
    "max_iter": 12,
    "batch_size": 64,
    "learning_rate_init": 0.02,
    "n_iter_no_change": np.inf,
    "record_epochs": "log",
    "noise_std": 0.1,
}
VARIANTS = [
    {},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"noise": "dropout", "noise_std": 0.5, "orthonormality": 0.01},
    {
        "solver": "sgd",
        "learning_rate": "invscaling",
        "n_iter_no_change": 2,
        "tol": 0.02,
    },
    {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.01, "max_iter": 40},
    {"alpha": 0.5, "shuffle": False},
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_together_each_seed_ends_as_it_does_alone(variant, weighted):
    model = NoisyMLPClassifier(**{**OPTIONS, **variant})
    weight = np.linspace(0.5, 2, len(X)) if weighted else None
    together = fit_seeds(model, X, y, random_states=[3, 1, 4], sample_weight=weight)
    for seed, one in zip([3, 1, 4], together, strict=True):
        alone = NoisyMLPClassifier(**{**OPTIONS, **variant}, random_state=seed)
        alone.fit(X, y, sample_weight=weight)
        assert one.random_state == seed
        assert one.n_iter_ == alone.n_iter_
        np.testing.assert_allclose(one.loss_curve_, alone.loss_curve_, rtol=1e-8)
        for ours, theirs in zip(one.coefs_, alone.coefs_, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-8)
        np.testing.assert_array_equal(one.recording_.epochs, alone.recording_.epochs)


def test_the_estimator_given_is_left_alone():
    model = NoisyMLPClassifier(**OPTIONS)
    clones = fit_seeds(model, X, y, random_states=2)
    assert not hasattr(model, "coefs_")
    assert [each.random_state for each in clones] == [0, 1]
    assert not np.array_equal(clones[0].coefs_[0], clones[1].coefs_[0])


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_workers_share_the_seeds_and_change_nothing(backend, n_seeds):
    model = NoisyMLPClassifier(**OPTIONS)
    options = {"random_states": n_seeds, "sample_weight": np.linspace(0.5, 2, len(X))}
    here = fit_seeds(model, X, y, **options)
    with parallel_config(backend=backend):
        there = fit_seeds(model, X, y, **options, n_jobs=2)
    assert [each.random_state for each in there] == list(range(n_seeds))
    for ours, theirs in zip(here, there, strict=True):
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)
        np.testing.assert_array_equal(ours.recording_.epochs, theirs.recording_.epochs)
        for each in (ours, theirs):
            each.partial_fit(X, y)
        np.testing.assert_allclose(
            ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8
        )


def test_no_seeds_give_no_estimators():
    model = NoisyMLPClassifier(**OPTIONS)
    assert fit_seeds(model, X, y, random_states=[], n_jobs=2) == []


def test_each_can_be_trained_further():
    first, second = fit_seeds(NoisyMLPClassifier(**OPTIONS), X, y, random_states=2)
    first.partial_fit(X, y)
    assert len(first.loss_curve_) == 13
    assert len(second.loss_curve_) == 12


def test_regressors_too():
    model = NoisyMLPRegressor(**OPTIONS)
    clones = fit_seeds(model, X[:, :3], X[:, 3], random_states=2)
    assert min(each.score(X[:, :3], X[:, 3]) for each in clones) > 0.3


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "lbfgs", "noise_std": 0},
        {"solver": "sgd", "learning_rate": "adaptive"},
    ],
)
def test_what_networks_cannot_share_is_refused(options):
    with pytest.raises(ValueError, match="fit one seed at a time"):
        fit_seeds(NoisyMLPClassifier(**{**OPTIONS, **options}), X, y, random_states=2)
