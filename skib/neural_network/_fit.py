"""From estimators and arrays to trained weights, for one network or several."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skib._numerics.threads import threads_for
from skib._validation import as_tensor
from skib.neural_network._books import stops_early
from skib.neural_network._build import make_optimizer, make_stack, make_trainer
from skib.neural_network._network_in_training import NetworkInTraining

__all__ = ["fit_networks"]

# Ends of training before convergence, and what to do.
UNFINISHED = {
    "max_iter": "Maximum iterations ({0.max_iter}) reached and the optimization has "
    "not converged yet. Raise max_iter, or set n_iter_no_change=np.inf to train a "
    "fixed number of epochs.",
    "max_fun": "Maximum evaluations ({0.max_fun}) reached and the optimization has not "
    "converged yet. Raise max_fun.",
    "line_search": "The line search of L-BFGS found no lower loss and the optimization "
    "has not converged yet. Scale the inputs, or use dtype='float64'.",
}


def fit_networks(estimators, data, *, incremental=False):
    """Train estimators that differ in their random state only, side by side.

    Parameters
    ----------
    estimators : list of estimators
        Their weights, books and random states are ready.
    data : Data
        The training data of all.
    incremental : bool
        Whether this is one epoch of ``partial_fit``.
    """
    session = _Session(estimators, data, incremental)
    with session.threads():
        if estimators[0].solver == "lbfgs":
            session.run_lbfgs()
        else:
            session.run()


class _Session:
    """One call of fit: the stack, the trainer and the books of every estimator."""

    def __init__(self, estimators, data, incremental):
        first = estimators[0]
        self.estimators = estimators
        self.incremental = incremental
        self.n_epochs = 1 if incremental else first.max_iter
        splits = [_split(estimator, data) for estimator in estimators]
        self.stack = make_stack(estimators, data)
        self.optimizer = make_optimizer(estimators, self.stack.flat, go_on=incremental)
        self.trainer = make_trainer(
            estimators, data, [train for train, _ in splits], self.stack, self.optimizer
        )
        self.networks = [
            NetworkInTraining(self, position, estimator, data, held_out)
            for position, (estimator, (_, held_out)) in enumerate(
                zip(estimators, splits, strict=True)
            )
        ]

    def threads(self):
        n_parameters = len(self.stack.flat)
        return threads_for(n_parameters * self.trainer.batch_size)

    def run(self):
        """Train until all networks are done, the epochs are, or the user is."""
        with _interruptible(self.networks):
            for _ in range(self.n_epochs):
                self._run_epoch()
                if all(network.stopped_by for network in self.networks):
                    break
        self._finish()

    def _run_epoch(self):
        for network in self.networks:
            network.begin_epoch()
        losses = self.trainer.run_epoch()
        for network, loss in zip(self.networks, losses, strict=True):
            network.end_epoch(loss, len(self.trainer.rows[0]))
        # Networks that are done have stopped counting.
        self.optimizer.end_epoch(max(each.t_ for each in self.estimators))

    def run_lbfgs(self):
        """Minimise the loss of the only network over all rows, without noise."""
        network, stack, batch = self.networks[0], self.stack, self.trainer.whole_batch()

        def loss_and_gradient(flat):
            stack.flat.copy_(as_tensor(flat))
            loss = stack.compute_gradient(batch).item()
            return loss, stack.gradient.double().cpu().numpy()

        def end_iteration(intermediate_result):
            stack.flat.copy_(as_tensor(intermediate_result.x))
            network.begin_epoch()
            network.end_epoch(float(intermediate_result.fun), batch.n_samples)
            if network.stopped_by is not None:
                raise StopIteration

        first = self.estimators[0]
        with _interruptible(self.networks), torch.no_grad():
            result = minimize(
                loss_and_gradient,
                stack.flat.double().cpu().numpy(),
                method="L-BFGS-B",
                jac=True,
                callback=end_iteration,
                options={
                    "maxfun": first.max_fun,
                    "maxiter": first.max_iter,
                    "gtol": first.tol,
                },
            )
            stack.flat.copy_(as_tensor(result.x))
            network.stop(_lbfgs_reason(result, first))
        self._finish()

    def _finish(self):
        self.optimizer.park()
        for network in self.networks:
            if not self.incremental:
                network.stop("max_iter")
            network.finish()
        _warn_if_unfinished(self.networks)


def _split(estimator, data):
    """Rows to train on, and rows held out to stop early (None for none)."""
    rows = np.arange(len(data.X))
    if not stops_early(estimator):
        return rows, None
    # As in scikit-learn: several classes, or labels, need not all be held out.
    n_classes = len(getattr(estimator, "classes_", ()))
    is_stratified = estimator.out_activation_ == "softmax" and n_classes <= 2
    train, held_out = train_test_split(
        rows,
        random_state=estimator._random_state,
        test_size=estimator.validation_fraction,
        stratify=data.y if is_stratified else None,
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small: early_stopping needs at least 2 samples "
            f"there. Got {len(held_out)}: raise validation_fraction or give more data."
        )
    return train, held_out


def _lbfgs_reason(result, estimator):
    """Say which parameter ended L-BFGS, or that its line search gave up."""
    if result.status == 0:
        return "tol"
    if result.status == 1:
        return "max_iter" if result.nit >= estimator.max_iter else "max_fun"
    return "line_search"


@contextmanager
def _interruptible(networks):
    """Let a user stop training and keep what has been reached."""
    try:
        yield
    except KeyboardInterrupt:
        for network in networks:
            network.stop("interrupt")
        warnings.warn("Training interrupted by user.", stacklevel=6)


def _warn_if_unfinished(networks):
    first = networks[0].estimator
    for reason in {network.stopped_by for network in networks} & UNFINISHED.keys():
        # With n_iter_no_change=inf a fixed number of epochs was asked for.
        if reason != "max_iter" or np.isfinite(first.n_iter_no_change):
            warnings.warn(
                UNFINISHED[reason].format(first), ConvergenceWarning, stacklevel=6
            )
