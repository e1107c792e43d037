"""Any torch module as a recording: chains as networks, probe noise, what is refused."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skib.recording import (
    GaussianNoise,
    Snapshot,
    TorchRecorder,
    TorchSnapshot,
    has_noise_before,
)

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


class TestRecording:
    def test_weights_are_copied_at_their_epoch(self, net, recorder):
        X = rows()
        early = recorder.transform(X, epoch=5, layer="1")
        weight = net[0].weight / 4
        expected = torch.tanh(torch.tensor(X) @ weight.T + net[0].bias).detach()
        np.testing.assert_allclose(early, expected, atol=1e-6)
        assert recorder.epochs.tolist() == [0, 5]
        assert len(recorder) == recorder.n_layers == 2
        assert recorder[1].transform(X)[0] == pytest.approx(
            recorder.at(5).transform(X, layer=-1)[0]
        )

    def test_the_module_is_left_as_it_was(self, net):
        net.train()
        net[1].eval()
        before = copy.deepcopy(net.state_dict())
        flags = [part.training for part in net.modules()]
        random_state = torch.get_rng_state()
        with TorchRecorder(net, ["1", "3"], noise_std=0.1) as recorder:
            recorder.record(0)
            recorder.activations(rows(), epoch=0, n_draws=3, random_state=0)
        assert [part.training for part in net.modules()] == flags
        assert torch.equal(torch.get_rng_state(), random_state)
        assert not any(
            len(part._forward_hooks) + len(part._forward_pre_hooks)
            for part in net.modules()
        )
        assert all(p.requires_grad and p.grad is None for p in net.parameters())
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[name])

    def test_bytes_are_predicted(self, net, capsys):
        recorder = TorchRecorder(net, ["1"], noise_std=0.1, verbose=1)
        assert "MB" in capsys.readouterr().out
        recorder.record(0)
        assert recorder.nbytes == recorder.nbytes_per_epoch
        half = TorchRecorder(net, ["1"], noise_std=0.1, dtype=torch.bfloat16)
        half.record(0)
        assert half.nbytes == half.nbytes_per_epoch == recorder.nbytes // 2
        np.testing.assert_allclose(
            half.transform(rows(), epoch=0),
            recorder.transform(rows(), epoch=0),
            atol=0.05,
        )

    def test_noise_in_training_is_there_until_close(self, net):
        X = torch.tensor(rows())
        calm = net(X)
        recorder = TorchRecorder(net, ["1", "3"], noise_std=0.5, in_training=True)
        assert not torch.equal(net(X), calm)
        assert torch.equal(net.eval()(X), calm)
        recorder.close()
        assert torch.equal(net.train()(X), calm)
        with pytest.raises(ValueError, match="recorder is closed"):
            recorder.record(0)

    def test_file(self, net, tmp_path):
        recorder = TorchRecorder(
            net,
            ["1", "3"],
            noise_std=0.3,
            reduce={"1": None},
            n_components={"3": np.int64(2)},
            reference=rows(),
            dtype=torch.bfloat16,
        )
        recorder.record(3)
        recorder.save(tmp_path / "recorder.npz")
        other = chain(*[type(part)(**_sizes(part)) for part in net], seed=9)
        loaded = TorchRecorder.load(tmp_path / "recorder.npz", other)
        for layer in ("1", "3"):
            np.testing.assert_array_equal(
                loaded.transform(rows(), epoch=3, layer=layer),
                recorder.transform(rows(), epoch=3, layer=layer),
            )
        assert repr(loaded) == repr(recorder)
        with pytest.raises(ValueError, match=r"built like the one.*'0\.bias'"):
            TorchRecorder.load(
                tmp_path / "recorder.npz",
                chain(nn.Linear(4, 6), nn.Tanh, nn.Tanh, nn.Tanh),
            )
        np.savez(tmp_path / "other.npz", a=1)
        with pytest.raises(ValueError, match=r"TorchRecorder\.save wrote"):
            TorchRecorder.load(tmp_path / "other.npz", net)

    def test_snapshots_travel(self, recorder):
        snapshot = pickle.loads(pickle.dumps(recorder.at(0)))
        assert isinstance(snapshot, Snapshot)
        assert isinstance(snapshot, TorchSnapshot)
        np.testing.assert_array_equal(
            snapshot.transform(rows()), recorder.at(0).transform(rows())
        )

    @pytest.mark.parametrize("noise", ["all", "probe"])
    def test_other_inputs_other_types(self, net, noise):
        recorder = TorchRecorder(net, ["1"], noise_std=0.1, noise=noise)
        recorder.record(0)
        X = rows()
        found = recorder.transform(torch.tensor(X), epoch=0)
        assert isinstance(found, torch.Tensor)
        for same in (X.astype(float), X.tolist(), torch.tensor(X).double()):
            other = recorder.transform(same, epoch=0)
            np.testing.assert_allclose(np.asarray(other), found.numpy(), atol=1e-6)


def _sizes(part):
    if not isinstance(part, nn.Linear):
        return {}
    return {"in_features": part.in_features, "out_features": part.out_features}


class Residual(nn.Module):
    """No chain: a branch goes around the second layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(6, 6)
        self.last = nn.Linear(6, 2)

    def forward(self, X):
        hidden = self.first(X).tanh()
        return self.last(hidden + self.second(hidden).tanh())


