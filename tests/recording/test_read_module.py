"""Chains are read as networks; what is none is run."""

import numpy as np
import pytest
import torch
from torch import nn

from skib.recording import GaussianNoise, Recording, TorchRecorder

N_INPUTS = 7


def rows(n_features=4, n=N_INPUTS, seed=0):
    return np.random.RandomState(seed).randn(n, n_features).astype(np.float32)


def chain(*parts, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        *[part() if isinstance(part, type) else part for part in parts]
    )


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2)
    )


@pytest.fixture
def recorder(net):
    recorder = TorchRecorder(net, ["1", "3"], noise_std=(0.1, 0.2))
    for epoch in (5, 0):
        recorder.record(epoch)
        with torch.no_grad():
            net[0].weight.mul_(2)
    return recorder


class TestChains:
    """A chain is read: its activations are those of a Recording with its weights."""

    @pytest.mark.parametrize(
        ("parts", "layers"),
        [
            ([nn.Linear(4, 5), nn.Tanh, nn.Linear(5, 3), nn.ReLU], ["1", "3"]),
            ([nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Sigmoid], ["2"]),
            ([nn.Linear(4, 5), nn.Linear(5, 3, bias=False), nn.Tanh], ["2"]),
            ([nn.Linear(4, 5), nn.Linear(5, 3, bias=False), nn.Tanh], ["0", "2"]),
            ([nn.Linear(4, 5), nn.ELU, nn.Linear(5, 3), nn.GELU], ["1", "3"]),
            ([nn.Linear(4, 5), nn.SiLU, nn.Linear(5, 3), nn.Softplus], ["1", "3"]),
            ([nn.Flatten, nn.Linear(4, 5), nn.Dropout, nn.LeakyReLU], ["3"]),
            (
                [nn.Linear(4, 5), nn.ReLU(inplace=True), nn.BatchNorm1d(5)]
                + [nn.Linear(5, 3), nn.Identity],
                ["1", "4"],
            ),
            (
                [nn.Linear(4, 5), nn.Tanh, GaussianNoise(0.1), nn.Linear(5, 3)],
                ["2", "3"],
            ),
            (
                [
                    nn.Sequential(nn.Linear(4, 5), nn.Tanh()),
                    nn.Linear(5, 3),
                    nn.LayerNorm(3),
                ],
                ["0", "1"],
            ),
        ],
    )
    def test_what_is_read_computes_what_the_module_does(self, parts, layers):
        net = chain(*parts)
        for part in net.modules():
            if isinstance(part, nn.BatchNorm1d):
                nn.init.normal_(part.running_mean)
                nn.init.uniform_(part.running_var, 0.5, 2.0)
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
        recorder = TorchRecorder(net, layers, noise_std=0.1)
        recorder.record(0)
        snapshot = recorder.at(0)
        assert snapshot.not_read is None
        assert snapshot.network.coefs[0].dtype == torch.float64
        values = torch.tensor(rows(), dtype=torch.float64)
        for place, layer in enumerate(layers):
            values = snapshot.network.step(values, place)
            np.testing.assert_allclose(
                values, snapshot.transform(rows(), layer=layer), atol=1e-5
            )

    @pytest.mark.parametrize(
        ("parts", "layers", "reason"),
        [
            ([nn.Linear(4, 5), nn.Tanh, nn.Linear(5, 3)], ["2"], "comes before '2'"),
            ([nn.Linear(4, 5), nn.LayerNorm(5)], ["1"], "is a LayerNorm"),
            ([nn.Linear(4, 5), nn.LeakyReLU(0.3)], ["1"], "negative_slope=0.3"),
            ([nn.Tanh(), nn.Bilinear(4, 4, 2)], ["0"], "no Linear layer"),
        ],
    )
    def test_what_is_no_chain_is_run(self, parts, layers, reason):
        recorder = TorchRecorder(chain(*parts), layers, noise_std=0.1)
        weightless = TorchRecorder(chain(*parts), layers, noise_std=0.1)
        weightless.record(0)
        recorder.record(0)
        assert recorder.at(0).network is None
        assert reason in recorder.at(0).not_read
        assert reason in recorder.provenance["not_read_as_a_chain"]

    def test_a_module_that_only_looks_like_a_chain(self):
        class Doubled(nn.Linear):
            def forward(self, values):
                return 2 * super().forward(values)

        recorder = TorchRecorder(chain(Doubled(4, 5), nn.Tanh), ["1"], noise_std=0.1)
        recorder.record(0)
        assert "something else" in recorder.at(0).not_read

    def test_noisy_passes_are_those_of_a_recording(self, net, recorder):
        linear = [net[0].weight / 4, net[2].weight], [net[0].bias, net[2].bias]
        recording = Recording.from_weights(
            [5],
            [[weight.detach().numpy().T for weight in linear[0]]],
            [linear[1]],
            activation="tanh",
            noise_std=(0.1, 0.2),
        )
        same = {"epoch": 5, "layer": 2, "n_draws": 8, "random_state": 3}
        np.testing.assert_allclose(
            recorder.activations(rows(), **same),
            recording.activations(rows(), **same),
            atol=1e-6,
        )

    def test_images_are_flattened(self):
        net = chain(nn.Flatten, nn.Linear(8, 3), nn.Tanh, nn.Linear(3, 2), nn.Tanh)
        recorder = TorchRecorder(net, ["2", "4"], noise_std=0.1)
        recorder.record(0)
        X = rows(8).reshape(-1, 2, 4)
        assert recorder.at(0).network is not None
        drawn = recorder.activations(X, epoch=0, n_draws=3, random_state=0)
        assert drawn.shape == (N_INPUTS, 3, 2)
