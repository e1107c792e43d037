"""Noisy multi-layer perceptrons in scikit-learn's manners."""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_array, check_random_state, check_scalar
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skib._validation import check_device
from skib.neural_network._activations import ACTIVATIONS
from skib.neural_network._callbacks import CallbackSupportMixin, with_callbacks
from skib.neural_network._checks import check_layer, check_layer_noise, check_option
from skib.neural_network._evaluation import (
    network_activations,
    predict_outputs,
    sample_outputs,
)
from skib.neural_network._fit import Data, fit_networks
from skib.neural_network._progress import start_books
from skib.neural_network._training import NOISE_KINDS

__all__ = ["NoisyMLPClassifier", "NoisyMLPRegressor", "fit_seeds"]

OPTIONS = {
    "activation": ACTIVATIONS,
    "solver": ["lbfgs", "sgd", "adam"],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "noise": NOISE_KINDS,
    "dtype": ["float32", "float64"],
}

# Type, smallest and largest value, and which of the two is allowed itself.
NUMBERS = {
    "alpha": (Real, 0, None, "left"),
    "learning_rate_init": (Real, 0, None, "neither"),
    "power_t": (Real, 0, None, "left"),
    "max_iter": (Integral, 1, None, "left"),
    "tol": (Real, 0, None, "left"),
    "momentum": (Real, 0, 1, "both"),
    "validation_fraction": (Real, 0, 1, "left"),
    "beta_1": (Real, 0, 1, "left"),
    "beta_2": (Real, 0, 1, "left"),
    "epsilon": (Real, 0, None, "neither"),
    "n_iter_no_change": (Real, 1, None, "left"),
    "max_fun": (Integral, 1, None, "left"),
    "orthonormality": (Real, 0, None, "left"),
}


def _is_stochastic(estimator):
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for the stochastic solvers 'sgd' and "
            "'adam'. Got solver='lbfgs'."
        )
    return True


