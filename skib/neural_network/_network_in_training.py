"""One network in training: what happens before, after and between its epochs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skib.neural_network._books import Books, Recorder
from skib.neural_network._callbacks import FitCallbacks
from skib.recording import make_schedule

__all__ = ["Data", "NetworkInTraining"]


@dataclass(frozen=True)
class Data:
    """What estimators are fitted to, checked.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        Inputs.
    targets : ndarray of shape (n_samples, n_outputs)
        One-hot labels, or the values to regress on.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Labels or values as ``score`` takes them.
    sample_weight : ndarray of shape (n_samples,) or None
        All positive, in units of the largest.
    largest_weight : float
        That unit: the penalty, unlike the loss, depends on it.
    """

    X: np.ndarray
    targets: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None
    largest_weight: float = 1.0

    def weights_as_given(self):
        """Return the sample weights in the units of the user, or None."""
        weights = self.sample_weight
        return None if weights is None else weights * self.largest_weight


class NetworkInTraining:
    """Training of one network of a session: books, recording, callbacks.

    Parameters
    ----------
    session : object
        Has the ``stack``, the ``optimizer``, ``n_epochs`` and ``incremental``.
    position : int
        Place in the stack.
    estimator : estimator
        Whose attributes are written.
    data : Data
        The training data.
    held_out : int array or None
        Rows that decide when to stop early.

    Attributes
    ----------
    stopped_by : str or None
        What ended training, after which no further epoch counts; see
        :class:`skib.recording.Recording`.
    """

    def __init__(self, session, position, estimator, data, held_out):
        self.session = session
        self.position = position
        self.estimator = estimator
        self.stopped_by = None
        self.final = None
        self.schedule = _schedule_of(estimator, session)
        self.recorder = self._make_recorder(estimator, session.incremental)
        if estimator.verbose and self.recorder is not None and not session.incremental:
            print(_announcement(self.schedule, self.weights()))
        self.books = Books(
            estimator,
            score=None if held_out is None else self._scorer(data, held_out),
            weights=self.weights,
            slow_down=session.optimizer.slow_down,
        )
        self.callbacks = FitCallbacks(
            estimator, session.n_epochs, data.X, data.y, data.weights_as_given()
        )
        self.record()

    def weights(self):
        """Return copies of the present coefs and intercepts."""
        return self.session.stack.unload(self.position)

    def state(self):
        """Return the attributes that make the estimator a fitted one, now."""
        return self._fitted(self.weights())

    def begin_epoch(self):
        if self.stopped_by is None:
            self.callbacks.begin_epoch()

    def end_epoch(self, loss, n_samples):
        """Book, record and announce an epoch; keep the weights if it is the last."""
        if self.stopped_by is not None:
            return
        stopped_by = self.books.end_epoch(loss, n_samples)
        self.record()
        if self.callbacks.end_epoch(self.state):
            stopped_by = stopped_by or "callback"
        if stopped_by is not None:
            self.stopped_by = stopped_by
            self.final = self.weights()

    def stop(self, reason):
        """Note what ended training, unless it had ended before."""
        self.stopped_by = self.stopped_by or reason

    def record(self):
        """Tell the recorder which epoch has been reached."""
        if self.recorder is not None:
            self.recorder.end_epoch(len(self.estimator.loss_curve_), self.weights)

    def finish(self):
        """Write the fitted attributes."""
        last = self.final or self.weights()
        self._record_last(last)
        fitted = self._fitted(self.books.best_weights or last)
        for name, value in fitted.items():
            setattr(self.estimator, name, value)
        if self.estimator.verbose and self.stopped_by is not None:
            print(f"Stopped by {self.stopped_by} after {self.estimator.n_iter_} epochs")
        self.callbacks.end_fit(lambda: fitted)
        if not all(np.isfinite(array).all() for part in last for array in part):
            raise ValueError(
                "Training ended in weights that are not finite. Scale the inputs, or "
                "lower learning_rate_init. Got learning_rate_init="
                f"{self.estimator.learning_rate_init}."
            )

    def _record_last(self, last):
        """Keep the last weights, unless the epochs to keep were listed."""
        epoch = len(self.estimator.loss_curve_)
        is_listed = not isinstance(self.estimator.record_epochs, (str, int, np.integer))
        if self.recorder is None or is_listed or self.session.incremental:
            return
        if epoch not in self.recorder.epochs:
            self.recorder.keep(epoch, *last)

    def _make_recorder(self, estimator, incremental):
        if self.schedule is None:
            return None
        goes_on = incremental or estimator.warm_start
        earlier = getattr(estimator, "recording_", None) if goes_on else None
        return Recorder(self.schedule, earlier)

    def _fitted(self, weights):
        coefs, intercepts = weights
        fitted = {"coefs_": coefs, "intercepts_": intercepts}
        estimator = self.estimator
        if self.recorder is not None and self.recorder.epochs:
            fitted["recording_"] = self.recorder.to_recording(
                activation=estimator.activation,
                noise_std=estimator._sampling_noise(),
                output=estimator.out_activation_,
                classes=getattr(estimator, "classes_", None),
                feature_names_in_=getattr(estimator, "feature_names_in_", None),
                stopped_by=self.stopped_by,
            )
        return fitted

    def _scorer(self, data, held_out):
        weight = data.sample_weight
        weight = None if weight is None else weight[held_out]
        X, y = data.X[held_out], data.y[held_out]

        def score():
            return self.estimator._score_weights(self.weights(), X, y, weight)

        return score


def _schedule_of(estimator, session):
    done = len(estimator.loss_curve_)
    last = estimator.max_iter if session.incremental else done + session.n_epochs
    return make_schedule(
        estimator.record_epochs,
        last,
        may_exceed=session.incremental or estimator.warm_start,
        is_open=session.incremental,
    )


def _announcement(schedule, weights):
    """Say what a recording will hold, before the work starts."""
    n_bytes = sum(array.nbytes for part in weights for array in part)
    return (
        f"Recording {len(schedule)} epochs of {n_bytes / 1e6:.3g} MB each, "
        f"{len(schedule) * n_bytes / 1e6:.3g} MB in all."
    )
