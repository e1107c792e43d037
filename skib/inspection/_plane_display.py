"""Display of the information plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from skib.inspection._drawing import BAND, figure_and_axes, layer_color, nats_per

__all__ = ["InformationPlaneDisplay"]


class InformationPlaneDisplay:
    """The information plane: I(Y;T) against I(X;T), one path per layer.

    Parameters
    ----------
    epochs : ndarray of shape (n_epochs,)
    layers : ndarray of shape (n_layers,)
    input_information, label_information : ndarray of shape (n_epochs, n_layers)
        In nats.
    input_std_errors, label_std_errors : ndarray of shape (n_epochs, n_layers)
        In nats.

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
        input_information: np.ndarray,
        label_information: np.ndarray,
        input_std_errors: np.ndarray,
        label_std_errors: np.ndarray,
    ) -> None:
        self.epochs = epochs
        self.layers = layers
        self.input_information = input_information
        self.label_information = label_information
        self.input_std_errors = input_std_errors
        self.label_std_errors = label_std_errors

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
        return cls(
            flow.epochs,
            flow.layers,
            flow.mutual_info,
            flow.label_mutual_info,
            flow.mutual_info_std_error,
            flow.label_mutual_info_std_error,
        )

    def plot(self, unit: str = "nats", *, ax: Any = None) -> InformationPlaneDisplay:
        """Draw one path per layer, dots growing darker with the epoch.

        Parameters
        ----------
        unit : {"nats", "bits"}, default="nats"
        ax : matplotlib Axes, default=None

        Returns
        -------
        self : InformationPlaneDisplay
        """
        scale = 1 / nats_per(unit)
        self.figure_, self.ax_ = figure_and_axes(ax)
        self.lines_ = []
        shade = np.log1p(self.epochs)
        for column, layer in enumerate(self.layers):
            x = self.input_information[:, column] * scale
            y = self.label_information[:, column] * scale
            color = layer_color(column, len(self.layers))
            (line,) = self.ax_.plot(
                x, y, "-", lw=1, color=color, label=f"layer {layer}"
            )
            self.ax_.errorbar(
                x,
                y,
                xerr=BAND * scale * self.input_std_errors[:, column],
                yerr=BAND * scale * self.label_std_errors[:, column],
                fmt="none",
                ecolor=color,
                elinewidth=1,
            )
            self.ax_.scatter(x, y, c=shade, cmap="Greys", edgecolors=[color], zorder=3)
            self.lines_.append(line)
        self.ax_.set_xlabel(f"I(X;T) [{unit}]")
        self.ax_.set_ylabel(f"I(Y;T) [{unit}]")
        self.ax_.legend(frameon=False, fontsize="small", title="dots darken with epoch")
        return self
