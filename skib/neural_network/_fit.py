"""From estimators and arrays to trained weights, for one network or several."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skib._validation import check_device
from skib.neural_network._callbacks import FitCallbacks
from skib.neural_network._checks import check_layer_noise
from skib.neural_network._optimizers import Adam, StochasticGradientDescent
from skib.neural_network._progress import Progress, Recorder
from skib.neural_network._schedule import make_schedule
from skib.neural_network._stack import NetworkStack
from skib.neural_network._threads import threads_for
from skib.neural_network._training import NoiseSource, Trainer

__all__ = ["Data", "fit_networks"]

_ADAM = Adam, ["learning_rate_init", "beta_1", "beta_2", "epsilon"]
_SGD = (
    StochasticGradientDescent,
    [
        "learning_rate_init",
        "learning_rate",
        "power_t",
        "momentum",
        "nesterovs_momentum",
    ],
)
# L-BFGS brings its own steps; the other only stands in its place.
OPTIMIZERS: dict[str, tuple] = {"adam": _ADAM, "sgd": _SGD, "lbfgs": _ADAM}


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
        All positive.
    """

    X: np.ndarray
    targets: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None


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
        self.stack = _make_stack(estimators)
        self.optimizer = _make_optimizer(first, self.stack.flat, incremental)
        self.trainer = _make_trainer(
            estimators, data, [train for train, _ in splits], self.stack, self.optimizer
        )
        self.runs = [
            _Run(self, network, estimator, data, held_out)
            for network, (estimator, (_, held_out)) in enumerate(
                zip(estimators, splits, strict=True)
            )
        ]

    def threads(self):
        n_parameters = len(self.stack.flat)
        return threads_for(n_parameters * self.trainer.batch_size)

    def run(self):
        """Train until all networks are done, the epochs are, or the user is."""
        with _interruptible():
            for _ in range(self.n_epochs):
                self._run_epoch()
                if all(run.is_done for run in self.runs):
                    break
        self._finish()

    def _run_epoch(self):
        for run in self.runs:
            run.begin_epoch()
        losses = self.trainer.run_epoch()
        for run, loss in zip(self.runs, losses, strict=True):
            run.end_epoch(loss, len(self.trainer.rows[0]))
        self.optimizer.end_epoch(self.estimators[0].t_)

    def run_lbfgs(self):
        """Minimise the loss of the only network over all rows, without noise."""
        run, stack, batch = self.runs[0], self.stack, self.trainer.whole_batch()

        def loss_and_gradient(flat):
            stack.flat.copy_(torch.from_numpy(flat))
            loss = stack.compute_gradient(batch).item()
            return loss, stack.gradient.double().cpu().numpy()

        def end_iteration(intermediate_result):
            stack.flat.copy_(torch.from_numpy(intermediate_result.x))
            run.end_epoch(float(intermediate_result.fun), batch.inputs.shape[-1])
            if run.stop_asked:
                raise StopIteration
            run.begin_epoch()

        first = self.estimators[0]
        with _interruptible(), torch.no_grad():
            run.begin_epoch()
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
            stack.flat.copy_(torch.from_numpy(result.x))
            run.is_done = result.status == 0
        self._finish()

    def _finish(self):
        self.optimizer.park()
        for run in self.runs:
            run.finish()
        if not self.incremental:
            _warn_if_unfinished(self.runs, self.n_epochs)


class _Run:
    """One network of a session: what happens around its epochs."""

    def __init__(self, session, network, estimator, data, held_out):
        self.session = session
        self.network = network
        self.estimator = estimator
        self.is_done = False
        self.stop_asked = False
        self.final = None
        self.schedule = _schedule_of(estimator, session)
        self.recorder = self._make_recorder(estimator, session.incremental)
        self.progress = Progress(
            estimator,
            score=None if held_out is None else self._scorer(data, held_out),
            weights=self.weights,
            slow_down=session.optimizer.slow_down,
        )
        self.callbacks = FitCallbacks(
            estimator, session.n_epochs, data.X, data.y, data.sample_weight
        )
        self.record()

    def weights(self):
        """Return copies of the present coefs and intercepts."""
        return self.session.stack.unload(self.network)

    def state(self):
        """Return the attributes that make the estimator a fitted one, now."""
        coefs, intercepts = self.weights()
        return {"coefs_": coefs, "intercepts_": intercepts, **self._recorded()}

    def begin_epoch(self):
        if not self.is_done:
            self.callbacks.begin_epoch()

    def end_epoch(self, loss, n_samples):
        """Book, record and announce an epoch; keep the weights if it is the last."""
        if self.is_done:
            return
        is_over = self.progress.end_epoch(loss, n_samples)
        self.record()
        self.stop_asked = bool(self.callbacks.end_epoch(self.state))
        if is_over or self.stop_asked:
            self.is_done = True
            self.final = self.weights()

    def record(self):
        """Tell the recorder which epoch has been reached."""
        if self.recorder is not None:
            self.recorder.end_epoch(len(self.estimator.loss_curve_), self.weights)

    def finish(self):
        """Write the fitted attributes."""
        last = self.final or self.weights()
        self._record_last(last)
        best = self.progress.best_weights or last
        self.estimator.coefs_, self.estimator.intercepts_ = best
        for name, value in self._recorded().items():
            setattr(self.estimator, name, value)
        self.callbacks.end_fit(self.state)
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

    def _recorded(self):
        if self.recorder is None:
            return {}
        estimator = self.estimator
        recording = self.recorder.to_recording(
            activation=estimator.activation,
            noise_std=_additive_noise(estimator),
            output=estimator.out_activation_,
            classes=getattr(estimator, "classes_", None),
        )
        return {} if recording is None else {"recording_": recording}

    def _scorer(self, data, held_out):
        weight = data.sample_weight
        weight = None if weight is None else weight[held_out]
        X, y = data.X[held_out], data.y[held_out]

        def score():
            return self.estimator._score_weights(*self.weights(), X, y, weight)

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


