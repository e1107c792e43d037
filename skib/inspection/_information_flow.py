"""Information of every layer at every recorded epoch."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import torch
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_memory

from skib._validation import check_noise_std, draw_seeds, group_equal_rows
from skib._version import __version__
from skib.exceptions import SaturationWarning
from skib.inspection._flow_result import InformationFlow
from skib.inspection._progress import progress
from skib.mutual_info import BinnedMIEstimator, GaussianMixtureMIEstimator

__all__ = ["information_flow"]

DEFAULT_N_DRAWS = 128
ESTIMATES = (
    "mutual_info",
    "mutual_info_low",
    "mutual_info_high",
    "entropy",
    "conditional_entropy",
    "label_mutual_info",
    "label_conditional_entropy",
)
FIELDS = (*ESTIMATES, *(f"{name}_std_error" for name in ESTIMATES), "saturated")


def information_flow(
    recording: Any,
    X: Any,
    y: Any = None,
    *,
    estimator: Any = None,
    layers: Sequence[int] | None = None,
    epochs: Sequence[int] | None = None,
    n_draws: int | None = None,
    n_jobs: int | None = None,
    memory: Any = None,
    random_state: Any = None,
    verbose: int = 0,
) -> InformationFlow:
    """Estimate the information of layers about input and label over training.

    Every (epoch, layer) is estimated on its own, in parallel. Seeds are drawn before
    the work is handed out, so the numbers do not depend on ``n_jobs`` or the backend.

    Parameters
    ----------
    recording : Recording, or fitted estimator that has a ``recording_``
        The network over training.
    X : array-like or Tensor of shape (n_inputs, n_features)
        The inputs, taken as the whole law of X. Equal rows are merged.
    y : array-like of shape (n_inputs,), default=None
        Discrete labels; with them I(Y;T) is estimated too.
    estimator : GaussianMixtureMIEstimator or BinnedMIEstimator, default=None
        What estimates one layer at one epoch; it is cloned. A mixture estimator must
        have the noise_std of the recording; None makes one that has. A
        `BinnedMIEstimator` bins the activations of the noise-free network.
    layers : sequence of int, default=None
        Hidden layers, counted from 1, negative from the last; None is all.
    epochs : sequence of int, default=None
        Recorded epochs; None is all.
    n_draws : int, default=None
        Noisy passes per input behind each layer but the first, which has no noise
        before it; None is 128. Not for a `BinnedMIEstimator`.
    n_jobs : int, default=None
        Number of joblib workers.
    memory : str, joblib.Memory or None, default=None
        Where finished (epoch, layer) estimates are kept, so that work that was
        interrupted resumes. Give ``random_state`` an int, or nothing is found again.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise.
    verbose : int, default=0
        Above 0, a progress bar.

    Returns
    -------
    flow : InformationFlow
        Fields of shape (n_epochs, n_layers), in nats.

    Raises
    ------
    ValueError
        If a layer or an epoch does not exist, the noise differs from the estimator's,
        or the network has no noise.

    Examples
    --------
    >>> import numpy as np
    >>> from skib.datasets import make_szt
    >>> from skib.inspection import information_flow
    >>> from skib.neural_network import NoisyMLPClassifier
    >>> X, y = make_szt()
    >>> net = NoisyMLPClassifier(
    ...     (4, 3), "tanh", noise_std=0.1, max_iter=2, n_iter_no_change=np.inf,
    ...     record_epochs=[0, 2], random_state=0,
    ... ).fit(X, y)
    >>> flow = information_flow(net, X[::16], y[::16], n_draws=16, random_state=0)
    >>> flow.mutual_info.shape
    (2, 2)
    """
    recording = getattr(recording, "recording_", recording)
    layers = _check_layers(layers, recording)
    epochs = _check_epochs(epochs, recording)
    estimators = _check_estimator(estimator, recording, layers, n_draws)
    n_draws = DEFAULT_N_DRAWS if n_draws is None else n_draws
    inputs = _merge_equal_inputs(X, y)
    tasks = list(itertools.product(epochs, layers))
    seeds = draw_seeds(random_state, len(tasks))
    estimate = _estimate if memory is None else check_memory(memory).cache(_estimate)
    results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(
        joblib.delayed(estimate)(
            estimators[layer], recording.at(epoch), inputs, layer, n_draws, seed
        )
        for (epoch, layer), seed in zip(tasks, seeds, strict=True)
    )
    bar = progress(results, len(tasks), "information flow", verbose=verbose)
    return InformationFlow(
        epochs=np.array(epochs),
        layers=np.array(layers),
        **_gather(list(bar), (len(epochs), len(layers))),
        input_entropy=inputs.input_entropy,
        label_entropy=inputs.label_entropy,
        provenance={
            "skib": __version__,
            "estimator": repr(estimators[layers[0]]),
            "n_draws": None if isinstance(estimator, BinnedMIEstimator) else n_draws,
            "noise_std": list(recording.noise_std),
            "activation": recording.activation,
        },
    )


@dataclass(frozen=True)
class _Inputs:
    """Distinct inputs, and the law of (input, label) over them."""

    distinct: Any  # (n_distinct, n_features)
    rows: np.ndarray  # the input of each (input, label) pair
    labels: np.ndarray | None
    counts: np.ndarray

    @property
    def input_entropy(self) -> float:
        """H(X) in nats."""
        return float(entropy(np.bincount(self.rows, self.counts)))

    @property
    def label_entropy(self) -> float | None:
        """H(Y) in nats; None without labels."""
        if self.labels is None:
            return None
        _, codes = np.unique(self.labels, return_inverse=True)
        return float(entropy(np.bincount(codes, self.counts)))


def _merge_equal_inputs(X: Any, y: Any) -> _Inputs:
    """Merge equal rows, so that repeating the data changes no information."""
    X = X if isinstance(X, torch.Tensor) else check_array(X, input_name="X")
    first, inverse = group_equal_rows(X)
    if y is None:
        return _Inputs(X[first], np.arange(len(first)), None, np.bincount(inverse))
    labels = np.asarray(y.cpu() if isinstance(y, torch.Tensor) else y)
    check_consistent_length(X, labels)
    classes, codes = np.unique(labels, return_inverse=True)
    pairs, counts = np.unique(inverse * len(classes) + codes, return_counts=True)
    rows, codes = np.divmod(pairs, len(classes))
    return _Inputs(X[first], rows, classes[codes], counts)


def _estimate(
    estimator: Any,
    recording: Any,
    inputs: _Inputs,
    layer: int,
    n_draws: int,
    seed: int,
) -> dict[str, float]:
    """Estimate one layer at the one epoch of a recording."""
    (epoch,) = recording.epochs
    draw_seed, estimator_seed = draw_seeds(seed, 2)
    if isinstance(estimator, BinnedMIEstimator):
        activations = recording.transform(inputs.distinct, epoch=epoch, layer=layer)
        estimator = clone(estimator)
    else:
        # No noise comes before the first layer: each input has one centre.
        draws = None if layer == 1 else n_draws
        activations = recording.activations(
            inputs.distinct,
            epoch=epoch,
            layer=layer,
            n_draws=draws,
            random_state=draw_seed,
        )
        estimator = clone(estimator).set_params(random_state=estimator_seed)
    with warnings.catch_warnings():
        # Told by the field `saturated`, not once per epoch and layer.
        warnings.simplefilter("ignore", SaturationWarning)
        estimator.fit(activations[inputs.rows], inputs.labels, inputs.counts)
    fitted = {name: getattr(estimator, f"{name}_", None) for name in FIELDS}
    return {name: value for name, value in fitted.items() if value is not None}


def _gather(
    results: list[dict[str, float]], shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Turn one dict per (epoch, layer) into one array per field."""
    return {
        name: np.array([result[name] for result in results]).reshape(shape)
        for name in results[0]
    }


