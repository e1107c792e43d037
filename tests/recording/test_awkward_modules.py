"""Awkward modules: what is recorded is right, or refused in one clear sentence.

Each is a module whose layer "layer" has a truth that its own code tells, or an error.
"""

import pickle
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from skib.recording import TorchRecorder

X = torch.tensor(np.random.RandomState(0).randn(6, 4), dtype=torch.float32)


class Watched(nn.Module):
    """Does something with its input, and keeps what came out of its layer."""

    def __init__(self, layer, **others):
        super().__init__()
        self.layer = layer
        for name, other in others.items():
            setattr(self, name, other)
        self.last = nn.Linear(4, 2)

    def before(self, values):
        return values

    def forward(self, values):
        output = self.layer(self.before(values))
        output = output[0] if isinstance(output, tuple) else output
        self.truth = output.detach().clone()
        return self.after(output)

    def after(self, output):
        return self.last(output)


class InPlaceAfter(Watched):
    def after(self, output):
        return self.last(output.relu_().mul_(3))


class CalledTwice(Watched):
    def after(self, output):
        return self.last(self.layer(output))


class NeverCalled(Watched):
    def forward(self, values):
        return self.last(values)


class FunctionalDropout(Watched):
    def before(self, values):
        return nn.functional.dropout(values, 0.5)


class TokensFirst(Watched):
    def forward(self, values):
        return self.last(self.layer(values.T[:, :, None]).mean(0))


class LeftBehind(Watched):
    """Keeps a tensor with its graph, which no deepcopy takes."""

    def after(self, output):
        self.kept = self.last(output)
        return self.kept


def linear():
    return nn.Linear(4, 4)


def normed():
    norm = nn.BatchNorm1d(4)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def with_buffer():
    module = linear()
    module.register_buffer("scale", torch.tensor(3.0), persistent=False)
    module.register_forward_hook(lambda layer, _, output: output * layer.scale)
    return module


def left_behind():
    module = LeftBehind(linear())
    module(X)
    return module


class Case(NamedTuple):
    make: object
    refusal: str | None = None
    layer: str = "layer"


CASES = {
    "in place": Case(lambda: Watched(nn.Sequential(linear(), nn.ReLU(inplace=True)))),
    "changed in place afterwards": Case(lambda: InPlaceAfter(linear())),
    "its input changed in place": Case(lambda: Watched(nn.Hardtanh(inplace=True))),
    "shared, called twice": Case(
        lambda: (lambda act: Watched(act, again=act))(nn.Tanh()),
        layer="again",
    ),
    "shared weights": Case(lambda: tied()),
    "nested": Case(
        lambda: Watched(nn.Sequential(nn.Sequential(linear(), nn.Tanh()))),
        layer="layer.0.1",
    ),
    "called twice": Case(lambda: CalledTwice(linear()), "2 calls; give each call"),
    "never called": Case(lambda: NeverCalled(linear()), "but none calls it"),
    "a tuple": Case(lambda: Watched(nn.LSTM(4, 4))),
    "a dict": Case(lambda: Dicts(), "tensor of floats.*Got dict"),
    "whole numbers": Case(lambda: Whole(), r"tensor of floats.*Got torch\.int64"),
    "batch normalisation": Case(lambda: Watched(normed()).train()),
    "batch statistics": Case(
        lambda: Watched(nn.BatchNorm1d(4, track_running_stats=False)),
        "treat each input alone.*running statistics",
    ),
    "dropout": Case(lambda: Watched(nn.Sequential(linear(), nn.Dropout(0.5)))),
    "dropout that never ends": Case(
        lambda: FunctionalDropout(linear()), "must not be random"
    ),
    "tokens first": Case(
        lambda: TokensFirst(nn.Linear(1, 4)), "one row per input, whatever the batch"
    ),
    "compiled": Case(lambda: torch.compile(Watched(linear()))),
    "compiled, by its own name": Case(
        lambda: torch.compile(Watched(linear())), layer="_orig_mod.layer"
    ),
    "data parallel": Case(lambda: nn.DataParallel(Watched(linear()))),
    "data parallel, by its own name": Case(
        lambda: nn.DataParallel(Watched(linear())), layer="module.layer"
    ),
    "scripted": Case(
        lambda: torch.jit.trace(linear(), X), "must run as Python code", layer=""
    ),
    "bfloat16": Case(lambda: Watched(linear()).bfloat16()),
    "float64": Case(lambda: Watched(linear()).double()),
    "a buffer that is not saved": Case(lambda: Watched(with_buffer())),
    "parametrised": Case(lambda: Watched(parametrizations.spectral_norm(linear()))),
    "weight norm": Case(lambda: Watched(parametrizations.weight_norm(linear()))),
    "a graph left behind": Case(left_behind),
}


