"""Values of the paper's small examples, at the epochs of the recipe."""

import math
import runpy
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from skib.mutual_info import awgn_mutual_info

PAPER = Path(__file__).parents[1] / "examples" / "paper"

# I(X;T) of the single neuron: epochs from left to right, a row for each noise.
NEURON_EPOCHS = [1, 5, 20, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000]
NEURON = {
    0.01: "1.380 1.386 1.386 1.386 1.386 1.347 1.115 1.043 1.040 1.040 1.039",
    0.05: "0.501 1.340 1.386 1.360 1.195 1.073 1.043 1.012 0.921 0.798 0.698",
    0.10: "0.185 0.943 1.294 1.212 1.086 1.032 0.971 0.819 0.710 0.640 0.602",
    0.20: "0.053 0.476 0.872 0.952 0.919 0.851 0.755 0.650 0.606 0.583 0.573",
}
# Weights and biases of the neuron.
WEIGHTS = {250: (0.538, -0.896), 2500: (1.171, -2.218), 20_000: (1.766, -3.421)}
# I(X;T) of the two leaky neurons.
FIRST = {2000: math.log(8), 5000: 1.84, 10_000: 1.84, 20_000: 1.84, 100_000: 1.76}
SECOND = {500: 0.24, 2000: 0.51, 10_000: 0.98, 20_000: 0.95, 100_000: 0.82}


def run(name):
    import matplotlib.pyplot as plt

    with mpl.rc_context({"backend": "Agg"}), pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "show", lambda: plt.close("all"))
        return runpy.run_path(str(PAPER / f"plot_{name}.py"))


def test_tanh_neuron():
    example = run("tanh_neuron")
    for epoch, expected in WEIGHTS.items():
        assert example["weights"][epoch] == pytest.approx(expected, abs=6e-4)
    assert example["table_epochs"].tolist() == NEURON_EPOCHS
    assert example["noises"] == tuple(NEURON)
    expected = np.array([row.split() for row in NEURON.values()], dtype=float)
    np.testing.assert_allclose(example["table"].T, expected, atol=0.01)


def information_of_second(signals, w2, b2, noise_std):
    """I(X;T2) by quadrature: the first neuron's noise as a fine law of its own."""
    noise = np.linspace(-6, 6, 401)
    law = np.exp(-(noise**2) / 2)
    law /= law.sum()
    centers = w2 * (signals[:, None] + noise_std * noise) + b2
    centers = np.maximum(centers, 0.1 * centers)
    both = awgn_mutual_info(
        centers.reshape(-1, 1), noise_std, np.tile(law, len(signals))
    )
    given = [awgn_mutual_info(row[:, None], noise_std, law) for row in centers]
    return both - np.mean(given)


def test_leaky_relu_pair():
    example = run("leaky_relu_pair")
    noise_std, flow = example["noise_std"], example["flow"]
    for epoch in example["table_epochs"]:
        w1, b1, w2, b2 = example["weights"][epoch]
        signals = w1 * example["X"][:, 0] + b1
        signals = np.maximum(signals, 0.1 * signals)
        exact = (
            awgn_mutual_info(signals[:, None], noise_std),
            information_of_second(signals, w2, b2, noise_std),
        )
        row = np.searchsorted(flow.epochs, epoch)
        errors = flow.mutual_info_std_error[row] + 1e-4
        assert (np.abs(flow.mutual_info[row] - exact) < 4 * errors).all()
        for value, recipe in zip(exact, (FIRST, SECOND), strict=True):
            if epoch in recipe:
                assert value == pytest.approx(recipe[epoch], abs=0.02)


def test_variants_of_the_tanh_network():
    # The tables that come with the example, of twelve trainings.
    flows = run("szt_variants")["flows"]
    late = {
        name: flow.values()[:, flow.epochs >= 100, -1] for name, flow in flows.items()
    }
    fall = {name: each.max(axis=1) - each[:, -1] for name, each in late.items()}
    assert (fall["tanh"] > 1).all()
    for name in ("orthonormal", "linear", "relu"):
        assert (fall[name] < 0.35).all()
    assert (late["orthonormal"][:, -1] > 7.9).all()
    for flow in flows.values():
        error = flow.values("mutual_info_std_error")
        rise = np.diff(flow.values(), axis=2)
        beside = np.hypot(error[..., 1:], error[..., :-1])
        assert (rise <= 3 * beside + 1e-6).all()
