"""Display of measures of clustering against the epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from skib.inspection._drawing import (
    LINE_STYLES,
    as_table,
    drawing_on,
    figure_and_axes,
    gray_line,
    layer_colors,
    layer_markers,
    nats_per,
)

__all__ = ["ClusteringDisplay"]

# Of classes.
PAIRS = ("within", "between")
# What the axis says of each metric.
LABELS = {
    "euclidean": "mean distance of pairs",
    "cosine": "mean cosine similarity of pairs",
    "separation": "class separation",
    "binned_entropy": "H(Bin(T))",
    "saturation": "share of saturated units",
    "effective_rank": "effective rank",
}


class ClusteringDisplay:
    """A measure of clustering of each layer against the training epoch.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
    layers : array-like of shape (n_layers,)
    values : dict of array-likes of shape (n_epochs, n_layers)
        By what the legend says of them; each has a line style of its own.
    label : str
        Name of the quantity.
    in_nats : bool, default=False
        Whether the values are in nats.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D, one per layer and entry of ``values``
    """

    def __init__(
        self,
        epochs: Any,
        layers: Any,
        values: dict[str, Any],
        *,
        label: str,
        in_nats: bool = False,
    ) -> None:
        self.epochs = np.asarray(epochs)
        self.layers = np.asarray(layers)
        self.values = {
            name: as_table(f"values[{name!r}]", each, self.epochs, self.layers)
            for name, each in values.items()
        }
        self.label = label
        self.in_nats = in_nats

    @classmethod
    def from_flow(cls, flow: Any, *, metric: str = "euclidean") -> ClusteringDisplay:
        """Make a display of a `ClusteringFlow`.

        Parameters
        ----------
        flow : ClusteringFlow
        metric : str, default="euclidean"
            A metric that the flow was measured with.

        Returns
        -------
        display : ClusteringDisplay
        """
        if metric not in LABELS:
            raise ValueError(
                f"metric must be one of {tuple(LABELS)}. Got metric={metric!r}."
            )
        values = _values_of(flow, metric)
        if any(each is None for each in values.values()):
            raise ValueError(
                f"metric={metric!r} was not measured. Give it to clustering_flow, and "
                "y where it compares classes."
            )
        in_nats = metric == "binned_entropy"
        return cls(
            flow.epochs, flow.layers, values, label=LABELS[metric], in_nats=in_nats
        )

    def plot(
        self,
        ax: Any = None,
        *,
        unit: str = "nats",
        name: str | None = None,
        legend: bool = True,
        cmap: Any = None,
        **kwargs: Any,
    ) -> ClusteringDisplay:
        """Draw one line per layer and quantity.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        unit : {"nats", "bits"}, default="nats"
            Of entropies; other measures have none.
        name : str, default=None
            Title of the axes.
        legend : bool, default=True
            Whether to draw the legend, to the right of the axes.
        cmap : str or matplotlib Colormap, default=None
            Colours of the layers, from first to last.
        **kwargs
            Properties of the lines, such as ``color``.

        Returns
        -------
        self : ClusteringDisplay
        """
        scale = 1 / nats_per(unit) if self.in_nats else 1.0
        self.figure_, self.ax_ = figure_and_axes(ax)
        drawing = drawing_on(self.ax_)
        colors = layer_colors(self.ax_, len(self.layers), cmap)
        self.lines_ = []
        for at, (kind, table) in enumerate(self.values.items()):
            style = {"linestyle": LINE_STYLES[at % len(LINE_STYLES)], "lw": 1.2}
            for column, color in enumerate(colors):
                values = table[:, column] * scale
                markers = layer_markers(column, self.epochs)
                dot = {**markers, "ms": 3.5, "color": color}
                label = f"layer {self.layers[column]}, {kind}"
                (line,) = self.ax_.plot(
                    self.epochs, values, label=label, **{**style, **dot, **kwargs}
                )
                self.lines_.append(line)
                drawing.include(values)
                drawing.add(str(self.layers[column]), line)
        if len(self.values) > 1:
            for at, kind in enumerate(self.values):
                dashes = LINE_STYLES[at % len(LINE_STYLES)]
                drawing.add(kind, gray_line(linestyle=dashes))
        drawing.set_limits(self.ax_, self.epochs)
        self.ax_.set_ylabel(f"{self.label} [{unit}]" if self.in_nats else self.label)
        if name is not None:
            self.ax_.set_title(name)
        if legend:
            drawing.legend(self.ax_, "layer")
        return self


def _values_of(flow: Any, metric: str) -> dict[str, Any]:
    if metric in ("euclidean", "cosine"):
        name = "distance" if metric == "euclidean" else "cosine"
        return {kind: getattr(flow, f"{kind}_{name}") for kind in PAIRS}
    values = getattr(flow, metric)
    if metric != "binned_entropy" or values is None:
        return {LABELS[metric]: values}
    return {
        f"width {width:g}": values[..., at] for at, width in enumerate(flow.bin_widths)
    }
