"""A snapshot: a network at one epoch, and what it does with inputs."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import Tensor

from skib._numerics.noisy_network import (
    NoisyNetwork,
    OutputLayer,
    sample_activations,
)
from skib._numerics.normal_noise import normal_noise
from skib._validation import (
    as_dense,
    as_numpy,
    check_columns,
    check_inputs,
    check_layer,
    draw_seed,
    draw_seeds,
)

__all__ = ["NetworkSnapshot", "Snapshot", "has_noise_before"]


@runtime_checkable
class Snapshot(Protocol):
    """A network at one epoch, as estimators see it.

    Anything with these three members can be measured. Four more are optional. Where
    the network behind it is known, an attribute ``network``
    (`skib.recording.NetworkSnapshot` has one) lets estimators read the weights; else
    ``noisy_layers(X, layer)`` may return layers that they can run with noise of their
    choice, as `skib.recording.TorchSnapshot` does, and the inputs, or say why not.
    ``has_noise_before(layer)`` tells whether noise moves the activations of a layer;
    without it there is noise before a layer where one before has a ``noise_std``.
    ``any_input_shape = True`` says that inputs may be more than rows.

    Attributes
    ----------
    noise_std : tuple of float
        Standard deviation of the Gaussian noise after each hidden layer, in activation
        units: as many as there are layers. 0 where there is none.
    """

    @property
    def noise_std(self) -> tuple[float, ...]:
        """Noise after each hidden layer."""

    def activations(
        self,
        X: Any,
        *,
        layer: int = -1,
        n_draws: int | None = None,
        random_state: Any = None,
    ) -> Any:
        """Noiseless activations S of one layer, after noisy earlier layers.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network.
        layer : int, default=-1
            Hidden layer, counted from 1; -1 is the last.
        n_draws : int or None, default=None
            Noisy passes per input; None is the noise-free pass.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise.

        Returns
        -------
        activations : ndarray or Tensor
            Of shape (n_inputs, n_draws, n_units); without ``n_draws`` (n_inputs,
            n_units), which are exact centres of noise at that layer alone.
        """

    def transform(self, X: Any, *, layer: int = -1) -> Any:
        """Activations of one layer of the network without noise.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network.
        layer : int, default=-1
            Hidden layer, counted from 1; -1 is the last.

        Returns
        -------
        activations : ndarray or Tensor of shape (n_inputs, n_units)
            What :meth:`activations` gives without ``n_draws``.
        """


def has_noise_before(snapshot: Snapshot, layer: int) -> bool:
    """Tell whether noise moves the noiseless activations of a layer.

    Where none does, each input has one centre.

    Parameters
    ----------
    snapshot : Snapshot
    layer : int
        From 1.

    Returns
    -------
    has_noise : bool
    """
    asked = getattr(snapshot, "has_noise_before", None)
    if asked is not None:
        return bool(asked(layer))
    return any(snapshot.noise_std[: layer - 1])


@dataclass(frozen=True, eq=False)
class NetworkSnapshot:
    """A feed-forward network whose weights are known, at one epoch.

    Parameters
    ----------
    network : NoisyNetwork
        Its hidden layers.
    output : OutputLayer or None
        What comes after them; None where it is not known.
    classes : ndarray or None
        Labels of the outputs, for a classifier.
    feature_names_in_ : ndarray of shape (n_features,) or None
        Names of the inputs, where they are known: a frame with other columns, or in
        another order, is refused.
    """

    network: NoisyNetwork
    output: OutputLayer | None = None
    classes: np.ndarray | None = None
    feature_names_in_: np.ndarray | None = None

    @property
    def noise_std(self) -> tuple[float, ...]:
        """Standard deviation of the noise after each hidden layer."""
        return self.network.noise_std

    def activations(
        self,
        X: Any,
        *,
        layer: int = -1,
        n_draws: int | None = None,
        random_state: Any = None,
    ) -> Any:
        """Noiseless activations S of one layer, after noisy earlier layers.

        The noisy representation is T = S + noise_std * Z with Z standard Gaussian.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network; a tensor may live on any device.
        layer : int, default=-1
            Hidden layer, counted from 1; -1 is the last, -2 the one before.
        n_draws : int or None, default=None
            Noisy passes per input. None is the noise-free pass. The first layer has
            no noise before it: its draws are equal.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise, which is the same on every device.

        Returns
        -------
        activations : ndarray, or Tensor on the device of X when X is one
            Of shape (n_inputs, n_units) when n_draws is None: the exact centres of T
            where the noise is at this layer alone. Else (n_inputs, n_draws, n_units).

        Raises
        ------
        ValueError
            If the layer does not exist, or X does not fit the network.
        """
        if n_draws is None:
            return self.transform(X, layer=layer)
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
        seed = draw_seed(random_state)
        return self._like(X, self._sample(self.network, X, layer, int(n_draws), seed))

    def transform(self, X: Any, *, layer: int = -1) -> Any:
        """Activations of one layer of the network without noise.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network; a tensor may live on any device.
        layer : int, default=-1
            Hidden layer, counted from 1; -1 is the last, -2 the one before.

        Returns
        -------
        activations : ndarray or Tensor of shape (n_inputs, n_units)
            A tensor on the device of X when X is one.
        """
        return self._like(X, self._sample(self.network.silent(), X, layer, 1, 0)[:, 0])

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels, or the values of a regression, without noise.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network.

        Returns
        -------
        predictions : ndarray of shape (n_inputs,) or (n_inputs, n_outputs)
            Of several logistic outputs, zeros and ones: which labels apply.
        """
        output = self._known_output()
        outputs = as_numpy(self._like(X, output.apply(self._last_hidden(X))))
        if output.function == "identity":
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        if output.is_multilabel:
            return (outputs > 0.5).astype(np.int64)
        best = outputs.argmax(axis=1)
        return best if self.classes is None else self.classes[best]

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of the classes, or of each label, without noise.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network.

        Returns
        -------
        proba : ndarray or Tensor of shape (n_inputs, n_classes)
            Columns in the order of ``classes``.
        """
        output = self._known_output(gives_proba=True)
        return self._like(X, output.apply(self._last_hidden(X)))

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of these probabilities, finite where they underflow.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network.

        Returns
        -------
        log_proba : ndarray or Tensor of shape (n_inputs, n_classes)
            In nats; columns in the order of ``classes``.
        """
        output = self._known_output(gives_proba=True)
        return self._like(X, output.log_proba(self._last_hidden(X)))

    def sample_outputs(self, X: Any, *, n_draws: int, random_state: Any) -> Any:
        """Draw outputs of noisy passes.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network.
        n_draws : int
            Noisy passes per input.
        random_state : int, RandomState instance or None
            Seeds the noise.

        Returns
        -------
        outputs : ndarray or Tensor of shape (n_inputs, n_draws, n_outputs)
            Values, or probabilities.
        """
        output = self._known_output()
        check_scalar(n_draws, "n_draws", Integral, min_val=1)
        seed, last_seed = draw_seeds(random_state, 2)
        hidden = self._sample(self.network, X, -1, int(n_draws), seed)
        generator = torch.Generator().manual_seed(last_seed)
        noise = normal_noise(*hidden.shape, generator=generator, dtype=hidden.dtype)
        hidden = hidden.add(noise.to(hidden.device), alpha=self.network.noise_std[-1])
        return self._like(X, output.apply(hidden))

    def _known_output(self, *, gives_proba: bool = False) -> OutputLayer:
        """Return the output layer, or say that there is none of this kind."""
        if self.output is None:
            raise ValueError(
                "This recording holds hidden layers only, so it predicts nothing. "
                "Give from_weights the output layer too, with output='softmax', "
                "'logistic' or 'identity'."
            )
        if gives_proba and self.output.function == "identity":
            raise ValueError(
                "Probabilities need a network with output='softmax' or 'logistic'. "
                "Got output='identity', the values of a regression: use predict."
            )
        return self.output

    def _last_hidden(self, X: Any) -> Tensor:
        return self._sample(self.network.silent(), X, -1, 1, 0)[:, 0]

    def _sample(
        self, network: NoisyNetwork, X: Any, layer: int, n_draws: int, seed: int
    ) -> Tensor:
        network = network.up_to(check_layer(layer, network.n_layers))
        check_columns(X, self.feature_names_in_)
        inputs = check_inputs(
            as_dense(X), network.n_features_in, network.coefs[0].dtype
        )
        return sample_activations(
            network.to(inputs.device), inputs, n_draws=n_draws, seed=seed
        )

    @staticmethod
    def _like(X: Any, values: Tensor) -> Any:
        return values if isinstance(X, Tensor) else values.numpy()
