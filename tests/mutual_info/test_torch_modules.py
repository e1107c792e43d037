"""Modules that no one can read are estimated through autograd, like their twins."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from skib import NetworkMIEstimator
from skib.mutual_info import _known_layers
from skib.recording import TorchRecorder


def twins(sizes, activation, noise_std, n_inputs, gain=1.5, seed=0):
    """One network as a chain of Linear, and as 1 x 1 convolutions; and inputs."""
    torch.manual_seed(seed)
    linear = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    maps = [nn.Conv2d(a, b, 1) for a, b in itertools.pairwise(sizes)]
    for one, other in zip(linear, maps, strict=True):
        nn.init.normal_(one.weight, std=gain / one.in_features**0.5)
        nn.init.normal_(one.bias, std=0.1)
        other.weight.data = one.weight.data[..., None, None].clone()
        other.bias.data = one.bias.data.clone()
    names = [str(2 * k + 1) for k in range(len(linear))]
    snapshots = []
    for parts in (linear, maps):
        module = nn.Sequential(*(p for part in parts for p in (part, activation())))
        recorder = TorchRecorder(module, names, noise_std=noise_std)
        recorder.record(0)
        snapshots.append(recorder.at(0))
    X = torch.randn(n_inputs, sizes[0], dtype=torch.float64).numpy()
    return snapshots, (X, X[..., None, None])


def agrees(one, other, n_errors=3):
    error = math.hypot(one.std_error, other.std_error)
    return abs(one.value - other.value) <= n_errors * error + 1e-9


def test_a_module_and_its_twin_in_weights_agree():
    snapshots, inputs = twins((12, 10, 7, 5), nn.Tanh, 0.2, 256)
    assert snapshots[0].network is not None
    assert snapshots[1].network is None
    labels = np.arange(256) % 3
    read, run = (
        NetworkMIEstimator().estimate(snapshot, X, labels, random_state=0)
        for snapshot, X in zip(snapshots, inputs, strict=True)
    )
    for one, other in zip(read, run, strict=True):
        assert other.diagnostics["from_network"]
        assert other.diagnostics["method"] == one.diagnostics["method"]
        for name in ("mutual_info", "label_mutual_info", "conditional_entropy"):
            assert agrees(getattr(one, name), getattr(other, name)), name
    width = run[1].mutual_info_high.value - run[1].mutual_info_low.value
    assert 0 < width < 0.1


def test_what_is_too_costly_is_estimated_from_activations(monkeypatch):
    snapshots, inputs = twins((6, 5, 4), nn.Tanh, 0.5, 20)
    for name, limit, reason in (
        ("MOST_SLOPES", 19, "too many"),
        ("MOST_SURROGATES", 319, "too many"),
        ("MOST_OPERATIONS", 1e6, "multiplications"),
        ("MOST_NOISES", 9 * (1 << 14) - 1, "memory"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(_known_layers, name, limit)
            found = _known_layers.known_layers(snapshots[1], inputs[1], 2)
            assert reason in found
            _, last = NetworkMIEstimator().estimate(
                snapshots[1], inputs[1], random_state=0
            )
            assert last.diagnostics["method"] == "activations"
            # Weights that are known are always used.
            assert not isinstance(
                _known_layers.known_layers(snapshots[0], inputs[0], 2), str
            )
    assert not isinstance(_known_layers.known_layers(snapshots[1], inputs[1], 2), str)


WIDE = [
    ((20, 8, 8), nn.Tanh, 0.3),
    ((20, 12, 10), nn.ReLU, 0.3),
    ((20, 16, 16), nn.ReLU, 0.5),
    ((20, 16, 16), nn.Tanh, 0.2),
    ((30, 24, 24), nn.Tanh, 0.5),
    ((30, 24, 24), nn.ReLU, 0.8),
    ((30, 32, 32), nn.Tanh, 1.0),
    ((64, 32, 32), nn.ReLU, 0.5),
    ((64, 48, 48), nn.Tanh, 0.5),
    ((64, 64, 64), nn.Tanh, 1.0),
    ((64, 64, 64), nn.ReLU, 1.0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "activation", "noise_std"), WIDE)
def test_wide_modules_agree_with_their_twins(sizes, activation, noise_std):
    snapshots, inputs = twins(sizes, activation, noise_std, 200, seed=sum(sizes))
    (one,), (other,) = (
        NetworkMIEstimator().estimate(snapshot, X, layers=[2], random_state=seed)
        for seed, (snapshot, X) in enumerate(zip(snapshots, inputs, strict=True))
    )
    assert other.diagnostics["from_network"]
    assert agrees(one.mutual_info, other.mutual_info)
    # Each value lies in the other's bracket.
    for a, b in itertools.permutations((one, other)):
        error = math.hypot(a.mutual_info.std_error, b.mutual_info_high.std_error)
        assert a.mutual_info.value <= b.mutual_info_high.value + 3 * error
        assert a.mutual_info.value >= b.mutual_info_low.value - 3 * error
