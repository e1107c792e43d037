"""What one worker does: the information of the wanted layers at one epoch."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.utils import check_array, check_consistent_length

from skib._validation import draw_seeds, group_equal_rows
from skib.exceptions import (
    EstimateNotConvergedWarning,
    HighDimensionWarning,
    SaturationWarning,
)
from skib.mutual_info import (
    BinnedMIEstimator,
    GaussianMixtureMIEstimator,
    LayerInformation,
    network_mutual_info,
)
from skib.mutual_info._quantities import BRACKET, DIAGNOSTICS, ESTIMATES
from skib.neural_network import Recording

__all__ = ["ESTIMATES", "Inputs", "Passes", "estimate_epoch"]

WITH_ERROR = (*ESTIMATES, *BRACKET)
FIELDS = (*WITH_ERROR, *(f"{name}_std_error" for name in WITH_ERROR), "saturated")


@dataclass(frozen=True)
class Inputs:
    """Distinct inputs, and the law of (input, label) over them."""

    distinct: Any  # (n_distinct, n_features)
    rows: np.ndarray  # the input of each (input, label) pair
    labels: np.ndarray | None
    counts: np.ndarray

    @classmethod
    def merged(cls, X: Any, y: Any) -> Inputs:
        """Merge equal rows, so that repeating the data changes no information."""
        X = X if isinstance(X, torch.Tensor) else check_array(X, input_name="X")
        first, inverse = group_equal_rows(X)
        if y is None:
            return cls(X[first], np.arange(len(first)), None, np.bincount(inverse))
        labels = np.asarray(y.cpu() if isinstance(y, torch.Tensor) else y)
        check_consistent_length(X, labels)
        classes, codes = np.unique(labels, return_inverse=True)
        pairs, counts = np.unique(inverse * len(classes) + codes, return_counts=True)
        rows, codes = np.divmod(pairs, len(classes))
        return cls(X[first], rows, classes[codes], counts)

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


@dataclass(frozen=True)
class Passes:
    """Noisy passes per input: with the network's help, and from activations alone."""

    through_network: int
    of_activations: int


def estimate_epoch(
    estimators: dict[int, Any],
    recording: Any,
    inputs: Inputs,
    passes: Passes,
    seed: int,
) -> list[dict[str, float]]:
    """Estimate layers at the one epoch of a recording.

    Parameters
    ----------
    estimators : dict
        The estimator of each wanted layer.
    recording : Recording
        Of one epoch.
    inputs : Inputs
    passes : Passes
    seed : int

    Returns
    -------
    results : list of dict
        For each layer the fields of `InformationFlow`. Those of `DIAGNOSTICS` are there
        where importance sampling was tried, and ``from_network`` says whether the
        estimate is the one it gave.
    """
    # One seed per layer, wanted or not: its numbers do not depend on the others.
    network_seed, *seeds = draw_seeds(seed, 1 + recording.n_layers)
    with warnings.catch_warnings():
        # Told by the fields for all epochs and layers together.
        warnings.simplefilter("ignore", SaturationWarning)
        warnings.simplefilter("ignore", EstimateNotConvergedWarning)
        warnings.simplefilter("ignore", HighDimensionWarning)
        tried = _through_network(
            estimators, recording, inputs, passes.through_network, network_seed
        )
        results = []
        for layer, estimator in estimators.items():
            found = tried.get(layer)
            diagnostics = _present(found, DIAGNOSTICS)
            if found is not None and found.converged:
                values = _present(found, FIELDS)
            else:
                draw = passes.of_activations, seeds[layer - 1]
                fitted = _of_activations(estimator, recording, inputs, layer, *draw)
                values = _present(fitted, FIELDS, suffix="_")
            from_network = bool(found is not None and found.converged)
            results.append({**values, **diagnostics, "from_network": from_network})
    return results


def _through_network(
    estimators: dict[int, Any],
    recording: Any,
    inputs: Inputs,
    n_draws: int,
    seed: int,
) -> dict[int, LayerInformation]:
    """Estimate the layers whose law follows from the weights."""
    layers = [layer for layer in estimators if _is_known(recording, layer)]
    estimator = next(iter(estimators.values()))
    if not layers or not isinstance(estimator, GaussianMixtureMIEstimator):
        return {}
    depth = max(layers)
    # One pass shows no spread.
    n_mc = estimator.n_mc if estimator.n_mc == "auto" else max(2, estimator.n_mc)
    results = network_mutual_info(
        recording.coefs[0][:depth],
        recording.intercepts[0][:depth],
        inputs.distinct[inputs.rows],
        inputs.labels,
        inputs.counts,
        activation=recording.activation,
        noise_std=recording.noise_std[:depth],
        layers=layers,
        n_draws=n_draws,
        n_mc=n_mc,
        tol=estimator.tol,
        max_samples=estimator.max_samples,
        device=estimator.device,
        n_jobs=estimator.n_jobs,
        random_state=seed,
    )
    return {result.layer: result for result in results}


def _is_known(recording: Any, layer: int) -> bool:
    """Tell whether the weights are there, and all noise up to the layer is Gaussian."""
    return isinstance(recording, Recording) and min(recording.noise_std[:layer]) > 0


def _of_activations(
    estimator: Any,
    recording: Any,
    inputs: Inputs,
    layer: int,
    n_draws: int,
    seed: int,
) -> Any:
    """Fit a clone of the estimator to the activations of one layer."""
    (epoch,) = recording.epochs
    where = {"epoch": epoch, "layer": layer}
    if isinstance(estimator, BinnedMIEstimator):
        activations = recording.transform(inputs.distinct, **where)
        estimator = clone(estimator)
    else:
        draw_seed, estimator_seed = draw_seeds(seed, 2)
        # Without noise before the layer, each input has one centre.
        has_noise_before = any(recording.noise_std[: layer - 1])
        activations = recording.activations(
            inputs.distinct,
            n_draws=n_draws if has_noise_before else None,
            random_state=draw_seed,
            **where,
        )
        estimator = clone(estimator).set_params(random_state=estimator_seed)
    return estimator.fit(activations[inputs.rows], inputs.labels, inputs.counts)


def _present(source: Any, names: tuple[str, ...], suffix: str = "") -> dict[str, float]:
    """Return the attributes that the source has."""
    values = {name: getattr(source, f"{name}{suffix}", None) for name in names}
    return {name: value for name, value in values.items() if value is not None}
