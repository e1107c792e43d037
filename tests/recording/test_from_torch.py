"""Checkpoints of chains, and activations as arrays."""

import numpy as np
import pytest
import torch
from torch import nn

from skib.datasets import make_szt
from skib.recording import Recording, collect_activations

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


class TestFromTorch:
    def test_nobody_transposes_by_hand(self):
        """Square layers would give other numbers without a word."""
        net = chain(nn.Linear(4, 4), nn.Tanh, nn.Linear(4, 4, bias=False), nn.Tanh)
        for source in (net, net.state_dict()):
            recording = Recording.from_torch(
                [source], [3], activation="tanh", noise_std=0.1
            )
            found = recording.transform(rows(), epoch=3)
            np.testing.assert_allclose(
                found, net(torch.tensor(rows())).detach(), atol=1e-6
            )

    def test_an_output_layer_is_taken(self, net):
        recording = Recording.from_torch(
            [net], [0], activation="tanh", noise_std=0.1, output="softmax"
        )
        expected = torch.softmax(net(torch.tensor(rows())), 1).detach()
        np.testing.assert_allclose(
            recording.predict_proba(rows(), epoch=0), expected, atol=1e-6
        )

    @pytest.mark.parametrize(
        ("part", "message"),
        [
            (nn.BatchNorm1d(4), r"1\.weight.*TorchRecorder"),
            (nn.Conv1d(1, 1, 3), r"1\.weight.*TorchRecorder"),
            (nn.PReLU(), r"1\.weight.*TorchRecorder"),
        ],
    )
    def test_what_is_no_chain_of_linear_layers(self, part, message):
        net = nn.Sequential(nn.Linear(4, 4), part)
        with pytest.raises(ValueError, match=message):
            Recording.from_torch([net], [0], activation="tanh", noise_std=0.1)

    def test_one_module_for_many_epochs(self, net):
        with pytest.raises(TypeError, match="list of modules or state dicts"):
            Recording.from_torch(net, [0], activation="tanh", noise_std=0.1)


class TestCollecting:
    def test_arrays_by_name(self):
        X, y = make_szt()
        X, y = X[:100], y[:100]
        net = chain(nn.Linear(12, 5), nn.BatchNorm1d(5), nn.ReLU(inplace=True)).train()
        data = torch.utils.data.TensorDataset(
            torch.tensor(X).float(), torch.as_tensor(np.asarray(y))
        )
        loader = torch.utils.data.DataLoader(data, batch_size=32)
        found = collect_activations(net, ["1", "2"], loader)
        assert list(found) == ["1", "2"]
        assert net.training
        expected = net.eval()[:2](torch.tensor(X).float()).detach().numpy()
        np.testing.assert_allclose(found["1"], expected, atol=1e-6)
        np.testing.assert_allclose(found["2"], np.maximum(expected, 0), atol=1e-6)

    def test_a_loader_that_is_used_up(self, net):
        with pytest.raises(ValueError, match="at least one batch"):
            collect_activations(net, ["1"], iter([]))
