"""Display of information against the epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from skib.inspection._drawing import (
    BAND,
    Drawing,
    as_table,
    drawing_on,
    figure_and_axes,
    gray_line,
    layer_colors,
    layer_markers,
    nats_per,
)

__all__ = ["InformationFlowDisplay", "columns_of"]

TARGETS = {
    "input": ("mutual_info", "input_entropy", "I(X;T)", "H(X)"),
    "label": ("label_mutual_info", "label_entropy", "I(Y;T)", "H(Y)"),
}
# Layers of a lone epoch side by side, in parts of the axis.
DODGE = 1.2


class InformationFlowDisplay:
    """Information of each layer against the training epoch.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
    layers : array-like of shape (n_layers,)
        Numbers or names.
    values, std_errors : array-like of shape (n_epochs, n_layers)
        In nats.
    low, high : array-like of shape (n_epochs, n_layers) or None, default=None
        Bracket of the values, in nats.
    label : str, default="I(X;T)"
        Name of the quantity.
    ceiling : float or None, default=None
        The most the quantity can be, in nats.
    ceiling_label : str, default="H(X)"
        Name of the ceiling.
    band_label, bracket_label : str, default="± 2 s.e.", "bracket"
        What the legend calls the band, twice ``std_errors`` to both sides, and the
        bracket.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D, one per layer
    """

    def __init__(
        self,
        epochs: Any,
        layers: Any,
        values: Any,
        std_errors: Any,
        *,
        low: Any = None,
        high: Any = None,
        label: str = "I(X;T)",
        ceiling: float | None = None,
        ceiling_label: str = "H(X)",
        band_label: str = "± 2 s.e.",
        bracket_label: str = "bracket",
    ) -> None:
        self.epochs = np.asarray(epochs)
        self.layers = np.asarray(layers)
        place = self.epochs, self.layers
        self.values = as_table("values", values, *place)
        self.std_errors = as_table("std_errors", std_errors, *place)
        self.low = as_table("low", low, *place)
        self.high = as_table("high", high, *place)
        self.label = label
        self.ceiling = ceiling
        self.ceiling_label = ceiling_label
        self.band_label = band_label
        self.bracket_label = bracket_label

    @classmethod
    def from_flow(cls, flow: Any, *, target: str = "input") -> InformationFlowDisplay:
        """Make a display of an `InformationFlow`.

        Parameters
        ----------
        flow : InformationFlow
        target : {"input", "label"}, default="input"

        Returns
        -------
        display : InformationFlowDisplay
        """
        field, ceiling, label, ceiling_label = columns_of(flow, target)
        return cls(
            flow.epochs,
            flow.layers,
            getattr(flow, field),
            getattr(flow, f"{field}_std_error"),
            low=getattr(flow, f"{field}_low", None),
            high=getattr(flow, f"{field}_high", None),
            label=label,
            ceiling=getattr(flow, ceiling),
            ceiling_label=ceiling_label,
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
    ) -> InformationFlowDisplay:
        """Draw one line per layer, with its errors and its bracket.

        A band of two standard errors; lighter and between thin lines, the bracket. At
        a single epoch they are bars, layers side by side. Further tables on the same
        axes take the next line style.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        unit : {"nats", "bits"}, default="nats"
        name : str, default=None
            What the legend calls this table, where several are on the same axes.
        legend : bool, default=True
            Whether to draw the legend, to the right of the axes.
        cmap : str or matplotlib Colormap, default=None
            Colours of the layers, from first to last.
        **kwargs
            Properties of the lines, such as ``color``.

        Returns
        -------
        self : InformationFlowDisplay
        """
        scale = 1 / nats_per(unit)
        self.figure_, self.ax_ = figure_and_axes(ax)
        drawing = drawing_on(self.ax_)
        colors = layer_colors(self.ax_, len(self.layers), cmap)
        style = {"linestyle": drawing.next_style(), "lw": 1.2, "ms": 3.5, **kwargs}
        draw = self._plot_layer if len(self.epochs) > 1 else self._plot_point
        self.lines_ = [
            draw(drawing, column, scale, {"color": color, **style})
            for column, color in enumerate(colors)
        ]
        if self.ceiling is not None:
            self._plot_ceiling(drawing, self.ceiling * scale)
        self._explain(drawing, name, style)
        drawing.set_limits(self.ax_, self.epochs)
        self.ax_.set_ylabel(f"{self.label} [{unit}]")
        if legend:
            drawing.legend(self.ax_, "layer")
        return self

    def _column(self, column: int, scale: float) -> tuple[Any, Any, Any, Any]:
        values = self.values[:, column] * scale
        band = BAND * self.std_errors[:, column] * scale
        if self.low is None or self.high is None:
            return values, band, None, None
        return values, band, self.low[:, column] * scale, self.high[:, column] * scale

    def _plot_layer(
        self, drawing: Drawing, column: int, scale: float, style: dict[str, Any]
    ) -> Any:
        values, band, low, high = self._column(column, scale)
        drawing.include(values - band, values + band, low, high)
        shade = {"color": style["color"], "lw": 0}
        self.ax_.fill_between(
            self.epochs, values - band, values + band, alpha=0.4, **shade
        )
        if low is not None:
            # Thin lines, since a light area is hidden where others cross it.
            self.ax_.fill_between(self.epochs, low, high, alpha=0.12, **shade)
            thin = {"color": style["color"], "lw": 0.6, "alpha": 0.8}
            self.ax_.plot(self.epochs, low, **thin, label="_bracket")
            self.ax_.plot(self.epochs, high, **thin, label="_bracket")
        markers = layer_markers(column, self.epochs)
        (line,) = self.ax_.plot(
            self.epochs,
            values,
            label=f"layer {self.layers[column]}",
            **{**markers, **style},
        )
        return line

    def _plot_point(
        self, drawing: Drawing, column: int, scale: float, style: dict[str, Any]
    ) -> Any:
        values, band, low, high = self._column(column, scale)
        drawing.include(values - band, values + band, low, high)
        n_layers = len(self.layers)
        place = self.epochs + DODGE * ((column + 0.5) / n_layers - 0.5)
        color = style["color"]
        if low is not None:
            self.ax_.vlines(place, low, high, color=color, lw=4, alpha=0.3)
        bars = {"fmt": "none", "ecolor": color, "elinewidth": 1, "capsize": 2}
        self.ax_.errorbar(place, values, band, **bars)
        (line,) = self.ax_.plot(
            place,
            values,
            label=f"layer {self.layers[column]}",
            **{**layer_markers(column, self.epochs), **style},
        )
        return line

    def _explain(
        self, drawing: Drawing, name: str | None, style: dict[str, Any]
    ) -> None:
        """Give the legend what it says of lines, bands and brackets."""
        from matplotlib.patches import Patch

        for layer, line in zip(self.layers, self.lines_, strict=True):
            drawing.add(str(layer), line)
        if self.std_errors.any():
            drawing.add(self.band_label, Patch(color="0.5", alpha=0.5, lw=0))
        if self.low is not None:
            bracket = Patch(facecolor="0.9", edgecolor="0.5", lw=0.6)
            drawing.add(self.bracket_label, bracket)
        if name is not None:
            shown = ("linestyle", "lw", "color")
            own = {key: style[key] for key in shown if key in style}
            drawing.add(name, gray_line(**own))

    def _plot_ceiling(self, drawing: Drawing, ceiling: float) -> None:
        drawing.include(np.array([ceiling]))
        self.ax_.axhline(ceiling, color="0.5", ls="--", lw=1, zorder=0)
        # Above the line, where no value can be.
        self.ax_.annotate(
            self.ceiling_label,
            (1, ceiling),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color="0.5",
            fontsize="small",
        )


def columns_of(flow: Any, target: str) -> tuple[str, str, str, str]:
    """Return the names of a table's column and ceiling, and what both are called.

    What was estimated knows its own name: bins measure H(Bin(T)).
    """
    if target not in TARGETS:
        raise ValueError(
            f"target must be one of {tuple(TARGETS)}. Got target={target!r}."
        )
    field, ceiling, label, ceiling_label = TARGETS[target]
    if getattr(flow, field) is None:
        raise ValueError(
            "target='label' needs an information flow estimated with labels. Give "
            "y to information_flow."
        )
    own = flow.provenance.get("quantities", {})
    return field, ceiling, own.get(target, label), ceiling_label
