"""Display of the information plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from skib.inspection._drawing import (
    BAND,
    as_table,
    drawing_on,
    figure_and_axes,
    gray_line,
    layer_colors,
    layer_marker,
    nats_per,
)
from skib.inspection._flow_display import columns_of

__all__ = ["InformationPlaneDisplay"]

# Pixels between two numbers beside each other.
TICK_WIDTH = 45


class InformationPlaneDisplay:
    """The information plane: I(Y;T) against I(X;T), one path per layer.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
    layers : array-like of shape (n_layers,)
    input_information, label_information : array-like of shape (n_epochs, n_layers)
        In nats.
    input_std_errors, label_std_errors : array-like of shape (n_epochs, n_layers)
        In nats.
    labels : tuple of str, default=("I(X;T)", "I(Y;T)")
        Names of the two quantities.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D, one per layer
    colorbar_ : matplotlib Colorbar or None
        The scale of the epochs; None of a single epoch.
    """

    def __init__(
        self,
        epochs: Any,
        layers: Any,
        input_information: Any,
        label_information: Any,
        input_std_errors: Any,
        label_std_errors: Any,
        *,
        labels: tuple[str, str] = ("I(X;T)", "I(Y;T)"),
    ) -> None:
        self.epochs = np.asarray(epochs)
        self.layers = np.asarray(layers)
        place = self.epochs, self.layers
        self.input_information = as_table(
            "input_information", input_information, *place
        )
        self.label_information = as_table(
            "label_information", label_information, *place
        )
        self.input_std_errors = as_table("input_std_errors", input_std_errors, *place)
        self.label_std_errors = as_table("label_std_errors", label_std_errors, *place)
        self.labels = labels

    @classmethod
    def from_flow(cls, flow: Any) -> InformationPlaneDisplay:
        """Make a display of an `InformationFlow` that was estimated with labels.

        Parameters
        ----------
        flow : InformationFlow

        Returns
        -------
        display : InformationPlaneDisplay
        """
        if flow.label_mutual_info is None:
            raise ValueError(
                "The information plane needs an information flow estimated with "
                "labels. Give y to information_flow."
            )
        names = [columns_of(flow, target)[2] for target in ("input", "label")]
        return cls(
            flow.epochs,
            flow.layers,
            flow.mutual_info,
            flow.label_mutual_info,
            flow.mutual_info_std_error,
            flow.label_mutual_info_std_error,
            labels=(names[0], names[1]),
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
    ) -> InformationPlaneDisplay:
        """Draw one path per layer, its dots growing darker with the epoch.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        unit : {"nats", "bits"}, default="nats"
        name : str, default=None
            What the legend calls this table, where several are on the same axes.
        legend : bool, default=True
            Whether to draw the legend and the scale of the epochs.
        cmap : str or matplotlib Colormap, default=None
            Colours of the layers, from first to last.
        **kwargs
            Properties of the lines, such as ``color``.

        Returns
        -------
        self : InformationPlaneDisplay
        """
        scale = 1 / nats_per(unit)
        self.figure_, self.ax_ = figure_and_axes(ax)
        drawing = drawing_on(self.ax_)
        is_first = drawing.n_runs == 0
        style = {"linestyle": drawing.next_style(), "lw": 1, **kwargs}
        colors = layer_colors(self.ax_, len(self.layers), cmap)
        norm = _epoch_norm(self.epochs)
        self.lines_ = [
            self._plot_layer(column, scale, norm, {"color": color, **style})
            for column, color in enumerate(colors)
        ]
        for column, (layer, line) in enumerate(
            zip(self.layers, self.lines_, strict=True)
        ):
            look = {"color": line.get_color(), "marker": layer_marker(column)}
            drawing.add(str(layer), gray_line(lw=1, ms=4, mfc="none", **look))
        if name is not None:
            drawing.add(name, gray_line(linestyle=style["linestyle"]))
        self.ax_.set_xlabel(f"{self.labels[0]} [{unit}]")
        self.ax_.set_ylabel(f"{self.labels[1]} [{unit}]")
        self.colorbar_ = None
        if legend:
            if is_first and len(self.epochs) > 1:
                self.colorbar_ = self._scale_of_epochs(norm)
            drawing.legend(self.ax_, "layer")
        return self

    def _plot_layer(
        self, column: int, scale: float, norm: Any, style: dict[str, Any]
    ) -> Any:
        x = self.input_information[:, column] * scale
        y = self.label_information[:, column] * scale
        label = f"layer {self.layers[column]}"
        (line,) = self.ax_.plot(x, y, label=label, **style)
        self.ax_.errorbar(
            x,
            y,
            xerr=BAND * scale * self.input_std_errors[:, column],
            yerr=BAND * scale * self.label_std_errors[:, column],
            fmt="none",
            ecolor=style["color"],
            elinewidth=0.8,
        )
        marker = layer_marker(column)
        dots = {"cmap": "Greys", "norm": norm, "edgecolors": [style["color"]]}
        self.ax_.scatter(x, y, c=self.epochs, s=18, zorder=3, marker=marker, **dots)
        return line

    def _scale_of_epochs(self, norm: Any) -> Any:
        from matplotlib.cm import ScalarMappable

        # Below, so that the legend has the side to itself.
        colorbar = self.figure_.colorbar(
            ScalarMappable(norm, "Greys"),
            ax=self.ax_,
            location="bottom",
            label="epoch",
            aspect=40,
            fraction=0.08,
        )
        ticks = _epoch_ticks(norm, self.ax_.get_window_extent().width)
        colorbar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        colorbar.minorticks_off()
        return colorbar


def _epoch_norm(epochs: np.ndarray) -> Any:
    from matplotlib.colors import FuncNorm

    first, last = float(epochs.min()), float(epochs.max())
    return FuncNorm((np.log1p, np.expm1), vmin=first, vmax=max(last, first + 1))


def _epoch_ticks(norm: Any, width: float) -> list[float]:
    """First and last epoch and powers of ten, as many as have room."""
    chosen = [float(norm.vmin)]
    for tick in (*10.0 ** np.arange(12), norm.vmax):
        if norm.vmin < tick < norm.vmax:
            places = norm([chosen[-1], tick, norm.vmax])
            if np.diff(places).min() * width < TICK_WIDTH:
                continue
            chosen.append(float(tick))
    return [*chosen, float(norm.vmax)]
