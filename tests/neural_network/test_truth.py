"""Training against independent programs: a plain torch loop and MLPClassifier."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skib.neural_network import NoisyMLPClassifier, NoisyMLPRegressor

TORCH_ACTIVATIONS = {
    "identity": torch.nn.Identity,
    "tanh": torch.nn.Tanh,
    "logistic": torch.nn.Sigmoid,
    "relu": torch.nn.ReLU,
    "leaky_relu": torch.nn.LeakyReLU,  # its default slope is 0.01
    "elu": torch.nn.ELU,
    "gelu": torch.nn.GELU,
    "silu": torch.nn.SiLU,
    "softplus": torch.nn.Softplus,
}
FIXED_LENGTH = {"n_iter_no_change": np.inf, "dtype": "float64"}


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    return (X[order] - X.mean(axis=0)) / X.std(axis=0), y[order]


def torch_network(coefs, intercepts, activation):
    layers = []
    names = activation if isinstance(activation, tuple) else (activation,) * 2
    for coef, intercept, name in zip(
        coefs, intercepts, (*names, "identity"), strict=True
    ):
        linear = torch.nn.Linear(*coef.shape, dtype=torch.float64)
        linear.weight.data = torch.tensor(coef.T)
        linear.bias.data = torch.tensor(intercept)
        layers += [linear, TORCH_ACTIVATIONS[name]()]
    return torch.nn.Sequential(*layers[:-1])


def torch_loss_curve(network, optimizer, X, y, *, batch_size, n_epochs, rate=0.0):
    """Mean loss per epoch of an ordinary loop in the order of the rows."""
    X, y = torch.tensor(X), torch.tensor(y)
    curve = []
    for _ in range(n_epochs):
        total = 0.0
        for rows in torch.arange(len(X)).split(batch_size):
            loss = torch.nn.functional.cross_entropy(network(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
            with torch.no_grad():
                for layer in list(network)[:-1:2]:
                    A = layer.weight
                    A -= rate * (A @ A.T @ A - A)
        curve.append(total / len(X))
    return curve


@pytest.mark.parametrize("activation", [*TORCH_ACTIVATIONS, ("tanh", "silu")])
@pytest.mark.parametrize("rate", [0.0, 0.02])
def test_without_noise_adam_follows_a_plain_torch_loop(iris, activation, rate):
    model = NoisyMLPClassifier(
        (6, 5),
        activation,
        noise_std=0,
        alpha=0,
        batch_size=64,
        shuffle=False,
        max_iter=20,
        learning_rate_init=0.01,
        orthonormality=rate,
        record_epochs=[0],
        random_state=0,
        **FIXED_LENGTH,
    ).fit(*iris)
    start = model.recording_
    network = torch_network(start.coefs[0], start.intercepts[0], activation)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    curve = torch_loss_curve(
        network, optimizer, *iris, batch_size=64, n_epochs=20, rate=rate
    )
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=1e-9)
    last = list(network)[-1]
    np.testing.assert_allclose(model.coefs_[-1].T, last.weight.detach(), atol=1e-8)
    np.testing.assert_allclose(model.intercepts_[-1], last.bias.detach(), atol=1e-8)


def test_in_float32_the_loss_curve_agrees_to_1e_5(iris):
    options = {"noise_std": 0, "max_iter": 20, "random_state": 0, "batch_size": 64}
    options["n_iter_no_change"] = np.inf
    curves = [
        NoisyMLPClassifier((6, 5), "tanh", dtype=dtype, **options)
        .fit(*iris)
        .loss_curve_
        for dtype in ("float32", "float64")
    ]
    np.testing.assert_allclose(*curves, atol=1e-5)


SGD = [
    {"momentum": 0.0},
    {"momentum": 0.9, "nesterovs_momentum": False},
    {"momentum": 0.9, "alpha": 0.3},
    {"learning_rate": "invscaling", "power_t": 0.1},
    # As nothing is an improvement, the rate drops at the second epoch, and again.
    {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
]


def same_start_for_sklearn(reference, model, X, y):
    """Give scikit-learn's network the weights our one starts from."""
    reference.partial_fit(
        X, y, **({"classes": np.unique(y)} if y.dtype != float else {})
    )
    reference._no_improvement_count = 0
    reference.best_loss_ = np.inf
    reference.loss_curve_ = []
    reference.t_ = 0
    start = model.recording_
    for name in ("coefs", "intercepts"):
        setattr(reference, f"{name}_", [a.copy() for a in getattr(start, name)[0]])
    return reference.set_params(warm_start=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("options", SGD, ids=str)
def test_full_batch_sgd_steps_equal_those_of_mlp_classifier(iris, options):
    X, y = iris
    options = {
        "solver": "sgd",
        "activation": "tanh",
        "learning_rate_init": 0.2,
        "batch_size": len(X),
        "max_iter": 6,
        "random_state": 0,
        "n_iter_no_change": np.inf,
        **options,
    }
    model = NoisyMLPClassifier(
        (6, 5), noise_std=0, record_epochs=[0], dtype="float64", **options
    ).fit(X, y)
    reference = MLPClassifier((6, 5), **options)
    same_start_for_sklearn(reference, model, X, y).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, reference.loss_curve_, rtol=1e-10)
    for ours, theirs in zip(model.coefs_, reference.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_weighted_minibatches_equal_those_of_mlp_classifier(iris):
    X, y = iris
    weight = np.random.RandomState(1).uniform(0.1, 2, len(X))
    options = {"solver": "sgd", "batch_size": 32, "max_iter": 5, "shuffle": False}
    options |= {"alpha": 0.1, "random_state": 0, "n_iter_no_change": np.inf}
    model = NoisyMLPClassifier(
        (7,), noise_std=0, record_epochs=[0], dtype="float64", **options
    ).fit(X, y, sample_weight=weight)
    reference = same_start_for_sklearn(MLPClassifier((7,), **options), model, X, y)
    reference.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.loss_curve_, reference.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(model.coefs_[0], reference.coefs_[0], atol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_regressor_equals_mlp_regressor(iris):
    X, y = iris[0][:, :3], iris[0][:, 3]
    options = {"solver": "sgd", "batch_size": 32, "max_iter": 5, "shuffle": False}
    options |= {"activation": "tanh", "random_state": 0, "n_iter_no_change": np.inf}
    model = NoisyMLPRegressor(
        (7,), noise_std=0, record_epochs=[0], dtype="float64", **options
    ).fit(X, y)
    reference = same_start_for_sklearn(
        MLPRegressor(hidden_layer_sizes=(7,), **options), model, X, y
    )
    reference.fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, reference.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(model.predict(X), reference.predict(X), atol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_reaches_a_minimum_of_the_loss_of_mlp_classifier(iris):
    """At a stationary point no direction is downhill for scikit-learn either."""
    X, y = iris
    options = {"solver": "lbfgs", "activation": "tanh", "alpha": 1.0, "tol": 1e-6}
    options |= {"random_state": 0, "max_iter": 2000}
    model = NoisyMLPClassifier((5,), noise_std=0, dtype="float64", **options).fit(X, y)
    reference = MLPClassifier((5,), **options).fit(X, y)
    reference.coefs_, reference.intercepts_ = model.coefs_, model.intercepts_
    reference.set_params(warm_start=True, max_iter=1).fit(X, y)
    assert model.loss_ == pytest.approx(reference.loss_, abs=1e-6)


def expected_noisy_loss(model, X, y, n_draws=4000):
    """Cross-entropy over noisy passes, written out with numpy."""
    random = np.random.RandomState(0)
    values = np.broadcast_to(X, (n_draws, *X.shape))
    for coef, intercept in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        values = np.tanh(values @ coef + intercept)
        values = values + model.noise_std * random.normal(size=values.shape)
    scores = values @ model.coefs_[-1] + model.intercepts_[-1]
    log_proba = scores - np.logaddexp.reduce(scores, axis=-1)[..., None]
    return -log_proba[:, np.arange(len(y)), y].mean(axis=1)


def test_the_loss_curve_is_the_loss_of_noisy_passes(iris):
    """Steps too small to move the weights leave repeated draws of one loss."""
    X, y = iris
    model = NoisyMLPClassifier(
        (6, 5),
        "tanh",
        noise_std=0.7,
        alpha=0,
        solver="sgd",
        learning_rate_init=1e-12,
        max_iter=400,
        random_state=0,
        **FIXED_LENGTH,
    ).fit(X, y)
    expected = expected_noisy_loss(model, X, y)
    error = np.hypot(
        expected.std() / len(expected) ** 0.5, np.std(model.loss_curve_) / 20
    )
    assert np.mean(model.loss_curve_) == pytest.approx(expected.mean(), abs=4 * error)
    assert np.std(model.loss_curve_) == pytest.approx(expected.std(), rel=0.2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_learns_digits_as_well_as_mlp_classifier():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    ours = NoisyMLPClassifier((50,), noise_std=0.05, max_iter=40, random_state=0)
    theirs = MLPClassifier((50,), max_iter=40, random_state=0)
    scores = [
        m.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) for m in (ours, theirs)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.03)
