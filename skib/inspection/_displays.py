"""Displays: results that draw themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "InformationFlowDisplay",
    "InformationPlaneDisplay",
    "RepresentationDisplay",
    "nats_per",
]

UNITS = {"nats": 1.0, "bits": math.log(2)}
# A band of two standard errors holds the truth in about 95 % of the cases.
BAND = 2.0
TARGETS = {
    "input": ("mutual_info", "input_entropy", "I(X;T)", "H(X)"),
    "label": ("label_mutual_info", "label_entropy", "I(Y;T)", "H(Y)"),
}


def nats_per(unit: str) -> float:
    """Return how many nats one unit is."""
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {tuple(UNITS)}. Got unit={unit!r}.")
    return UNITS[unit]


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
        self.figure_, self.ax_ = _figure_and_axes(ax)
        self.lines_ = [
            self._plot_layer(column, scale) for column in range(len(self.layers))
        ]
        if self.ceiling is not None:
            self._plot_ceiling(self.ceiling * scale)
        _log_epochs(self.ax_, self.epochs)
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
        self.figure_, self.ax_ = _figure_and_axes(ax)
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


class RepresentationDisplay:
    """Scatter of a layer of two or three units, coloured by class.

    Parameters
    ----------
    activations : ndarray of shape (n_samples, 2) or (n_samples, 3)
    labels : ndarray of shape (n_samples,)
    value_range : tuple of float or None, default=None
        Range of every axis; None fits the activations.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib PathCollection, one per class
    """

    def __init__(
        self,
        activations: np.ndarray,
        labels: np.ndarray,
        *,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        if activations.ndim != 2 or activations.shape[1] not in (2, 3):
            raise ValueError(
                "activations must be (n_samples, 2) or (n_samples, 3), to be drawn as "
                f"points. Got an array of shape {activations.shape}. Choose a layer of "
                "two or three units."
            )
        self.activations = activations
        self.labels = labels
        self.value_range = value_range

    @classmethod
    def from_recording(
        cls,
        recording: Any,
        X: Any,
        y: Any,
        *,
        epoch: int,
        layer: int = -1,
        random_state: Any = None,
    ) -> RepresentationDisplay:
        """Make a display of one noisy pass through a recorded network.

        Parameters
        ----------
        recording : Recording, or fitted estimator that has a ``recording_``
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        epoch : int
            A recorded epoch.
        layer : int, default=-1
            A hidden layer of two or three units.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        display : RepresentationDisplay
        """
        recording = getattr(recording, "recording_", recording)
        activations = recording.activations(
            X, epoch=epoch, layer=layer, random_state=random_state
        )
        bounded = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}
        return cls(
            np.asarray(activations),
            np.asarray(y),
            value_range=bounded.get(recording.activation),
        )

    def plot(self, *, ax: Any = None) -> RepresentationDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            With ``projection="3d"`` for three units.

        Returns
        -------
        self : RepresentationDisplay
        """
        n_units = self.activations.shape[1]
        self.figure_, self.ax_ = _figure_and_axes(ax, "3d" if n_units == 3 else None)
        self.lines_ = [
            self.ax_.scatter(
                *self.activations[self.labels == label].T, s=2, alpha=0.5, label=label
            )
            for label in np.unique(self.labels)
        ]
        if n_units == 3:
            self.ax_.set_box_aspect(None, zoom=1.1)
        for axis in "xyz"[:n_units]:
            if self.value_range is not None:
                self.ax_.set(**{f"{axis}lim": self.value_range})
            self.ax_.locator_params(axis=axis, nbins=3)
        return self


def layer_color(column: int, n_layers: int) -> Any:
    """Return the colour of a layer, from light (first) to dark (last)."""
    import matplotlib

    return matplotlib.colormaps["viridis_r"](0.1 + 0.9 * column / max(1, n_layers - 1))


def _figure_and_axes(ax: Any, projection: str | None = None) -> tuple[Any, Any]:
    if ax is not None:
        return ax.figure, ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib. Install it with `pip install 'skib[plot]'`."
        ) from error
    figure = plt.figure(layout="constrained")
    return figure, figure.add_subplot(projection=projection)


def _log_epochs(ax: Any, epochs: np.ndarray) -> None:
    """Log axis of epochs that has room for epoch 0."""
    ax.set_xscale("symlog", linthresh=1) if 0 in epochs else ax.set_xscale("log")
    ax.set_xlabel("epoch")
