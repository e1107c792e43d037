"""Information of the hidden layers of a network given as arrays of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skib._validation import check_network, whatever_the_default_device
from skib.mutual_info._information import Information
from skib.mutual_info._network import NetworkMIEstimator
from skib.recording import NetworkSnapshot

__all__ = ["network_mutual_info"]


@whatever_the_default_device
def network_mutual_info(
    coefs: Sequence[Any],
    intercepts: Sequence[Any] | None,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    activation: str | Sequence[str] = "tanh",
    noise_std: Any,
    layers: Sequence[int] | None = None,
    random_state: Any = None,
    **settings: Any,
) -> list[Information]:
    """Information of hidden layers about input and label, from weights as arrays.

    Parameters
    ----------
    coefs : sequence of array-likes, each of shape (n_in, n_out)
        Weights of the hidden layers.
    intercepts : sequence of array-likes of shape (n_out,) or None, or None
        None means no bias.
    X : array-like or Tensor of shape (n_inputs, n_features)
        Inputs, the whole law of X. Equal rows are merged.
    y : array-like of shape (n_inputs,), default=None
        Discrete labels.
    sample_weight : array-like of shape (n_inputs,), default=None
        Law of the inputs, up to a factor; None is uniform.
    activation : {"tanh", "relu", "leaky_relu", "logistic", "identity"}, default="tanh"
        One for all layers, or a sequence of one per layer.
    noise_std : float or sequence of float
        Standard deviation of the noise, > 0: one for all layers, or one per layer.
    layers : sequence of int, default=None
        Hidden layers, counted from 1; None is all. All are estimated on the same
        passes.
    random_state : int, RandomState instance or None, default=None
    **settings
        Parameters of `NetworkMIEstimator`.

    Returns
    -------
    layers : list of Information

    Raises
    ------
    ValueError
        If the shapes do not fit each other, a layer does not exist, a noise_std is not
        > 0, or there are too few draws.

    See Also
    --------
    NetworkMIEstimator : What is done, and the diagnostics of the result.

    Examples
    --------
    Two inputs, two linear units in a row: the second has noise of variance 5 between
    the activations -2 and 2, which leaves 0.2846 nats.

    >>> from skib.mutual_info import network_mutual_info
    >>> first, second = network_mutual_info(
    ...     [[[1.0]], [[2.0]]], [[0.0], [0.0]], [[-1.0], [1.0]],
    ...     activation="identity", noise_std=1.0, random_state=0,
    ... )
    >>> abs(second.mutual_info.value - 0.2846) < 4 * second.mutual_info.std_error
    True
    """
    network = check_network(coefs, intercepts, activation, noise_std)
    return NetworkMIEstimator(**settings).estimate(
        NetworkSnapshot(network),
        X,
        y,
        sample_weight,
        layers=layers,
        random_state=random_state,
    )
