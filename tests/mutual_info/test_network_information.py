"""Information of layers from the weights: quadrature, brackets, calibration, refusals."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

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
@pytest.mark.parametrize("noise_std", [0.1, 0.3, 1.0])
def test_every_quantity_agrees_with_quadrature(activation, noise_std):
    last = chain_information(activation, noise_std, n_mc=2000)[2]
    for name, truth in chain_truth(activation, noise_std).items():
        error = getattr(last, f"{name}_std_error")
        assert error < 0.05
        assert getattr(last, name) == pytest.approx(truth, abs=4 * error + 1e-4), name
    assert last.converged
