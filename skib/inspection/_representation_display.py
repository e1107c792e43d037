"""Display of a layer's representations."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from skib._validation import as_numpy, check_column
from skib.inspection._drawing import figure_and_axes

__all__ = ["RepresentationDisplay"]


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
        activations = recording.activations(
            X, epoch=epoch, layer=layer, n_draws=1, random_state=random_state
        )[:, 0]
        bounded = {"tanh": (-1.0, 1.0), "logistic": (0.0, 1.0)}
        return cls(
            activations,
            y,
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
        self.figure_, self.ax_ = figure_and_axes(ax, "3d" if n_units == 3 else None)
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
