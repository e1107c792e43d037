"""Several random states of one network, trained together."""

from __future__ import annotations

from numbers import Integral

import joblib
from sklearn.base import clone
from sklearn.utils import gen_even_slices

from skib.neural_network._fit import fit_networks

__all__ = ["fit_seeds"]


def fit_seeds(estimator, X, y, *, random_states, sample_weight=None, n_jobs=None):
    """Fit clones that differ in ``random_state`` only, all at once.

    Small networks share the cost of every call, so that eight seeds take a good deal
    less than eight times one; with ``n_jobs`` they are shared out among cores besides.
    Each clone draws its own weights, batches and noise from its own seed and ends as
    ``fit`` alone would leave it, up to rounding, which long training amplifies; a later
    ``partial_fit`` begins with a new optimiser.

    Parameters
    ----------
    estimator : NoisyMLPClassifier or NoisyMLPRegressor
        What to fit; itself left alone.
    X : array-like of shape (n_samples, n_features)
        Training inputs.
    y : array-like of shape (n_samples,)
        Labels or values.
    random_states : int or sequence
        One random state per clone; an int n stands for 0, ..., n - 1. A ``RandomState``
        object belongs to one clone only.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each sample in the loss.
    n_jobs : int, default=None
        Number of joblib workers, each of which trains its share of the clones
        together; None is 1 unless in a ``joblib.parallel_config`` context, -1 is all.
        Warnings of workers go to their standard error.

    Returns
    -------
    estimators : list of estimators
        The fitted clones, in the order of ``random_states``.

    Raises
    ------
    ValueError
        If the solver is "lbfgs" or the learning rate "adaptive": they cannot be
        shared between networks.

    Examples
    --------
    >>> from skib.neural_network import NoisyMLPClassifier, fit_seeds
    >>> model = NoisyMLPClassifier((4,), max_iter=3, n_iter_no_change=float("inf"))
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> [m.n_iter_ for m in fit_seeds(model, X, y, random_states=3)]
    [3, 3, 3]
    """
    if estimator.solver == "lbfgs" or (
        estimator.solver == "sgd" and estimator.learning_rate == "adaptive"
    ):
        raise ValueError(
            "fit_seeds trains with solver 'adam', or 'sgd' with a learning rate that "
            f"does not adapt. Got solver={estimator.solver!r} and learning_rate="
            f"{estimator.learning_rate!r}: fit one seed at a time."
        )
    if isinstance(random_states, Integral):
        random_states = range(random_states)
    clones = [
        clone(estimator).set_params(random_state=state) for state in random_states
    ]
    # Checked and begun here, so that bad input fails before any worker starts.
    data = [each._start(X, y, sample_weight) for each in clones]
    n_workers = min(joblib.effective_n_jobs(n_jobs), len(clones))
    if n_workers > 1:
        shares = gen_even_slices(len(clones), n_workers)
        fitted = joblib.Parallel(n_jobs=n_workers)(
            joblib.delayed(_fit_together)(clones[share], data[0]) for share in shares
        )
        clones = [each for share in fitted for each in share]
    elif clones:
        fit_networks(clones, data[0])
    for each in clones:
        # Only a clone that trained alone has an optimiser of its own to go on with.
        vars(each).pop("_optimizer", None)
    return clones


def _fit_together(clones, data):
    """Fit clones side by side and return them: a worker trains copies."""
    fit_networks(clones, data)
    return clones
