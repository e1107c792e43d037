"""A recorder of any torch module inside its user's own training loop."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import nn

from skib._validation import check_noise_std, check_option
from skib.recording._layer_noise import noise_hooks, noise_of_layers
from skib.recording._module_runs import bare_module, bare_names, eval_copy, find_layers
from skib.recording._module_state import (
    State,
    check_has_numbers,
    check_kept_type,
    check_same_build,
    copied_state,
    module_state,
    put_state,
    settle_parametrizations,
    state_nbytes,
)
from skib.recording._reductions import check_reductions, check_reference
from skib.recording._torch_files import read_states, write_states
from skib.recording._torch_snapshot import TorchSnapshot

__all__ = ["TorchRecorder"]


class TorchRecorder:
    """Records a torch module while its user trains it, and is a recording then.

    The module is copied; neither it nor the global random state is changed, and there
    are no hooks on it (but those of ``in_training=True``, which `close` removes). It is
    always sampled in evaluation mode: where batch statistics or dropout are active even
    then, the law of T depends on the batch, and activations are refused.

    Parameters
    ----------
    module : Module
        What is trained; inside of DataParallel and torch.compile it is found.
    layers : sequence of str
        Names as in ``module.named_modules()``, in forward order. Of a layer that puts
        out a tuple the first entry is measured.
    noise_std : float or sequence of float, default=None
        Standard deviation of the Gaussian noise at each layer, in activation units.
        None takes it from layers that are `GaussianNoise` modules.
    noise : {"all", "probe"}, default="all"
        "all": noise on every named layer's output, as in a noisy network. "probe": at
        the measured layer only; then I(X;T) is what a noisy look at this layer alone
        tells about the input, and exact up to Monte Carlo at any width.
    noise_scale : {"absolute", "relative"}, default="absolute"
        "relative": ``noise_std`` is in units of the root mean square standard deviation
        of each layer's units over ``reference``, at construction.
    reference : array-like or Tensor, default=None
        Inputs of the module; for relative noise and ``n_components``.
    reduce : {"channels", "mean", "tokens"}, int, dict or None, default=None
        What is measured of outputs that are more than rows. None flattens them.
        "channels": means over places of maps (n, channels, ...). "mean", "tokens", int:
        of sequences (n, tokens, width) the mean, all tokens, or one. A dict says it by
        layer name. The measured noise comes after; noise of earlier layers is on all of
        their output.
    n_components : int, dict or None, default=None
        Principal components of the activations over ``reference`` that are measured,
        which turn noise into noise of the same law: a lower bound of I(X;T) of what
        ``reduce`` leaves.
    in_training : bool, default=False
        Add the noise in the user's own passes too, while a layer is in training mode.
    dtype : torch.dtype or None, default=None
        Float type in which weights are kept; None is their own.
    batch_size : int, default=256
        Rows of one forward pass while sampling.
    verbose : int, default=0
        Above 0, the bytes of an epoch are printed before work starts.

    Attributes
    ----------
    epochs : ndarray of shape (n_epochs,)
        Recorded epochs, ascending.
    layer_names : tuple of str
    noise_std : tuple of float
        In activation units.
    nbytes_per_epoch : int
        Bytes that each `record` keeps.
    nbytes : int
        Bytes of all that is kept.
    provenance : dict
        What a table made of this says of its noise and reductions.

    See Also
    --------
    Recording : Of chains whose weights are arrays, or checkpoints.
    skib.information_flow : Takes a recorder as it takes a recording.

    Examples
    --------
    >>> import torch
    >>> from skib import information_flow
    >>> from skib.recording import TorchRecorder
    >>> _ = torch.manual_seed(0)
    >>> X = torch.randn(64, 3)
    >>> net = torch.nn.Sequential(
    ...     torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)
    ... )
    >>> with TorchRecorder(net, ["1", "2"], noise_std=0.5, noise="probe") as recorder:
    ...     for epoch in range(2):  # your training loop
    ...         recorder.record(epoch)
    >>> flow = information_flow(recorder, X, layers=["1"], random_state=0)
    >>> flow.layers.tolist(), flow.mutual_info.shape
    (['1'], (2, 1))
    """

    #: Of recordings of chains: the activation functions.
    activation = None

    def __init__(
        self,
        module: Any,
        layers: Sequence[str],
        *,
        noise_std: Any = None,
        noise: str = "all",
        noise_scale: str = "absolute",
        reference: Any = None,
        reduce: Any = None,
        n_components: Any = None,
        in_training: bool = False,
        dtype: torch.dtype | None = None,
        batch_size: int = 256,
        verbose: int = 0,
    ) -> None:
        check_option("noise", noise, ["all", "probe"])
        check_option("noise_scale", noise_scale, ["absolute", "relative"])
        check_scalar(batch_size, "batch_size", Integral, min_val=1)
        self._module = bare_module(module)
        check_has_numbers(self._module)
        self.layer_names = bare_names(self._module, layers)
        found = find_layers(self._module, self.layer_names)
        check_kept_type(dtype)
        self.dtype = dtype
        self.noise = noise
        self.reduce = reduce
        self.n_components = n_components
        self.batch_size = int(batch_size)
        self._reductions = check_reductions(reduce, n_components, self.layer_names)
        self._reference = check_reference(
            reference, self._reductions, is_relative=noise_scale == "relative"
        )
        self._template = eval_copy(self._module)
        self._device = str(next(iter(module_state(self._module).values())).device)
        self._states: dict[int, State] = {}
        self.noise_std = noise_of_layers(found, noise_std, zero_allowed=noise == "all")
        if noise_scale == "relative":
            self.noise_std = self._times_spread()
        self._handles = self._add_noise(found) if in_training else []
        self._is_closed = False
        if verbose > 0:
            print(f"Each recorded epoch takes {self.nbytes_per_epoch / 1e6:.3g} MB.")

    @property
    def epochs(self) -> np.ndarray:
        """Recorded epochs, ascending."""
        return np.array(sorted(self._states), dtype=np.int64)

    @property
    def n_layers(self) -> int:
        """Number of named layers."""
        return len(self.layer_names)

    @property
    def nbytes_per_epoch(self) -> int:
        """Bytes that each `record` keeps."""
        return state_nbytes(module_state(self._module), self.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(t.nbytes for state in self._states.values() for t in state.values())

    @property
    def provenance(self) -> dict[str, Any]:
        """What a table made of this says of its noise and reductions."""
        found: dict[str, Any] = {
            "module": type(self._module).__name__,
            "noise": self.noise,
        }
        if self.reduce is not None:
            found["reduce"] = self.reduce
        if self.n_components is not None:
            found["n_components"] = self.n_components
            found["bound"] = "lower: principal components are measured"
        if len(self._states):
            found["not_read_as_a_chain"] = self.at(self.epochs[0]).not_read
        return found

    def __len__(self) -> int:
        return len(self._states)

    def __getitem__(self, position: int) -> TorchSnapshot:
        """Return the snapshot at a position, from 0 for the first recorded epoch."""
        return self.at(self.epochs[position])

    def __repr__(self) -> str:
        return (
            f"TorchRecorder({type(self._module).__name__}, {len(self)} epochs, "
            f"layers={list(self.layer_names)}, noise={self.noise!r}, "
            f"noise_std={self.noise_std})"
        )

    def __enter__(self) -> TorchRecorder:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def record(self, epoch: int) -> None:
        """Keep a copy of the weights, and of what else the module's state is.

        Parameters
        ----------
        epoch : int
            Completed passes over the training data, each once.
        """
        is_int = isinstance(epoch, Integral) and not isinstance(epoch, bool)
        if not is_int or epoch < 0 or int(epoch) in self._states:
            known = "" if not self._states else f"; recorded are {sorted(self._states)}"
            raise ValueError(
                "epoch must be a whole number >= 0 that was not recorded before. Got "
                f"epoch={epoch!r}{known}."
            )
        if self._is_closed:
            raise ValueError(
                "This recorder is closed: its noise is off. Record inside of the with "
                "block, or before close()."
            )
        state = module_state(self._module)
        check_same_build(state, module_state(self._template))
        self._states[int(epoch)] = copied_state(state, self.dtype)

    def close(self) -> None:
        """End recording, and take the noise of ``in_training=True`` off the module."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._is_closed = True

    def at(self, epoch: int) -> TorchSnapshot:
        """Return the module as it was at a recorded epoch.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        snapshot : TorchSnapshot
        """
        if epoch not in self._states:
            raise ValueError(
                f"Epoch {epoch!r} was not recorded. Recorded epochs: "
                f"{self.epochs.tolist()}."
            )
        return self._snapshot(self._states[int(epoch)])

    def activations(
        self,
        X: Any,
        *,
        epoch: int,
        layer: Any = -1,
        n_draws: int | None = None,
        random_state: Any = None,
    ) -> Any:
        """Noiseless activations S of one layer, after noisy earlier layers.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, ...)
            Inputs, of the shape that the module takes.
        epoch : int
            A recorded epoch.
        layer : int or str, default=-1
            Its name, or its place from 1; -1 is the last.
        n_draws : int or None, default=None
            Noisy passes per input. None is the noise-free pass.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise.

        Returns
        -------
        activations : ndarray, or Tensor on the device of X when X is one
            Of shape (n_inputs, n_units) when n_draws is None, else (n_inputs, n_draws,
            n_units).
        """
        return self.at(epoch).activations(
            X, layer=layer, n_draws=n_draws, random_state=random_state
        )

    def transform(self, X: Any, *, epoch: int, layer: Any = -1) -> Any:
        """Activations of one layer of the module without noise.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, ...)
            Inputs, of the shape that the module takes.
        epoch : int
            A recorded epoch.
        layer : int or str, default=-1
            Its name, or its place from 1; -1 is the last.

        Returns
        -------
        activations : ndarray or Tensor of shape (n_inputs, n_units)
        """
        return self.at(epoch).transform(X, layer=layer)

    def save(self, path: Any) -> None:
        """Write the recording to a ``.npz`` file, without pickle.

        Parameters
        ----------
        path : str or path-like
        """
        header = {
            "layers": list(self.layer_names),
            "noise_std": list(self.noise_std),
            "noise": self.noise,
            "reduce": self.reduce,
            "n_components": self.n_components,
            "batch_size": self.batch_size,
        }
        write_states(path, self._states, header, self._reference)

    @classmethod
    def load(cls, path: Any, module: Any) -> TorchRecorder:
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path-like
        module : Module
            One built like the module that was recorded, whatever its weights.

        Returns
        -------
        recorder : TorchRecorder
        """
        states, header, reference = read_states(path)
        recorder = cls(module, header.pop("layers"), reference=reference, **header)
        own = module_state(recorder._module)
        for state in states.values():
            check_same_build(own, state)
        recorder._states = states
        return recorder

    def _snapshot(self, state: State | None = None) -> TorchSnapshot:
        module = copy.deepcopy(self._template)
        if state is not None:
            put_state(module, state)
        settle_parametrizations(module)
        needs_reference = any(each.n_components for each in self._reductions)
        return TorchSnapshot(
            module,
            self.layer_names,
            self.noise_std,
            self.noise,
            self._reductions,
            self._reference if needs_reference else None,
            self.batch_size,
            self._device,
        )

    def _times_spread(self) -> tuple[float, ...]:
        snapshot = self._snapshot()
        stds = []
        for std, name in zip(self.noise_std, self.layer_names, strict=True):
            values = torch.as_tensor(snapshot.transform(self._reference, layer=name))
            variance = values.double().var(dim=0, correction=0).mean()
            stds.append(check_noise_std(std * float(variance.sqrt())))
        return tuple(stds)

    def _add_noise(self, layers: list[nn.Module]) -> list[Any]:
        if self.noise == "probe":
            raise ValueError(
                "in_training=True adds noise to all layers at once, which is "
                "noise='all'. Got noise='probe'."
            )
        return noise_hooks(layers, self.noise_std, self.layer_names)
