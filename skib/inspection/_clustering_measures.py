"""What is measured of the clustering of one layer at one epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import silhouette_score

from skib._validation import as_numpy, seed_at
from skib.metrics import (
    ClassDistances,
    binned_entropy,
    class_distances,
    class_separation,
    effective_rank,
    saturated_fraction,
)

__all__ = ["METRICS", "NEED_LABELS", "QUANTILES", "Measuring", "on_common_bins"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# A power of two: halving the bins again and again leaves whole ones.
N_BINS = 128
COSINE_EDGES = np.linspace(-1.0, 1.0, N_BINS + 1)
# The silhouette takes all pairs of its samples.
SILHOUETTE_SAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Measuring:
    """What one task of a sweep does, and what it needs for it.

    Attributes
    ----------
    X : array or Tensor of shape (n_samples, n_features)
    codes : int array of shape (n_samples,) or None
        Labels as 0 .. n_classes - 1.
    n_classes : int
    metrics : tuple of str
    bin_widths : tuple of float
    value_ranges : dict of tuples of float, or None, by layer
        What activations can be; None where it is not bounded.
    max_pairs : int
    noisy : bool
        Whether the layers are seen in one noisy pass.
    """

    X: Any
    codes: np.ndarray | None
    n_classes: int
    metrics: tuple[str, ...]
    bin_widths: tuple[float, ...]
    value_ranges: dict[int, tuple[float, float] | None]
    max_pairs: int
    noisy: bool

    def __call__(
        self, snapshot: Any, layers: list[int], seed: int
    ) -> list[dict[str, Any]]:
        return [
            self._measure(snapshot, layer, seed_at(seed, layer)) for layer in layers
        ]

    def _measure(self, snapshot: Any, layer: int, seed: int) -> dict[str, Any]:
        activations = self._activations(snapshot, layer, seed)
        found: dict[str, Any] = {}
        for metric in self.metrics:
            found.update(METRICS[metric](activations, self, layer, seed))
        return found

    def _activations(self, snapshot: Any, layer: int, seed: int) -> np.ndarray:
        if not self.noisy:
            return np.asarray(as_numpy(snapshot.transform(self.X, layer=layer)))
        clean = snapshot.activations(self.X, layer=layer, n_draws=1, random_state=seed)
        clean = np.asarray(as_numpy(clean))[:, 0]
        random = np.random.default_rng(seed_at(seed, 1))
        noise = random.standard_normal(clean.shape)
        return clean + snapshot.noise_std[layer - 1] * noise


def _euclidean(
    activations: np.ndarray, settings: Measuring, layer: int, seed: int
) -> dict[str, Any]:
    distances = class_distances(
        activations,
        settings.codes,
        max_pairs=settings.max_pairs,
        random_state=seed,
    )
    largest = max(
        (
            float(part.max())
            for part in (distances.within, distances.between)
            if part.size
        ),
        default=0.0,
    )
    # All bins are [0, 2^k] in equal parts: those of one layer fit into another's.
    exponent = math.ceil(math.log2(largest)) if largest > 0 else -1000
    edges = np.linspace(0.0, 2.0**exponent, N_BINS + 1)
    found = _summaries(
        "distance",
        distances,
        distances.within,
        distances.between,
        edges,
        settings.n_classes,
    )
    return {**found, "distance_exponent": exponent}


def _cosine(
    activations: np.ndarray, settings: Measuring, layer: int, seed: int
) -> dict[str, Any]:
    assert settings.codes is not None
    present = (activations != 0).any(axis=1)
    silent = {"silent_fraction": 1 - present.mean()}
    if present.sum() < 2:
        none = np.empty(0)
        nothing = ClassDistances(none, none, none, np.empty((0, 2)))
        return silent | _summaries(
            "cosine", nothing, none, none, COSINE_EDGES, settings.n_classes
        )
    distances = class_distances(
        activations[present],
        settings.codes[present],
        metric="cosine",
        max_pairs=settings.max_pairs,
        random_state=seed,
    )
    found = _summaries(
        "cosine",
        distances,
        1 - distances.within,
        1 - distances.between,
        COSINE_EDGES,
        settings.n_classes,
    )
    return found | silent


def _summaries(
    name: str,
    pairs: ClassDistances,
    within: np.ndarray,
    between: np.ndarray,
    edges: np.ndarray,
    n_classes: int,
) -> dict[str, Any]:
    """Mean, quantiles, histogram and means by class, of both kinds of pairs."""
    found: dict[str, Any] = {}
    of_class = np.arange(n_classes)
    for kind, values, members in (
        ("within", within, pairs.within_classes == of_class[:, None]),
        (
            "between",
            between,
            (of_class[:, None, None] == pairs.between_classes.T).any(1),
        ),
    ):
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        share = counts / max(1, values.size)
        quantiles = np.quantile(values, QUANTILES) if values.size else np.nan
        found |= {
            f"{kind}_{name}": values.mean() if values.size else np.nan,
            f"{kind}_{name}_quantiles": np.broadcast_to(quantiles, len(QUANTILES)),
            f"{kind}_{name}_histogram": share,
            f"{kind}_{name}_by_class": np.array(
                [values[own].mean() if own.any() else np.nan for own in members]
            ),
        }
    return found


def _separation(
    activations: np.ndarray, settings: Measuring, layer: int, seed: int
) -> dict[str, Any]:
    codes = settings.codes
    assert codes is not None
    return {
        "separation": class_separation(activations, codes),
        "cosine_separation": class_separation(activations, codes, metric="cosine"),
        "silhouette": _silhouette(activations, codes, seed),
    }


def _silhouette(activations: np.ndarray, codes: np.ndarray, seed: int) -> float:
    if len(codes) > SILHOUETTE_SAMPLES:
        random = np.random.default_rng(seed)
        some = random.choice(len(codes), SILHOUETTE_SAMPLES, replace=False)
        activations, codes = activations[some], codes[some]
    if not 2 <= len(np.unique(codes)) < len(codes):
        return np.nan
    return float(silhouette_score(activations, codes))


def _binned_entropy(
    activations: np.ndarray, settings: Measuring, layer: int, seed: int
) -> dict[str, Any]:
    return {"binned_entropy": binned_entropy(activations, settings.bin_widths)}


def _saturation(
    activations: np.ndarray, settings: Measuring, layer: int, seed: int
) -> dict[str, Any]:
    value_range = settings.value_ranges[layer]
    if value_range is None:
        return {"saturation": np.nan}
    return {"saturation": saturated_fraction(activations, value_range)}


def _effective_rank(
    activations: np.ndarray, settings: Measuring, layer: int, seed: int
) -> dict[str, Any]:
    return {"effective_rank": effective_rank(activations)}


METRICS: dict[str, Callable[..., dict[str, Any]]] = {
    "euclidean": _euclidean,
    "cosine": _cosine,
    "separation": _separation,
    "binned_entropy": _binned_entropy,
    "saturation": _saturation,
    "effective_rank": _effective_rank,
}
NEED_LABELS = ("euclidean", "cosine", "separation")


def on_common_bins(
    shares: np.ndarray, exponents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bring histograms on [0, 2^k], each with a k of its own, to the largest of these.

    Parameters
    ----------
    shares : ndarray of shape (..., n_bins)
    exponents : int ndarray of the leading shape

    Returns
    -------
    common : ndarray of shape (..., n_bins)
        Exact: bins are joined, none is cut.
    edges : ndarray of shape (n_bins + 1,)
    """
    largest = int(exponents.max(initial=-1000))
    common = np.zeros_like(shares)
    for place in np.ndindex(exponents.shape):
        joined = 2 ** min(largest - int(exponents[place]), int(math.log2(N_BINS)))
        parts = shares[place].reshape(-1, joined).sum(axis=1)
        common[place][: len(parts)] = parts
    return common, np.linspace(0.0, 2.0**largest, N_BINS + 1)
