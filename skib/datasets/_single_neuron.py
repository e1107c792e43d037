"""Four points on a line: the smallest example of compression."""

from __future__ import annotations

import numpy as np

__all__ = ["make_single_neuron"]


def make_single_neuron():
    """Make the data of the single tanh neuron: four inputs, two labels.

    A noisy neuron tanh(w x + b) first tells all four inputs apart, ln 4 nats, then
    merges those of label -1 one after the other: I(X;T) falls to the entropy of the
    label as w grows.

    Returns
    -------
    X : ndarray of shape (4, 1)
        -3, -1, 1 and 3.
    y : ndarray of shape (4,)
        -1, and 1 for the last input.

    References
    ----------
    Goldfeld, Z. et al. (2019). Estimating Information Flow in Deep Neural Networks.
    ICML. https://arxiv.org/abs/1810.05728

    Examples
    --------
    >>> from skib.datasets import make_single_neuron
    >>> X, y = make_single_neuron()
    >>> X[:, 0], y
    (array([-3., -1.,  1.,  3.]), array([-1, -1, -1,  1]))
    """
    return np.array([[-3.0], [-1.0], [1.0], [3.0]]), np.array([-1, -1, -1, 1])
