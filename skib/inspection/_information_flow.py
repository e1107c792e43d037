"""Information of every layer at every recorded epoch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator, clone

from skib._validation import (
    check_discrete,
    check_weights,
)
from skib._version import __version__
from skib.exceptions import SaturationWarning
from skib.inspection._flow import InformationFlow
from skib.inspection._question import check_question
from skib.inspection._sweep import over_epochs
from skib.mutual_info import (
    GaussianMixtureMIEstimator,
    Information,
    NetworkMIEstimator,
    merge_inputs,
)

__all__ = ["information_flow"]

PLACES_NAMED = 4


def information_flow(
    recording: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    estimator: Any = None,
    layers: Sequence[int | str] | None = None,
    epochs: Sequence[int] | None = None,
    n_draws: int | None = None,
    n_jobs: int | None = None,
    memory: Any = None,
    random_state: Any = None,
    verbose: int = 0,
) -> InformationFlow:
    """Estimate the information of layers about input and label over training.

    The estimator is asked for the layers of every epoch. Seeds follow from epoch and
    layer: the numbers do not depend on ``n_jobs``, on the backend, or on which other
    epochs and layers are asked for.

    Parameters
    ----------
    recording : Recording, TorchRecorder, or fitted estimator with a ``recording_``
        The network over training; also at the end of a fitted pipeline, whose steps
        before it are applied to X, and in a fitted search. Anything will do that has
        ``epochs`` and whose ``at(epoch)`` returns a `skib.recording.Snapshot`.
    X : array-like or Tensor of shape (n_inputs, n_features)
        The inputs, taken as the whole law of X. Equal rows are merged. Of another
        shape, (n_inputs, ...), where the module of a TorchRecorder takes that.
    y : array-like of shape (n_inputs,), default=None
        Discrete labels; with them I(Y;T) is estimated too.
    sample_weight : array-like of shape (n_inputs,), default=None
        Law of the inputs, up to a factor; None is uniform.
    estimator : estimator, default=None
        What measures a layer: any `skib.mutual_info.MutualInfoEstimator`. None is a
        `skib.mutual_info.NetworkMIEstimator` where the network behind the recording is
        known, else a `GaussianMixtureMIEstimator`. A ``noise_std`` left at its default
        is each layer's own. A `BinnedMIEstimator` bins the noise-free network.
    layers : sequence of int or str, default=None
        Hidden layers, counted from 1, negative from the last, or by name where the
        recording has names; None is all.
    epochs : sequence of int, default=None
        Recorded epochs; None is all.
    n_draws : int, default=None
        Noisy passes per input that layers are seen through; None is the estimator's
        own number. Not for estimators that see the noise-free network.
    n_jobs : int, default=None
        Number of joblib workers, of any backend.
    memory : str, path-like, joblib.Memory or None, default=None
        Where finished tasks are kept, so that work that was interrupted resumes. Give
        ``random_state`` an int, or nothing is found again.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise.
    verbose : int, default=0
        Above 0, a progress bar over (epoch, layer).

    Returns
    -------
    flow : InformationFlow
        Fields of shape (n_epochs, n_layers), in nats.

    Raises
    ------
    TypeError
        If there is no recording, or the estimator is none.
    ValueError
        If a layer or an epoch does not exist, the noise differs from the estimator's,
        or the network has no noise.

    Warns
    -----
    SkibWarning
        What limits the values, with the layers and epochs where: a bracket too wide to
        say much (HighDimensionWarning), importance sampling that did not converge
        (ImportanceSamplingWarning), a ``tol`` of the estimator that was not reached
        (EstimateNotConvergedWarning), activations outside of the bins
        (UncoveredBinsWarning). Saturation is told by ``saturated`` alone.
    SweepInterruptedWarning
        After Ctrl-C, which returns the epochs that are finished.

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
    asked = check_question(recording, X, epochs=epochs, layers=layers)
    recording, X = asked.recording, asked.X
    estimator = _check_estimator(estimator, recording, n_draws)
    # Bad labels and weights are refused here, before any worker starts.
    labels = None if y is None else check_discrete(y, X)[1]
    weights = check_weights(sample_weight, len(X))
    swept = over_epochs(
        _Estimation(estimator, X, labels, weights),
        recording,
        asked.epochs,
        asked.places,
        whole_epochs=estimator.shares_passes,
        label="information flow",
        n_jobs=n_jobs,
        memory=memory,
        random_state=random_state,
        verbose=verbose,
    )
    _warn_of_limits(swept.results, swept.epochs, asked.layers)
    return InformationFlow.from_information(
        swept.results,
        epochs=swept.epochs,
        layers=asked.layers,
        **_entropies(X, labels, weights),
        provenance={
            "skib": __version__,
            "estimator": repr(estimator),
            "parameters": estimator.get_params(),
            "quantities": getattr(estimator, "quantities", {}),
            "noise_std": asked.first.noise_std,
            "activation": getattr(recording, "activation", None),
            "layer_sizes": getattr(recording, "layer_sizes", None),
            "n_inputs": len(X),
            "random_state": random_state,
            **getattr(recording, "provenance", {}),
        },
    )


@dataclass(frozen=True, eq=False)
class _Estimation:
    """What one task does, and what it needs for it."""

    estimator: Any
    X: Any
    labels: Any
    sample_weight: Any

    def __call__(
        self, snapshot: Any, layers: list[int], seed: int
    ) -> list[Information]:
        return self.estimator.estimate(
            snapshot,
            self.X,
            self.labels,
            self.sample_weight,
            layers=layers,
            random_state=seed,
        )


def _entropies(X: Any, labels: Any, weights: Any) -> dict[str, float | None]:
    _, law = merge_inputs(X, labels, weights)
    return {"input_entropy": law.input_entropy, "label_entropy": law.label_entropy}


def _warn_of_limits(
    table: list[list[Information]], epochs: list[int], layers: list[Any]
) -> None:
    """Say once for each kind what limits values, and where."""
    found: dict[type, list[tuple[str, Warning]]] = {}
    for epoch, row in zip(epochs, table, strict=True):
        for layer, information in zip(layers, row, strict=True):
            for limit in information.limits:
                place = f"layer {layer} of epoch {epoch}"
                found.setdefault(type(limit), []).append((place, limit))
    # The array `saturated` tells of that.
    found.pop(SaturationWarning, None)
    for kind, all_places in found.items():
        named = ", ".join(place for place, _ in all_places[:PLACES_NAMED])
        more = len(all_places) - PLACES_NAMED
        rest = f" and {more} more" if more > 0 else ""
        message = f"At {named}{rest}: {all_places[0][1]}"
        warnings.warn(kind(message), stacklevel=3)


def _check_estimator(estimator: Any, recording: Any, n_draws: int | None) -> Any:
    """Return the estimator to ask, with so many draws where that is said."""
    if estimator is None:
        network = getattr(recording.at(recording.epochs[0]), "network", None)
        known = network is not None
        estimator = NetworkMIEstimator() if known else GaussianMixtureMIEstimator()
    if not isinstance(estimator, BaseEstimator) or not hasattr(estimator, "estimate"):
        raise TypeError(
            "estimator must be an estimator of information, such as "
            f"NetworkMIEstimator() or BinnedMIEstimator(). Got {estimator!r}."
        )
    if n_draws is None:
        return estimator
    if "n_draws" not in estimator.get_params(deep=False):
        raise ValueError(
            f"n_draws has no meaning for a {type(estimator).__name__}, which has no "
            f"such parameter. Got n_draws={n_draws}."
        )
    return clone(estimator).set_params(n_draws=n_draws)
