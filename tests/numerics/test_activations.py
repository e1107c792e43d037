"""Activations against PyTorch's, their derivatives against automatic ones."""

import pytest
import torch
from torch.nn import functional

from skib._numerics.activations import ACTIVATIONS

PYTORCHS = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
}
POINTS = torch.cat([torch.linspace(-60, 60, 501), torch.linspace(-3, 3, 500)]).double()


def test_every_activation_has_a_twin():
    assert PYTORCHS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", PYTORCHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_derivatives_are_those_of_pytorch(name, dtype):
    x = POINTS.to(dtype).requires_grad_()
    expected = PYTORCHS[name](x)
    (slope,) = torch.autograd.grad(expected.sum(), x)

    activation, scores = ACTIVATIONS[name], x.detach().clone()
    values = activation.apply_(scores)
    accuracy = {"rtol": 0, "atol": 4 * torch.finfo(dtype).eps}
    torch.testing.assert_close(values / 60, expected.detach() / 60, **accuracy)
    kept = scores if activation.needs_scores else values
    found = activation.pull_back_(torch.full_like(kept, 2.0), kept)
    torch.testing.assert_close(found / 2, slope, **accuracy)
