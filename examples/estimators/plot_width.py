"""
How wide may a layer be?
========================

As wide as you like, with the weights; without them, the bracket says what is left open.
Networks of independent blocks have an information that is known at any width: so many
times that of one block. Their units are shuffled, so no estimator sees the blocks. From
the weights, a decoder below and a chain of noises above meet around the truth. From
activations alone, draws fill a narrow layer and cannot fill a wide one.
"""

# %%
# A block is a fair coin that feeds two leaky ReLU layers of three units, with noise
# after each. One block is so narrow that draws do fill it: its information, estimated
# closely, is the unit that the truth of the wide networks is counted in.

import itertools
import warnings

import matplotlib.pyplot as plt
import numpy as np

from skib import GaussianMixtureMIEstimator, NetworkMIEstimator, Recording
from skib.exceptions import SkibWarning

noise_std, n_units, depth = 0.6, 3, 2
rng = np.random.RandomState(3)
shapes = [(1, n_units), *[(n_units, n_units)] * (depth - 1)]
coefs = [rng.randn(*shape) * 1.2 for shape in shapes]


def network(n_blocks):
    """Blocks side by side, their units shuffled, and all inputs."""
    wide = [np.kron(np.eye(n_blocks), coef) for coef in coefs]
    for layer in range(depth):
        order = rng.permutation(wide[layer].shape[1])
        wide[layer] = wide[layer][:, order]
        if layer + 1 < depth:
            wide[layer + 1] = wide[layer + 1][order]
    X = np.array(list(itertools.product([-1.0, 1.0], repeat=n_blocks)))
    recording = Recording.from_weights(
        [0], [wide], None, activation="leaky_relu", noise_std=noise_std
    )
    return recording.at(0), X


snapshot, X = network(1)
(block,) = NetworkMIEstimator(n_mc=100_000).estimate(
    snapshot, X, layers=[depth], random_state=0
)
print(f"I(X;T) of one block: {block.mutual_info}")

# %%
# Both estimators at more and more blocks, on the last layer.

estimators = {
    "from the weights": NetworkMIEstimator(),
    "from 64 draws": GaussianMixtureMIEstimator(n_draws=64),
}
blocks = np.array([1, 2, 3, 5, 7, 9])
found = {name: [] for name in estimators}
warnings.simplefilter("ignore", SkibWarning)  # the picture shows what they warn of
for n_blocks in blocks:
    snapshot, X = network(n_blocks)
    truth = n_blocks * block.mutual_info.value
    print(f"{n_blocks * n_units:3} units, truth {truth:.3f}")
    for name, estimator in estimators.items():
        (layer,) = estimator.estimate(snapshot, X, layers=[depth], random_state=0)
        found[name].append(layer)
        print(
            f"    {name:16} {layer.mutual_info}, between "
            f"{layer.mutual_info_low.value:.3f} and {layer.mutual_info_high.value:.3f}"
        )

# %%
# Bars are two standard errors, shades the brackets.

figure, ax = plt.subplots(layout="constrained")
width = blocks * n_units
ax.plot(width, blocks * block.mutual_info.value, color="k", lw=1, label="truth")
styles = {"from the weights": ("C0", "o", -0.15), "from 64 draws": ("C1", "s", 0.15)}
for name, (color, marker, shift) in styles.items():
    value, error, low, high = (
        np.array([pick(layer) for layer in found[name]])
        for pick in (
            lambda layer: layer.mutual_info.value,
            lambda layer: layer.mutual_info.std_error,
            lambda layer: layer.mutual_info_low.value,
            lambda layer: layer.mutual_info_high.value,
        )
    )
    ax.fill_between(width, low, high, color=color, alpha=0.2, lw=0)
    ax.errorbar(
        *(width + shift, value, 2 * error),
        color=color,
        marker=marker,
        ms=4,
        ls="",
        capsize=3,
        label=name,
    )
ax.set(xlabel="units of the layer", ylabel="I(X;T) [nats]", ylim=(0, None))
ax.legend(frameon=False)
plt.show()
