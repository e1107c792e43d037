"""Information of layers by quadrature, none of it by an estimator that is judged."""

import itertools
import math

import numpy as np
import torch
from scipy.special import ndtri, rel_entr
from scipy.stats import qmc, sem

from skib.mutual_info import awgn_mutual_info

# Nodes per dimension of the noise of a block's first layer. Smooth integrands that fall
# off as a Gaussian need few, a kink, as of a ReLU, many.
SMOOTH = {1: 160, 2: 40}
KINKED = {1: 1200}
REACH = 6.5
SOBOL_LOG2, SCRAMBLES = 14, 4
POINTS_AT_A_TIME = 1024


def logistic(v):
    return 0.5 * (1 + np.tanh(0.5 * v))


ACTIVATIONS = {
    "identity": lambda v: v,
    "tanh": np.tanh,
    "relu": lambda v: np.maximum(v, 0.0),
    "leaky_relu": lambda v: np.where(v > 0, v, 0.01 * v),
    "logistic": logistic,
}


def linear_truth(X, coefs, noise_std, n_mc=500_000):
    """Whiten the noise that has gathered in a linear network: a plain channel."""
    signal, covariance = X, np.zeros((X.shape[1], X.shape[1]))
    for coef, std in zip(coefs, noise_std, strict=True):
        signal, covariance = signal @ coef, coef.T @ covariance @ coef
        covariance = covariance + std**2 * np.eye(len(covariance))
    white = signal @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    truth = awgn_mutual_info(white, 1.0, n_mc=n_mc, random_state=0)
    return float(truth), truth.error


def chain_truth(x, weights, biases, noise_std):
    """Follow the density of a chain of tanh neurons over a grid, layer by layer."""
    reach = 1 + 9 * noise_std
    grid = np.arange(-reach, reach, noise_std / 6)
    step = noise_std / 6

    def kernels(places):
        scaled = (grid - np.tanh(places)[:, None]) / noise_std
        return np.exp(-0.5 * scaled**2) / (noise_std * math.sqrt(2 * math.pi))

    density = kernels(weights[0] * np.asarray(x) + biases[0])
    for weight, bias in zip(weights[1:], biases[1:], strict=True):
        density = step * density @ kernels(weight * grid + bias)
    mixture = density.mean(0)
    return step * rel_entr(density, mixture).sum() / len(density), 1e-9


def block_truth(levels, coefs, biases, activation, noise_std):
    """Information of a block of two layers about the level that it is fed.

    What a point says of each level is an integral over the noise of the first layer, by
    quadrature; the mean over points is one over Sobol points.
    """
    layers = _Block(coefs, biases, activation, noise_std)
    means = [_mean_divergence(layers, levels, seed) for seed in range(SCRAMBLES)]
    return np.mean(means), sem(means)


class _Block:
    """Two noisy layers fed by one number."""

    def __init__(self, coefs, biases, activation, noise_std):
        self.coefs, self.biases = coefs, biases
        self.function, self.noise_std = ACTIVATIONS[activation], noise_std
        self.n_hidden, self.n_units = coefs[1].shape
        n_nodes = KINKED if "relu" in activation else SMOOTH
        self.nodes, self.log_weights = _normal_nodes(
            self.n_hidden, n_nodes[self.n_hidden]
        )

    def clean(self, level, z):
        """Activations before the last noise, of noise z in the first layer."""
        first = self.function(level * self.coefs[0] + self.biases[0])
        noisy = first + self.noise_std * z
        return self.function(noisy @ self.coefs[1] + self.biases[1])

    def log_density(self, t, level):
        """Log density of t given the level, up to what all levels share."""
        centers = torch.as_tensor(self.clean(level, self.nodes) / self.noise_std)
        points = torch.as_tensor(t / self.noise_std)
        parts = [
            torch.logsumexp(self.log_weights - _half_squared(part, centers), dim=1)
            for part in points.split(POINTS_AT_A_TIME)
        ]
        return torch.cat(parts).numpy()


def _half_squared(points, centers):
    return torch.cdist(points, centers).square() / 2


def _normal_nodes(n_dimensions, n_nodes):
    line = np.linspace(-REACH, REACH, n_nodes)
    nodes = np.array(list(itertools.product(line, repeat=n_dimensions)))
    log_weights = torch.as_tensor(-0.5 * (nodes**2).sum(1))
    return nodes, log_weights - torch.logsumexp(log_weights, dim=0)


def _mean_divergence(block, levels, seed):
    """Mean of the divergence of p(x|t) from p(x) over points t of all levels."""
    sobol = qmc.Sobol(block.n_hidden + block.n_units, rng=seed)
    z = ndtri(np.clip(sobol.random_base2(SOBOL_LOG2), 1e-12, 1 - 1e-12))
    hidden, last = np.split(z, [block.n_hidden], axis=1)
    points = np.concatenate(
        [block.clean(x, hidden) + block.noise_std * last for x in levels]
    )
    logs = np.stack([block.log_density(points, x) for x in levels])
    logs -= np.logaddexp.reduce(logs, axis=0)
    return math.log(len(levels)) + (np.exp(logs) * logs).sum(0).mean()
