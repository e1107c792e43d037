"""The activation functions, each with its way back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ACTIVATIONS", "Activation"]

LEAKY_SLOPE = 0.01
# Beyond it softplus is the identity to the last bit of float64.
SOFTPLUS_THRESHOLD = 40.0


@dataclass(frozen=True)
class Activation:
    """An activation and its derivative.

    Attributes
    ----------
    apply_ : callable
        Returns activations of pre-activations, which it may overwrite unless
        ``needs_scores``.
    pull_back_ : callable
        ``pull_back_(delta, kept)`` multiplies ``delta`` in place by the derivative at
        the activation ``kept``, or at the pre-activation where ``needs_scores``; it may
        use ``kept`` as scratch space.
    needs_scores : bool
        Whether the activation alone does not tell the derivative, as with functions
        that fall and rise.
    """

    apply_: Callable[[Tensor], Tensor]
    pull_back_: Callable[[Tensor, Tensor], Tensor]
    needs_scores: bool = False


def _pull_back_tanh(delta: Tensor, output: Tensor) -> Tensor:
    return delta.addcmul_(delta, output.square_(), value=-1)


def _pull_back_logistic(delta: Tensor, output: Tensor) -> Tensor:
    return delta.mul_(output.addcmul_(output, output, value=-1))


def _pull_back_relu(delta: Tensor, output: Tensor) -> Tensor:
    return delta.mul_(output.sign_())


def _apply_leaky_relu(values: Tensor) -> Tensor:
    return functional.leaky_relu_(values, LEAKY_SLOPE)


def _pull_back_leaky_relu(delta: Tensor, output: Tensor) -> Tensor:
    return delta.mul_(output.sign_().clamp_(min=LEAKY_SLOPE))


def _pull_back_elu(delta: Tensor, output: Tensor) -> Tensor:
    return delta.mul_(output.clamp_(max=0).add_(1))


def _apply_softplus(scores: Tensor) -> Tensor:
    return functional.softplus(scores, threshold=SOFTPLUS_THRESHOLD)


def _pull_back_softplus(delta: Tensor, output: Tensor) -> Tensor:
    return delta.mul_(output.neg_().expm1_().neg_())


def _pull_back_gelu(delta: Tensor, scores: Tensor) -> Tensor:
    density = torch.exp(-scores.square() / 2) / math.sqrt(2 * math.pi)
    return delta.mul_(torch.special.ndtr(scores).addcmul_(scores, density))


def _pull_back_silu(delta: Tensor, scores: Tensor) -> Tensor:
    rise = torch.sigmoid(scores)
    return delta.mul_(scores.mul_(1 - rise).add_(1).mul_(rise))


ACTIVATIONS = {
    "identity": Activation(lambda values: values, lambda delta, output: delta),
    "tanh": Activation(torch.tanh_, _pull_back_tanh),
    "logistic": Activation(torch.sigmoid_, _pull_back_logistic),
    "relu": Activation(torch.relu_, _pull_back_relu),
    "leaky_relu": Activation(_apply_leaky_relu, _pull_back_leaky_relu),
    "elu": Activation(functional.elu_, _pull_back_elu),
    "softplus": Activation(_apply_softplus, _pull_back_softplus),
    "gelu": Activation(functional.gelu, _pull_back_gelu, needs_scores=True),
    "silu": Activation(functional.silu, _pull_back_silu, needs_scores=True),
}