class _NoisyMLP(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """What the classifier and the regressor share."""

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        noise_std=0.05,
        noise="additive",
        orthonormality=0.0,
        record_epochs=None,
        transform_layer=-1,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dtype="float32",
        device=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.noise_std = noise_std
        self.noise = noise
        self.orthonormality = orthonormality
        self.record_epochs = record_epochs
        self.transform_layer = transform_layer
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dtype = dtype
        self.device = device

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training inputs.
        y : array-like of shape (n_samples,)
            Labels, or the values to regress on, then also (n_samples, n_outputs).
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample in the loss; those of weight 0 are left out.

        Returns
        -------
        self : estimator
            The fitted estimator, also after a KeyboardInterrupt.
        """
        fit_networks([self], self._start(X, y, sample_weight))
        return self

    def transform(self, X):
        """Noise-free activations of the layer ``transform_layer``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
        """
        check_is_fitted(self)
        X = self._check_inputs(X)
        layer = check_layer(self.transform_layer, self.n_layers_ - 2)
        silence = (0.0,) * (self.n_layers_ - 2)
        return network_activations(
            X, self.coefs_, self.intercepts_, self.activation, silence, layer=layer
        )

    def activations(self, X, *, layer=-1, n_draws=None, random_state=None):
        """Noiseless activations S of one layer, after noisy earlier layers.

        The noisy representation is T = S + noise_std * Z with Z standard Gaussian.
        Noise of the dropout kinds acts in training only.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_samples, n_features)
            Inputs; a tensor may live on any device.
        layer : int, default=-1
            Hidden layer, counted from 1; -1 is the last.
        n_draws : int or None, default=None
            Noisy passes per input.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise.

        Returns
        -------
        activations : ndarray, or Tensor where X is one
            Of shape (n_samples, n_units), one noisy pass, when n_draws is None, else
            (n_samples, n_draws, n_units).
        """
        check_is_fitted(self)
        return network_activations(
            self._check_inputs(X, keep_tensors=True),
            self.coefs_,
            self.intercepts_,
            self.activation,
            self._sampling_noise(),
            layer=layer,
            n_draws=n_draws,
            random_state=random_state,
        )

    def _start(self, X, y, sample_weight, *, incremental=False, classes=None):
        """Check everything and make the network ready to be trained."""
        _check_parameters(self)
        goes_on = incremental or self.warm_start
        is_first = not (goes_on and hasattr(self, "coefs_"))
        X, y = self._validate_pair(_as_numpy(X), _as_numpy(y), is_first)
        if is_first:
            self._learn_outputs(y, classes)
        targets = self._make_targets(y, incremental)
        sample_weight = _check_sample_weight(sample_weight, X)
        if is_first:
            self._random_state = check_random_state(self.random_state)
            self._initialize(X.shape[1], targets.shape[1])
        self._check_architecture()
        self.n_iter_ = 0
        if sample_weight is not None and (sample_weight == 0).any():
            used = sample_weight > 0
            X, targets, y = X[used], targets[used], y[used]
            sample_weight = sample_weight[used]
        return Data(X, targets, y, sample_weight)

    def _initialize(self, n_features, n_outputs):
        sizes = [n_features, *_hidden_sizes(self), n_outputs]
        layers = [
            _draw_layer(n_in, n_out, self._random_state, self.dtype)
            for n_in, n_out in pairwise(sizes)
        ]
        self.coefs_ = [coef for coef, _ in layers]
        self.intercepts_ = [intercept for _, intercept in layers]
        self.n_layers_ = len(sizes)
        self.n_outputs_ = n_outputs
        self.out_activation_ = self._output
        start_books(self)
        for leftover in ("recording_", "_optimizer"):
            if hasattr(self, leftover):
                delattr(self, leftover)

    def _check_architecture(self):
        """Refuse to go on with another architecture than that of the weights."""
        fitted = [coef.shape[1] for coef in self.coefs_[:-1]]
        if fitted != _hidden_sizes(self):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} cannot go on from "
                f"weights with hidden layers {fitted}. Fit with warm_start=False."
            )

    def _check_inputs(self, X, *, keep_tensors=False):
        if keep_tensors and isinstance(X, torch.Tensor):
            return X
        return validate_data(self, _as_numpy(X), dtype=self.dtype, reset=False)

    def _predict_outputs(self, X):
        check_is_fitted(self)
        return self._outputs(self.coefs_, self.intercepts_, self._check_inputs(X))

    def _outputs(self, coefs, intercepts, X):
        return predict_outputs(
            X.astype(self.dtype, copy=False),
            coefs,
            intercepts,
            self.activation,
            self.out_activation_,
        )

    def _sample_outputs(self, X, n_draws, random_state):
        check_is_fitted(self)
        return sample_outputs(
            self._check_inputs(X),
            self.coefs_,
            self.intercepts_,
            self.activation,
            self._sampling_noise(),
            self.out_activation_,
            n_draws=n_draws,
            random_state=random_state,
        )

    def _sampling_noise(self):
        """Noise outside training, one value per hidden layer."""
        n_hidden = self.n_layers_ - 2
        noise_std = check_layer_noise(self.noise_std, n_hidden)
        return noise_std if self.noise == "additive" else (0.0,) * n_hidden

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = [self.dtype]
        return tags

    @property
    def _n_features_out(self):
        layer = check_layer(self.transform_layer, self.n_layers_ - 2)
        return self.coefs_[layer - 1].shape[1]


class NoisyMLPClassifier(ClassifierMixin, _NoisyMLP):
    """Multi-layer perceptron with Gaussian noise in its hidden layers.

    After the activation of every hidden layer Gaussian noise is added,
    ``T = S + noise_std * Z``, so that the information a layer carries about the input
    is a finite quantity that training changes. Noise is fresh at every step of
    ``fit`` and is drawn by ``activations`` and ``sample_proba``; ``predict``,
    ``predict_proba``, ``score`` and ``transform`` are without noise.

    Parameters, attributes and their meaning are those of
    :class:`sklearn.neural_network.MLPClassifier` wherever it has them. What differs:
    two classes have two softmax outputs, weights start as in ``torch.nn.Linear``
    (uniform within ``1 / sqrt(n_in)``), and the recipe of the paper is
    ``alpha=0, n_iter_no_change=np.inf``: without penalty, for exactly ``max_iter``
    epochs.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; at least one layer.
    activation : {"relu", "tanh", "leaky_relu", "logistic", "identity"}, \
            default="relu"
        Activation of the hidden layers; "leaky_relu" has slope 0.01 below zero.
    noise_std : float or sequence of float, default=0.05
        Standard deviation of the noise, in activation units: one value, or one for
        each hidden layer. 0 is the deterministic network.
    noise : {"additive", "gaussian_dropout", "dropout"}, default="additive"
        Additive Gaussian noise, or noise that multiplies activations in training
        only: a Gaussian factor of mean 1 and standard deviation ``noise_std``, or
        ordinary dropout whose factor has that standard deviation, a rate of
        ``noise_std**2 / (1 + noise_std**2)`` (0.5 gives a rate of 0.2). The network
        recorded from the last two is deterministic.
    orthonormality : float, default=0.0
        Rate of the update ``A <- A - rate * (A A^T A - A)`` of the weights of every
        layer but the last, after each step; 0 is off.
    record_epochs : None, "log", int or array-like of int, default=None
        Epochs whose weights ``recording_`` keeps, counted in completed passes, 0
        being the initial weights. "log": the start, ten per decade, the end. An int:
        so many, at even ratios, the start and the end among them. When training
        stops early these two also keep the last epoch reached; a list is kept as
        far as it was reached, and must not go beyond ``max_iter``.
    transform_layer : int, default=-1
        Hidden layer that ``transform`` returns, counted from 1; -1 is the last.
    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        "lbfgs" needs ``noise_std=0``.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights, divided by the batch size.
    batch_size : int or "auto", default="auto"
        Samples per step; "auto" is ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        Schedule of ``solver="sgd"``.
    learning_rate_init : float, default=0.001
        Learning rate, for "sgd" at the start.
    power_t : float, default=0.5
        Exponent of the "invscaling" schedule.
    max_iter : int, default=200
        Most epochs of one call of ``fit``.
    shuffle : bool, default=True
        Whether samples are shuffled before each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, batches, the validation set and noise. An int gives
        the same network again on the same device.
    tol : float, default=1e-4
        Smallest gain that counts as an improvement.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights, loss curve and recording of the
        call before.
    momentum : float, default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop when the score on held-out samples stays, and go back to the
        best weights. The recording keeps the path as it was.
    validation_fraction : float, default=0.1
        Fraction held out by ``early_stopping``.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the two moments of "adam".
    epsilon : float, default=1e-8
        Added to the root of the second moment of "adam".
    n_iter_no_change : int or np.inf, default=10
        Epochs without improvement after which training stops. With np.inf it takes
        exactly ``max_iter`` epochs, without a warning.
    max_fun : int, default=15000
        Most evaluations of "lbfgs".
    dtype : {"float32", "float64"}, default="float32"
        Precision of weights and outputs.
    device : None, str or torch.device, default=None
        Where ``fit`` computes; None is the CPU.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the outputs.
    coefs_, intercepts_ : lists of ndarrays (n_in, n_out) and (n_out,)
        Weights of every layer, the output layer last.
    recording_ : Recording
        Weights at the recorded epochs; only when ``record_epochs`` is given.
    loss_curve_ : list of float
        Mean training loss of each epoch, with noise, in nats.
    loss_, best_loss_ : float
        The last of them, and the smallest.
    validation_scores_ : list of float or None
        Accuracy on the held-out samples after each epoch of ``early_stopping``.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Epochs of the last call.
    t_ : int
        Training samples seen.
    n_layers_, n_outputs_ : int
        Layers, inputs and outputs included, and outputs.
    out_activation_ : str
        "softmax".
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, when X had names.

    See Also
    --------
    NoisyMLPRegressor : The same network with squared error.
    fit_seeds : Several random states trained together.
    Recording : What ``recording_`` can do.

    References
    ----------
    Z. Goldfeld, E. van den Berg, K. Greenewald, I. Melnyk, N. Nguyen, B. Kingsbury
    and Y. Polyanskiy, "Estimating information flow in deep neural networks", ICML
    2019, arXiv:1810.05728.

    Examples
    --------
    >>> import numpy as np
    >>> from skib.datasets import make_szt
    >>> from skib.neural_network import NoisyMLPClassifier
    >>> X, y = make_szt()
    >>> model = NoisyMLPClassifier(
    ...     (10, 7, 5, 4, 3), "tanh", noise_std=0.005, record_epochs="log",
    ...     max_iter=20, n_iter_no_change=np.inf, random_state=0,
    ... ).fit(X, y)
    >>> model.recording_.epochs
    array([ 0,  1,  2,  3,  4,  5,  6,  8, 10, 13, 16, 20])
    >>> model.activations(X, layer=2, n_draws=8, random_state=0).shape
    (4096, 8, 7)
    """

    _loss = "log_loss"
    _output = "softmax"

    @available_if(_is_stochastic)
    @with_callbacks
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one more epoch, keeping weights, optimiser and recording.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training inputs.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample in the loss.
        classes : array-like of shape (n_classes,), default=None
            All labels that may come; needed by the first call.

        Returns
        -------
        self : NoisyMLPClassifier
            The estimator after this epoch.
        """
        _check_announced(self, classes)
        data = self._start(X, y, sample_weight, incremental=True, classes=classes)
        fit_networks([self], data, incremental=True)
        return self

    def predict(self, X):
        """Most probable label, without noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        best = self._predict_outputs(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X):
        """Probability of each class, without noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return self._predict_outputs(X)

    def predict_log_proba(self, X):
        """Logarithm of the probability of each class, without noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))

    def sample_proba(self, X, *, n_draws=100, random_state=None):
        """Class probabilities of noisy passes; their spread is the noise's doing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        n_draws : int, default=100
            Noisy passes per input.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_draws, n_classes)
        """
        return self._sample_outputs(X, n_draws, random_state)

    def _validate_pair(self, X, y, reset):
        X, y = validate_data(self, X, y, dtype=self.dtype, reset=reset)
        check_classification_targets(y)
        return X, y

    def _learn_outputs(self, y, classes):
        self.classes_ = np.unique(y if classes is None else classes)

    def _make_targets(self, y, incremental):
        """One-hot labels in the order of ``classes_``."""
        present = np.unique(y)
        is_known = np.isin(present, self.classes_).all()
        if not is_known or (not incremental and len(present) < len(self.classes_)):
            raise ValueError(
                "y must have the classes of the previous call: "
                f"{self.classes_.tolist()}. Got {present.tolist()}."
            )
        return np.eye(len(self.classes_))[np.searchsorted(self.classes_, y)]

    def _score_weights(self, coefs, intercepts, X, y, sample_weight):
        best = self._outputs(coefs, intercepts, X).argmax(axis=1)
        return accuracy_score(y, self.classes_[best], sample_weight=sample_weight)


class NoisyMLPRegressor(RegressorMixin, _NoisyMLP):
    """Multi-layer perceptron for regression, with Gaussian noise in hidden layers.

    Minimises half the mean squared error of noisy passes; ``predict``, ``score`` and
    ``transform`` are without noise. Everything else is as in
    :class:`NoisyMLPClassifier`, which documents the parameters.

    Parameters
    ----------
    hidden_layer_sizes, activation, noise_std, noise, orthonormality, record_epochs, \
    transform_layer, solver, alpha, batch_size, learning_rate, learning_rate_init, \
    power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, \
    nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, \
    n_iter_no_change, max_fun, dtype, device
        As in :class:`NoisyMLPClassifier`.

    Attributes
    ----------
    coefs_, intercepts_, recording_, loss_curve_, loss_, best_loss_, \
    validation_scores_, best_validation_score_, n_iter_, t_, n_layers_, n_outputs_
        As in :class:`NoisyMLPClassifier`; validation scores are R^2.
    out_activation_ : str
        "identity".
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, when X had names.

    See Also
    --------
    NoisyMLPClassifier : The same network with cross-entropy.

    References
    ----------
    Z. Goldfeld et al., "Estimating information flow in deep neural networks", ICML
    2019, arXiv:1810.05728; the single neurons of its introduction are trained so.

    Examples
    --------
    One noisy tanh neuron on four points, the first experiment of the paper:

    >>> import numpy as np
    >>> from skib.neural_network import NoisyMLPRegressor
    >>> X, y = np.array([[-3.0], [-1.0], [1.0], [3.0]]), np.array([-1, -1, -1, 1])
    >>> neuron = NoisyMLPRegressor(
    ...     1, "tanh", noise_std=0.05, learning_rate_init=0.01, max_iter=2000,
    ...     n_iter_no_change=np.inf, random_state=0,
    ... ).fit(X, y)
    >>> np.sign(neuron.predict(X)).astype(int)
    array([-1, -1, -1,  1])
    """

    _loss = "squared_error"
    _output = "identity"

    @available_if(_is_stochastic)
    @with_callbacks
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one more epoch, keeping weights, optimiser and recording.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values to regress on.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample in the loss.

        Returns
        -------
        self : NoisyMLPRegressor
            The estimator after this epoch.
        """
        data = self._start(X, y, sample_weight, incremental=True)
        fit_networks([self], data, incremental=True)
        return self

    def predict(self, X):
        """Predict values, without noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return _drop_single_output(self._predict_outputs(X))

    def sample_y(self, X, *, n_draws=100, random_state=None):
        """Predictions of noisy passes; their spread is the noise's doing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        n_draws : int, default=100
            Noisy passes per input.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise.

        Returns
        -------
        y : ndarray of shape (n_samples, n_draws) or (n_samples, n_draws, n_outputs)
        """
        return _drop_single_output(self._sample_outputs(X, n_draws, random_state))

    def _validate_pair(self, X, y, reset):
        X, y = validate_data(
            self, X, y, dtype=self.dtype, multi_output=True, y_numeric=True, reset=reset
        )
        is_column = y.ndim == 2 and y.shape[1] == 1
        return X, column_or_1d(y, warn=True) if is_column else y

    def _learn_outputs(self, y, classes):
        """Nothing to learn: any number of outputs may come."""

    def _make_targets(self, y, incremental):
        return y.reshape(len(y), -1)

    def _score_weights(self, coefs, intercepts, X, y, sample_weight):
        predicted = _drop_single_output(self._outputs(coefs, intercepts, X))
        return r2_score(y, predicted, sample_weight=sample_weight)


def fit_seeds(estimator, X, y, *, random_states, sample_weight=None):
    """Fit clones that differ in ``random_state`` only, all at once.

    Small networks share the cost of every call, so that eight seeds take a good deal
    less than eight times one. Each clone draws its own weights, batches and noise
    from its own seed and ends as ``fit`` alone would leave it, up to rounding, which
    long training amplifies.

    Parameters
    ----------
    estimator : NoisyMLPClassifier or NoisyMLPRegressor
        What to fit; itself left alone.
    X : array-like of shape (n_samples, n_features)
        Training inputs.
    y : array-like of shape (n_samples,)
        Labels or values.
    random_states : int or sequence
        One random state per clone; an int n stands for 0, ..., n - 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each sample in the loss.

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
    data = [each._start(X, y, sample_weight) for each in clones]
    if clones:
        fit_networks(clones, data[0])
    return clones


