"""A torch module as noisy layers: run forward from the first, slopes by autograd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from skib._numerics.noisy_network import NoisyPass
from skib._numerics.normal_noise import normal_noise
from skib.recording._module_runs import find_layers, run_all, run_from

__all__ = ["NoisyModule", "NotLayeredError", "noisy_module"]

# Inputs whose first layer's outputs are exchanged to see what else reaches the last.
N_TRIED = 3
# Rows run forward at a time.
NUMBERS_PER_RUN = 1 << 22


class NotLayeredError(Exception):
    """The module is no chain of noisy layers; the message says why."""


@dataclass(frozen=True, eq=False)
class NoisyModule:
    """Noisy layers inside a module in float64 on the CPU, known by running it.

    The layers between them may be anything, as long as the input reaches the later ones
    through the first alone; the members are those of `NoisyLayers`.

    Attributes
    ----------
    module : Module
        In evaluation mode.
    names : tuple of str
        The layers with noise, in forward order.
    noise_std : tuple of float
        Standard deviation of the noise of each, above 0.
    shapes : tuple of torch.Size
        Of the output of each for one input.
    filler : Tensor of shape (1, ...)
        An input that the module is run with where outputs of the first layer are put
        in, whatever made them.
    """

    module: nn.Module
    names: tuple[str, ...]
    noise_std: tuple[float, ...]
    shapes: tuple[torch.Size, ...]
    filler: Tensor

    # What is between the layers is not looked at.
    is_linear = False

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Units of each layer."""
        return tuple(shape.numel() for shape in self.shapes)

    @property
    def n_products(self) -> int:
        """Multiplications of a pass of one input to the last layer."""
        with FlopCounterMode(display=False) as counter:
            self._run(self.filler, [])
        return max(1, int(counter.get_total_flops()) // 2)

    def up_to(self, layer: int) -> NoisyModule:
        """Return the layers that end with this one, counted from 1."""
        return replace(
            self,
            names=self.names[:layer],
            noise_std=self.noise_std[:layer],
            shapes=self.shapes[:layer],
        )

    def sizes_before(self, layer: int) -> tuple[int, ...]:
        """Return the widths of the layers whose noise reaches S of `layer`."""
        return self.layer_sizes[: layer - 1]

    def first_clean(self, X: Tensor) -> Tensor:
        """Return S_1 of inputs of the shape that the module takes."""
        size = max(1, NUMBERS_PER_RUN // max(X[:1].numel(), *self.layer_sizes))
        return torch.cat([self.up_to(1)._run(part, [])[0] for part in X.split(size)])

    def clean(self, first: Tensor, noise: Tensor, layer: int) -> list[Tensor]:
        """Return S_1, ..., S_layer for given noise in the layers before.

        Parameters
        ----------
        first : Tensor broadcastable to shape (..., n_units of layer 1)
        noise : Tensor of shape (..., sum of sizes_before(layer))
        layer : int

        Returns
        -------
        clean : list of `layer` Tensors of shape (..., n_units)
        """
        if layer == 1:
            return [first]
        leading = noise.shape[:-1]
        first = first.expand(*leading, first.shape[-1])
        parts = noise.reshape(-1, noise.shape[-1]).split(self.sizes_before(layer), -1)
        starts = first.reshape(-1, first.shape[-1])
        layers = self.up_to(layer)
        size = max(1, NUMBERS_PER_RUN // sum(layers.layer_sizes))
        found = [
            layers._run(self._fill(some), [some, *rest])
            for some, *rest in zip(
                starts.split(size), *(part.split(size) for part in parts), strict=True
            )
        ]
        last = [torch.cat(outputs) for outputs in zip(*found, strict=True)]
        return [first, *(values.reshape(*leading, -1) for values in last[1:])]

    def slopes(self, clean: list[Tensor], noise: Tensor) -> Tensor:
        """Return the derivative of S_layer by the noise before it, as of a network.

        Parameters
        ----------
        clean : list of Tensors of shape (n_inputs, n_units)
        noise : Tensor of shape (n_inputs, sum of sizes_before(layer))

        Returns
        -------
        slopes : Tensor of shape (n_inputs, n_units, sum of sizes_before(layer))
        """
        with torch.enable_grad():
            leaf = noise.detach().requires_grad_(True)
            last = self.clean(clean[0].detach(), leaf, len(clean))[-1]
            if not last.requires_grad:
                return noise.new_zeros(*last.shape, noise.shape[1])
            # Rows do not mix: the slopes of all of them by one pass back per unit.
            rows = [
                torch.autograd.grad(
                    last[:, unit].sum(), leaf, retain_graph=True, materialize_grads=True
                )[0]
                for unit in range(last.shape[1])
            ]
        return torch.stack(rows, dim=1)

    def sample_from(self, first: Tensor, generator: torch.Generator) -> NoisyPass:
        """Draw noisy passes from S_1 on, as of a network."""
        sizes = self.layer_sizes
        noise = [
            normal_noise(*first.shape[:-1], n, generator=generator, dtype=first.dtype)
            for n in sizes
        ]
        with torch.no_grad():
            before = torch.cat(noise[:-1], -1) if len(sizes) > 1 else noise[0][..., :0]
            return NoisyPass(self.clean(first, before, len(sizes)), noise)

    def _fill(self, rows: Tensor) -> Tensor:
        return self.filler.expand(len(rows), *self.filler.shape[1:])

    def _run(self, inputs: Tensor, given: Sequence[Tensor]) -> list[Tensor]:
        """Run to the last layer, with S_1 and the noise of the layers before given."""
        layers = find_layers(self.module, self.names)
        shaped = [
            values.reshape(-1, *shape)
            for values, shape in zip(
                given, (self.shapes[0], *self.shapes), strict=False
            )
        ]
        outputs = run_from(
            self.module, inputs, layers, self.names, shaped, self.noise_std
        )
        return [output.flatten(1) for output in outputs]


def noisy_module(
    module: nn.Module, names: Sequence[str], noise_std: Sequence[float], inputs: Any
) -> NoisyModule:
    """Take layers of a module as noisy layers.

    Parameters
    ----------
    module : Module
        In float64 on the CPU, in evaluation mode.
    names : sequence of str
    noise_std : sequence of float
    inputs : Tensor of shape (n_inputs, ...)

    Returns
    -------
    NoisyModule

    Raises
    ------
    NotLayeredError
        Where the module does not run in float64, or the input reaches a later layer on
        other ways than through the first.
    """
    if min(noise_std) <= 0:
        raise NotLayeredError("a layer has no noise")
    tried = inputs[:N_TRIED]
    layers = find_layers(module, names)
    try:
        outputs = run_all(module, tried, layers, names)
    except RuntimeError as error:
        raise NotLayeredError(f"it does not run in float64: {error}") from error
    shapes = tuple(output.shape[1:] for output in outputs)
    found = NoisyModule(module, tuple(names), tuple(noise_std), shapes, tried[:1])
    clean = [output.flatten(1) for output in outputs]
    still = clean[0].new_zeros(len(tried), sum(found.sizes_before(len(names))))
    try:
        again = found.clean(clean[0], still, len(names))
    except RuntimeError as error:
        raise NotLayeredError(f"its layers cannot be run on: {error}") from error
    for name, one, other in zip(names, clean, again, strict=True):
        if not torch.allclose(one, other, rtol=1e-6, atol=1e-9):
            raise NotLayeredError(
                f"the input reaches {name!r} on other ways than through {names[0]!r}"
            )
    return found
