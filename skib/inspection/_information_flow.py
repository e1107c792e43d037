"""Information of every layer at every recorded epoch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, check_memory

from skib._validation import check_noise_std, draw_seeds
from skib._version import __version__
from skib.exceptions import (
    EstimateNotConvergedWarning,
    HighDimensionWarning,
    ImportanceSamplingWarning,
)
from skib.inspection._epoch_estimates import ESTIMATES, Inputs, Passes, estimate_epoch
from skib.inspection._flow_result import InformationFlow
from skib.inspection._progress import progress
from skib.mutual_info import BinnedMIEstimator, GaussianMixtureMIEstimator
from skib.neural_network import Recording

__all__ = ["information_flow"]

# With the network's help only the other inputs are smoothed by draws.
DEFAULT_N_DRAWS, DEFAULT_N_DRAWS_OF_ACTIVATIONS = 32, 128
PLACES_NAMED = 4
# Share of H(X) from which on a bracket says little.
WIDE_BRACKET = 0.25


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

    The weights are known, so each layer's density given an input is importance sampled
    through the network (`network_mutual_info`): few noisy passes do. All layers of an
    epoch are estimated on the same passes, the epochs in parallel. Seeds are drawn
    before the work is handed out, so the numbers do not depend on ``n_jobs`` or the
    backend.

    Parameters
    ----------
    recording : Recording, or fitted estimator that has a ``recording_``
        The network over training.
    X : array-like or Tensor of shape (n_inputs, n_features)
        The inputs, taken as the whole law of X. Equal rows are merged.
    y : array-like of shape (n_inputs,), default=None
        Discrete labels; with them I(Y;T) is estimated too.
    estimator : GaussianMixtureMIEstimator or BinnedMIEstimator, default=None
        Says how long to sample: ``n_mc`` (noisy passes per input at which densities
        are evaluated, at least 2), ``tol``, ``max_samples``, and ``device`` and
        ``n_jobs``. It must have the noise_std of the recording; None makes one that
        has. It is cloned and fitted to activations where the network does not help:
        see Notes. A `BinnedMIEstimator` bins the activations of the noise-free network.
    layers : sequence of int, default=None
        Hidden layers, counted from 1, negative from the last; None is all.
    epochs : sequence of int, default=None
        Recorded epochs; None is all.
    n_draws : int, default=None
        Noisy passes per input behind the kernel averages of each layer, at least 4;
        None is 32, and 128 where the network does not help. Not for a
        `BinnedMIEstimator`.
    n_jobs : int, default=None
        Number of joblib workers.
    memory : str, joblib.Memory or None, default=None
        Where finished epochs are kept, so that work that was interrupted resumes. Give
        ``random_state`` an int, or nothing is found again.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise.
    verbose : int, default=0
        Above 0, a progress bar.

    Returns
    -------
    flow : InformationFlow
        Fields of shape (n_epochs, n_layers), in nats. ``from_network`` says which
        estimates the weights were used for.

    Warns
    -----
    ImportanceSamplingWarning
        Where importance sampling was tried and did not converge.
    HighDimensionWarning
        Where the bracket is too wide to say much.
    EstimateNotConvergedWarning
        Where the ``tol`` of the estimator was not reached.

    Notes
    -----
    The network does not help where a layer before the wanted one has no noise, and
    where importance sampling does not converge. There the estimator is fitted to
    ``recording.activations``, as it can be anywhere by hand: that is the estimate of
    Goldfeld et al., from activations alone.

    Raises
    ------
    TypeError
        If there is no recording.
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
    recording = _check_recording(recording)
    layers = _check_layers(layers, recording)
    epochs = _check_epochs(epochs, recording)
    estimators = _check_estimator(estimator, recording, layers, n_draws)
    passes = Passes(
        through_network=DEFAULT_N_DRAWS if n_draws is None else n_draws,
        of_activations=DEFAULT_N_DRAWS_OF_ACTIVATIONS if n_draws is None else n_draws,
    )
    inputs = Inputs.merged(X, y)
    seeds = draw_seeds(random_state, len(epochs))
    cached = memory is not None
    estimate = check_memory(memory).cache(estimate_epoch) if cached else estimate_epoch
    results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(
        joblib.delayed(estimate)(estimators, recording.at(epoch), inputs, passes, seed)
        for epoch, seed in zip(epochs, seeds, strict=True)
    )
    bar = progress(results, len(epochs), "information flow", verbose=verbose)
    flow = InformationFlow(
        epochs=np.array(epochs),
        layers=np.array(layers),
        **_gather(list(bar), (len(epochs), len(layers))),
        input_entropy=inputs.input_entropy,
        label_entropy=inputs.label_entropy,
        provenance={
            "skib": __version__,
            "estimator": repr(estimators[layers[0]]),
            "n_draws": None
            if isinstance(estimator, BinnedMIEstimator)
            else asdict(passes),
            "noise_std": list(recording.noise_std),
            "activation": recording.activation,
        },
    )
    _warn_of_fallbacks(flow)
    _warn_of_wide_brackets(flow)
    _warn_of_large_errors(flow, getattr(estimator, "tol", None))
    return flow


def _gather(
    results: list[list[dict[str, float]]], shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Turn one dict per (epoch, layer) into one array per field."""
    cells = [cell for epoch in results for cell in epoch]
    names = dict.fromkeys(name for cell in cells for name in cell)
    # Importance sampling has no diagnostics where it was not tried.
    return {
        name: np.array([cell.get(name, np.nan) for cell in cells]).reshape(shape)
        for name in names
    }


