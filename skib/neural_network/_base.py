"""What the noisy classifier and the noisy regressor share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from skib._numerics.noisy_network import NoisyNetwork, OutputLayer
from skib._validation import (
    as_dense,
    as_numpy,
    as_tensor,
    check_layer,
    check_layer_activation,
    check_layer_noise,
    check_weights,
)
from skib.neural_network._books import match_books, start_books
from skib.neural_network._callbacks import CallbackSupportMixin, with_callbacks
from skib.neural_network._fit import fit_networks
from skib.neural_network._network_in_training import Data
from skib.neural_network._parameters import check_parameters, hidden_sizes
from skib.recording import NetworkSnapshot

__all__ = ["BaseNoisyMLP", "is_stochastic"]

SPARSE_FORMATS = ("csr", "csc")


def is_stochastic(estimator):
    """Tell whether ``partial_fit`` exists, as ``available_if`` wants it told."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for the stochastic solvers 'sgd' and "
            "'adam'. Got solver='lbfgs'."
        )
    return True


class BaseNoisyMLP(
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
        self.learning_rate, self.learning_rate_init = learning_rate, learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol, self.verbose = tol, verbose
        self.warm_start = warm_start
        self.momentum, self.nesterovs_momentum = momentum, nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1, self.beta_2 = beta_1, beta_2
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training inputs; sparse ones are made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, zeros and ones that say which of several labels apply, or the
            values to regress on.
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            In the type of the weights.
        """
        check_is_fitted(self)
        layer = self.transform_layer
        return self._snapshot().transform(self._check_inputs(X), layer=layer)

    def activations(self, X, *, layer=-1, n_draws=None, random_state=None):
        """Noiseless activations S of one layer, after noisy earlier layers.

        The noisy representation is T = S + noise_std * Z with Z standard Gaussian.
        Noise of the dropout kinds acts in training only.

        Parameters
        ----------
        X : array-like, sparse matrix or Tensor of shape (n_samples, n_features)
            Inputs; a tensor may live on any device.
        layer : int, default=-1
            Hidden layer, counted from 1; -1 is the last.
        n_draws : int or None, default=None
            Noisy passes per input; None is the noise-free pass.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise.

        Returns
        -------
        activations : ndarray, or Tensor where X is one
            Of shape (n_samples, n_units) when n_draws is None: the exact centres of T
            where the noise is at this layer alone. Else (n_samples, n_draws, n_units).
        """
        check_is_fitted(self)
        return self._snapshot().activations(
            self._check_inputs(X, keep_tensors=True),
            layer=layer,
            n_draws=n_draws,
            random_state=random_state,
        )

    def _start(self, X, y, sample_weight, *, incremental=False, classes=None):
        """Check everything and make the network ready to be trained."""
        check_parameters(self)
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: between single "
                "epochs, stopping is up to the caller."
            )
        goes_on = incremental or self.warm_start
        is_first = not (goes_on and hasattr(self, "coefs_"))
        X, y = self._validate_pair(as_numpy(X), as_numpy(y, "y"), is_first)
        if is_first:
            self._learn_outputs(y, classes)
        targets = self._make_targets(y, incremental)
        data = _weigh(X, targets, y, sample_weight)
        if is_first:
            self._random_state = check_random_state(self.random_state)
            self._initialize(X.shape[1], targets.shape[1])
        self._check_architecture()
        match_books(self)
        self.n_iter_ = 0
        return data

    def _validate_arrays(self, X, y, reset, **options):
        """Return dense inputs, and targets that are one column or several."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=SPARSE_FORMATS,
            dtype=self.dtype,
            multi_output=True,
            reset=reset,
            **options,
        )
        X, y = as_dense(X), as_dense(y)
        is_column = y.ndim == 2 and y.shape[1] == 1
        return X, column_or_1d(y, warn=True) if is_column else y

    def _initialize(self, n_features, n_outputs):
        sizes = [n_features, *hidden_sizes(self), n_outputs]
        layers = [
            _draw_layer(n_in, n_out, self._random_state, self.dtype)
            for n_in, n_out in pairwise(sizes)
        ]
        self.coefs_ = [coef for coef, _ in layers]
        self.intercepts_ = [intercept for _, intercept in layers]
        self.n_layers_ = len(sizes)
        self.n_outputs_ = n_outputs
        start_books(self)
        for leftover in ("recording_", "_optimizer"):
            if hasattr(self, leftover):
                delattr(self, leftover)

    def _check_architecture(self):
        """Refuse to go on with another architecture than that of the weights."""
        fitted = [coef.shape[1] for coef in self.coefs_[:-1]]
        if fitted != hidden_sizes(self):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} cannot go on from "
                f"weights with hidden layers {fitted}. Fit with warm_start=False."
            )

    def _check_inputs(self, X, *, keep_tensors=False):
        if keep_tensors and isinstance(X, torch.Tensor):
            return X
        X = validate_data(
            self,
            as_numpy(X),
            accept_sparse=SPARSE_FORMATS,
            dtype=self.dtype,
            reset=False,
        )
        return as_dense(X)

    def _sample_outputs(self, X, n_draws, random_state):
        check_is_fitted(self)
        return self._snapshot().sample_outputs(
            self._check_inputs(X), n_draws=n_draws, random_state=random_state
        )

    def _snapshot(self, weights=None):
        """Return the network with these weights; None is the fitted ones."""
        coefs, intercepts = (
            tuple(map(as_tensor, part))
            for part in weights or (self.coefs_, self.intercepts_)
        )
        n_hidden = self.n_layers_ - 2
        network = NoisyNetwork(
            coefs[:-1],
            intercepts[:-1],
            check_layer_activation(self.activation, n_hidden),
            self._sampling_noise(),
        )
        output = OutputLayer(coefs[-1], intercepts[-1], self.out_activation_)
        return NetworkSnapshot(network, output, getattr(self, "classes_", None))

    def _sampling_noise(self):
        """Noise outside training, one value per hidden layer."""
        n_hidden = self.n_layers_ - 2
        noise_std = check_layer_noise(self.noise_std, n_hidden)
        return noise_std if self.noise == "additive" else (0.0,) * n_hidden

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = [self.dtype]
        return tags

    @property
    def _n_features_out(self):
        layer = check_layer(self.transform_layer, self.n_layers_ - 2)
        return self.coefs_[layer - 1].shape[1]


def _draw_layer(n_in, n_out, random, dtype):
    """Weights and intercepts uniform within 1/sqrt(n_in), as ``torch.nn.Linear``."""
    bound = 1 / np.sqrt(n_in)
    coef = random.uniform(-bound, bound, (n_in, n_out))
    return coef.astype(dtype), random.uniform(-bound, bound, n_out).astype(dtype)


def _weigh(X, targets, y, sample_weight):
    """Return the training data without rows of weight 0, weights by their largest."""
    sample_weight = as_numpy(sample_weight, "sample_weight")
    weights = check_weights(sample_weight, len(X))
    if weights is None:
        return Data(X, targets, y, None)
    largest = float(np.asarray(sample_weight).max())
    used = weights > 0
    if not used.all():
        X, targets, y, weights = X[used], targets[used], y[used], weights[used]
    return Data(X, targets, y, weights, largest)