def _hidden_sizes(estimator):
    sizes = np.atleast_1d(np.asarray(estimator.hidden_layer_sizes, dtype=object))
    is_int = all(isinstance(n, Integral) and not isinstance(n, bool) for n in sizes)
    if sizes.ndim != 1 or not len(sizes) or not is_int or min(sizes) < 1:
        raise ValueError(
            "hidden_layer_sizes must be one or more integers >= 1: the noise, and "
            "what is measured of it, sits in the hidden layers. Got "
            f"hidden_layer_sizes={estimator.hidden_layer_sizes!r}."
        )
    return [int(size) for size in sizes]


def _draw_layer(n_in, n_out, random, dtype):
    """Weights and intercepts uniform within 1/sqrt(n_in), as ``torch.nn.Linear``."""
    bound = 1 / np.sqrt(n_in)
    coef = random.uniform(-bound, bound, (n_in, n_out))
    return coef.astype(dtype), random.uniform(-bound, bound, n_out).astype(dtype)


def _check_parameters(estimator):
    for name, options in OPTIONS.items():
        check_option(name, getattr(estimator, name), options)
    for name, (kind, low, high, closed) in NUMBERS.items():
        value = getattr(estimator, name)
        check_scalar(
            value, name, kind, min_val=low, max_val=high, include_boundaries=closed
        )
        if not np.isfinite(value) and name != "n_iter_no_change":
            raise ValueError(f"{name} must be finite. Got {name}={value!r}.")
    if estimator.batch_size != "auto":
        check_scalar(estimator.batch_size, "batch_size", Integral, min_val=1)
    noise_std = check_layer_noise(estimator.noise_std, len(_hidden_sizes(estimator)))
    if estimator.solver == "lbfgs" and (any(noise_std) or estimator.orthonormality):
        raise ValueError(
            "solver='lbfgs' needs a loss without noise and without orthonormal "
            f"updates. Got noise_std={estimator.noise_std!r} and orthonormality="
            f"{estimator.orthonormality!r}: use 'adam' or 'sgd', or set both to 0."
        )
    check_device(estimator.device)


