"""What is asked of a recording: inputs, epochs and layers, checked in one place."""

from __future__ import annotations

from typing import Any, NamedTuple

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skib._validation import check_columns, check_epochs, check_layers, check_rows

__all__ = ["Question", "check_question"]


class Question(NamedTuple):
    """Inputs, and the epochs and layers of a recording that are asked for.

    Attributes
    ----------
    recording : object with ``epochs`` and ``at(epoch)``
    X : array or Tensor
        One input per row.
    epochs : list of int
    places : list of int
        The layers, counted from 1.
    layers : list of int or str
        The same by name, where they have names.
    first : Snapshot
        The network at the first of the epochs.
    """

    recording: Any
    X: Any
    epochs: list[int]
    places: list[int]
    layers: list[Any]
    first: Any


def check_question(recording: Any, X: Any, *, epochs: Any, layers: Any) -> Question:
    """Find the recording in what was given, and what is asked of it."""
    recording, X = _check_recording(recording, X)
    epochs = check_epochs(epochs, recording.epochs)
    first = recording.at(epochs[0])
    names = getattr(recording, "layer_names", ())
    places = check_layers(layers, len(first.noise_std), names=names)
    check_columns(X, getattr(recording, "feature_names_in_", None))
    X = check_rows(X, any_shape=getattr(first, "any_input_shape", False))
    named = [names[place - 1] for place in places] if len(names) else places
    return Question(recording, X, epochs, places, named, first)


def _check_recording(recording: Any, X: Any) -> tuple[Any, Any]:
    """Return the recording that was given, or that a fitted estimator has, and X.

    The steps before it in a pipeline are applied to X, as they are when it predicts.
    """
    if isinstance(recording, BaseEstimator):
        check_is_fitted(recording)
    if hasattr(recording, "best_estimator_"):
        return _check_recording(recording.best_estimator_, X)
    if isinstance(recording, Pipeline):
        before = recording[:-1]
        return _check_recording(recording[-1], before.transform(X) if before else X)
    recording = getattr(recording, "recording_", recording)
    if not (hasattr(recording, "epochs") and hasattr(recording, "at")):
        raise TypeError(
            "recording must be a Recording, or an estimator fitted with "
            f"record_epochs. Got {type(recording).__name__}; make one from weights "
            "with Recording.from_weights, watch a torch module with TorchRecorder, or "
            "set record_epochs and fit again."
        )
    if not len(recording.epochs):
        raise ValueError(
            "recording must hold at least one epoch. Got none; call record(epoch) in "
            "the training loop."
        )
    return recording, X