class Dicts(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Inner()

    def forward(self, values):
        return self.layer(values)["values"]


class Inner(nn.Linear):
    def __init__(self):
        super().__init__(4, 4)

    def forward(self, values):
        return {"values": super().forward(values)}


class Whole(Dicts):
    def __init__(self):
        super().__init__()
        self.layer = Argmax()

    def forward(self, values):
        return self.layer(values)


class Argmax(nn.Linear):
    def __init__(self):
        super().__init__(4, 4)

    def forward(self, values):
        return super().forward(values).argmax(1)


def tied():
    module = Watched(linear())
    module.last = linear()
    module.last.weight = module.layer.weight
    return module


def recorded(module, layer, **options):
    recorder = TorchRecorder(module, [layer], noise_std=0.1, **options)
    recorder.record(0)
    return recorder


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", CASES)
def test_what_is_recorded_is_right_or_refused(kind):
    torch.manual_seed(0)
    case = CASES[kind]
    module = case.make()
    if case.refusal is not None:
        with pytest.raises((ValueError, TypeError), match=case.refusal):
            recorded(module, case.layer).transform(X, epoch=0)
        return
    recorder = recorded(module, case.layer)
    inside = recorder._module
    # Later changes of the module must not reach what is recorded.
    expected = truth_of(inside)
    with torch.no_grad():
        for parameter in inside.parameters():
            parameter.add_(1)
    found = recorder.transform(X, epoch=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    snapshot = recorder.at(0)
    np.testing.assert_allclose(snapshot.transform(X[:2]), found[:2], atol=1e-6)
    # Local functions on their modules: joblib's workers take them, plain pickle not.
    if kind not in ("a buffer that is not saved", "weight norm"):
        again = pickle.loads(pickle.dumps(snapshot)).transform(X)
        np.testing.assert_array_equal(again, found)


def truth_of(module):
    was_training = module.training
    with torch.no_grad():
        module.eval()(X.to(next(module.parameters()).dtype))
    module.train(was_training)
    return module.truth.float() if module.truth.dtype.itemsize == 2 else module.truth


@pytest.mark.parametrize("kind", ["in place", "nested", "a tuple", "parametrised"])
def test_noise_on_an_awkward_layer_reaches_the_next(kind):
    """The last layer is linear in it: its spread follows from the weights."""
    torch.manual_seed(0)
    case = CASES[kind]
    module = case.make()
    recorder = TorchRecorder(module, [case.layer, "last"], noise_std=0.5)
    recorder.record(0)
    drawn = recorder.activations(X, epoch=0, n_draws=4000, random_state=0)
    weight = module.last.weight.detach().numpy()
    for row in drawn:
        covariance = np.cov(row.T)
        expected = 0.25 * weight @ weight.T
        np.testing.assert_allclose(covariance, expected, atol=0.1 * expected.max())


def test_layers_in_another_order_are_refused():
    recorder = TorchRecorder(Watched(linear()), ["last", "layer"], noise_std=0.1)
    recorder.record(0)
    with pytest.raises(
        ValueError, match=r"forward order: layer, last\. Got last, layer"
    ):
        recorder.transform(X, epoch=0)