def _check_layers(layers: Any, recording: Any) -> list[int]:
    """Return hidden layers counted from 1."""
    available = range(1, recording.n_layers + 1)
    if layers is None:
        return list(available)
    wanted = np.ravel(layers)
    resolved = [int(i) if i > 0 else recording.n_layers + 1 + int(i) for i in wanted]
    unknown = [i for i, j in zip(wanted, resolved, strict=True) if j not in available]
    if unknown or not resolved:
        raise ValueError(
            f"layers must be hidden layers from 1 to {recording.n_layers}, or negative "
            f"from the last. Got layers={layers!r}."
        )
    return resolved


def _check_epochs(epochs: Any, recording: Any) -> list[int]:
    """Return the epochs, all of them recorded."""
    if epochs is None:
        return [int(epoch) for epoch in recording.epochs]
    unknown = np.setdiff1d(epochs, recording.epochs)
    if unknown.size or not np.size(epochs):
        raise ValueError(
            f"epochs must be among the recorded ones, {recording.epochs.tolist()}. Got "
            f"epochs={epochs!r}."
        )
    return [int(epoch) for epoch in np.ravel(epochs)]


def _check_estimator(
    estimator: Any, recording: Any, layers: list[int], n_draws: int | None
) -> dict[int, Any]:
    """Return, for each layer, an estimator that has the layer's noise."""
    if isinstance(estimator, BinnedMIEstimator):
        if n_draws is not None:
            raise ValueError(
                "n_draws has no meaning for a BinnedMIEstimator: it bins the "
                "noise-free network, which has one activation per input. Got "
                f"n_draws={n_draws}."
            )
        return dict.fromkeys(layers, estimator)
    noise = {layer: recording.noise_std[layer - 1] for layer in layers}
    if estimator is None:
        return {
            layer: GaussianMixtureMIEstimator(check_noise_std(noise_std))
            for layer, noise_std in noise.items()
        }
    wrong = {
        layer: noise_std
        for layer, noise_std in noise.items()
        if not math.isclose(noise_std, estimator.noise_std)
    }
    if wrong:
        raise ValueError(
            "The estimator must have the noise that the network was recorded with: "
            f"{wrong} by layer. Got noise_std={estimator.noise_std!r}. Set it, or "
            "leave estimator=None."
        )
    return dict.fromkeys(layers, estimator)
