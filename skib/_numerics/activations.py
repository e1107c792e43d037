"""The activation functions, each with its way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ACTIVATIONS", "Activation"]

LEAKY_SLOPE = 0.01


@dataclass(frozen=True)
class Activation:
    """An activation and its derivative, the latter as a function of the output.

    Attributes
    ----------
    apply_ : callable
        Replaces pre-activations by activations, in place, and returns them.
    pull_back_ : callable
        ``pull_back_(delta, output)`` multiplies ``delta`` in place by the
        derivative at ``output``; it may use ``output`` as scratch space.
    """

    apply_: Callable[[Tensor], Tensor]
    pull_back_: Callable[[Tensor, Tensor], Tensor]


def _pull_back_tanh(delta: Tensor, output: Tensor) -> Tensor:
    return delta.addcmul_(delta, output.square_(), value=-1)


def _pull_back_logistic(delta: Tensor, output: Tensor) -> Tensor:
    return delta.mul_(output.addcmul_(output, output, value=-1))


def _pull_back_relu(delta: Tensor, output: Tensor) -> Tensor:
    return delta.mul_(output.sign_())


def _apply_leaky_relu(values: Tensor) -> Tensor:
    return torch.nn.functional.leaky_relu_(values, LEAKY_SLOPE)


def _pull_back_leaky_relu(delta: Tensor, output: Tensor) -> Tensor:
    return delta.mul_(torch.where(output > 0, 1.0, LEAKY_SLOPE).to(delta.dtype))


ACTIVATIONS = {
    "identity": Activation(lambda values: values, lambda delta, output: delta),
    "tanh": Activation(torch.tanh_, _pull_back_tanh),
    "logistic": Activation(torch.sigmoid_, _pull_back_logistic),
    "relu": Activation(torch.relu_, _pull_back_relu),
    "leaky_relu": Activation(_apply_leaky_relu, _pull_back_leaky_relu),
}
