"""The twelve-bit data set of Shwartz-Ziv and Tishby, from its symmetry."""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state, check_scalar

__all__ = ["make_szt"]

N_BITS = 12

# Each input bit sits on one of the twelve vertices of an icosahedron: GOLDEN is
# the golden ratio, and row j is the (unnormalised) vertex of column j of X.
GOLDEN = (1 + np.sqrt(5)) / 2
VERTICES = np.array(
    [
        (0, 1, GOLDEN),
        (1, GOLDEN, 0),
        (GOLDEN, 0, -1),
        (GOLDEN, 0, 1),
        (0, 1, -GOLDEN),
        (-GOLDEN, 0, 1),
        (-GOLDEN, 0, -1),
        (-1, -GOLDEN, 0),
        (1, -GOLDEN, 0),
        (0, -1, -GOLDEN),
        (0, -1, GOLDEN),
        (-1, GOLDEN, 0),
    ]
)

# The label asks for a score of at least 99; no pattern of class 0 exceeds 98.
THRESHOLD = 98.5


def make_szt(*, gamma=None, random_state=None):
    """Make the binary data set of Shwartz-Ziv and Tishby: 4096 patterns, 2 classes.

    Twelve input bits sit on the vertices of an icosahedron. The label is a
    threshold on a quadratic form that all rotations and reflections of the
    icosahedron leave alone, so that 64 kinds of pattern exist. All patterns are
    listed once: a law that is uniform over the rows is the law of the paper, with
    H(X) = 12 ln 2 nats. No file is read.

    Parameters
    ----------
    gamma : float or None, default=None
        Steepness of the stochastic rule ``p(y=1|x) = sigmoid(gamma * margin)`` from
        which labels are drawn. With 8.25, I(X;Y) is 0.99 bit. None gives the hard
        labels, 0 fair coins.
    random_state : int, RandomState instance or None, default=None
        Draws the labels when ``gamma`` is given; unused otherwise.

    Returns
    -------
    X : ndarray of shape (4096, 12)
        Zeros and ones as float64; row i is i in binary, column 0 the highest bit.
    y : ndarray of shape (4096,)
        Labels 0 and 1; of the hard labels, 2118 are 1.

    Raises
    ------
    TypeError or ValueError
        If gamma is not a finite number >= 0.

    References
    ----------
    R. Shwartz-Ziv and N. Tishby, "Opening the black box of deep neural networks
    via information", 2017, arXiv:1703.00810.

    Z. Goldfeld et al., "Estimating information flow in deep neural networks",
    ICML 2019, arXiv:1810.05728.

    Examples
    --------
    >>> from skib.datasets import make_szt
    >>> X, y = make_szt()
    >>> X.shape, int(y.sum())
    ((4096, 12), 2118)
    """
    X = _all_patterns()
    margin = _scores(X) - THRESHOLD
    if gamma is None:
        return X, (margin > 0).astype(np.int64)
    check_scalar(gamma, "gamma", (int, float, np.number), min_val=0)
    if not np.isfinite(gamma):
        raise ValueError(
            f"gamma must be finite, or None for the hard labels. Got gamma={gamma!r}."
        )
    draws = check_random_state(random_state).uniform(size=len(X))
    return X, (draws < expit(gamma * margin)).astype(np.int64)


def _all_patterns():
    rows = np.arange(2**N_BITS)
    highest_first = np.arange(N_BITS)[::-1]
    return ((rows[:, None] >> highest_first) & 1).astype(np.float64)


def _scores(X):
    """Score of each pattern: 23 per one, then by the distance of pairs of ones."""
    n_ones = X.sum(axis=1)
    n_adjacent = _pairs_of_ones(X, cosine=1 / np.sqrt(5))
    n_far = _pairs_of_ones(X, cosine=-1 / np.sqrt(5))
    n_antipodal = _pairs_of_ones(X, cosine=-1)
    return 23 * n_ones + n_adjacent - 5 * n_far - 8 * n_antipodal


def _pairs_of_ones(X, cosine):
    """Count, per row, the pairs of ones at vertices with this cosine between them."""
    cosines = VERTICES @ VERTICES.T / (1 + GOLDEN**2)
    at_this_distance = np.isclose(cosines, cosine).astype(np.float64)
    return np.einsum("ni,ij,nj->n", X, at_this_distance, X, optimize=True) / 2
