"""Display of a layer's representations."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from skib._validation import as_numpy, check_column
from skib.inspection._drawing import drawing_on, figure_and_axes

__all__ = ["RepresentationDisplay"]

# Okabe and Ito (2008), for all kinds of colour vision; yellow, too light, left out.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
MARKERS = "o^sDvP"
BOUNDED = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}


class RepresentationDisplay:
    """Scatter of a layer of two or three units, coloured by class.

    Parameters
    ----------
    activations : array-like of shape (n_samples, 2) or (n_samples, 3)
    labels : array-like of shape (n_samples,)
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
        activations: Any,
        labels: Any,
        *,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        activations = check_array(as_numpy(activations), input_name="activations")
        if activations.ndim != 2 or activations.shape[1] not in (2, 3):
            raise ValueError(
                "activations must be (n_samples, 2) or (n_samples, 3), to be drawn as "
                f"points. Got an array of shape {activations.shape}. Choose a layer of "
                "two or three units."
            )
        self.activations = activations
        self.labels = check_column(labels, activations)
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
        activations = recording.at(epoch).activations(
            X, layer=layer, n_draws=1, random_state=random_state
        )[:, 0]
        activation = getattr(recording, "activation", None)
        value_range = BOUNDED.get(activation) if isinstance(activation, str) else None
        return cls(activations, y, value_range=value_range)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        legend: bool = True,
        cmap: Any = None,
        **kwargs: Any,
    ) -> RepresentationDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            With ``projection="3d"`` for three units; None makes a figure.
        name : str, default=None
            Title of the axes.
        legend : bool, default=True
            Whether to draw the legend of classes, to the right of the axes.
        cmap : str or matplotlib Colormap, default=None
            Colours of the classes, from first to last; None takes seven for the
            colour-blind, each class with a marker, which tells them apart in gray.
        **kwargs
            Properties of the points, such as ``s`` and ``alpha``.

        Returns
        -------
        self : RepresentationDisplay
        """
        n_units = self.activations.shape[1]
        self.figure_, self.ax_ = figure_and_axes(ax, "3d" if n_units == 3 else None)
        if (self.ax_.name == "3d") != (n_units == 3):
            raise ValueError(
                f"ax must be {n_units}-D for a layer of {n_units} units. Got axes of "
                f"projection {self.ax_.name!r}; make them with subplot_kw="
                "{'projection': '3d'} for three units, without for two."
            )
        drawing = drawing_on(self.ax_)
        classes = np.unique(self.labels)
        self.lines_ = []
        for at, label in enumerate(classes):
            look = _class_style(at, len(classes), cmap)
            style = {"s": self._dot_size(), **look, **kwargs}
            points = self.activations[self.labels == label]
            dots = self.ax_.scatter(*points.T, label=str(label), **style)
            self.lines_.append(dots)
            drawing.add(str(label), _legend_dot(style))
        self._set_axes(n_units)
        if name is not None:
            self.ax_.set_title(name)
        if legend:
            drawing.legend(self.ax_, "class")
        return self

    def _dot_size(self) -> float:
        """Area of a dot, in square points: smaller where there are many."""
        return float(np.clip(6000 / len(self.activations), 2.5, 14.0))

    def _set_axes(self, n_units: int) -> None:
        if n_units == 3:
            # Room for the names of the axes.
            self.ax_.set_box_aspect(None, zoom=0.85)
        for at, axis in enumerate("xyz"[:n_units], 1):
            if self.value_range is not None:
                self.ax_.set(**{f"{axis}lim": self.value_range})
            self.ax_.set(**{f"{axis}label": f"unit {at}"})
            self.ax_.locator_params(axis=axis, nbins=3)


def _class_style(at: int, n_classes: int, cmap: Any) -> dict[str, Any]:
    import matplotlib

    soft = {"alpha": 0.6, "linewidths": 0}
    if cmap is None and n_classes > len(COLORS) * len(MARKERS):
        cmap = "turbo"
    if cmap is None:
        # Six and seven have no common factor: 42 pairs of marker and colour.
        marker = MARKERS[at % len(MARKERS)]
        return {"color": COLORS[at % len(COLORS)], "marker": marker, **soft}
    if isinstance(cmap, str):
        cmap = matplotlib.colormaps[cmap]
    return {"color": cmap(at / max(1, n_classes - 1)), **soft}


def _legend_dot(style: dict[str, Any]) -> Any:
    """Return an opaque dot of a size that shows its colour."""
    from matplotlib.lines import Line2D

    marker = style.get("marker", "o")
    return Line2D([], [], ls="", marker=marker, ms=5, mew=0, color=style["color"])
