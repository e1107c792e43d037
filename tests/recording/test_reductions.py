"""Maps and sequences become rows."""

import numpy as np
import pytest
import torch
from torch import nn

from skib.recording import TorchRecorder

N_INPUTS = 7


def rows(n_features=4, n=N_INPUTS, seed=0):
    return np.random.RandomState(seed).randn(n, n_features).astype(np.float32)


class Maps(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.last = nn.Linear(3 * 36, 2)

    def forward(self, X):
        return self.last(self.conv(X).tanh().flatten(1))


class TestReductions:
    @pytest.fixture
    def images(self):
        return rows(64).reshape(-1, 1, 8, 8)

    def recorded(self, net, layers=("conv",), **options):
        recorder = TorchRecorder(net, layers, noise_std=0.1, **options)
        recorder.record(0)
        return recorder

    def test_maps(self, images):
        net = Maps()
        maps = net.conv(torch.tensor(images)).detach().numpy()
        flat = self.recorded(net).transform(images, epoch=0)
        np.testing.assert_allclose(flat, maps.reshape(N_INPUTS, -1), atol=1e-6)
        recorder = self.recorded(net, reduce="channels")
        means = recorder.transform(images, epoch=0)
        np.testing.assert_allclose(means, maps.mean((2, 3)), atol=1e-6)
        assert recorder.provenance["reduce"] == "channels"

    def test_components_keep_the_largest_variance(self, images):
        net = Maps()
        maps = self.recorded(net).transform(images, epoch=0).astype(float)
        recorder = self.recorded(net, n_components=3, reference=images)
        found = recorder.transform(images, epoch=0)
        singular = np.linalg.svd(maps - maps.mean(0), compute_uv=False)
        variances = (found - found.mean(0)).astype(float).var(axis=0)
        np.testing.assert_allclose(variances, singular[:3] ** 2 / N_INPUTS, rtol=1e-4)
        # The projection belongs to the epoch, not to what is asked of it.
        np.testing.assert_allclose(
            recorder.transform(images[:2], epoch=0), found[:2], atol=1e-5
        )
        assert "lower" in recorder.provenance["bound"]

    @pytest.mark.parametrize("reduce", ["mean", "tokens", 0, -1])
    def test_sequences(self, reduce):
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.1)
        X = rows(4 * 3).reshape(-1, 3, 4)
        net = nn.Sequential(layer)
        recorder = self.recorded(net, ["0.linear1", "0"], reduce={"0": reduce})
        truth = net.eval()(torch.tensor(X)).detach()
        expected = {"mean": truth.mean(1), "tokens": truth.flatten(1)}
        expected = expected[reduce] if reduce in expected else truth[:, reduce]
        found = recorder.transform(X, epoch=0)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        drawn = recorder.activations(X, epoch=0, n_draws=2, random_state=0)
        assert drawn.shape == (N_INPUTS, 2, found.shape[1])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"reduce": "rows"}, "reduce must be"),
            ({"reduce": {"conv2": "mean"}}, "by names of layers: conv"),
            ({"n_components": 0}, "n_components must be"),
            ({"n_components": 2}, "needs reference"),
        ],
    )
    def test_refusals(self, options, message):
        with pytest.raises(ValueError, match=message):
            TorchRecorder(Maps(), ["conv"], noise_std=0.1, **options)

    def test_what_does_not_fit_the_output(self, images):
        with pytest.raises(ValueError, match=r"sequences.*layer 'conv'"):
            self.recorded(Maps(), reduce="mean").transform(images, epoch=0)
        with pytest.raises(ValueError, match=r"maps.*layer 'last'"):
            self.recorded(Maps(), ["last"], reduce="channels").transform(
                images, epoch=0
            )
