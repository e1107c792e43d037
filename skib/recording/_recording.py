"""A recording: the weights of a network over training, and what follows from them."""

from __future__ import annotations

import numpy as np

from skib._numerics.noisy_network import NoisyNetwork, OutputLayer
from skib._validation import (
    as_tensor,
    check_layer_activation,
    check_layer_noise,
    check_new_epochs,
    check_outputs,
    check_weight_chain,
)
from skib.recording._files import read_weights, write_weights
from skib.recording._snapshot import NetworkSnapshot

__all__ = ["Recording"]


class Recording:
    """Weights of a noisy network at recorded epochs.

    Activations of any inputs, at any layer and epoch, are made from the weights on
    demand, so a recording stays small. The classifier leaves one in ``recording_``;
    :meth:`from_weights` makes one from checkpoints of another program, and checks them.

    Parameters
    ----------
    epochs : ndarray of shape (n_epochs,)
        Completed passes over the training data, ascending; 0 is the initial state.
    coefs, intercepts : lists of lists of ndarrays (n_in, n_out) and (n_out,)
        ``coefs[e][l]`` belongs to ``epochs[e]`` and layer l + 1. The output layer
        is the last where ``output`` is not None. None stands for no bias.
    activation : str or tuple of str
        Activation function of the hidden layers, one or one for each.
    noise_std : tuple of float
        Standard deviation of the Gaussian noise added after the activation of each
        hidden layer, in activation units.
    output : {"softmax", "logistic", "identity"} or None
        What the output layer applies; None when it is not known.
    classes : ndarray or None
        Labels of the outputs, for a classifier.
    feature_names_in_ : ndarray of shape (n_features_in,) or None
        Names of the inputs, where the network was fitted to a frame: one whose columns
        are others, or in another order, is refused.
    stopped_by : str or None
        What ended training, as a parameter's name: "max_iter", "n_iter_no_change" (the
        loss stayed), "early_stopping" (the validation score stayed), "tol" or "max_fun"
        (of "lbfgs"); or "line_search", "callback", "interrupt". None where the caller
        decides: ``partial_fit``, `from_weights`.

    Attributes
    ----------
    layer_sizes : tuple of int
        Units of each hidden layer.
    n_layers : int
        Number of hidden layers.
    n_features_in : int
        Number of inputs of the network.
    nbytes : int
        Bytes of all weights.

    Examples
    --------
    >>> import numpy as np
    >>> from skib.recording import Recording
    >>> weights = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> recording = Recording.from_weights(
    ...     [7], [[weights]], [[np.zeros(2)]], activation="identity", noise_std=0.1
    ... )
    >>> recording.activations([[3.0, 4.0]], epoch=7)
    array([[3., 8.]])
    """

    def __init__(
        self,
        epochs,
        coefs,
        intercepts,
        *,
        activation,
        noise_std,
        output=None,
        classes=None,
        feature_names_in_=None,
        stopped_by=None,
    ):
        self.epochs = np.asarray(epochs, dtype=np.int64)
        self.coefs = [list(layers) for layers in coefs]
        self.intercepts = [list(layers) for layers in intercepts]
        is_one = isinstance(activation, str)
        self.activation = activation if is_one else tuple(map(str, activation))
        self.noise_std = tuple(noise_std)
        self.output = output
        self.classes = classes
        self.feature_names_in_ = feature_names_in_
        self.stopped_by = stopped_by

    @classmethod
    def from_weights(
        cls,
        epochs,
        coefs,
        intercepts,
        *,
        activation,
        noise_std,
        output=None,
        classes=None,
    ):
        """Make a recording from weights that are at hand.

        Parameters
        ----------
        epochs : array-like of int of shape (n_epochs,)
            Epoch of each set of weights, all different.
        coefs, intercepts : sequences of sequences of arrays
            ``coefs[e][l]`` of shape (n_in, n_out) and ``intercepts[e][l]`` of shape
            (n_out,), as in scikit-learn (a torch ``Linear.weight`` is transposed).
            Hidden layers; the output layer comes last when ``output`` is given.
            ``intercepts``, an epoch's or a layer's may be None: no bias.
        activation : str or sequence of str
            Activation function of the hidden layers, one or one for each: "tanh",
            "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "logistic" or
            "identity".
        noise_std : float or sequence of float
            Standard deviation of the noise after each hidden layer.
        output : {"softmax", "logistic", "identity"} or None, default=None
            What the output layer applies; None when no output layer is given. One
            logistic output is the probability of the second of two classes, several
            are of a label each.
        classes : array-like of shape (n_classes,), default=None
            Labels of the classes.

        Returns
        -------
        recording : Recording
            Holds copies of the weights, epochs ascending.

        Raises
        ------
        ValueError
            If shapes do not fit together, a value is not finite, or a name is
            unknown.
        """
        epochs = check_new_epochs(epochs)
        intercepts = [None] * len(coefs) if intercepts is None else intercepts
        if not len(epochs) == len(coefs) == len(intercepts):
            raise ValueError(
                "epochs, coefs and intercepts must have one entry per epoch. Got "
                f"{len(epochs)} epochs, {len(coefs)} coefs, {len(intercepts)} "
                "intercepts."
            )
        order = np.argsort(epochs)
        layers = [
            check_weight_chain(coefs[e], intercepts[e], f" at epoch {epochs[e]}")
            for e in order
        ]
        shapes = [_shapes(*layer) for layer in layers]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                "Every epoch must hold layers of the same shapes, with a bias or "
                f"without. Got {sorted(set(map(str, shapes)))}."
            )
        n_hidden = len(shapes[0]) - (output is not None)
        classes = check_outputs(output, classes, layers[0][0][-1].shape[1])
        check_layer_activation(activation, n_hidden)
        return cls(
            epochs[order],
            [layer_coefs for layer_coefs, _ in layers],
            [layer_intercepts for _, layer_intercepts in layers],
            activation=activation,
            noise_std=check_layer_noise(noise_std, n_hidden),
            output=output,
            classes=classes,
        )

    @property
    def n_layers(self):
        """Number of hidden layers."""
        return len(self.noise_std)

    @property
    def layer_sizes(self):
        """Units of each hidden layer."""
        return tuple(coef.shape[1] for coef in self.coefs[0][: self.n_layers])

    @property
    def n_features_in(self):
        """Number of inputs of the network."""
        return self.coefs[0][0].shape[0]

    @property
    def nbytes(self):
        """Bytes of all weights."""
        arrays = [a for part in (self.coefs, self.intercepts) for e in part for a in e]
        return sum(array.nbytes for array in arrays if array is not None)

    def __len__(self):
        return len(self.epochs)

    def __getitem__(self, position):
        """Return the snapshot at a position, from 0 for the first recorded epoch."""
        return self.at(self.epochs[position])

    def __repr__(self):
        return (
            f"Recording({len(self)} epochs from {self.epochs[0]} to "
            f"{self.epochs[-1]}, layer_sizes={self.layer_sizes}, "
            f"activation={self.activation!r}, noise_std={self.noise_std})"
        )

    def activations(self, X, *, epoch, layer=-1, n_draws=None, random_state=None):
        """Noiseless activations S of one layer, after noisy earlier layers.

        The noisy representation is T = S + noise_std * Z with Z standard Gaussian.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network; a tensor may live on any device.
        epoch : int
            A recorded epoch.
        layer : int, default=-1
            Hidden layer, counted from 1; -1 is the last, -2 the one before.
        n_draws : int or None, default=None
            Noisy passes per input. None is the noise-free pass. The first layer has
            no noise before it: its draws are equal.
        random_state : int, RandomState instance or None, default=None
            Seeds the noise, which is the same on every device.

        Returns
        -------
        activations : ndarray or Tensor
            Of shape (n_inputs, n_units) when n_draws is None: the exact centres of T
            where the noise is at this layer alone. Else (n_inputs, n_draws, n_units).
            A tensor on the device of X when X is one.

        Raises
        ------
        ValueError
            If the epoch was not recorded, the layer does not exist, or X does not
            fit the network.
        """
        return self.at(epoch).activations(
            X, layer=layer, n_draws=n_draws, random_state=random_state
        )

    def transform(self, X, *, epoch, layer=-1):
        """Activations of one layer of the network without noise.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network; a tensor may live on any device.
        epoch : int
            A recorded epoch.
        layer : int, default=-1
            Hidden layer, counted from 1; -1 is the last, -2 the one before.

        Returns
        -------
        activations : ndarray or Tensor of shape (n_inputs, n_units)
            A tensor on the device of X when X is one.
        """
        return self.at(epoch).transform(X, layer=layer)

    def at(self, epoch):
        """Return the network of one epoch.

        Parameters
        ----------
        epoch : int
            A recorded epoch.

        Returns
        -------
        snapshot : NetworkSnapshot
            Its activations and predictions.
        """
        at = self._position(epoch)
        coefs = tuple(map(as_tensor, self.coefs[at]))
        intercepts = tuple(
            each if each is None else as_tensor(each) for each in self.intercepts[at]
        )
        n_layers = self.n_layers
        network = NoisyNetwork(
            coefs[:n_layers],
            intercepts[:n_layers],
            check_layer_activation(self.activation, n_layers),
            tuple(self.noise_std),
        )
        layer = None
        if self.output is not None:
            layer = OutputLayer(coefs[-1], intercepts[-1], self.output)
        return NetworkSnapshot(network, layer, self.classes, self.feature_names_in_)

    def predict_proba(self, X, *, epoch):
        """Class probabilities at a recorded epoch, without noise.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network.
        epoch : int
            A recorded epoch.

        Returns
        -------
        proba : ndarray or Tensor of shape (n_inputs, n_classes)
            Columns in the order of ``classes``. Of several logistic outputs, the
            probability of each label.
        """
        return self.at(epoch).predict_proba(X)

    def predict(self, X, *, epoch):
        """Predicted labels, or values of a regression, at a recorded epoch.

        Parameters
        ----------
        X : array-like or Tensor of shape (n_inputs, n_features)
            Inputs of the network.
        epoch : int
            A recorded epoch.

        Returns
        -------
        predictions : ndarray of shape (n_inputs,), or of the shape of the outputs
            Of several logistic outputs, zeros and ones: which labels apply.
        """
        return self.at(epoch).predict(X)

    def save(self, path):
        """Write the recording to a ``.npz`` file, without pickle.

        Parameters
        ----------
        path : str or path-like
            Where to write; an ending is not added.
        """
        header = {
            "activation": self.activation,
            "noise_std": self.noise_std,
            "output": self.output,
            "stopped_by": self.stopped_by,
        }
        weights = {"coef": self.coefs, "intercept": self.intercepts}
        labels = {"classes": self.classes, "feature_names_in_": self.feature_names_in_}
        write_weights(path, self.epochs, weights, header, labels)

    @classmethod
    def load(cls, path):
        """Read a recording written by :meth:`save`.

        Parameters
        ----------
        path : str or path-like
            Where :meth:`save` wrote.

        Returns
        -------
        recording : Recording
            Equal to the one saved.
        """
        epochs, weights, header, labels = read_weights(path)
        return cls(epochs, weights["coef"], weights["intercept"], **labels, **header)

    def _position(self, epoch):
        found = np.flatnonzero(self.epochs == epoch)
        if not found.size:
            raise ValueError(
                f"Epoch {epoch!r} was not recorded. Recorded epochs: "
                f"{_abridged(self.epochs)}."
            )
        return int(found[0])


def _shapes(coefs, intercepts):
    return [
        (coef.shape, intercept is not None)
        for coef, intercept in zip(coefs, intercepts, strict=True)
    ]


def _abridged(epochs):
    names = [str(epoch) for epoch in epochs]
    return ", ".join(names if len(names) <= 12 else [*names[:8], "...", *names[-3:]])
