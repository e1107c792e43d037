"""A noisy feed-forward network: one value, and the one place where it is run forward.

``T_0 = x``, ``S_l = activation_l(T_(l-1) W_l + b_l)``, ``T_l = S_l + std_l Z_l`` with
standard normal Z_l. Noise is written in units of its standard deviation throughout, so
that its law is N(0, identity).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from skib._numerics.activations import ACTIVATIONS, Activation
from skib._numerics.normal_noise import normal_noise
from skib._numerics.threads import threads_for

__all__ = [
    "LOG_OUTPUTS",
    "OUTPUTS",
    "NoisyLayers",
    "NoisyNetwork",
    "NoisyPass",
    "OutputLayer",
    "sample_activations",
]

# Floats of one block's widest layer: 1 MiB of float32 stays in a core's cache.
BLOCK_SIZE = 2**18

OUTPUTS = {
    "identity": lambda scores: scores,
    "softmax": lambda scores: torch.softmax(scores, dim=-1),
    "logistic": lambda scores: torch.sigmoid(_sides(scores)),
}

LOG_OUTPUTS = {
    "softmax": lambda scores: torch.log_softmax(scores, dim=-1),
    "logistic": lambda scores: torch.nn.functional.logsigmoid(_sides(scores)),
}


def _sides(scores: Tensor) -> Tensor:
    """Scores against and for a lone logistic output: it tells two classes apart."""
    return torch.cat([-scores, scores], -1) if scores.shape[-1] == 1 else scores


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


class NoisyLayers(Protocol):
    """What estimators need of noisy layers, whatever they are made of.

    Noise is on all of them, and only what the first puts out depends on the input. The
    methods are those of `NoisyNetwork`.

    Attributes
    ----------
    noise_std : tuple of float
        Standard deviation of the noise after each layer.
    layer_sizes : tuple of int
        Units of each layer.
    n_products : int
        Multiplications of a pass.
    is_linear : bool
        Whether the last layer's output is Gaussian, given the input.
    """

    @property
    def noise_std(self) -> tuple[float, ...]: ...
    @property
    def layer_sizes(self) -> tuple[int, ...]: ...
    @property
    def n_products(self) -> int: ...
    @property
    def is_linear(self) -> bool: ...
    def up_to(self, layer: int) -> NoisyLayers: ...
    def sizes_before(self, layer: int) -> tuple[int, ...]: ...
    def first_clean(self, X: Tensor) -> Tensor: ...
    def clean(self, first: Tensor, noise: Tensor, layer: int) -> list[Tensor]: ...
    def slopes(self, clean: list[Tensor], noise: Tensor) -> Tensor: ...
    def sample_from(self, first: Tensor, generator: torch.Generator) -> NoisyPass: ...


@dataclass(frozen=True, eq=False)
class NoisyNetwork:
    """Hidden layers with noise after each, all of one float type on one device.

    Attributes
    ----------
    coefs : tuple of Tensors of shape (n_in, n_out)
    intercepts : tuple of Tensors of shape (n_out,) or None
        None where a layer has no bias.
    activations : tuple of str
        A key of ``ACTIVATIONS`` for each layer.
    noise_std : tuple of float
        Standard deviation of the noise after each layer, >= 0.
    """

    coefs: tuple[Tensor, ...]
    intercepts: tuple[Tensor | None, ...]
    activations: tuple[str, ...]
    noise_std: tuple[float, ...]

    @property
    def n_layers(self) -> int:
        """Number of hidden layers."""
        return len(self.coefs)

    @property
    def n_features_in(self) -> int:
        """Number of inputs."""
        return self.coefs[0].shape[0]

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Units of each layer."""
        return tuple(coef.shape[1] for coef in self.coefs)

    @property
    def n_products(self) -> int:
        """Multiplications from the first layer's output to the last layer's."""
        return sum(coef.numel() for coef in self.coefs[1:])

    @property
    def is_linear(self) -> bool:
        """Whether noise stays Gaussian on its way: none comes before layer 1."""
        return set(self.activations[1:]) <= {"identity"}

    def up_to(self, layer: int) -> NoisyNetwork:
        """Return the network that ends with this layer, counted from 1."""
        return NoisyNetwork(
            self.coefs[:layer],
            self.intercepts[:layer],
            self.activations[:layer],
            self.noise_std[:layer],
        )

    def silent(self) -> NoisyNetwork:
        """Return the same network without noise."""
        return replace(self, noise_std=(0.0,) * self.n_layers)

    def to(self, where: torch.device | torch.dtype) -> NoisyNetwork:
        """Return the same network on another device, or in another float type."""
        return replace(
            self,
            coefs=tuple(coef.to(where) for coef in self.coefs),
            intercepts=tuple(b if b is None else b.to(where) for b in self.intercepts),
        )

    def sizes_before(self, layer: int) -> tuple[int, ...]:
        """Return the widths of the layers whose noise reaches S of `layer`."""
        return self.layer_sizes[: layer - 1]

    def step(self, values: Tensor, at: int) -> Tensor:
        """Return S_(at+1) from T_at, of shape (..., n_units)."""
        return self._activation(at).apply_(self._scores(values, at))

    def first_clean(self, X: Tensor) -> Tensor:
        """Return S_1, which no noise reaches: shape (n_inputs, n_units)."""
        return self.step(X, 0)

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
            noisy = outputs[-1] + self.noise_std[k] * part
            outputs.append(self.step(noisy, k + 1))
        return outputs

    def slopes(self, clean: list[Tensor], noise: Tensor) -> Tensor:
        """Return the derivative of the last of `clean` by the noise before it.

        Parameters
        ----------
        clean : list of Tensors of shape (n_inputs, n_units)
            S_1, ..., S_layer, as `clean` returned them; layer >= 2.
        noise : Tensor of shape (n_inputs, sum of sizes_before(layer))
            The noise they were made with.

        Returns
        -------
        slopes : Tensor of shape (n_inputs, n_units, sum of sizes_before(layer))
        """
        blocks: list[Tensor] = []
        last = len(clean) - 1
        parts = noise.split(self.sizes_before(last + 1), dim=-1)
        # d S_layer / d pre-activations
        back = torch.diag_embed(self._derivative(clean, parts, last))
        for k in reversed(range(last)):
            back = back @ self.coefs[k + 1].T  # d S_layer / d T_k
            blocks.insert(0, self.noise_std[k] * back)
            if k > 0:  # no noise comes before the first layer
                back = back * self._derivative(clean, parts, k)[:, None]
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
                normal_noise(*clean[k].shape, generator=generator, dtype=first.dtype)
            )
            if k + 1 < self.n_layers:
                noisy = clean[k] + self.noise_std[k] * noise[k]
                clean.append(self.step(noisy, k + 1))
        return NoisyPass(clean, noise)

    def _activation(self, at: int) -> Activation:
        return ACTIVATIONS[self.activations[at]]

    def _scores(self, values: Tensor, at: int) -> Tensor:
        """Pre-activations of S_(at+1) from T_at, in memory of their own."""
        coef, intercept = self.coefs[at], self.intercepts[at]
        flat = values.reshape(-1, values.shape[-1])
        fresh = flat @ coef if intercept is None else torch.addmm(intercept, flat, coef)
        return fresh.reshape(*values.shape[:-1], fresh.shape[1])

    def _derivative(
        self, clean: list[Tensor], noise: tuple[Tensor, ...], at: int
    ) -> Tensor:
        """Return the derivative of S_(at+1) by its pre-activations, at >= 1."""
        activation = self._activation(at)
        if activation.needs_scores:
            before = clean[at - 1] + self.noise_std[at - 1] * noise[at - 1]
            kept = self._scores(before, at)
        else:
            kept = clean[at].clone()
        return activation.pull_back_(torch.ones_like(clean[at]), kept)


