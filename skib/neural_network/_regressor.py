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

    @available_if(is_stochastic)
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
        check_is_fitted(self)
        return self._snapshot().predict(self._check_inputs(X))

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
