"""Displays of histograms over epochs: of pairwise distances, and of activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from skib._validation import as_numpy, check_option
from skib.inspection._drawing import drawing_on, figure_and_axes, spread_epochs

__all__ = ["ActivationHistogramDisplay", "PairwiseDistanceDisplay"]

# Rows that a page has room for.
MOST_ROWS = 8
# How far a histogram may reach into the row above.
ROW = 0.9
WITHIN, BETWEEN = "#D55E00", "#0072B2"
NAMES = {"euclidean": ("distance", "distance"), "cosine": ("cosine", "cosine")}
N_BINS = 99
BOUNDED = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}


class PairwiseDistanceDisplay:
    """Histograms of distances within and between classes, one row per epoch.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
    edges : array-like of shape (n_bins + 1,)
    within, between : array-like of shape (n_epochs, n_bins)
        Shares of the pairs.
    label : str, default="distance"
        Name of what is counted.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib artists, two per row
    """

    def __init__(
        self,
        epochs: Any,
        edges: Any,
        within: Any,
        between: Any,
        *,
        label: str = "distance",
    ) -> None:
        self.epochs = np.asarray(epochs)
        self.edges = np.asarray(edges, dtype=float)
        self.within = np.asarray(within, dtype=float)
        self.between = np.asarray(between, dtype=float)
        shape = len(self.epochs), len(self.edges) - 1
        for name in ("within", "between"):
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} must have one row per epoch and one column per bin, shape "
                    f"{shape}. Got shape {getattr(self, name).shape}."
                )
        self.label = label

    @classmethod
    def from_flow(
        cls,
        flow: Any,
        *,
        layer: Any = None,
        epochs: Any = None,
        metric: str = "euclidean",
    ) -> PairwiseDistanceDisplay:
        """Make a display of a layer of a `ClusteringFlow`.

        Parameters
        ----------
        flow : ClusteringFlow
            Measured with the metric.
        layer : int or str, default=None
            As in ``flow.layers``; None is the last.
        epochs : sequence of int, default=None
            As in ``flow.epochs``; None spreads at most eight over all of them.
        metric : {"euclidean", "cosine"}, default="euclidean"

        Returns
        -------
        display : PairwiseDistanceDisplay
        """
        check_option("metric", metric, NAMES)
        name, edges = NAMES[metric]
        within = getattr(flow, f"within_{name}_histogram")
        if within is None:
            raise ValueError(
                f"metric={metric!r} was not measured. Give it to clustering_flow, and "
                "y."
            )
        layers = list(flow.layers)
        layer = layers[-1] if layer is None else layer
        check_option("layer", layer, layers)
        rows = spread_epochs(flow.epochs, MOST_ROWS)
        if epochs is not None:
            for epoch in epochs:
                check_option("epoch", epoch, flow.epochs.tolist())
            rows = np.array([flow.epochs.tolist().index(epoch) for epoch in epochs])
        of_layer = layers.index(layer)
        what = "distance" if metric == "euclidean" else "cosine similarity"
        return cls(
            flow.epochs[rows],
            getattr(flow, f"{edges}_edges"),
            within[rows, of_layer],
            getattr(flow, f"between_{name}_histogram")[rows, of_layer],
            label=f"{what}, layer {layer}",
        )

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        legend: bool = True,
        color: tuple[Any, Any] = (WITHIN, BETWEEN),
        **kwargs: Any,
    ) -> PairwiseDistanceDisplay:
        """Draw the histograms above each other, the first epoch on top.

        Each is scaled to its own highest bin. Pairs within classes are an area, pairs
        between classes a line.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Title of the axes.
        legend : bool, default=True
            Whether to draw the legend, to the right of the axes.
        color : tuple of two colours
            Of pairs within and between classes.
        **kwargs
            Properties of the lines.

        Returns
        -------
        self : PairwiseDistanceDisplay
        """
        self.figure_, self.ax_ = figure_and_axes(ax)
        drawing = drawing_on(self.ax_)
        self.lines_ = []
        n_rows = len(self.epochs)
        for row in range(n_rows):
            base = n_rows - 1 - row
            area = self.ax_.stairs(
                base + _scaled(self.within[row]),
                self.edges,
                baseline=base,
                fill=True,
                color=color[0],
                alpha=0.6,
                lw=0,
            )
            line = self.ax_.stairs(
                base + _scaled(self.between[row]),
                self.edges,
                baseline=None,
                **{"color": color[1], "lw": 1.2, **kwargs},
            )
            self.ax_.axhline(base, color="0.7", lw=0.5, zorder=0)
            self.lines_ += [area, line]
        drawing.add("within", self.lines_[0])
        drawing.add("between", self.lines_[1])
        self._set_axes(n_rows)
        if name is not None:
            self.ax_.set_title(name)
        if legend:
            drawing.legend(self.ax_, "classes")
        return self

    def _set_axes(self, n_rows: int) -> None:
        used = (self.within + self.between).sum(axis=0) > 0
        last = self.edges[1:][used].max() if used.any() else self.edges[-1]
        first = self.edges[:-1][used].min() if used.any() else self.edges[0]
        # Distances start at 0, wherever the first pair is.
        self.ax_.set_xlim(min(first, max(self.edges[0], 0.0)), last)
        self.ax_.set_ylim(-0.05, n_rows)
        self.ax_.set_yticks(range(n_rows), [f"{e:g}" for e in self.epochs[::-1]])
        self.ax_.set_ylabel("epoch")
        self.ax_.set_xlabel(self.label)


def _scaled(shares: np.ndarray) -> np.ndarray:
    return ROW * shares / max(shares.max(), 1e-300)


class ActivationHistogramDisplay:
    """How the activations of a layer are spread, epoch by epoch.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
    edges : array-like of shape (n_bins + 1,)
        In activation units.
    shares : array-like of shape (n_epochs, n_bins)
        Share of the activations, of all units together, in each bin.
    label : str, default="activation"
        Name of what is counted.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    mesh_ : matplotlib QuadMesh
    colorbar_ : matplotlib Colorbar or None
    """

    def __init__(
        self, epochs: Any, edges: Any, shares: Any, *, label: str = "activation"
    ) -> None:
        self.epochs = np.asarray(epochs)
        self.edges = np.asarray(edges, dtype=float)
        self.shares = np.asarray(shares, dtype=float)
        shape = len(self.epochs), len(self.edges) - 1
        if self.shares.shape != shape:
            raise ValueError(
                "shares must have one row per epoch and one column per bin, shape "
                f"{shape}. Got shape {self.shares.shape}."
            )
        self.label = label

    @classmethod
    def from_recording(
        cls,
        recording: Any,
        X: Any,
        *,
        layer: Any = -1,
        epochs: Any = None,
        n_bins: int = N_BINS,
    ) -> ActivationHistogramDisplay:
        """Make a display of the noise-free activations of a recorded layer.

        Parameters
        ----------
        recording : Recording, or fitted estimator that has a ``recording_``
        X : array-like of shape (n_samples, n_features)
        layer : int, default=-1
            A hidden layer.
        epochs : sequence of int, default=None
            Recorded epochs; None is all.
        n_bins : int, default=99
            Over the range of tanh or the logistic function, else over what the
            activations extend.

        Returns
        -------
        display : ActivationHistogramDisplay
        """
        recording = getattr(recording, "recording_", recording)
        epochs = recording.epochs if epochs is None else np.asarray(epochs)
        values = [
            np.ravel(as_numpy(recording.at(epoch).transform(X, layer=layer)))
            for epoch in epochs
        ]
        activation = getattr(recording, "activation", None)
        known = BOUNDED.get(activation) if isinstance(activation, str) else None
        low, high = known or (min(map(np.min, values)), max(map(np.max, values)))
        edges = np.linspace(low, high if high > low else low + 1, n_bins + 1)
        shares = [np.histogram(each, edges)[0] / each.size for each in values]
        if not isinstance(layer, str) and layer < 0:
            layer = len(recording.at(epochs[0]).noise_std) + 1 + layer
        return cls(epochs, edges, shares, label=f"activation, layer {layer}")

    @classmethod
    def from_activations(
        cls, activations: Any, epochs: Any, *, n_bins: int = N_BINS
    ) -> ActivationHistogramDisplay:
        """Make a display of arrays of activations.

        Parameters
        ----------
        activations : sequence of array-likes of shape (n_samples, n_units)
            One for each epoch.
        epochs : array-like of shape (n_epochs,)
        n_bins : int, default=99

        Returns
        -------
        display : ActivationHistogramDisplay
        """
        values = [
            check_array(as_numpy(each), input_name="activations").ravel()
            for each in activations
        ]
        low, high = min(map(np.min, values)), max(map(np.max, values))
        edges = np.linspace(low, high if high > low else low + 1, n_bins + 1)
        return cls(epochs, edges, [np.histogram(v, edges)[0] / v.size for v in values])

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        legend: bool = True,
        cmap: Any = "Greys",
        **kwargs: Any,
    ) -> ActivationHistogramDisplay:
        """Draw a column of shades for each epoch, all of the same width.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Title of the axes.
        legend : bool, default=True
            Whether to draw the scale of the shades.
        cmap : str or matplotlib Colormap, default="Greys"
            Shades; the share's square root is drawn, so that small ones show.
        **kwargs
            Properties of the mesh.

        Returns
        -------
        self : ActivationHistogramDisplay
        """
        from matplotlib.colors import PowerNorm

        self.figure_, self.ax_ = figure_and_axes(ax)
        places = np.arange(len(self.epochs) + 1) - 0.5
        norm = PowerNorm(0.5, vmin=0, vmax=float(self.shares.max()) or 1.0)
        style = {"cmap": cmap, "norm": norm, "rasterized": True, **kwargs}
        self.mesh_ = self.ax_.pcolormesh(places, self.edges, self.shares.T, **style)
        ticks = np.unique(
            np.linspace(0, len(self.epochs) - 1, min(6, len(self.epochs))).astype(int)
        )
        self.ax_.set_xticks(ticks, [f"{epoch:g}" for epoch in self.epochs[ticks]])
        self.ax_.set_xlabel("epoch")
        self.ax_.set_ylabel(self.label)
        if name is not None:
            self.ax_.set_title(name)
        self.colorbar_ = None
        if legend:
            self.colorbar_ = self.figure_.colorbar(
                self.mesh_, ax=self.ax_, label="share of activations"
            )
        return self
