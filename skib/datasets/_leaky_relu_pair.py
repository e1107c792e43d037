"""Eight points on a line: compression without saturation."""

from __future__ import annotations

import numpy as np

__all__ = ["make_leaky_relu_pair"]


def make_leaky_relu_pair():
    """Make the data of two leaky ReLU neurons in series: eight inputs, two values.

    Half of the inputs end up on the flat arm of the first neuron, where the noise
    confuses them: I(X;T) falls though nothing saturates. A regression: the values are
    what the second neuron is to put out.

    Returns
    -------
    X : ndarray of shape (8, 1)
        1 to 8.
    y : ndarray of shape (8,)
        0 for the first four inputs, 1/4 for the others.

    References
    ----------
    Goldfeld, Z. et al. (2019). Estimating Information Flow in Deep Neural Networks.
    ICML. https://arxiv.org/abs/1810.05728

    Examples
    --------
    >>> from skib.datasets import make_leaky_relu_pair
    >>> X, y = make_leaky_relu_pair()
    >>> X.shape, y
    ((8, 1), array([0.  , 0.  , 0.  , 0.  , 0.25, 0.25, 0.25, 0.25]))
    """
    return np.arange(1.0, 9.0)[:, None], np.repeat([0.0, 0.25], 4)
