"""Information of layers from the weights: quadrature, brackets, calibration."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import norm

from skib.exceptions import EstimateNotConvergedWarning
from skib.mutual_info import network_mutual_info

ACTIVATIONS = {
    "tanh": np.tanh,
    "logistic": expit,
    "relu": lambda v: np.maximum(v, 0),
    "leaky_relu": lambda v: np.where(v > 0, v, 0.01 * v),
    "identity": lambda v: v,
}
# A chain of three layers of one unit, four inputs with unequal weights, two labels.
COEFS, INTERCEPTS = [[[1.5]], [[2.0]], [[-3.0]]], [[0.1], [-0.2], [0.4]]
X = np.array([[-1.0], [-0.2], [0.3], [1.0]])
WEIGHTS = np.array([0.1, 0.4, 0.3, 0.2])
Y = np.array(["a", "a", "b", "a"])
QUANTITIES = (
    "mutual_info",
    "entropy",
    "conditional_entropy",
    "label_mutual_info",
    "label_conditional_entropy",
)


def chain_information(activation="tanh", noise_std=0.2, **kwargs):
    options = {"y": Y, "sample_weight": WEIGHTS, "random_state": 0, **kwargs}
    X_ = options.pop("X", X)
    return network_mutual_info(
        COEFS, INTERCEPTS, X_, activation=activation, noise_std=noise_std, **options
    )


def chain_truth(activation, noise_std):
    """Twin: lattices over the noise of two layers and over t, quantities of layer 3."""
    act = ACTIVATIONS[activation]
    z = np.linspace(-6.5, 6.5, 161)
    weight = norm.pdf(z) / norm.pdf(z).sum()
    (w1, w2, w3), (b1, b2, b3) = np.ravel(COEFS), np.ravel(INTERCEPTS)
    first = act(X * w1 + b1) + noise_std * z
    second = act(first * w2 + b2)[..., None] + noise_std * z
    third = act(second * w3 + b3).reshape(len(X), -1)
    edge = 7 * noise_std
    t = np.linspace(third.min() - edge, third.max() + edge, 801)
    mass = np.outer(weight, weight).ravel()
    given_x = np.stack([[mass @ norm.pdf(v, s, noise_std) for v in t] for s in third])
    given_y = np.stack([WEIGHTS[y == Y] @ given_x[y == Y] for y in "ab"])
    step, p_y = t[1] - t[0], given_y.sum(1) * (t[1] - t[0])

    def entropy(density):
        return -step * np.where(density > 0, density * np.log(density + 1e-300), 0).sum(
            -1
        )

    total = entropy(given_y.sum(0))
    conditional = WEIGHTS @ entropy(given_x)
    of_label = p_y @ entropy(given_y / p_y[:, None])
    values = total - conditional, total, conditional, total - of_label, of_label
    return dict(zip(QUANTITIES, values, strict=True))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(
    "noise_std",
    [
        pytest.param(0.1, marks=pytest.mark.slow),
        0.3,
        pytest.param(1.0, marks=pytest.mark.slow),
    ],
)
def test_every_quantity_agrees_with_quadrature(activation, noise_std):
    last = chain_information(activation, noise_std, n_mc=2000)[2]
    for name, truth in chain_truth(activation, noise_std).items():
        found = getattr(last, name)
        assert found.std_error < 0.05
        assert found.value == pytest.approx(truth, abs=4 * found.std_error + 1e-4), name
    assert last.diagnostics["from_network"]


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_few_passes_bracket_the_information_and_say_their_error(activation):
    """Over 100 seeds: bracket and bias of the means, spread of the errors."""
    noise_std, n_seeds = 0.3, 100
    truth = chain_truth(activation, noise_std)
    options = {"n_draws": 32, "n_mc": 32, "layers": [3]}
    runs = [
        chain_information(activation, noise_std, random_state=seed, **options)[0]
        for seed in range(n_seeds)
    ]

    def off(name, of):
        errors = np.array([getattr(run, name).value for run in runs]) - truth[of]
        return errors.mean(), errors.std() / math.sqrt(n_seeds)

    low, low_error = off("mutual_info_low", "mutual_info")
    high, high_error = off("mutual_info_high", "mutual_info")
    assert low <= 3.5 * low_error
    assert high >= -3.5 * high_error
    for name in QUANTITIES:
        bias, bias_error = off(name, name)
        assert abs(bias) < 4 * bias_error + 2e-3, name
        errors = np.array([getattr(run, name).std_error for run in runs])
        values = np.array([getattr(run, name).value for run in runs])
        within = np.abs(values - truth[name]) < 2 * errors
        assert within.mean() >= 0.9, name


def test_inputs_that_noise_does_not_confuse_give_the_entropy_exactly():
    last = chain_information("tanh", 1e-4, n_mc=4)[2]
    entropy = -(WEIGHTS * np.log(WEIGHTS)).sum()
    assert last.mutual_info.value == pytest.approx(entropy, abs=1e-12)
    assert last.mutual_info.std_error < 1e-12
    assert last.saturated


def test_split_weights_and_tensors_change_nothing():
    once = chain_information(n_mc=16)
    rows = [0, 1, 1, 2, 3]
    split = chain_information(
        X=torch.tensor(X[rows]),
        y=torch.tensor([0, 0, 0, 1, 0]),
        sample_weight=[0.1, 0.3, 0.1, 0.3, 0.2],
        n_mc=16,
    )
    for one, other in zip(once, split, strict=True):
        for name in QUANTITIES:
            expected = pytest.approx(getattr(one, name).value, abs=1e-9)
            assert getattr(other, name).value == expected


def test_layers_do_not_depend_on_which_are_asked_for():
    all_layers = chain_information(n_mc=4)
    (second,) = chain_information(n_mc=4, layers=[2])
    assert second == all_layers[1]


def test_tol_is_reached_or_missed_with_a_warning():
    layers = chain_information(n_mc=8, tol=0.02)
    assert max(getattr(i, q).std_error for i in layers for q in QUANTITIES) < 0.02
    (second,) = chain_information(n_mc=8, tol=0.02, layers=[2])
    assert second == layers[1]
    *_, last = chain_information(n_mc=8, tol=0.001, max_samples=100)
    (limit,) = last.limits
    assert isinstance(limit, EstimateNotConvergedWarning)
    assert "above tol=0.001" in str(limit)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_kernels_on_a_gpu():
    on_gpu = chain_information(X=torch.tensor(X, device="cuda"), n_mc=16)
    for one, other in zip(chain_information(n_mc=16), on_gpu, strict=True):
        expected = pytest.approx(one.mutual_info.value, abs=1e-6)
        assert other.mutual_info.value == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [4]}, "hidden layers 1 to 3"),
        ({"layers": []}, "hidden layers 1 to 3"),
        ({"n_draws": 3}, "at least 4 draws"),
        ({"n_mc": 1}, "n_mc"),
        ({"tol": 0.0}, "tol"),
        ({"max_samples": 0}, "max_samples"),
        ({"y": [0.1, 0.2, 0.3, 0.4]}, "discrete labels"),
        ({"y": ["a"]}, "inconsistent numbers of samples"),
        ({"sample_weight": [1.0]}, "one weight for each"),
        ({"X": [[1.0, 2.0]] * 4}, "X must have 1 features"),
        ({"noise_std": 0.0}, "noise_std must be > 0"),
    ],
)
def test_what_cannot_be_used_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        chain_information(**changes)