def _additive_noise(estimator):
    """Noise of the recorded network: dropout acts in training only."""
    noise_std = check_layer_noise(estimator.noise_std, estimator.n_layers_ - 2)
    return noise_std if estimator.noise == "additive" else (0.0,) * len(noise_std)


def _layer_sizes(estimator):
    return [len(estimator.coefs_[0]), *(coef.shape[1] for coef in estimator.coefs_)]


def _dtype(estimator):
    return torch.float64 if estimator.dtype == "float64" else torch.float32


def _make_stack(estimators):
    first = estimators[0]
    stack = NetworkStack(
        _layer_sizes(first),
        len(estimators),
        activation=first.activation,
        loss=first._loss,
        noise_is_factor=first.noise != "additive",
        alpha=first.alpha,
        dtype=_dtype(first),
        device=check_device(first.device),
    )
    for network, estimator in enumerate(estimators):
        stack.load(network, estimator.coefs_, estimator.intercepts_)
    return stack


def _make_optimizer(estimator, flat, incremental):
    """Return the optimiser of an earlier ``partial_fit``, or a new one."""
    if incremental and hasattr(estimator, "_optimizer"):
        return estimator._optimizer.move(flat.device)
    make, names = OPTIMIZERS[estimator.solver]
    options = {name: getattr(estimator, name) for name in names}
    estimator._optimizer = make(flat, **options)
    return estimator._optimizer


def _make_trainer(estimators, data, rows, stack, optimizer):
    first = estimators[0]
    on = {"dtype": stack.flat.dtype, "device": stack.flat.device}
    weights = data.sample_weight
    noise = NoiseSource(
        first.noise,
        check_layer_noise(first.noise_std, len(stack.layer_sizes) - 2),
        stack.layer_sizes[1:-1],
        seeds=[e._random_state.randint(2**31 - 1) for e in estimators],
        **on,
    )
    return Trainer(
        stack,
        optimizer,
        torch.tensor(data.X, **on),
        torch.tensor(data.targets, **on),
        None if weights is None else torch.tensor(weights, **on),
        rows,
        batch_size=_batch_size(first, len(rows[0])),
        shuffles=[e._random_state for e in estimators] if first.shuffle else None,
        noise=noise,
        orthonormality=first.orthonormality,
    )


def _batch_size(estimator, n_samples):
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warnings.warn(
            f"batch_size={estimator.batch_size} is larger than the {n_samples} "
            f"training samples: {n_samples} is used.",
            stacklevel=5,
        )
    return min(estimator.batch_size, n_samples)


def _split(estimator, data):
    """Rows to train on, and rows held out to stop early (None for none)."""
    rows = np.arange(len(data.X))
    if not estimator.early_stopping:
        return rows, None
    train, held_out = train_test_split(
        rows,
        random_state=estimator._random_state,
        test_size=estimator.validation_fraction,
        stratify=data.y if hasattr(estimator, "classes_") else None,
    )
    if len(held_out) < 2:
        raise ValueError(
            "early_stopping needs at least 2 validation samples. Got "
            f"{len(held_out)}: raise validation_fraction or give more data."
        )
    return train, held_out


@contextmanager
def _interruptible():
    """Let a user stop training and keep what has been reached."""
    try:
        yield
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=6)


def _warn_if_unfinished(runs, n_epochs):
    first = runs[0].estimator
    reached_the_end = any(
        not run.is_done and run.estimator.n_iter_ >= n_epochs for run in runs
    )
    # With n_iter_no_change=inf a fixed number of epochs was asked for.
    if reached_the_end and np.isfinite(first.n_iter_no_change):
        warnings.warn(
            f"Maximum iterations ({n_epochs}) reached and the optimization has not "
            "converged yet. Raise max_iter, or set n_iter_no_change=np.inf to train "
            "a fixed number of epochs.",
            ConvergenceWarning,
            stacklevel=6,
        )
