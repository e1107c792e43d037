"""The clustering of layers over training, as a table."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from skib.inspection._clustering_display import ClusteringDisplay
from skib.inspection._flow_table import FlowTable

__all__ = ["ClusteringFlow"]

OPTIONAL = (
    *(
        f"{kind}_{name}{part}"
        for kind in ("within", "between")
        for name in ("distance", "cosine")
        for part in ("", "_quantiles", "_histogram", "_by_class")
    ),
    *("separation", "cosine_separation", "silhouette", "binned_entropy"),
    *("saturation", "effective_rank", "silent_fraction"),
    *("classes", "bin_widths", "quantiles", "distance_edges", "cosine_edges"),
)


class ClusteringFlow(FlowTable):
    """How the representations of layers cluster over training.

    `clustering_flow` returns one.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
    layers : array-like of shape (n_layers,)
    columns : dict of arrays of shape (n_epochs, n_layers, ...)
    facts, provenance : dict, default=None

    Attributes
    ----------
    epochs : ndarray of shape (n_epochs,)
    layers : ndarray of shape (n_layers,)
    within_distance, between_distance : ndarray of shape (n_epochs, n_layers)
        Mean Euclidean distance of pairs of one class, and of different classes, in
        activation units. Each measure that was not asked for is None.
    within_distance_quantiles, ... : ndarray of shape (n_epochs, n_layers, 5)
        At ``quantiles``.
    within_distance_histogram, ... : ndarray of shape (n_epochs, n_layers, n_bins)
        Share of the pairs between any two of ``distance_edges``, which are the same for
        all epochs and layers.
    within_distance_by_class, ... : ndarray of shape (n_epochs, n_layers, n_classes)
        Means of the pairs of one class, and of the pairs of it and any other.
    within_cosine, between_cosine, ... : ndarray
        The same of cosine similarities, with ``cosine_edges``; without representations
        that are all zero, whose share is ``silent_fraction``.
    separation, cosine_separation : ndarray of shape (n_epochs, n_layers)
        `skib.metrics.class_separation`, Euclidean and by the cosine.
    silhouette : ndarray of shape (n_epochs, n_layers)
        `sklearn.metrics.silhouette_score`, of at most 1000 samples.
    binned_entropy : ndarray of shape (n_epochs, n_layers, n_widths)
        H(Bin(T)) in nats, at ``bin_widths``.
    saturation : ndarray of shape (n_epochs, n_layers)
        Share of saturated units; NaN where activations are not bounded.
    effective_rank : ndarray of shape (n_epochs, n_layers)
    provenance : dict
        How the numbers were made.
    """

    in_nats: ClassVar[frozenset[str]] = frozenset({"binned_entropy"})
    optional: ClassVar[frozenset[str]] = frozenset(OPTIONAL)

    def plot(
        self,
        ax: Any = None,
        *,
        metric: str = "euclidean",
        unit: str = "nats",
        name: str | None = None,
        **kwargs: Any,
    ) -> ClusteringDisplay:
        """Draw a measure of each layer against the epoch.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        metric : str, default="euclidean"
            As in `clustering_flow`.
        unit : {"nats", "bits"}, default="nats"
            Of entropies.
        name : str, default=None
            Title.
        **kwargs
            Properties of the lines.

        Returns
        -------
        display : ClusteringDisplay
        """
        display = ClusteringDisplay.from_flow(self, metric=metric)
        return display.plot(ax, unit=unit, name=name, **kwargs)

    def _frame_columns(self) -> dict[str, tuple[np.ndarray, bool]]:
        """One column for each number per (epoch, layer); histograms are left out."""
        found = {}
        for name, values in self.columns.items():
            is_in_nats = name in self.in_nats
            if values.ndim == 2:
                found[name] = values, is_in_nats
            elif not name.endswith("_histogram"):
                for at, place in enumerate(self._third_axis(name)):
                    found[f"{name}[{place}]"] = values[..., at], is_in_nats
        return found

    def _third_axis(self, name: str) -> list[Any]:
        if name.endswith("_quantiles"):
            return self.quantiles
        return self.classes if name.endswith("_by_class") else self.bin_widths