class TestNoise:
    @pytest.fixture
    def net(self):
        torch.manual_seed(0)
        return Residual()

    def test_noise_of_earlier_layers_has_its_law(self, net):
        """The last layer is linear in the noise of the one before it."""
        recorder = TorchRecorder(net, ["second", "last"], noise_std=(1e-3, 0.1))
        recorder.record(0)
        X = rows()
        drawn = recorder.activations(X, epoch=0, n_draws=4000, random_state=0)
        centre = recorder.transform(X, epoch=0)
        assert drawn.shape == (N_INPUTS, 4000, 2)
        hidden = net.first(torch.tensor(X)).tanh()
        slopes = 1 - net.second(hidden).tanh().square()
        spread = 1e-3 * torch.einsum("ou,nu->nou", net.last.weight, slopes)
        covariance = (spread @ spread.mT).detach().numpy()
        for row in range(N_INPUTS):
            deviation = drawn[row] - centre[row]
            found = deviation.T @ deviation / 4000
            bound = 6 * np.trace(covariance[row]) / np.sqrt(4000)
            np.testing.assert_allclose(found, covariance[row], atol=bound)

    def test_numbers_do_not_depend_on_the_batch(self, net):
        found = []
        for batch_size in (1, 10, 1000):
            recorder = TorchRecorder(
                net, ["first", "last"], noise_std=0.1, batch_size=batch_size
            )
            recorder.record(0)
            found.append(
                recorder.activations(rows(), epoch=0, n_draws=4, random_state=0)
            )
        np.testing.assert_allclose(found[0], found[1], atol=1e-6)
        np.testing.assert_allclose(found[0], found[2], atol=1e-6)
        assert np.ptp(found[0], axis=1).min() > 0

    def test_probe_noise_leaves_one_centre(self, net):
        recorder = TorchRecorder(net, ["first", "last"], noise_std=0.1, noise="probe")
        recorder.record(0)
        assert not has_noise_before(recorder.at(0), 2)
        drawn = recorder.activations(rows(), epoch=0, n_draws=3, random_state=0)
        assert drawn.shape == (N_INPUTS, 3, 2)
        np.testing.assert_array_equal(
            drawn[:, 1], recorder.activations(rows(), epoch=0, layer="last")
        )

    def test_noise_everywhere_leaves_the_first_layer_in_peace(self, net):
        recorder = TorchRecorder(net, ["first", "last"], noise_std=0.1)
        recorder.record(0)
        assert [has_noise_before(recorder.at(0), k) for k in (1, 2)] == [False, True]

    def test_relative_noise(self, net):
        X = rows(n=50)
        recorder = TorchRecorder(
            net, ["first"], noise_std=0.5, noise_scale="relative", reference=X
        )
        values = net.first(torch.tensor(X)).detach().numpy()
        expected = 0.5 * np.sqrt(values.var(axis=0).mean())
        assert recorder.noise_std == pytest.approx((expected,), rel=1e-5)

    def test_noise_of_the_modules_themselves(self):
        net = chain(
            nn.Linear(4, 3), GaussianNoise(0.3), nn.Linear(3, 2), GaussianNoise(1)
        )
        assert TorchRecorder(net, ["1", "3"]).noise_std == (0.3, 1.0)
        values = torch.zeros(20_000)
        assert net[1](values).std() == pytest.approx(0.3, rel=0.05)
        assert torch.equal(net.eval()[1](values), values)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"module": "net"}, TypeError, r"must be a torch\.nn\.Module. Got str"),
        (
            {"layers": ["fc1"]},
            ValueError,
            r"named_modules\(\): 0, 1, 2, 3, 4. Got 'fc1'",
        ),
        ({"layers": "1"}, ValueError, "list of at least one name"),
        ({"noise_std": 0.0, "noise": "probe"}, ValueError, "noise_std must be > 0"),
        ({"noise_std": (1, 2, 3)}, ValueError, "Got 3 numbers"),
        ({"noise_std": None}, ValueError, "no GaussianNoise module"),
        ({"noise": "some"}, ValueError, "noise must be one of 'all', 'probe'"),
        ({"noise_scale": "relative"}, ValueError, "needs reference"),
        ({"dtype": "float16"}, TypeError, "dtype must be None or a torch type"),
        ({"noise": "probe", "in_training": True}, ValueError, "all layers at once"),
    ],
)
def test_arguments_that_make_no_sense(net, options, error, message):
    options = {"module": net, "layers": ["1", "3"], "noise_std": 0.1, **options}
    with pytest.raises(error, match=message):
        TorchRecorder(**options)


def test_epochs_and_layers_that_are_not_there(net, recorder):
    for wrong in (5, -1, 1.5, True):
        with pytest.raises(ValueError, match="not recorded before"):
            recorder.record(wrong)
    with pytest.raises(ValueError, match=r"Recorded epochs: \[0, 5\]"):
        recorder.at(3)
    with pytest.raises(ValueError, match="one of 1, 3, or its place"):
        recorder.transform(rows(), epoch=0, layer="2")
    net[0] = nn.Linear(4, 6)
    with pytest.raises(ValueError, match="built like the one that was recorded"):
        recorder.record(7)
    with pytest.raises(ValueError, match="different modules"):
        TorchRecorder(nn.Sequential(net[1], net[1], nn.Linear(1, 1)), ["0", "1"])
    with pytest.raises(ValueError, match="Run it once"):
        TorchRecorder(nn.Sequential(nn.LazyLinear(3)), ["0"], noise_std=1)