@dataclass(frozen=True, eq=False)
class OutputLayer:
    """What comes after the hidden layers.

    Attributes
    ----------
    coef : Tensor of shape (n_units, n_outputs)
    intercept : Tensor of shape (n_outputs,) or None
    function : str
        A key of ``OUTPUTS``.
    """

    coef: Tensor
    intercept: Tensor | None
    function: str

    @property
    def is_multilabel(self) -> bool:
        """Whether each output is the probability of a label of its own."""
        return self.function == "logistic" and self.coef.shape[1] > 1

    def scores(self, hidden: Tensor) -> Tensor:
        """Return pre-activations, along the last axis, on the device of `hidden`."""
        scores = hidden @ self.coef.to(hidden.device)
        if self.intercept is None:
            return scores
        return scores + self.intercept.to(hidden.device)

    def apply(self, hidden: Tensor) -> Tensor:
        """Return the outputs: values, or probabilities of classes or labels."""
        return OUTPUTS[self.function](self.scores(hidden))

    def log_proba(self, hidden: Tensor) -> Tensor:
        """Return the logarithms of probabilities, finite where they underflow."""
        return LOG_OUTPUTS[self.function](self.scores(hidden))


def sample_activations(
    network: NoisyNetwork, X: Tensor, *, n_draws: int, seed: int
) -> Tensor:
    """Noiseless activations of the last layer, after noisy earlier layers.

    Parameters
    ----------
    network : NoisyNetwork
        On the device and in the float type of X.
    X : Tensor of shape (n_inputs, n_features)
    n_draws : int
        Noisy passes per input.
    seed : int
        Seeds the noise, which is drawn on the CPU: the same on every device.

    Returns
    -------
    activations : Tensor of shape (n_inputs, n_draws, n_units)
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = network.layer_sizes
    block = max(1, BLOCK_SIZE // (n_draws * max(sizes)))
    result = X.new_empty(len(X), n_draws, sizes[-1])
    with threads_for(block * n_draws * max(coef.numel() for coef in network.coefs)):
        for start in range(0, len(X), block):
            rows = slice(start, start + block)
            # No noise comes before the first layer: one pass serves all draws.
            values = network.step(X[rows, None], 0)
            for k in range(1, network.n_layers):
                values = _noisy(values, network.noise_std[k - 1], n_draws, generator)
                values = network.step(values, k)
            result[rows] = values
    return result


def _noisy(
    values: Tensor, std: float, n_draws: int, generator: torch.Generator
) -> Tensor:
    """Noisy copies of ``values``; one row per input becomes ``n_draws`` rows."""
    if std == 0:
        return values
    shape = len(values), n_draws, values.shape[2]
    noise = normal_noise(*shape, generator=generator, dtype=values.dtype)
    return noise.mul_(std).to(values.device).add_(values)
