"""Bins of activations, and how often each cell of bins occurs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST_KEY = 2**63
# Whole numbers that float64, with its fast matrix products, holds exactly.
EXACT_UP_TO = 2**53
# Codes converted at a time: small pieces of memory are at hand, large ones are not.
VALUES_AT_A_TIME = 1 << 15


def bin_codes(
    values: NDArray[np.floating], n_bins: int, low: float, high: float
) -> NDArray[np.unsignedinteger]:
    """Give the number of each value's bin.

    Bins are half-open and equally wide; the upper edge belongs to the last bin, and
    values outside go to the end bins.

    Parameters
    ----------
    values : array of shape (n_samples, n_features)
        Activations, finite.
    n_bins : int
        Bins between `low` and `high`.
    low, high : float
        Outer edges, in activation units.

    Returns
    -------
    codes : array of shape (n_samples, n_features), smallest unsigned integer dtype
        From 0 to ``n_bins - 1``.
    """
    width = (high - low) / n_bins
    position = (np.asarray(values, dtype=np.float64) - low) / width
    codes = np.clip(position, 0, n_bins - 1).astype(np.int64)
    # Rounding may put a value next to an edge on its wrong side.
    codes -= (values < low + codes * width) & (codes > 0)
    codes += (values >= low + (codes + 1) * width) & (codes < n_bins - 1)
    return codes.astype(np.min_scalar_type(n_bins - 1))


def number_rows(codes: NDArray[np.integer], n_codes: ArrayLike) -> NDArray[np.integer]:
    """Return for each row the number of its kind, counted from 0.

    Parameters
    ----------
    codes : integer array of shape (n_rows, n_columns)
        Column ``k`` holds 0 to ``n_codes[k] - 1``.
    n_codes : int or sequence of n_columns ints
        How many codes there are, overall or by column.

    Returns
    -------
    numbers : int array of shape (n_rows,)
    """
    return number_distinct(_row_keys(codes, np.broadcast_to(n_codes, codes.shape[1])))


def number_distinct(keys: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return for each key the number of its kind, counted from 0."""
    order = np.argsort(keys)
    ordered = keys[order]
    numbers = np.zeros(len(keys), dtype=np.int64)
    numbers[order[1:]] = np.cumsum(ordered[1:] != ordered[:-1])
    return numbers


def _row_keys(
    codes: NDArray[np.integer], n_codes: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Give each row an integer, equal exactly where the rows are: mixed radix."""
    (columns, radices), *others = _exact_blocks([int(radix) for radix in n_codes])
    keys, n_keys = _mixed_radix(codes[:, columns], radices), math.prod(radices)
    for columns, radices in others:
        radix = math.prod(radices)
        if n_keys * radix > LARGEST_KEY:
            # Only keys that occur need a number before more columns are taken in.
            keys = number_distinct(keys)
            n_keys = int(keys.max()) + 1
            if n_keys == len(keys):
                break
        keys *= radix
        keys += _mixed_radix(codes[:, columns], radices)
        n_keys *= radix
    return keys


def _exact_blocks(radices: list[int]) -> Iterator[tuple[slice, list[int]]]:
    """Cut the columns into runs whose rows float64 can number, each as long as can be.

    Yields the columns and the radices of each.
    """
    first, n_keys = 0, 1
    for last, radix in enumerate(radices):
        if n_keys * radix > EXACT_UP_TO and last > first:
            yield slice(first, last), radices[first:last]
            first, n_keys = last, 1
        n_keys *= radix
    yield slice(first, len(radices)), radices[first:]


def _mixed_radix(codes: NDArray[np.integer], radices: list[int]) -> NDArray[np.int64]:
    weights = np.cumprod([1, *radices[:-1]], dtype=np.float64)
    keys = np.empty(len(codes), dtype=np.int64)
    n_rows = max(1, VALUES_AT_A_TIME // len(radices))
    exact = np.empty((n_rows, len(radices)))
    for start in range(0, len(codes), n_rows):
        some = codes[start : start + n_rows]
        exact[: len(some)] = some
        keys[start : start + n_rows] = exact[: len(some)] @ weights
    return keys