def _check_announced(estimator, classes):
    """Refuse a first ``partial_fit`` without classes, and a later one with others."""
    if not hasattr(estimator, "classes_"):
        if classes is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels "
                "that may come."
            )
    elif classes is not None and not np.array_equal(
        np.unique(classes), estimator.classes_
    ):
        raise ValueError(
            "classes must be those of the first call to partial_fit, "
            f"{estimator.classes_.tolist()}. Got {np.unique(classes).tolist()}."
        )


def _check_sample_weight(sample_weight, X):
    if sample_weight is None:
        return None
    sample_weight = check_array(
        _as_numpy(sample_weight),
        ensure_2d=False,
        dtype=X.dtype,
        input_name="sample_weight",
    )
    if sample_weight.ndim != 1:
        raise ValueError(
            "sample_weight must be a 1D array, one weight per sample. Got shape "
            f"{sample_weight.shape}."
        )
    check_consistent_length(X, sample_weight)
    if (sample_weight < 0).any() or not sample_weight.any():
        raise ValueError(
            "sample_weight must be >= 0 and not zero everywhere. Got a smallest "
            f"weight of {sample_weight.min()} and a sum of {sample_weight.sum()}."
        )
    return sample_weight


def _as_numpy(array):
    if isinstance(array, torch.Tensor):
        return array.detach().cpu().numpy()
    return array


def _drop_single_output(values):
    return values[..., 0] if values.shape[-1] == 1 else values
