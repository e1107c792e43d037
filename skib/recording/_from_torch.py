"""Chains of torch's linear layers as arrays, the way scikit-learn has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from skib._validation import as_numpy
from skib.recording._module_runs import bare_module

__all__ = ["FromTorch"]


class FromTorch:
    """What makes a recording of checkpoints of a chain of linear layers."""

    @classmethod
    def from_torch(
        cls,
        modules_or_state_dicts: Sequence[Any],
        epochs: Any,
        *,
        activation: Any,
        noise_std: Any,
        **options: Any,
    ) -> Any:
        """Make a recording of checkpoints of a chain of torch's Linear layers.

        Their weights are transposed here, so that nobody does it by hand. Of modules
        that are more than such a chain, `TorchRecorder` makes a recording.

        Parameters
        ----------
        modules_or_state_dicts : sequence of Modules or dicts
            One per epoch, with a ``weight`` for each layer, in forward order, and a
            ``bias`` where it has one.
        epochs : array-like of int of shape (n_epochs,)
            Epoch of each, all different.
        activation : str or sequence of str
            Activation function of the hidden layers, one or one for each, which a state
            does not tell.
        noise_std : float or sequence of float
            Standard deviation of the noise after each hidden layer.
        **options
            Others of :meth:`from_weights`, such as ``output``, without which every
            layer is a hidden one.

        Returns
        -------
        recording : Recording

        Examples
        --------
        >>> import torch
        >>> from skib.recording import Recording
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
        >>> Recording.from_torch([net], [0], activation="tanh", noise_std=0.1)
        Recording(1 epochs from 0 to 0, layer_sizes=(2,), activation='tanh', \
noise_std=(0.1,))
        """
        if isinstance(modules_or_state_dicts, (Mapping, nn.Module)):
            raise TypeError(
                "modules_or_state_dicts must be a list of modules or state dicts, one "
                f"per epoch. Got one {type(modules_or_state_dicts).__name__}; put it "
                "into a list."
            )
        layers = [_linear_layers(each) for each in modules_or_state_dicts]
        return cls.from_weights(  # type: ignore[attr-defined]
            epochs,
            [[coef for coef, _ in each] for each in layers],
            [[intercept for _, intercept in each] for each in layers],
            activation=activation,
            noise_std=noise_std,
            **options,
        )


def _linear_layers(source: Any) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Return coefs (n_in, n_out) and intercepts of a state, in its order."""
    state = source
    if not isinstance(source, Mapping):
        state = bare_module(source).state_dict()
    layers: list[tuple[np.ndarray, np.ndarray | None]] = []
    for name, tensor in state.items():
        kind = name.rpartition(".")[2]
        is_bias = kind == "bias" and f"{name[: -len('bias')]}weight" in state
        is_weight = kind == "weight" and isinstance(tensor, Tensor) and tensor.ndim == 2
        if is_weight:
            bias = state.get(f"{name[: -len('weight')]}bias")
            intercept = None if bias is None else np.array(as_numpy(bias))
            layers.append((np.array(as_numpy(tensor)).T, intercept))
        elif not is_bias:
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else tensor
            raise ValueError(
                "Every state must hold Linear layers only, weights of shape (n_out, "
                f"n_in) and biases. Got {name!r} of shape {shape}; record the module "
                "with TorchRecorder, which runs it."
            )
    return layers
