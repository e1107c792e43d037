"""Activations to measure on: random ones, and those of a trained noisy tanh net."""

import itertools

import torch
from torch.nn.functional import cross_entropy

NOISE_STD = 0.005
LAYER_SIZES = [12, 10, 7, 5, 4, 3, 2]


def random_clouds(n_centers, n_features, n_draws=128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = n_centers // n_draws, n_draws, n_features
    return torch.tanh(torch.randn(shape, generator=generator))


def trained_clouds(n_draws=128, n_epochs=200, seed=0):
    """Clouds of all 4096 inputs at each hidden layer of a 12-10-7-5-4-3-2 net.

    Every input has `n_draws` draws, of which the first layer needs one.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inputs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=12)))
        layers = _train(inputs, _labels(inputs), n_epochs)
        with torch.no_grad():
            return [
                _activations(
                    layers[: depth + 1],
                    inputs[:, None].expand(-1, n_draws if depth else 1, -1),
                ).contiguous()
                for depth in range(len(layers) - 1)
            ]


def _labels(inputs):
    # A fixed random rule that splits the inputs into two halves.
    score = torch.tanh(inputs @ torch.randn(12, 30)) @ torch.randn(30)
    return (score > score.median()).long()


def _train(inputs, labels, n_epochs):
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(LAYER_SIZES)]
    parameters = [p for layer in layers for p in layer.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2e-3, fused=True)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(inputs)).split(256):
            hidden = _with_noise(_activations(layers[:-1], inputs[rows]))
            optimizer.zero_grad()
            cross_entropy(layers[-1](hidden), labels[rows]).backward()
            optimizer.step()
    return layers


def _activations(layers, hidden):
    """Noiseless activations of the last of these layers, noise before it."""
    *below, last = layers
    for layer in below:
        hidden = _with_noise(torch.tanh(layer(hidden)))
    return torch.tanh(last(hidden))


def _with_noise(hidden):
    return hidden + NOISE_STD * torch.randn_like(hidden)
