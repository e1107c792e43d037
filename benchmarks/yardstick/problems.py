"""Problems whose truth is exact or known to a thousandth of a nat.

Each is the last layer of a noisy network: a constellation is one linear layer of it.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.yardstick.truths import block_truth, chain_truth, linear_truth
from skib import Recording
from skib.datasets import make_reed_muller, make_spiral
from skib.mutual_info import product_mutual_info


@dataclass(frozen=True, eq=False)
class Problem:
    """A network, its inputs, and what its last layer knows of them."""

    family: str
    name: str
    snapshot: object
    X: np.ndarray
    truth: float
    truth_error: float

    @property
    def n_units(self):
        return self.snapshot.transform(self.X[:1]).shape[1]

    @property
    def noise_std(self):
        return self.snapshot.noise_std[-1]

    def samples(self, n_samples, seed):
        """Draw inputs, as evenly as can be, and the noisy output of each."""
        rng = np.random.default_rng(seed)
        rows = rng.permutation(np.arange(n_samples) % len(self.X))
        clean = self.snapshot.activations(self.X[rows], n_draws=1, random_state=seed)
        clean = clean[:, 0]
        return rows, clean + self.noise_std * rng.normal(size=clean.shape)


def all_problems():
    yield from constellations()
    yield from neurons()
    yield from corners()
    yield from linear_networks()
    yield from blocks()
    yield from reed_muller_codes()


def quick_problems():
    """One of each kind of truth, small."""
    yield constellation("4 points on a line", line_of(4), 0.5)
    yield neuron(16, 2, 0.3)
    yield box(2, 2, 0.3, 0.3)
    yield linear_network(16, [2, 2], 0.5)
    yield block_network(2, 1, 1, "tanh", 0.5)
    yield reed_muller(1, 1, 1.0)


# --- networks and their truths ----------------------------------------------------


def constellation(name, points, noise_std):
    coefs = [np.eye(points.shape[1])]
    return linear_problem("constellation", name, points, coefs, [noise_std])


def linear_problem(family, name, X, coefs, noise_std, truth=None):
    """Take the truth by whitening where no sum over coordinates gives it."""
    snapshot = snapshot_of(coefs, None, "identity", noise_std)
    if truth is None:
        truth = linear_truth(X, coefs, noise_std)
    noise = ", ".join(f"{std:.2g}" for std in dict.fromkeys(noise_std))
    name = f"{name}, {len(X)} inputs, noise {noise}"
    return Problem(family, name, snapshot, X, *truth)


def neuron(n_inputs, depth, noise_std, gain=2.0):
    """Feed a chain of tanh neurons, one to a layer, with a line of inputs."""
    weights, biases = [gain] * depth, [0.2] * depth
    X = line_of(n_inputs)
    coefs = [np.full((1, 1), weight) for weight in weights]
    intercepts = [np.full(1, bias) for bias in biases]
    snapshot = snapshot_of(coefs, intercepts, "tanh", [noise_std] * depth)
    truth = chain_truth(X[:, 0], weights, biases, noise_std)
    name = f"{depth} tanh in a chain, {n_inputs} inputs, noise {noise_std:.2g}"
    return Problem("tanh neurons", name, snapshot, X, *truth)


def box(n_bits, n_units, component_std, noise_std):
    """Put Gaussians at the corners of a turned box: noise twice, in two layers."""
    rng = np.random.default_rng(n_bits + n_units)
    sides = np.geomspace(0.5, 1.0, n_bits)
    X = cube(n_bits) * sides
    turn = np.linalg.qr(rng.normal(size=(n_units, n_units)))[0][:n_bits]
    noise = [component_std, noise_std]
    total = math.hypot(*noise)
    parts = product_mutual_info([[-side, side] for side in sides], total)
    coefs = [turn, np.eye(n_units)]
    name = f"{n_bits} bits turned into {n_units} units"
    truth = float(parts), parts.error
    return linear_problem("Gaussian corners", name, X, coefs, noise, truth)


def linear_network(n_inputs, widths, noise_std):
    rng = np.random.default_rng([n_inputs, *widths])
    digits = load_digits().data / 16
    X = digits[rng.permutation(len(digits))[:n_inputs]]
    coefs = [
        rng.normal(size=shape) / math.sqrt(shape[0])
        for shape in itertools.pairwise([64, *widths])
    ]
    name = "digits through " + "-".join(map(str, widths))
    return linear_problem("linear", name, X, coefs, [noise_std] * len(widths))


def block_network(n_blocks, n_hidden, n_units, activation, noise_std, n_levels=2):
    """Feed independent blocks of two layers by one number each, units shuffled."""
    rng = np.random.default_rng([n_blocks, n_hidden, n_units])
    shapes = [(1, n_hidden), (n_hidden, n_units)]
    coefs = [rng.choice([-1, 1], s) * rng.uniform(0.8, 1.8, s) for s in shapes]
    biases = [0.3 * rng.normal(size=s[1]) for s in shapes]
    levels = line_of(n_levels)[:, 0]
    value, error = block_truth(levels, coefs, biases, activation, noise_std)
    wide = [np.kron(np.eye(n_blocks), coef) for coef in coefs]
    wide_biases = [np.tile(bias, n_blocks) for bias in biases]
    order = rng.permutation(n_blocks * n_units)
    wide[1], wide_biases[1] = wide[1][:, order], wide_biases[1][order]
    snapshot = snapshot_of(wide, wide_biases, activation, [noise_std] * 2)
    X = np.array(list(itertools.product(levels, repeat=n_blocks)))
    name = (
        f"{n_blocks} blocks 1-{n_hidden}-{n_units}, {activation}, {len(X)} inputs, "
        f"noise {noise_std:.2g}"
    )
    return Problem("blocks", name, snapshot, X, n_blocks * value, n_blocks * error)


def reed_muller(r, m, noise_std):
    """Send a code; all words of a cube have independent coordinates."""
    X = make_reed_muller(r, m)
    truth = None
    if r == m:
        whole = product_mutual_info([[-1.0, 1.0]] * 2**m, noise_std)
        truth = float(whole), whole.error
    coefs = [np.eye(2**m)]
    return linear_problem("Reed-Muller", f"RM({r}, {m})", X, coefs, [noise_std], truth)


def snapshot_of(coefs, intercepts, activation, noise_std):
    intercepts = None if intercepts is None else [intercepts]
    return Recording.from_weights(
        [0], [coefs], intercepts, activation=activation, noise_std=noise_std
    ).at(0)


def line_of(n_points):
    return np.linspace(-1, 1, n_points)[:, None]


def cube(n_bits):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=n_bits)))


# --- which ones ---------------------------------------------------------------------


def constellations():
    square = np.array(list(itertools.product(line_of(4)[:, 0], repeat=2)))
    angles = 2 * np.pi * np.arange(32) / 32
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cloud = np.random.default_rng(0).normal(size=(64, 3))
    spiral = make_spiral(1024, random_state=0)[0]
    yield constellation("2 points", line_of(2), 1.0)
    yield constellation("4 points on a line", line_of(4), 0.2)
    yield constellation("1024 points on a line", line_of(1024), 0.02)
    yield constellation("16 points on a square", square, 0.1)
    yield constellation("16 points on a square", square, 0.6)
    yield constellation("32 points on a circle", circle, 0.1)
    yield constellation("64 points in space", cloud, 0.5)
    yield constellation("a spiral", spiral, 0.1)


def neurons():
    yield neuron(16, 1, 0.05)
    yield neuron(256, 1, 0.01)
    yield neuron(256, 1, 0.5)
    yield neuron(16, 2, 0.3)
    yield neuron(64, 2, 0.05)
    yield neuron(1024, 2, 0.02)
    yield neuron(64, 3, 0.2)
    yield neuron(256, 4, 0.1)


def corners():
    yield box(1, 1, 0.5, 0.1)
    yield box(3, 3, 0.3, 0.1)
    yield box(5, 5, 0.5, 0.1)
    yield box(5, 5, 0.1, 0.5)
    yield box(8, 8, 0.3, 0.3)
    yield box(10, 10, 0.5, 0.5)
    yield box(6, 20, 0.5, 0.1)
    yield box(10, 40, 0.2, 0.2)
    yield box(10, 40, 0.7, 0.1)


def linear_networks():
    yield linear_network(64, [1], 0.1)
    yield linear_network(1024, [2, 2], 0.05)
    yield linear_network(256, [5, 3], 0.1)
    yield linear_network(1024, [10, 5], 0.2)
    yield linear_network(512, [20], 0.3)
    yield linear_network(128, [8, 8, 8], 0.1)
    yield linear_network(512, [32, 16], 0.2)
    yield linear_network(256, [40, 20, 10], 0.5)
    yield linear_network(1024, [10, 40], 0.5)
    yield linear_network(64, [40, 40], 1.0)


def blocks():
    yield block_network(4, 1, 1, "tanh", 0.5)
    yield block_network(3, 1, 1, "logistic", 0.1, n_levels=8)
    yield block_network(4, 2, 2, "tanh", 0.3)
    yield block_network(8, 1, 1, "tanh", 0.2)
    yield block_network(5, 1, 2, "relu", 0.3, n_levels=4)
    yield block_network(10, 1, 1, "leaky_relu", 0.5)
    yield block_network(6, 2, 2, "tanh", 0.6)
    yield block_network(10, 1, 2, "tanh", 0.5)
    yield block_network(8, 2, 3, "logistic", 0.15)
    yield block_network(10, 1, 3, "relu", 0.8)
    yield block_network(10, 2, 3, "tanh", 0.8)
    yield block_network(8, 1, 5, "tanh", 1.0)
    yield block_network(10, 1, 4, "tanh", 0.4)
    yield block_network(10, 1, 4, "leaky_relu", 0.3)


def reed_muller_codes():
    yield reed_muller(1, 1, 0.7)
    yield reed_muller(2, 2, 1.0)
    yield reed_muller(3, 3, 0.5)
    yield reed_muller(3, 3, 1.5)
    yield reed_muller(1, 4, 2.0)
    yield reed_muller(1, 5, 3.0)
