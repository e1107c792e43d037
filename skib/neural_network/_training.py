"""One epoch of training after another: batches, noise, steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from skib.neural_network._stack import Batch, NetworkStack

__all__ = ["NOISE_KINDS", "NoiseSource", "Trainer"]

# Floats of noise and inputs made ahead for each network: a few batches of a tiny
# network at a time, so that the calls are few, and one batch of a wide one.
AHEAD = 2**16


def _additive(normal: Tensor, std: Tensor) -> Tensor:
    return normal.mul_(std)


def _gaussian_dropout(normal: Tensor, std: Tensor) -> Tensor:
    return normal.mul_(std).add_(1)


def _dropout(uniform: Tensor, std: Tensor) -> Tensor:
    """Factors 0 and 1 / keep of mean 1; their variance is (1 - keep) / keep."""
    keep = 1 / (1 + std**2)
    return (uniform < keep).to(uniform.dtype).div_(keep)


# What is drawn, and how it becomes noise.
NOISE_KINDS = {
    "additive": (Tensor.normal_, _additive),
    "gaussian_dropout": (Tensor.normal_, _gaussian_dropout),
    "dropout": (Tensor.uniform_, _dropout),
}


class NoiseSource:
    """Noise of all hidden layers of every network, from one stream per network.

    Parameters
    ----------
    kind : str
        A key of ``NOISE_KINDS``.
    noise_std : sequence of float
        Standard deviation at each hidden layer.
    layer_sizes : sequence of int
        Units of each hidden layer.
    seeds : sequence of int
        One per network: its noise does not depend on who trains beside it.
    dtype, device : torch.dtype, torch.device
        Where the noise is drawn.
    """

    def __init__(
        self,
        kind: str,
        noise_std: Sequence[float],
        layer_sizes: Sequence[int],
        *,
        seeds: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._draw_, self._shape_ = NOISE_KINDS[kind]
        self._layer_sizes = list(layer_sizes)
        self._is_silent = not any(noise_std)
        self._like = torch.empty(0, dtype=dtype, device=device)
        per_unit = np.repeat(np.asarray(noise_std, dtype=float), layer_sizes)
        self._std = self._like.new_tensor(per_unit)[:, None]
        self._generators = [
            torch.Generator(device=device).manual_seed(seed) for seed in seeds
        ]

    def draw(self, n_batches: int, n_samples: int) -> list[Sequence[Tensor] | None]:
        """Return per batch one tensor (n_networks, n_units, n_samples) per layer."""
        if self._is_silent:
            return [None] * n_batches
        n_units = sum(self._layer_sizes)
        shape = (len(self._generators), n_batches, n_units, n_samples)
        noise = self._like.new_empty(shape)
        for network, generator in enumerate(self._generators):
            self._draw_(noise[network], generator=generator)
        noise = self._shape_(noise, self._std)
        return [batch.split(self._layer_sizes, dim=1) for batch in noise.unbind(1)]


class Trainer:
    """Trains a stack of networks, one epoch per call.

    Parameters
    ----------
    stack : NetworkStack
        The networks.
    optimizer : object
        Has ``step_(flat, gradient)``.
    inputs, targets : Tensors of shape (n_samples, n_features), (n_samples, n_outputs)
        Training data of all networks, on the device of the stack.
    weights : Tensor of shape (n_samples,) or None
        Sample weights.
    rows : list of int arrays of one length
        Training rows of each network.
    batch_size : int
        Samples per step.
    shuffles : sequence of RandomState or None
        Shuffles the rows of each network before each epoch; None keeps the order.
    noise : NoiseSource
        The noise of the hidden layers.
    orthonormality : float
        Rate of the orthonormal update after each step, 0 for none.
    """

    def __init__(
        self,
        stack: NetworkStack,
        optimizer,
        inputs: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        rows: Sequence[np.ndarray],
        *,
        batch_size: int,
        shuffles: Sequence[np.random.RandomState] | None,
        noise: NoiseSource,
        orthonormality: float,
    ) -> None:
        self.stack = stack
        self.optimizer = optimizer
        self.inputs = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], dim=1)
        self.targets = targets
        self.weights = weights
        self.rows = rows
        self.batch_size = batch_size
        self.shuffles = shuffles
        self.noise = noise
        self.orthonormality = orthonormality

    @torch.inference_mode()
    def run_epoch(self) -> list[float]:
        """Make one pass over the data; return the mean loss of each network."""
        total = self.stack.flat.new_zeros(self.stack.n_networks)
        for batch in self._batches(self._order()):
            loss = self.stack.compute_gradient(batch)
            total.add_(loss, alpha=batch.n_samples)
            self.optimizer.step_(self.stack.flat, self.stack.gradient)
            if self.orthonormality:
                self.stack.orthonormalize_(self.orthonormality)
        return (total / len(self.rows[0])).tolist()

    def whole_batch(self) -> Batch:
        """Return all training rows as one batch without noise."""
        return self._gather(self._order())

    def _order(self) -> Tensor:
        """Rows of this epoch, of shape (n_networks, n_samples)."""
        rows = self.rows
        if self.shuffles is not None:
            rows = [
                random.permutation(own)
                for random, own in zip(self.shuffles, rows, strict=True)
            ]
        return torch.from_numpy(np.stack(rows)).to(self.inputs.device)

    def _batches(self, order: Tensor) -> Iterator[Batch]:
        n_units = sum(self.stack.layer_sizes)
        block = self.batch_size * max(1, AHEAD // (self.batch_size * n_units))
        for rows in order.split(block, dim=1):
            several = self._gather(rows)
            starts = range(0, several.n_samples, self.batch_size)
            noise = self.noise.draw(
                len(starts), min(self.batch_size, several.n_samples)
            )
            for start, own_noise in zip(starts, noise, strict=True):
                yield several.part(start, start + self.batch_size, own_noise)

    def _gather(self, rows: Tensor) -> Batch:
        """Return the samples of these rows, without noise."""
        return Batch(
            self.inputs[rows].mT.contiguous(),
            self.targets[rows].mT.contiguous(),
            None if self.weights is None else self.weights[rows][:, None],
        )
