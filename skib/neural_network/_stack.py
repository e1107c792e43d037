"""Networks of one shape side by side: their weights, and the gradient of the loss.

Tiny networks spend their time in the overhead of calls, so the passes are written
by hand, several networks (seeds) share every call, and arrays are stored with the
batch along the last axis, which keeps all elementwise work contiguous. The column
of intercepts belongs to the weights and meets a row of ones in the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from skib._numerics.activations import ACTIVATIONS
from skib._validation import as_tensor

__all__ = ["Batch", "NetworkStack"]


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes
    ----------
    inputs : Tensor of shape (n_networks, n_features + 1, n_samples)
        The last row is one.
    targets : Tensor of shape (n_networks, n_outputs, n_samples)
        One-hot labels, or the values to regress on.
    weights : Tensor of shape (n_networks, 1, n_samples) or None
        Sample weights.
    noise : sequence of Tensors of shape (n_networks, n_units, n_samples), or None
        One per hidden layer.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None
    noise: Sequence[Tensor] | None = None

    @property
    def n_samples(self) -> int:
        """Number of samples of each network."""
        return self.inputs.shape[-1]


class NetworkStack:
    """Weights and gradients of ``n_networks`` networks as views of flat vectors.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units from the inputs to the outputs.
    n_networks : int
        How many networks lie side by side.
    activations : sequence of str
        A key of ``ACTIVATIONS`` for each hidden layer.
    output : {"softmax", "logistic", "identity"}
        What the output layer applies. Its loss is the cross-entropy of the classes, or
        of each label, or half the mean squared error.
    noise_is_factor : bool
        Whether noise multiplies the activations instead of adding to them.
    alpha : float
        Strength of the L2 penalty on the weights, divided by the batch's weight.
    dtype, device : torch.dtype, torch.device
        Where the weights live.

    Attributes
    ----------
    flat, gradient : Tensors of shape (n_parameters,)
        All weights, layer by layer, and the gradient of the last batch.
    weights, weight_gradients : lists of Tensors (n_networks, n_out, n_in + 1)
        Views of the two, one per layer; the last column holds the intercepts.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        n_networks: int,
        *,
        activations: Sequence[str],
        output: str,
        noise_is_factor: bool,
        alpha: float,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shapes = [
            (n_networks, n_out, n_in + 1) for n_in, n_out in pairwise(layer_sizes)
        ]
        n_parameters = sum(int(np.prod(shape)) for shape in shapes)
        self.n_networks = n_networks
        self.layer_sizes = tuple(layer_sizes)
        self.flat = torch.zeros(n_parameters, dtype=dtype, device=device)
        self.gradient = torch.zeros_like(self.flat)
        self.weights = _views(self.flat, shapes)
        self.weight_gradients = _views(self.gradient, shapes)
        self._transposed = [weight[..., :-1].mT for weight in self.weights]
        self._activations = [ACTIVATIONS[name] for name in activations]
        self._loss_and_delta = LOSSES[output]
        self._combine = torch.mul if noise_is_factor else torch.add
        self._noise_is_factor = noise_is_factor
        self._penalty = self._make_penalty(alpha) if alpha > 0 else None
        self._noisy: dict[int, list[tuple[Tensor, Tensor]]] = {}

    def load(
        self,
        network: int,
        coefs: Sequence[np.ndarray],
        intercepts: Sequence[np.ndarray],
    ) -> None:
        """Copy arrays of shape (n_in, n_out) and (n_out,) per layer into the stack."""
        for weight, coef, intercept in zip(
            self.weights, coefs, intercepts, strict=True
        ):
            weight[network, :, :-1] = as_tensor(coef.T)
            weight[network, :, -1] = as_tensor(intercept)

    def unload(self, network: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Copy one network out: coefs (n_in, n_out) and intercepts (n_out,)."""
        layers = [weight[network].cpu().numpy() for weight in self.weights]
        coefs = [np.array(layer[:, :-1].T, order="C") for layer in layers]
        return coefs, [layer[:, -1].copy() for layer in layers]

    def compute_gradient(self, batch: Batch) -> Tensor:
        """Fill ``gradient`` for one batch; return the loss of each network."""
        kept, noisy = self._forward(batch)
        scores = torch.bmm(self.weights[-1], noisy[-1])
        loss, delta = self._loss_and_delta(scores, batch.targets, batch.weights)
        total = _total_weight(batch)
        self._backward(delta.div_(total), kept, noisy, batch.noise)
        loss = loss / _per_network(total, -1)
        if self._penalty is None:
            return loss
        return loss + self._add_penalty(self._penalty / _per_network(total, -1, 1))

    def orthonormalize_(self, rate: float) -> None:
        """Move every layer but the last towards orthonormal rows or columns.

        ``A <- A - rate * (A A^T A - A)``, with A the weights without intercepts.
        """
        for weight in self.weights[:-1]:
            A = weight[..., :-1]
            n_out, n_in = A.shape[1:]
            # (A A^T) A = A (A^T A): form the smaller product.
            cubed = A.bmm(A.mT).bmm(A) if n_out <= n_in else A.bmm(A.mT.bmm(A))
            A.mul_(1 + rate).sub_(cubed, alpha=rate)

    def _forward(self, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Return what derivatives are made of, and the inputs of every layer."""
        kept, noisy = [], [batch.inputs]
        buffers = self._noisy_buffers(batch.n_samples)
        for layer, (buffer, units) in enumerate(buffers):
            scores = torch.bmm(self.weights[layer], noisy[-1])
            activation = self._activations[layer]
            clean = activation.apply_(scores)
            kept.append(scores if activation.needs_scores else clean)
            if batch.noise is None:
                units.copy_(clean)
            else:
                self._combine(clean, batch.noise[layer], out=units)
            noisy.append(buffer)
        return kept, noisy

    def _backward(
        self,
        delta: Tensor,
        kept: list[Tensor],
        noisy: list[Tensor],
        noise: Sequence[Tensor] | None,
    ) -> None:
        """Propagate the derivative of the loss by the scores; ``kept`` is used up."""
        for layer in range(len(self.weights) - 1, -1, -1):
            torch.bmm(delta, noisy[layer].mT, out=self.weight_gradients[layer])
            if layer == 0:
                return
            delta = torch.bmm(self._transposed[layer], delta)
            if noise is not None and self._noise_is_factor:
                delta.mul_(noise[layer - 1])
            activation = self._activations[layer - 1]
            delta = activation.pull_back_(delta, kept[layer - 1])

    def _noisy_buffers(self, n_samples: int) -> list[tuple[Tensor, Tensor]]:
        """Per hidden layer, for this batch size: units above a row of ones, units."""
        if n_samples not in self._noisy:
            buffers = [
                self.flat.new_ones(self.n_networks, n_units + 1, n_samples)
                for n_units in self.layer_sizes[1:-1]
            ]
            self._noisy[n_samples] = [(each, each[:, :-1]) for each in buffers]
        return self._noisy[n_samples]

    def _make_penalty(self, alpha: float) -> Tensor:
        """Row k holds alpha at the weights of network k, 0 elsewhere."""
        penalty = self.flat.new_zeros(self.n_networks, len(self.flat))
        for owner in range(self.n_networks):
            shapes = [tuple(weight.shape) for weight in self.weights]
            for layer in _views(penalty[owner], shapes):
                layer[owner, :, :-1] = alpha
        return penalty

    def _add_penalty(self, per_weight: Tensor) -> Tensor:
        """Add the L2 term to the gradient; return its value for each network."""
        self.gradient.addcmul_(per_weight.sum(0), self.flat)
        return per_weight @ self.flat.square() / 2


def _total_weight(batch: Batch) -> Tensor | int:
    """Sum of the sample weights, of shape (n_networks, 1, 1), or their number."""
    if batch.weights is None:
        return batch.n_samples
    return batch.weights.sum(-1, keepdim=True)


def _per_network(total: Tensor | int, *shape: int) -> Tensor | int:
    return total if isinstance(total, int) else total.view(shape)


def _views(flat: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    sizes = [int(np.prod(shape)) for shape in shapes]
    return [
        part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)
    ]


def _log_loss(
    scores: Tensor, targets: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy per network, and its derivative by scores."""
    log_proba = torch.log_softmax(scores, dim=-2)
    terms = log_proba * targets
    delta = log_proba.exp_().sub_(targets)
    if weights is not None:
        terms, delta = terms * weights, delta.mul_(weights)
    return -terms.sum((-2, -1)), delta


def _binary_log_loss(
    scores: Tensor, targets: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each label, summed over labels; its derivative by scores."""
    terms = binary_cross_entropy_with_logits(scores, targets, reduction="none")
    delta = torch.sigmoid(scores).sub_(targets)
    if weights is not None:
        terms, delta = terms * weights, delta.mul_(weights)
    return terms.sum((-2, -1)), delta


def _squared_error(
    scores: Tensor, targets: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Half the squared error, averaged over outputs as MLPRegressor reports it."""
    delta = scores.sub_(targets)
    terms = delta.square()
    if weights is not None:
        terms, delta = terms * weights, delta.mul_(weights)
    return terms.sum((-2, -1)) / (2 * targets.shape[-2]), delta


# By what the output layer applies.
LOSSES = {
    "softmax": _log_loss,
    "logistic": _binary_log_loss,
    "identity": _squared_error,
}
