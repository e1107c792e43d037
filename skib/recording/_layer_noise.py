"""Noise on layers of torch modules while they are trained: written in, or hooked on."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from skib._validation import check_layer_noise
from skib.recording._module_runs import main_output, with_main_output

__all__ = ["GaussianNoise", "noise_hooks", "noise_of_layers"]


class GaussianNoise(nn.Module):
    """Adds Gaussian noise in training mode, and nothing in evaluation mode.

    A `TorchRecorder` that is given the names of such modules as its layers takes their
    noise for the network's, and adds it itself where it samples.

    Parameters
    ----------
    std : float
        Standard deviation, in activation units, >= 0.

    Examples
    --------
    >>> import torch
    >>> from skib.recording import GaussianNoise
    >>> noise = GaussianNoise(0.1)
    >>> noise.eval()(torch.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        is_number = isinstance(std, Real) and not isinstance(std, bool)
        if not is_number or not 0 <= std < float("inf"):
            raise ValueError(f"std must be a finite number >= 0. Got std={std!r}.")
        self.std = float(std)

    def forward(self, values: Tensor) -> Tensor:
        """Return the values, with fresh noise while training.

        Parameters
        ----------
        values : Tensor of any shape

        Returns
        -------
        noisy : Tensor of the same shape
        """
        if not self.training or self.std == 0:
            return values
        return values + self.std * torch.randn_like(values)

    def extra_repr(self) -> Any:
        """Return what ``repr`` says of the module.

        Returns
        -------
        text : str
        """
        return f"std={self.std:g}"


def noise_of_layers(
    layers: Sequence[nn.Module], noise_std: Any, *, zero_allowed: bool
) -> tuple[float, ...]:
    """Return the noise of each layer, that of `GaussianNoise` layers if it is None."""
    if noise_std is None:
        noise_std = [each.std for each in layers if isinstance(each, GaussianNoise)]
        if len(noise_std) != len(layers):
            raise ValueError(
                "noise_std must be given where a layer is no GaussianNoise module: one "
                f"number, or one for each of the {len(layers)} layers. Got "
                "noise_std=None."
            )
    return check_layer_noise(noise_std, len(layers), zero_allowed=zero_allowed)


def noise_hooks(
    layers: Sequence[nn.Module], noise_std: Sequence[float], names: Sequence[str]
) -> list[Any]:
    """Put noise on layers in training mode, and return the handles that take it off."""
    return [
        layer.register_forward_hook(_training_hook(std, name))
        for layer, std, name in zip(layers, noise_std, names, strict=True)
        # These add theirs themselves.
        if not isinstance(layer, GaussianNoise)
    ]


def _training_hook(std: float, name: str) -> Any:
    def hook(layer: nn.Module, _inputs: Any, output: Any) -> Any:
        if not layer.training or std == 0:
            return output
        clean = main_output(output, name)
        return with_main_output(output, clean + std * torch.randn_like(clean))

    return hook
