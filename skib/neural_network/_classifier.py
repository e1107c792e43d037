"""The noisy classifier."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skib.neural_network._base import BaseNoisyMLP, is_stochastic
from skib.neural_network._callbacks import with_callbacks
from skib.neural_network._fit import fit_networks

__all__ = ["NoisyMLPClassifier"]


class NoisyMLPClassifier(ClassifierMixin, BaseNoisyMLP):
    """Multi-layer perceptron with Gaussian noise in its hidden layers.

    After the activation of every hidden layer Gaussian noise is added,
    ``T = S + noise_std * Z``, so that the information a layer carries about the input
    is a finite quantity that training changes. Noise is fresh at every step of
    ``fit`` and is drawn by ``activations`` and ``sample_proba``; ``predict``,
    ``predict_proba``, ``score`` and ``transform`` are without noise.

    Parameters, attributes and their meaning are those of
    :class:`sklearn.neural_network.MLPClassifier` wherever it has them; what differs is
    in the Notes. The recipe of the paper is ``alpha=0, n_iter_no_change=np.inf``:
    without penalty, for exactly ``max_iter`` epochs.

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
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the outputs; where several may apply, their columns.
    coefs_, intercepts_ : lists of ndarrays (n_in, n_out) and (n_out,)
        Weights of every layer, the output layer last.
    recording_ : Recording
        Weights at the recorded epochs, and what stopped training; only when
        ``record_epochs`` is given.
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
        "softmax", or "logistic" where several labels may apply.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, when X had names.

    See Also
    --------
    NoisyMLPRegressor : The same network with squared error.
    fit_seeds : Several random states trained together.
    Recording : What ``recording_`` can do.

    Notes
    -----
    What differs from scikit-learn's MLPs, besides the noise:

    - weights and outputs are float32 unless ``dtype="float64"``, whatever X is;
    - two classes have two softmax outputs, not one logistic output;
    - weights start as in ``torch.nn.Linear``, uniform within ``1 / sqrt(n_in)``;
    - "adam" adds ``epsilon`` after correcting the second moment for its start, as
      Kingma and Ba and ``torch.optim.Adam`` do;
    - ``n_iter_no_change=np.inf`` asks for ``max_iter`` epochs and does not warn;
    - a network that ends in weights that are not finite is refused, also where
      ``early_stopping`` has kept earlier ones;
    - ``predict_log_proba`` stays finite where probabilities underflow to 0;
    - a sparse X is made dense;
    - there is no Poisson loss and, as there, no ``class_weight``: give
      ``sample_weight``.

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

    @available_if(is_stochastic)
    @with_callbacks
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one more epoch, keeping weights, optimiser and recording.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels, or zeros and ones that say which of several labels apply.
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels, or zeros and ones where several may apply.
        """
        check_is_fitted(self)
        return self._snapshot().predict(self._check_inputs(X))

    def predict_proba(self, X):
        """Probability of each class, without noise.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self._snapshot().predict_proba(self._check_inputs(X))

    def predict_log_proba(self, X):
        """Logarithm of the probability of each class, without noise.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In nats, finite where the probability underflows to 0.
        """
        check_is_fitted(self)
        return self._snapshot().predict_log_proba(self._check_inputs(X))

    def sample_proba(self, X, *, n_draws=100, random_state=None):
        """Class probabilities of noisy passes; their spread is the noise's doing.

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
        proba : ndarray of shape (n_samples, n_draws, n_classes)
            Columns in the order of ``classes_``.
        """
        return self._sample_outputs(X, n_draws, random_state)

    def _validate_pair(self, X, y, reset):
        X, y = self._validate_arrays(X, y, reset)
        check_classification_targets(y)
        if y.ndim == 2 and not np.isin(y, (0, 1)).all():
            raise ValueError(
                "y of several columns must hold zeros and ones, which say for each "
                f"label whether it applies. Got values {np.unique(y)[:5].tolist()}."
            )
        return X, y

    def _learn_outputs(self, y, classes):
        self.out_activation_ = "softmax" if y.ndim == 1 else "logistic"
        known = np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])
        self.classes_ = known if classes is None else np.unique(classes)

    def _make_targets(self, y, incremental):
        """One-hot labels in the order of ``classes_``, or the labels that apply."""
        is_multilabel = self.out_activation_ == "logistic"
        n_labels = (len(self.classes_),) if is_multilabel else ()
        if y.shape[1:] != n_labels:
            raise ValueError(
                "y must have one column for each of the labels of the network, or be "
                f"one-dimensional where it tells classes apart. Got shape {y.shape} "
                f"for the labels {self.classes_.tolist()}."
            )
        if is_multilabel:
            return y
        present = np.unique(y)
        is_known = np.isin(present, self.classes_).all()
        if not is_known or (not incremental and len(present) < len(self.classes_)):
            raise ValueError(
                "y must have the classes of the previous call: "
                f"{self.classes_.tolist()}. Got {present.tolist()}."
            )
        return np.eye(len(self.classes_))[np.searchsorted(self.classes_, y)]

    def _score_weights(self, weights, X, y, sample_weight):
        predicted = self._snapshot(weights).predict(X)
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


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
