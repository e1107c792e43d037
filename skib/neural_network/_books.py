"""What is kept of each epoch, and when training is over."""

from __future__ import annotations

import numpy as np

from skib.recording import Recording

__all__ = ["Books", "Recorder", "match_books", "start_books", "stops_early"]


class Recorder:
    """Collects the weights of one network at the scheduled epochs.

    Parameters
    ----------
    schedule : set of int
        Epochs to keep.
    recording : Recording or None
        An earlier recording to go on with.
    """

    def __init__(self, schedule, recording=None):
        self.schedule = schedule
        kept = recording is not None
        self.epochs = list(recording.epochs) if kept else []
        self.coefs = list(recording.coefs) if kept else []
        self.intercepts = list(recording.intercepts) if kept else []

    def end_epoch(self, epoch, weights):
        """Keep the weights, given as a function, if the epoch is scheduled."""
        if epoch in self.schedule and epoch not in self.epochs:
            self.keep(epoch, *weights())

    def keep(self, epoch, coefs, intercepts):
        """Keep these weights."""
        self.epochs.append(epoch)
        self.coefs.append(coefs)
        self.intercepts.append(intercepts)

    def to_recording(self, **meaning):
        """Return what was collected, at least one epoch."""
        return Recording(self.epochs, self.coefs, self.intercepts, **meaning)


class Books:
    """Keeps the books of one network: losses, scores, best weights, stopping.

    The books are the fitted attributes of the estimator, under scikit-learn's names.

    Parameters
    ----------
    estimator : estimator
        Whose attributes are written.
    score : callable or None
        Gives the validation score of the present weights when stopping early.
    weights : callable
        Gives the present coefs and intercepts as copies.
    slow_down : callable
        Asks the optimiser to go on more slowly; False if it cannot.
    """

    def __init__(self, estimator, *, score, weights, slow_down):
        self.estimator = estimator
        self.score = score
        self.weights = weights
        self.slow_down = slow_down
        self.best_weights = None

    def end_epoch(self, loss, n_samples):
        """Enter one epoch; return the parameter that ends training, or None."""
        books = self.estimator
        books.n_iter_ += 1
        books.t_ += n_samples
        books.loss_ = loss
        books.loss_curve_.append(loss)
        self._say(f"Iteration {books.n_iter_}, loss = {loss:.8f}")
        if self.score is None:
            self._compare_loss(loss)
        else:
            self._compare_score(self.score())
        is_patient = books._no_improvement_count <= books.n_iter_no_change
        if is_patient or books.solver == "lbfgs":
            return None
        return self._stop_or_slow_down()

    def _compare_loss(self, loss):
        books = self.estimator
        self._count_unless(loss <= books.best_loss_ - books.tol)
        books.best_loss_ = min(loss, books.best_loss_)

    def _compare_score(self, score):
        books = self.estimator
        books.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        self._count_unless(score >= books.best_validation_score_ + books.tol)
        if score > books.best_validation_score_:
            books.best_validation_score_ = score
            self.best_weights = self.weights()

    def _count_unless(self, is_better):
        books = self.estimator
        books._no_improvement_count = (
            0 if is_better else books._no_improvement_count + 1
        )

    def _stop_or_slow_down(self):
        books = self.estimator
        what = "Training loss" if self.score is None else "Validation score"
        reason = (
            f"{what} did not improve more than tol={books.tol:f} for "
            f"{books.n_iter_no_change} consecutive epochs."
        )
        if self.slow_down():
            self._say(f"{reason} Lowering the learning rate.")
            books._no_improvement_count = 0
            return None
        self._say(f"{reason} Stopping.")
        return "n_iter_no_change" if self.score is None else "early_stopping"

    def _say(self, message):
        if self.estimator.verbose:
            print(message)


def stops_early(estimator):
    """Tell whether held-out samples decide when to stop; L-BFGS decides itself."""
    return estimator.early_stopping and estimator.solver != "lbfgs"


def start_books(estimator):
    """Reset the attributes that ``Books`` writes."""
    estimator.t_ = 0
    estimator.loss_curve_ = []
    _start_comparing(estimator)


def match_books(estimator):
    """Compare anew where ``early_stopping`` has changed since the call before."""
    if stops_early(estimator) != (estimator.best_loss_ is None):
        _start_comparing(estimator)


def _start_comparing(estimator):
    early = stops_early(estimator)
    estimator._no_improvement_count = 0
    estimator.best_loss_ = None if early else np.inf
    estimator.validation_scores_ = [] if early else None
    estimator.best_validation_score_ = -np.inf if early else None
