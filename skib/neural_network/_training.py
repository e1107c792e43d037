"""One epoch of training after another: batches, noise, steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from skib.neural_network._stack import Batch, NetworkStack

__all__ = ["NOISE_KINDS", "NoiseSource", "Trainer"]


def _additive(normal: Tensor, std: Tensor) -> Tensor:
    return normal.mul_(std)


def _gaussian_dropout(normal: Tensor, std: Tensor) -> Tensor:
    return normal.mul_(std).add_(1)


def _dropout(uniform: Tensor, std: Tensor) -> Tensor:
    """Factors 0 and 1 / keep of mean 1; their variance is (1 - keep) / keep."""
    keep = 1 / (1 + std**2)
    return uniform.lt_(keep).div_(keep)


# What is drawn, and how it becomes noise, in place.
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
        per_unit = np.repeat(np.asarray(noise_std, dtype=float), layer_sizes)
        self._std = torch.tensor(per_unit, dtype=dtype, device=device)[:, None]
        self._generators = [
            torch.Generator(device=device).manual_seed(seed) for seed in seeds
        ]
        self._buffers: dict[int, tuple] = {}

    def draw(self, n_samples: int) -> Sequence[Tensor] | None:
        """Return one tensor (n_networks, n_units, n_samples) per layer, or None.

        The next draw for as many samples writes to the same memory.
        """
        if self._is_silent:
            return None
        noise, networks, layers = self._buffer(n_samples)
        for own, generator in zip(networks, self._generators, strict=True):
            self._draw_(own, generator=generator)
        self._shape_(noise, self._std)
        return layers

    def _buffer(
        self, n_samples: int
    ) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]:
        """Memory for this batch size, whole, by network and by layer."""
        if n_samples not in self._buffers:
            shape = len(self._generators), sum(self._layer_sizes), n_samples
            noise = self._std.new_empty(shape)
            layers = noise.split(self._layer_sizes, dim=1)
            self._buffers[n_samples] = noise, noise.unbind(), layers
        return self._buffers[n_samples]


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
        # All that belongs to a sample side by side: one call gathers a batch.
        columns = [inputs, inputs.new_ones(len(inputs), 1), targets]
        self.widths = [inputs.shape[1] + 1, targets.shape[1]]
        if weights is not None:
            columns.append(weights[:, None])
            self.widths.append(1)
        self.samples = torch.cat(columns, dim=1)
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
        return torch.from_numpy(np.stack(rows)).to(self.samples.device)

    def _batches(self, order: Tensor) -> Iterator[Batch]:
        for rows in order.split(self.batch_size, dim=1):
            yield self._gather(rows, self.noise.draw(rows.shape[1]))

    def _gather(self, rows: Tensor, noise: Sequence[Tensor] | None = None) -> Batch:
        """Return the samples of these rows, of shape (n_networks, n_samples)."""
        samples = self.samples.index_select(0, rows.flatten())
        parts = samples.view(*rows.shape, -1).split_with_sizes(self.widths, dim=-1)
        inputs, targets, *weights = [part.mT for part in parts]
        own_weights = weights[0] if weights else None
        return Batch(inputs, targets.contiguous(), own_weights, noise)
