"""Codewords of Reed-Muller codes as points of a cube."""

from __future__ import annotations

from itertools import combinations
from math import comb
from numbers import Integral

import numpy as np
from sklearn.utils import check_scalar

__all__ = ["make_reed_muller"]

# 2^20 codewords of 32 bits are a quarter of a gigabyte.
LARGEST_K = 20


def make_reed_muller(r=1, m=3):
    """Make all codewords of the Reed-Muller code RM(r, m), as +1 and -1.

    The values at all 2^m points of the polynomials of degree up to r in m binary
    variables. Sent through Gaussian noise they are a discrete input in many
    dimensions with much structure; RM(m, m) is the whole cube, whose coordinates are
    independent, so that the information is 2^m times that of one.

    Parameters
    ----------
    r : int, default=1
        Order of the code, 0 to m.
    m : int, default=3
        Number of variables.

    Returns
    -------
    X : ndarray of shape (2**k, 2**m)
        -1 for bit 0 and 1 for bit 1, with k the sum of the binomials of m over 0 to r.

    Raises
    ------
    ValueError
        If r is not in 0 to m, or k is above 20.

    References
    ----------
    Goldfeld, Z., Greenewald, K. and Polyanskiy, Y. (2018). Estimating Differential
    Entropy under Gaussian Convolutions. https://arxiv.org/abs/1810.11589

    Examples
    --------
    >>> from skib.datasets import make_reed_muller
    >>> make_reed_muller(1, 2)[:3]
    array([[-1., -1., -1., -1.],
           [-1.,  1., -1.,  1.],
           [-1., -1.,  1.,  1.]])
    """
    m = check_scalar(m, "m", Integral, min_val=0)
    r = check_scalar(r, "r", Integral, min_val=0, max_val=m)
    k = sum(comb(m, order) for order in range(r + 1))
    if k > LARGEST_K:
        raise ValueError(
            f"RM({r}, {m}) has 2^{k} codewords, more than fit; at most 2^{LARGEST_K} "
            f"are made. Got r={r}, m={m}. Draw random rows of bits times a generator "
            "matrix instead."
        )
    points = np.arange(2**m)
    variables = [(points >> at) & 1 for at in range(m)]
    monomials = [
        np.prod([variables[at] for at in which], axis=0, initial=1)
        * np.ones(2**m, dtype=np.int64)
        for order in range(r + 1)
        for which in combinations(range(m), order)
    ]
    # Linear monomials change fastest, the constant comes last: row 0 is all zero.
    generator = np.array([*monomials[1:], monomials[0]])
    messages = (np.arange(2**k)[:, None] >> np.arange(k)) & 1
    return (messages @ generator % 2) * 2.0 - 1.0
