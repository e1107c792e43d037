"""A torch module at one epoch, as a snapshot."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import torch
from sklearn.utils import check_scalar
from torch import Tensor, nn

from skib._numerics.noisy_network import NoisyNetwork
from skib._validation import (
    check_layer,
    draw_seed,
    seed_at,
    whatever_the_default_device,
)
from skib.recording._module_runs import (
    check_runs,
    find_layers,
    float_type,
    module_inputs,
    run_to,
)
from skib.recording._noisy_module import (
    NoisyModule,
    NotLayeredError,
    noisy_module,
)
from skib.recording._read_module import NotAChainError, read_network
from skib.recording._reductions import Reduction, principal_axes
from skib.recording._snapshot import NetworkSnapshot

__all__ = ["TorchSnapshot"]


@dataclass(frozen=True, eq=False)
class TorchSnapshot:
    """A torch module with its weights at one epoch, and the noise put on its layers.

    A `TorchRecorder` makes these. It holds a copy of the module, in evaluation mode.

    Attributes
    ----------
    module : Module
        The copy.
    layer_names : tuple of str
        Layers, in forward order.
    noise_std : tuple of float
        Standard deviation of the noise at each of them, in activation units.
    noise : {"all", "probe"}
        Whether noise is on all layers at once, or at the measured one only.
    reductions : tuple of Reduction
        What is measured of each layer's output.
    reference : array, Tensor or None
        Inputs that principal components are fitted to.
    batch_size : int
        Rows of one forward pass.
    device : str
        Where the module runs on inputs that are no tensors.
    network : NoisyNetwork or None
        The layers as a chain of linear maps and activations in float64, where the
        module can be read as one and noise is on all layers.
    not_read : str or None
        Why there is no ``network``.
    any_input_shape : bool
        True: inputs may be rows, images, sequences, as the module takes them.
    """

    module: nn.Module
    layer_names: tuple[str, ...]
    noise_std: tuple[float, ...]
    noise: str
    reductions: tuple[Reduction, ...]
    reference: Any
    batch_size: int
    device: str = "cpu"

    any_input_shape = True

    @property
    def network(self) -> NoisyNetwork | None:
        """The module as a noisy network, where it can be read."""
        found = self._read
        return found if isinstance(found, NoisyNetwork) else None

    @property
    def not_read(self) -> str | None:
        """Why there is no network."""
        found = self._read
        return found if isinstance(found, str) else None

    def has_noise_before(self, layer: int) -> bool:
        """Tell whether noise moves the noiseless activations of a layer.

        Parameters
        ----------
        layer : int
            From 1.

        Returns
        -------
        has_noise : bool
            False with probe noise: each input has one centre.
        """
        return self.noise == "all" and any(self.noise_std[: layer - 1])

    @whatever_the_default_device
    def noisy_layers(self, X: Any, layer: int) -> tuple[NoisyModule, Tensor] | str:
        """Take the module up to a layer as noisy layers, to be run and differentiated.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, ...)
        layer : int
            From 1.

        Returns
        -------
        layers, inputs
            In float64 on the CPU; or a str that says why there are none.
        """
        if self.noise == "probe":
            return "noise is at one layer only"
        if any(each != Reduction() for each in self.reductions[:layer]):
            return "layers are reduced"
        inputs = module_inputs(X, self._precise).cpu()
        names, stds = self.layer_names[:layer], self.noise_std[:layer]
        try:
            return noisy_module(self._precise, names, stds, inputs), inputs
        except NotLayeredError as error:
            return str(error)

    @whatever_the_default_device
    def activations(
        self,
        X: Any,
        *,
        layer: Any = -1,
        n_draws: int | None = None,
        random_state: Any = None,
    ) -> Any:
        """Noiseless activations S of one layer, after noisy earlier layers.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, ...)
            Inputs, of the shape that the module takes; a tensor may live on any device,
            and the module runs there.
        layer : int or str, default=-1
            Its place from 1, or its name; -1 is the last.
        n_draws : int or None, default=None
            Noisy passes per input. None is the noise-free pass. Where there is no noise
            before the layer, all draws are equal.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise, which is the same on every device and in every batch.

        Returns
        -------
        activations : ndarray, or Tensor on the device of X when X is one
            Of shape (n_inputs, n_units) when n_draws is None, else (n_inputs, n_draws,
            n_units).
        """
        if n_draws is None:
            return self.transform(X, layer=layer)
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
        n_draws, seed = int(n_draws), draw_seed(random_state)
        place = self._place(layer)
        inputs = self._inputs(X)
        if self.network is not None:
            # The house's own pass: the numbers of a NoisyMLPClassifier.
            network = self.network.to(_at_least_single(float_type(self.module)))
            rows = inputs.flatten(1)
            values = NetworkSnapshot(network).activations(
                rows, layer=place + 1, n_draws=n_draws, random_state=random_state
            )
            return _like(X, values)
        if not self.has_noise_before(place + 1):
            values = self._rows(inputs, place)[:, None].expand(-1, n_draws, -1)
            return _like(X, values.clone())
        return _like(X, self._noisy_rows(inputs, place, n_draws, seed))

    @whatever_the_default_device
    def transform(self, X: Any, *, layer: Any = -1) -> Any:
        """Activations of one layer of the module without noise.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, ...)
            Inputs, of the shape that the module takes.
        layer : int or str, default=-1
            Its place from 1, or its name; -1 is the last.

        Returns
        -------
        activations : ndarray, or Tensor on the device of X when X is one
            Of shape (n_inputs, n_units).
        """
        place = self._place(layer)
        return _like(X, self._rows(self._inputs(X), place))

    @cached_property
    def _read(self) -> NoisyNetwork | str:
        if self.noise == "probe":
            return "noise is at one layer only"
        if any(each != Reduction() for each in self.reductions):
            return "layers are reduced"
        try:
            return read_network(self.module, self.layer_names, self.noise_std)
        except NotAChainError as error:
            return str(error)

    @cached_property
    def _precise(self) -> nn.Module:
        return copy.deepcopy(self.module).cpu().double()

    @cached_property
    def _axes(self) -> dict[int, Tensor | None]:
        """Principal axes by place, as they are asked for."""
        return {}

    def _place(self, layer: Any) -> int:
        return check_layer(layer, len(self.layer_names), names=self.layer_names) - 1

    def _inputs(self, X: Any) -> Tensor:
        inputs = module_inputs(X, self.module)
        return inputs if isinstance(X, Tensor) else inputs.to(self.device)

    def _rows(self, inputs: Tensor, place: int) -> Tensor:
        """Return what is measured of a layer in the noise-free network."""
        module, layers = self._on(inputs.device)
        check_runs(module, inputs, layers, self.layer_names)
        parts = [
            self._flat(run_to(module, batch, layers, self.layer_names, place), place)
            for batch in inputs.split(self.batch_size)
        ]
        return self._projected(torch.cat(parts), place)

    def _noisy_rows(
        self, inputs: Tensor, place: int, n_draws: int, seed: int
    ) -> Tensor:
        """Return what is measured of a layer in noisy passes, input by input."""
        module, layers = self._on(inputs.device)
        check_runs(module, inputs, layers, self.layer_names)
        per_batch = max(1, self.batch_size // n_draws)
        found = []
        for start in range(0, len(inputs), per_batch):
            batch = inputs[start : start + per_batch]

            def noise(at: int, clean: Tensor, start: int = start) -> Tensor:
                std = self.noise_std[at]
                return _noise(clean, n_draws, seed, at, start).mul_(std)

            repeated = batch.repeat_interleave(n_draws, dim=0)
            names = self.layer_names
            output = run_to(module, repeated, layers, names, place, noise)
            rows = self._projected(self._flat(output, place), place)
            found.append(rows.reshape(len(batch), n_draws, -1))
        return torch.cat(found)

    def _on(self, device: torch.device) -> tuple[nn.Module, list[nn.Module]]:
        module = self.module.to(device)
        return module, find_layers(module, self.layer_names)

    def _flat(self, output: Tensor, place: int) -> Tensor:
        rows = self.reductions[place].rows(output, self.layer_names[place])
        return rows.to(_at_least_single(rows.dtype))

    def _projected(self, rows: Tensor, place: int) -> Tensor:
        n_components = self.reductions[place].n_components
        if n_components is None:
            return rows
        if place not in self._axes:
            inputs = module_inputs(self.reference, self.module).to(rows.device)
            module, layers = self._on(rows.device)
            parts = [
                self._flat(run_to(module, part, layers, self.layer_names, place), place)
                for part in inputs.split(self.batch_size)
            ]
            self._axes[place] = principal_axes(torch.cat(parts), n_components)
        axes = self._axes[place]
        return rows if axes is None else rows @ axes.to(rows.device)


def _noise(clean: Tensor, n_draws: int, seed: int, at: int, start: int) -> Tensor:
    """Return standard normal noise of its own for each input, in whatever batch."""
    shape = n_draws, *clean.shape[1:]
    generator = torch.Generator()
    parts = []
    for place in range(len(clean) // n_draws):
        generator.manual_seed(seed_at(seed, at, start + place))
        parts.append(torch.randn(shape, generator=generator, dtype=torch.float32))
    return torch.cat(parts).to(clean)


def _at_least_single(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _like(X: Any, values: Tensor) -> Any:
    return values.to(X.device) if isinstance(X, Tensor) else values.cpu().numpy()