def _warn_of_fallbacks(flow: InformationFlow) -> None:
    """Say where importance sampling was tried and did not work."""
    if flow.density_gap is None or flow.from_network is None:
        return
    where = ~flow.from_network & np.isfinite(flow.density_gap)
    if where.any():
        warnings.warn(
            f"Importance sampling through the network did not converge at "
            f"{_places(flow, where)}: its estimates of log p(t|x) from below and above "
            f"are {flow.density_gap[where].max():.2g} nats apart on average. Estimates "
            "from activations alone stand there instead (see from_network).",
            ImportanceSamplingWarning,
        )


def _warn_of_wide_brackets(flow: InformationFlow) -> None:
    """Say where the estimate of I(X;T) could be almost anything."""
    if flow.mutual_info_low is None or flow.mutual_info_high is None:
        return
    width = flow.mutual_info_high - flow.mutual_info_low
    ends = (flow.mutual_info_low_std_error, flow.mutual_info_high_std_error)
    error = np.sqrt(sum(np.square(end) for end in ends if end is not None))
    # A bracket within its errors, or of nothing at all, is not wide.
    least = np.maximum(WIDE_BRACKET * max(flow.input_entropy, 1.0), 3 * error)
    where = width > least
    if where.any():
        warnings.warn(
            f"The bracket of I(X;T) is up to {width.max():.3g} nats wide at "
            f"{_places(flow, where)}: the estimates say little there. Raise n_draws or "
            "the noise, or look at layers with fewer units.",
            HighDimensionWarning,
        )


def _warn_of_large_errors(flow: InformationFlow, tol: float | None) -> None:
    """Say where the wanted error was not reached with the samples allowed."""
    if tol is None:
        return
    errors = [getattr(flow, f"{name}_std_error") for name in ESTIMATES]
    known = [error for error in errors if error is not None]
    where = np.max(known, axis=0) > tol
    if where.any():
        warnings.warn(
            f"The standard error is above tol={tol} at {_places(flow, where)}. Raise "
            "max_samples or tol of the estimator, or n_draws.",
            EstimateNotConvergedWarning,
        )


def _places(flow: InformationFlow, where: np.ndarray) -> str:
    """Name the layers and epochs, the first few of them."""
    places = [
        f"layer {flow.layers[at]} of epoch {flow.epochs[e]}"
        for e, at in np.argwhere(where)
    ]
    more = len(places) - PLACES_NAMED
    return ", ".join(places[:PLACES_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check_recording(recording: Any) -> Any:
    """Return the recording that was given, or that a fitted estimator has."""
    if isinstance(recording, BaseEstimator):
        check_is_fitted(recording)
    recording = getattr(recording, "recording_", recording)
    if not isinstance(recording, Recording):
        raise TypeError(
            "recording must be a Recording, or an estimator fitted with "
            f"record_epochs. Got {type(recording).__name__}; make one from weights "
            "with Recording.from_weights, or set record_epochs and fit again."
        )
    return recording


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
