"""log p(t | x) of a known network against closed forms, quadrature and brute force."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit, logsumexp

from skib.mutual_info import linear_network_mutual_info, network_log_conditional

ACTIVATIONS = {
    "tanh": np.tanh,
    "logistic": expit,
    "relu": lambda v: np.maximum(v, 0),
    "leaky_relu": lambda v: np.where(v > 0, v, 0.01 * v),
    "identity": lambda v: v,
}


def random_network(sizes, seed, gain=1.5):
    rng = np.random.default_rng(seed)
    coefs = [
        gain * rng.standard_normal(shape) / math.sqrt(shape[0])
        for shape in pairwise(sizes)
    ]
    return coefs, [0.3 * rng.standard_normal(n) for n in sizes[1:]]


def gaussian_law(coefs, intercepts, x, layer, noise_std):
    """Mean and covariance of T_layer given x in a linear network."""
    mean, covariance = x, np.zeros((len(x), len(x)))
    for weight, bias in zip(coefs[:layer], intercepts[:layer], strict=True):
        mean = mean @ weight + bias
        covariance = weight.T @ covariance @ weight
        covariance = covariance + noise_std**2 * np.eye(len(bias))
    return mean, covariance


@pytest.mark.parametrize("noise_std", [1e-3, 0.1, 10.0])
def test_a_linear_network_is_exact(noise_std):
    coefs, intercepts = random_network([4, 5, 3, 2], seed=0)
    X = np.random.default_rng(1).standard_normal((20, 4))
    layers = network_log_conditional(
        coefs, intercepts, X, activation="identity", noise_std=noise_std, random_state=0
    )
    for number, layer in enumerate(layers, start=1):
        for row, x in enumerate(X):
            law = gaussian_law(coefs, intercepts, x, number, noise_std)
            truth = stats.multivariate_normal(*law).logpdf(layer.noisy[row])
            assert layer.low[row] == pytest.approx(truth, abs=1e-8)
            assert layer.high[row] == pytest.approx(truth, abs=1e-8)
        np.testing.assert_allclose(layer.effective_fraction, 1.0)
        assert layer.standard_error.max() < 1e-8
        assert layer.converged.all()


def lattice_truth(coefs, intercepts, x, t, activation, noise_std):
    """Twin for chains of three one-unit layers: sum over a fine lattice of noises."""
    act = ACTIVATIONS[activation]
    z = np.linspace(-8.0, 8.0, 401)
    log_weight = stats.norm.logpdf(z) + math.log(z[1] - z[0])
    (w1, w2, w3), (b1, b2, b3) = np.ravel(coefs), np.ravel(intercepts)
    first = act(x * w1 + b1) + noise_std * z
    second = act(first * w2 + b2)[:, None] + noise_std * z
    third = stats.norm.logpdf(t, act(second * w3 + b3), noise_std)
    return logsumexp(third + log_weight[:, None] + log_weight)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "relu", "leaky_relu"])
@pytest.mark.parametrize("noise_std", [0.05, 0.5])
def test_a_chain_agrees_with_quadrature(activation, noise_std):
    """Low and high hold the truth on average, the middle meets it."""
    coefs, intercepts = [[[1.5]], [[2.0]], [[-3.0]]], [[0.2], [-0.1], [0.4]]
    X = np.linspace(-1, 1, 60)[:, None]
    last = network_log_conditional(
        coefs,
        intercepts,
        X,
        activation=activation,
        noise_std=noise_std,
        n_pairs=16,
        random_state=0,
    )[2]
    truth = np.array(
        [
            lattice_truth(coefs, intercepts, x, t, activation, noise_std)
            for x, t in zip(X[:, 0], last.noisy[:, 0], strict=True)
        ]
    )

    def mean_and_error(values):
        return values.mean(), values.std() / math.sqrt(len(values)) + 1e-4

    low, low_error = mean_and_error(last.low - truth)
    high, high_error = mean_and_error(last.high - truth)
    middle, middle_error = mean_and_error(last.log_density - truth)
    assert low <= 3 * low_error
    assert high >= -3 * high_error
    assert abs(middle) <= 3.5 * middle_error
    # Each estimate is as near as it says.
    off = np.sqrt(((last.log_density - truth) ** 2).mean())
    assert off < 1.5 * np.sqrt((last.standard_error**2).mean()) + 0.01


def test_stated_errors_are_the_real_ones():
    """Repeated passes of one input: the pull of `low` has spread one."""
    coefs, intercepts = [[[1.5]], [[2.0]], [[-3.0]]], [[0.2], [-0.1], [0.4]]
    X = np.full((80, 1), 0.3)
    last = network_log_conditional(
        coefs, intercepts, X, noise_std=0.2, n_pairs=32, random_state=1
    )[2]
    truth = np.array(
        [
            lattice_truth(coefs, intercepts, 0.3, t, "tanh", 0.2)
            for t in last.noisy[:, 0]
        ]
    )
    pull = (last.low - truth) / last.standard_error
    assert 0.5 < pull.std() < 1.5
    assert abs(pull.mean()) < 4 / math.sqrt(len(pull))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_wide_network_agrees_with_a_million_passes(activation):
    """Brute force: the kernel average over fresh passes of one input."""
    sizes, noise_std = [3, 6, 4, 2], 0.3
    coefs, intercepts = random_network(sizes, seed=3)
    x = np.array([0.5, -1.0, 0.3])
    last = network_log_conditional(
        coefs,
        intercepts,
        np.tile(x, (5, 1)),
        activation=activation,
        noise_std=noise_std,
        n_pairs=200,
        random_state=0,
    )[2]
    act, rng = ACTIVATIONS[activation], np.random.default_rng(0)
    values = np.tile(x, (1_000_000, 1))
    for weight, bias in zip(coefs[:2], intercepts[:2], strict=True):
        values = act(values @ weight + bias)
        values = values + noise_std * rng.standard_normal(values.shape)
    clean = act(values @ coefs[2] + intercepts[2])
    for row, t in enumerate(last.noisy):
        kernels = stats.norm.pdf(t, clean, noise_std).prod(1)
        truth = math.log(kernels.mean())
        error = kernels.std() / kernels.mean() / 1000
        both = math.hypot(error, last.standard_error[row])
        assert abs(last.low[row] - truth) < 4.5 * both + 1e-4


def test_mean_log_density_gives_the_information_of_a_linear_network():
    """h(T) - h(T|X) with Gaussian input, the second term from the estimates."""
    coefs, intercepts = random_network([3, 3, 2], seed=5)
    X = np.random.default_rng(0).standard_normal((4000, 3))
    last = network_log_conditional(
        coefs, intercepts, X, activation="identity", noise_std=0.5, random_state=0
    )[1]
    mean, given_x = gaussian_law(coefs, intercepts, np.zeros(3), 2, 0.5)
    total = given_x + coefs[1].T @ coefs[0].T @ coefs[0] @ coefs[1]
    entropy = stats.multivariate_normal(mean, total).entropy()
    terms = entropy + last.log_density
    truth = linear_network_mutual_info(coefs, 0.5)[1]
    error = terms.std() / math.sqrt(len(terms))
    assert terms.mean() == pytest.approx(truth, abs=4 * error)


def test_small_noise_needs_few_samples():
    coefs, intercepts = random_network([12, 10, 7, 5, 4, 3], seed=0)
    X = np.random.default_rng(0).integers(0, 2, (300, 12)).astype(float)
    layers = network_log_conditional(
        coefs, intercepts, X, noise_std=0.005, n_pairs=4, random_state=0
    )
    for layer in layers:
        assert np.median(layer.effective_fraction) > 0.7
        assert layer.converged.mean() > 0.99
        assert abs((layer.high - layer.low).mean()) < 0.02


def test_one_noise_level_per_layer_and_tensors():
    coefs, intercepts = random_network([2, 3, 2], seed=0)
    arguments = {"noise_std": [0.1, 0.3], "random_state": 0}
    X = np.ones((5, 2))
    first, second = network_log_conditional(coefs, intercepts, X, **arguments)
    assert first.noisy.shape == (5, 3)
    assert second.clean.shape == (5, 2)
    exact = stats.norm.logpdf(first.noisy, first.clean, 0.1).sum(1)
    np.testing.assert_allclose(first.log_density, exact)
    again = network_log_conditional(
        [torch.tensor(w) for w in coefs],
        [torch.tensor(b) for b in intercepts],
        torch.tensor(X),
        **arguments,
    )
    np.testing.assert_array_equal(again[1].log_density, second.log_density)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coefs": []}, "one coef and one intercept per layer, at least one"),
        ({"coefs": [np.ones((3, 2)), np.ones((3, 1))]}, "Layer 2 must have coefs of"),
        ({"intercepts": [[0.0, 0.0], [0.0, 1.0]]}, "Layer 2 must have coefs of"),
        ({"activation": "softmax"}, "activation must be one of"),
        ({"noise_std": 0.0}, "noise_std must be > 0"),
        ({"noise_std": [1.0]}, "one number, or one for each of the 2 hidden layers"),
        ({"n_pairs": 0}, "n_pairs must be an integer >= 1"),
        ({"X": [[1.0]]}, "X must have 3 features"),
        ({"X": [[1.0, 2.0, np.nan]]}, "X contains NaN"),
    ],
)
def test_what_cannot_be_used_is_refused(changes, message):
    arguments = {
        "coefs": [np.ones((3, 2)), np.ones((2, 1))],
        "intercepts": [[0.0, 0.0], [0.0]],
        "X": [[1.0, 2.0, 3.0]],
        "noise_std": 1.0,
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        network_log_conditional(**arguments)
