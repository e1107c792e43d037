"""A noisy feed-forward network as a map from its noise to a layer, with slopes.

``T_0 = x``, ``S_l = activation(T_(l-1) W_l + b_l)``, ``T_l = S_l + std_l Z_l`` with
standard normal Z_l. Noise is written in units of its standard deviation throughout, so
that its law is N(0, identity).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skib._numerics.activations import ACTIVATIONS

__all__ = ["NoisyNetwork", "NoisyPass"]


@dataclass(frozen=True)
class NoisyPass:
    """One noisy pass of every input.

    Attributes
    ----------
    clean : list of Tensors of shape (n_inputs, n_units)
        S_l of every hidden layer.
    noise : list of Tensors of shape (n_inputs, n_units)
        Z_l of every hidden layer, of standard deviation 1.
    """

    clean: list[Tensor]
    noise: list[Tensor]


@dataclass(frozen=True)
class NoisyNetwork:
    """Weights of the hidden layers, all of one float type.

    Attributes
    ----------
    coefs : tuple of Tensors of shape (n_in, n_out)
    intercepts : tuple of Tensors of shape (n_out,)
    activation : {"identity", "tanh", "logistic", "relu", "leaky_relu"}
    noise_stds : tuple of float
        Standard deviation of the noise of each layer, > 0.
    """

    coefs: tuple[Tensor, ...]
    intercepts: tuple[Tensor, ...]
    activation: str
    noise_stds: tuple[float, ...]

    @property
    def n_layers(self) -> int:
        """Number of hidden layers."""
        return len(self.coefs)

    @property
    def is_linear(self) -> bool:
        """Whether a Gaussian stays a Gaussian on its way."""
        return self.activation == "identity"

    def sizes_before(self, layer: int) -> list[int]:
        """Return the widths of the layers whose noise reaches S of `layer`."""
        return [coef.shape[1] for coef in self.coefs[: layer - 1]]

    def first_clean(self, X: Tensor) -> Tensor:
        """Return S_1, which no noise reaches: shape (n_inputs, n_units)."""
        return self._layer(X, 0)

    def clean(self, first: Tensor, noise: Tensor, layer: int) -> list[Tensor]:
        """Return S_1, ..., S_layer for given noise in the layers before.

        Parameters
        ----------
        first : Tensor broadcastable to shape (..., n_units of layer 1)
            S_1 (`first_clean`).
        noise : Tensor of shape (..., sum of sizes_before(layer))
            Z_1, ..., Z_(layer-1) side by side.
        layer : int
            From 1.

        Returns
        -------
        clean : list of `layer` Tensors of shape (..., n_units)
        """
        outputs = [first]
        parts = noise.split(self.sizes_before(layer), dim=-1)
        for k, part in enumerate(parts):
            noisy = outputs[-1] + self.noise_stds[k] * part
            outputs.append(self._layer(noisy, k + 1))
        return outputs

    def slopes(self, clean: list[Tensor]) -> Tensor:
        """Return the derivative of the last of `clean` by the noise before it.

        Parameters
        ----------
        clean : list of Tensors of shape (n_inputs, n_units)
            S_1, ..., S_layer, as `clean` returned them; layer >= 2.

        Returns
        -------
        slopes : Tensor of shape (n_inputs, n_units, sum of sizes_before(layer))
        """
        blocks: list[Tensor] = []
        # d S_layer / d pre-activations
        back = torch.diag_embed(self._derivative(clean[-1]))
        for k in reversed(range(len(clean) - 1)):
            back = back @ self.coefs[k + 1].T  # d S_layer / d T_k
            blocks.insert(0, self.noise_stds[k] * back)
            back = back * self._derivative(clean[k])[:, None]
        return torch.cat(blocks, dim=-1)

    def sample(self, X: Tensor, generator: torch.Generator) -> NoisyPass:
        """Draw one noisy pass of every row of X."""
        return self.sample_from(self.first_clean(X), generator)

    def sample_from(self, first: Tensor, generator: torch.Generator) -> NoisyPass:
        """Draw noisy passes from S_1 on.

        Parameters
        ----------
        first : Tensor of shape (..., n_units of layer 1)
            S_1, once for each pass wanted.
        generator : torch.Generator

        Returns
        -------
        NoisyPass
            Tensors of shape (..., n_units). The noise of a layer does not depend on how
            many layers follow.
        """
        clean, noise = [first], []
        for k in range(self.n_layers):
            noise.append(
                torch.randn(clean[k].shape, generator=generator, dtype=first.dtype)
            )
            if k + 1 < self.n_layers:
                noisy = clean[k] + self.noise_stds[k] * noise[k]
                clean.append(self._layer(noisy, k + 1))
        return NoisyPass(clean, noise)

    def _layer(self, values: Tensor, k: int) -> Tensor:
        fresh = values @ self.coefs[k] + self.intercepts[k]
        return ACTIVATIONS[self.activation].apply_(fresh)

    def _derivative(self, output: Tensor) -> Tensor:
        ones, scratch = torch.ones_like(output), output.clone()
        return ACTIVATIONS[self.activation].pull_back_(ones, scratch)
