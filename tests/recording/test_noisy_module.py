"""A module run as noisy layers: a twin in weights, slopes by differences, refusals."""

import pytest
import torch
from torch import nn

from skib.recording import TorchRecorder
from skib.recording._noisy_module import NotLayeredError, noisy_module

N_INPUTS = 6


def double(module):
    return module.double().eval().requires_grad_(False)


@pytest.fixture
def chain():
    torch.manual_seed(0)
    layers = [nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2)]
    return double(nn.Sequential(*layers, nn.LeakyReLU()))


@pytest.fixture
def cnn():
    torch.manual_seed(0)
    return double(
        nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2),
            nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(3, 4), nn.Tanh(),
        )
    )  # fmt: skip


def images(generator=None):
    generator = generator or torch.Generator().manual_seed(1)
    shape = N_INPUTS, 1, 6, 6
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_a_chain_is_the_network_that_its_weights_make(chain):
    X = torch.randn(N_INPUTS, 4, dtype=torch.float64)
    recorder = TorchRecorder(chain, ["1", "3", "5"], noise_std=[0.1, 0.2, 0.3])
    recorder.record(0)
    twin = recorder.at(0).network
    found = noisy_module(chain, ("1", "3", "5"), (0.1, 0.2, 0.3), X)
    assert found.layer_sizes == twin.layer_sizes
    assert found.sizes_before(3) == twin.sizes_before(3) == (5, 3)
    first = found.first_clean(X)
    torch.testing.assert_close(first, twin.first_clean(X))
    many = first[:, None].expand(-1, 7, -1)
    one, other = (
        layers.sample_from(many, torch.Generator().manual_seed(3))
        for layers in (found, twin)
    )
    for a, b in zip(one.clean + one.noise, other.clean + other.noise, strict=True):
        torch.testing.assert_close(a, b)
    noise = torch.cat([part[:, 0] for part in one.noise[:2]], dim=1)
    clean, expected = (layers.clean(first, noise, 3) for layers in (found, twin))
    torch.testing.assert_close(clean[-1], expected[-1])
    slopes = found.slopes(clean, noise)
    torch.testing.assert_close(slopes, twin.slopes(expected, noise))
    two = found.up_to(2)
    torch.testing.assert_close(two.clean(first, noise[:, :5], 2)[-1], clean[1])


def test_slopes_of_a_cnn_are_those_of_differences(cnn):
    X = images()
    layers = noisy_module(cnn, ("1", "4", "7"), (0.3, 0.3, 0.3), X)
    first = layers.first_clean(X)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(N_INPUTS, 35, generator=generator, dtype=torch.float64)
    assert sum(layers.sizes_before(3)) == 35
    slopes = layers.slopes(layers.clean(first, noise, 3), noise)
    step = 1e-6 * torch.eye(35, dtype=torch.float64)
    sides = [
        layers.clean(first[:, None], noise[:, None] + side * step, 3)[-1]
        for side in (1, -1)
    ]
    by_differences = (sides[0] - sides[1]).mT / 2e-6
    torch.testing.assert_close(slopes, by_differences, rtol=1e-5, atol=1e-7)
    assert slopes.abs().max() > 0.01


def test_gradients_pass_through_to_the_noise(cnn):
    layers = noisy_module(cnn, ("1", "4", "7"), (0.3, 0.3, 0.3), images())
    first = layers.first_clean(images())
    noise = torch.zeros(N_INPUTS, 35, dtype=torch.float64, requires_grad=True)
    layers.clean(first, noise, 3)[-1].sum().backward()
    twin = layers.slopes([first, first, first], torch.zeros_like(noise))
    torch.testing.assert_close(noise.grad, twin.sum(1))


def test_what_has_no_slopes_has_slopes_of_zero():
    class Rounds(nn.Module):
        def forward(self, values):
            return values.detach().round()

    module = double(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), Rounds()))
    X = torch.randn(4, 2, dtype=torch.float64)
    layers = noisy_module(module, ("1", "2"), (1.0, 1.0), X)
    noise = torch.zeros(4, 3, dtype=torch.float64)
    clean = layers.clean(layers.first_clean(X), noise, 2)
    assert (layers.slopes(clean, noise) == 0).all()


def test_nothing_is_left_on_the_module(cnn):
    before = {name: value.clone() for name, value in cnn.state_dict().items()}
    state = torch.random.get_rng_state()
    layers = noisy_module(cnn, ("1", "4", "7"), (0.3, 0.3, 0.3), images())
    layers.sample_from(layers.first_clean(images()), torch.Generator())
    assert not any(part._forward_hooks for part in cnn.modules())
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in cnn.state_dict().items():
        assert torch.equal(value, before[name])


class Skips(nn.Module):
    """A connection around some layer."""

    def __init__(self, around):
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)
        self.three = nn.Linear(3, 3)
        self.around = around

    def forward(self, x):
        one = self.one(x).tanh()
        two = self.two(one).tanh() + (one if self.around == "two" else 0)
        return self.three(two + (x if self.around == "one" else 0))


def test_only_ways_around_the_first_layer_are_refused():
    X = torch.randn(5, 3, dtype=torch.float64)
    names, stds = ("one", "two", "three"), (0.2, 0.2, 0.2)
    layers = noisy_module(double(Skips("two")), names, stds, X)
    assert layers.layer_sizes == (3, 3, 3)
    with pytest.raises(NotLayeredError, match="reaches 'three' on other ways"):
        noisy_module(double(Skips("one")), names, stds, X)


class InSinglePrecision(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)
        self.table = torch.ones(3, 3)

    def forward(self, x):
        return self.two(self.one(x) @ self.table)


@pytest.mark.parametrize(
    ("module", "options", "reason"),
    [
        (Skips(None), {"noise": "probe"}, "one layer only"),
        (Skips(None), {"n_components": 2, "reference": torch.ones(4, 3)}, "reduced"),
        (Skips(None), {"noise_std": [0.1, 0.0]}, "no noise"),
        (InSinglePrecision(), {}, "does not run in float64"),
    ],
)
def test_a_snapshot_says_why_it_is_not_run(module, options, reason):
    options = {"noise_std": 0.1, **options}
    recorder = TorchRecorder(module, ["one", "two"], **options)
    recorder.record(0)
    found = recorder.at(0).noisy_layers(torch.ones(4, 3), 2)
    assert isinstance(found, str)
    assert reason in found
