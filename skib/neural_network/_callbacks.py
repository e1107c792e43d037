"""The bridge to scikit-learn's callbacks, where the installed version has them."""

from __future__ import annotations

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "FitCallbacks", "with_callbacks"]


class FitCallbacks:
    """Tells the callbacks of an estimator about fit and each of its epochs.

    Parameters
    ----------
    estimator : estimator
        Does nothing when no callbacks were set on it.
    n_epochs : int
        Epochs that may come.
    X, y, sample_weight : array-like
        The training data, as callbacks may ask for them.
    """

    def __init__(self, estimator, n_epochs, X, y, sample_weight):
        self.estimator = estimator
        self.data = {"estimator": estimator, "X": X, "y": y}
        if sample_weight is not None:
            self.data["metadata"] = {"sample_weight": sample_weight}
        self.fit_context = None
        if getattr(estimator, "_skl_callbacks", None):
            self.fit_context = estimator._init_callback_context(max_subtasks=n_epochs)
            self.fit_context.call_on_fit_task_begin(**self.data)

    def begin_epoch(self):
        """Open the task of one epoch."""
        if self.fit_context is not None:
            self.epoch_context = self.fit_context.subcontext(task_name="epoch")
            self.epoch_context.call_on_fit_task_begin(**self.data)

    def end_epoch(self, state):
        """Close it; ``state()`` gives the fitted attributes. True asks to stop."""
        if self.fit_context is None:
            return False
        return self.epoch_context.call_on_fit_task_end(
            **self.data, reconstruction_attributes=state
        )

    def end_fit(self, state):
        """Close the task of fit."""
        if self.fit_context is not None:
            self.fit_context.call_on_fit_task_end(
                **self.data, reconstruction_attributes=state
            )
