"""Which epochs a recording keeps."""

from __future__ import annotations

from numbers import Integral

import numpy as np

__all__ = ["make_schedule"]

PER_DECADE = 10
DECADES = 9


def make_schedule(record_epochs, last_epoch, *, may_exceed=False, is_open=False):
    """Return the epochs to record, sorted and unique, or None for no recording.

    Parameters
    ----------
    record_epochs : None, "log", int or array-like of int
        See ``NoisyMLPClassifier``.
    last_epoch : int
        Number of passes after which training ends.
    may_exceed : bool
        Whether listed epochs after the last are left for a later call.
    is_open : bool
        Whether nobody knows when training ends: "log" goes on without an end.

    Returns
    -------
    epochs : frozenset of int, or None
        Numbers of completed passes; 0 stands for the initial weights.
    """
    if record_epochs is None:
        return None
    if isinstance(record_epochs, str):
        return _log_epochs(record_epochs, None if is_open else last_epoch)
    if isinstance(record_epochs, Integral) and not isinstance(record_epochs, bool):
        return _n_epochs(int(record_epochs), last_epoch)
    return _given_epochs(record_epochs, None if may_exceed else last_epoch)


def _log_epochs(name, last_epoch):
    """Take the start, ten epochs per decade and the end."""
    if name != "log":
        raise ValueError(_wanted(name))
    exponents = np.arange(DECADES * PER_DECADE + 1) / PER_DECADE
    grid = {0, *np.rint(10**exponents).astype(int).tolist()}
    if last_epoch is None:
        return frozenset(grid)
    return frozenset({e for e in grid if e < last_epoch} | {last_epoch})


def _n_epochs(n_epochs, last_epoch):
    """Take the end, the start, and epochs of even ratio between: n_epochs in all."""
    if n_epochs < 1:
        raise ValueError(_wanted(n_epochs))
    if n_epochs <= 2 or last_epoch < 2:
        return frozenset([last_epoch, 0][:n_epochs])
    epochs = [1]
    for n_left in range(min(n_epochs - 2, last_epoch - 1), 0, -1):
        ratio = (last_epoch / epochs[-1]) ** (1 / n_left)
        epochs.append(max(epochs[-1] + 1, round(epochs[-1] * ratio)))
    return frozenset([0, *epochs])


def _given_epochs(record_epochs, last_epoch):
    try:
        epochs = np.asarray(record_epochs)
        is_list = (
            epochs.ndim == 1 and epochs.size and (epochs == np.floor(epochs)).all()
        )
    except (TypeError, ValueError):
        is_list = False
    if not is_list or (epochs < 0).any():
        raise ValueError(_wanted(record_epochs))
    if last_epoch is not None and epochs.max() > last_epoch:
        raise ValueError(
            f"record_epochs asks for epoch {int(epochs.max())}, but training ends "
            f"after max_iter={last_epoch} epochs. Raise max_iter or record earlier "
            "epochs."
        )
    return frozenset(epochs.astype(int).tolist())


def _wanted(came):
    return (
        "record_epochs must be None, 'log', a number of epochs >= 1, or a list of "
        f"epochs >= 0. Got record_epochs={came!r}."
    )
