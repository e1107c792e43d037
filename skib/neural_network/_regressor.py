"""The noisy regressor."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skib.neural_network._base import BaseNoisyMLP, is_stochastic
from skib.neural_network._callbacks import with_callbacks
from skib.neural_network._fit import fit_networks

__all__ = ["NoisyMLPRegressor"]


class NoisyMLPRegressor(RegressorMixin, BaseNoisyMLP):
    """Multi-layer perceptron for regression, with Gaussian noise in hidden layers.

    Minimises half the mean squared error of noisy passes; ``predict``, ``score`` and
    ``transform`` are without noise. What differs from
    :class:`sklearn.neural_network.MLPRegressor` is in the Notes of
    :class:`NoisyMLPClassifier`.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; at least one layer.
    activation : str or sequence of str, default="relu"
        Activation of the hidden layers, one or one for each: "relu", "tanh",
        "leaky_relu" (slope 0.01 below zero), "elu", "gelu", "silu", "softplus",
        "logistic" or "identity".
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
        Whether to print the loss of each epoch, and what stopped training.
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
    beta_1 : float, default=0.9
        Decay of the first moment of "adam".
    beta_2 : float, default=0.999
        Decay of the second moment of "adam".
    epsilon : float, default=1e-8
        Added to the root of the second moment of "adam", after its correction.
    n_iter_no_change : int or np.inf, default=10
        Epochs without improvement after which training stops, which may be long before
        ``max_iter``. With np.inf it takes exactly ``max_iter`` epochs, without a
        warning.
    max_fun : int, default=15000
        Most evaluations of "lbfgs".
    dtype : {"float32", "float64"}, default="float32"
        Precision of weights and outputs.
    device : None, str or torch.device, default=None
        Where ``fit`` computes; None is the CPU.

    Attributes
    ----------
    coefs_, intercepts_ : lists of ndarrays (n_in, n_out) and (n_out,)
        Weights of every layer, the output layer last.
    recording_ : Recording
        Weights at the recorded epochs, and what stopped training; only when
        ``record_epochs`` is given.
    loss_curve_ : list of float
        Mean training loss of each epoch, with noise.
    loss_, best_loss_ : float
        The last of them, and the smallest.
    validation_scores_ : list of float or None
        R^2 on the held-out samples after each epoch of ``early_stopping``.
    best_validation_score_ : float or None
        The largest of them.
    n_iter_ : int
        Epochs of the last call.
    t_ : int
        Training samples seen.
    n_layers_, n_outputs_ : int
        Layers, inputs and outputs included, and outputs.
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

    @available_if(is_stochastic)
    @with_callbacks
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one more epoch, keeping weights, optimiser and recording.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values, one-dimensional where there is one output.
        """
        check_is_fitted(self)
        return self._snapshot().predict(self._check_inputs(X))

    def sample_y(self, X, *, n_draws=100, random_state=None):
        """Draw predictions of noisy passes; their spread is the noise's doing.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        n_draws : int, default=100
            Noisy passes per input.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise.

        Returns
        -------
        y : ndarray of shape (n_samples, n_draws) or (n_samples, n_draws, n_outputs)
            Values of each pass.
        """
        return _drop_single_output(self._sample_outputs(X, n_draws, random_state))

    def _validate_pair(self, X, y, reset):
        return self._validate_arrays(X, y, reset, y_numeric=True)

    def _learn_outputs(self, y, classes):
        """Any number of outputs may come."""
        self.out_activation_ = "identity"

    def _make_targets(self, y, incremental):
        return y.reshape(len(y), -1)

    def _score_weights(self, weights, X, y, sample_weight):
        predicted = self._snapshot(weights).predict(X).astype(np.float64)
        if not np.isfinite(predicted).all():
            return np.nan
        return r2_score(y, predicted, sample_weight=sample_weight)


def _drop_single_output(values):
    return values[..., 0] if values.shape[-1] == 1 else values
