"""Display of information against the epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from skib.inspection._drawing import (
    BAND,
    figure_and_axes,
    layer_color,
    log_epochs,
    nats_per,
)

__all__ = ["InformationFlowDisplay"]

TARGETS = {
    "input": ("mutual_info", "input_entropy", "I(X;T)", "H(X)"),
    "label": ("label_mutual_info", "label_entropy", "I(Y;T)", "H(Y)"),
}


class InformationFlowDisplay:
    """Information of each layer against the training epoch.

    Parameters
    ----------
    epochs : ndarray of shape (n_epochs,)
    layers : ndarray of shape (n_layers,)
    values, std_errors : ndarray of shape (n_epochs, n_layers)
        In nats.
    low, high : ndarray of shape (n_epochs, n_layers) or None, default=None
        Bracket of the values, in nats.
    label : str, default="I(X;T)"
        Name of the quantity.
    ceiling : float or None, default=None
        The most the quantity can be, in nats.
    ceiling_label : str, default="H(X)"
        Name of the ceiling.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D, one per layer
    """

    def __init__(
        self,
        epochs: np.ndarray,
        layers: np.ndarray,
        values: np.ndarray,
        std_errors: np.ndarray,
        *,
        low: np.ndarray | None = None,
        high: np.ndarray | None = None,
        label: str = "I(X;T)",
        ceiling: float | None = None,
        ceiling_label: str = "H(X)",
    ) -> None:
        self.epochs = epochs
        self.layers = layers
        self.values = values
        self.std_errors = std_errors
        self.low = low
        self.high = high
        self.label = label
        self.ceiling = ceiling
        self.ceiling_label = ceiling_label

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
        if target not in TARGETS:
            raise ValueError(
                f"target must be one of {tuple(TARGETS)}. Got target={target!r}."
            )
        field, ceiling, label, ceiling_label = TARGETS[target]
        values = getattr(flow, field)
        if values is None:
            raise ValueError(
                "target='label' needs an information flow estimated with labels. Give "
                "y to information_flow."
            )
        return cls(
            flow.epochs,
            flow.layers,
            values,
            getattr(flow, f"{field}_std_error"),
            low=getattr(flow, f"{field}_low", None),
            high=getattr(flow, f"{field}_high", None),
            label=label,
            ceiling=getattr(flow, ceiling),
            ceiling_label=ceiling_label,
        )

    def plot(self, unit: str = "nats", *, ax: Any = None) -> InformationFlowDisplay:
        """Draw one line per layer, with its errors.

        A dark band of two standard errors, and a light one for the bracket.

        Parameters
        ----------
        unit : {"nats", "bits"}, default="nats"
        ax : matplotlib Axes, default=None

        Returns
        -------
        self : InformationFlowDisplay
        """
        scale = 1 / nats_per(unit)
        self.figure_, self.ax_ = figure_and_axes(ax)
        self.lines_ = [
            self._plot_layer(column, scale) for column in range(len(self.layers))
        ]
        if self.ceiling is not None:
            self._plot_ceiling(self.ceiling * scale)
        log_epochs(self.ax_, self.epochs)
        self.ax_.set_ylabel(f"{self.label} [{unit}]")
        self.ax_.set_ylim(bottom=0)
        # Above the axes, where no line can be.
        self.ax_.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(self.layers),
            frameon=False,
            fontsize="small",
            handlelength=1.2,
            columnspacing=1.2,
        )
        return self

    def _plot_layer(self, column: int, scale: float) -> Any:
        values = self.values[:, column] * scale
        band = BAND * self.std_errors[:, column] * scale
        color = layer_color(column, len(self.layers))
        shade = {"color": color, "lw": 0}
        self.ax_.fill_between(
            self.epochs, values - band, values + band, alpha=0.4, **shade
        )
        if self.low is not None and self.high is not None:
            low, high = self.low[:, column] * scale, self.high[:, column] * scale
            self.ax_.fill_between(self.epochs, low, high, alpha=0.2, **shade)
        label = f"layer {self.layers[column]}"
        (line,) = self.ax_.plot(
            self.epochs, values, ".-", ms=4, lw=1, color=color, label=label
        )
        return line

    def _plot_ceiling(self, ceiling: float) -> None:
        self.ax_.axhline(ceiling, color="0.4", ls="--", lw=1, zorder=0)
        self.ax_.annotate(
            self.ceiling_label,
            (1, ceiling),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color="0.4",
            annotation_clip=False,
        )
