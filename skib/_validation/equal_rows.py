"""Which rows are one input: equal in every number, or equal up to rounding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["group_equal_rows", "group_near_rows"]

# Rounding that a few operations leave, in units of the last digit of the largest value.
ROUNDING = 16
# Rows that fall together in a random direction of some columns are compared, each with
# so many that come after it.
COLUMNS_LOOKED_AT, STEPS_LOOKED_FORWARD = 16, 8
NUMBERS_AT_A_TIME = 1 << 20


def group_equal_rows(
    rows: np.ndarray, present: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Group rows that are equal in every number.

    Parameters
    ----------
    rows : array of shape (n_rows, ...)
    present : int array, default=None
        The rows to look at; None is all.

    Returns
    -------
    first : int array of shape (n_groups,)
        The first row of each group, ascending.
    inverse : int array of shape (n_present,)
        The group of each row looked at.
    """
    present = np.arange(len(rows)) if present is None else present
    if _differ_in_few_columns(rows, present):
        return present, np.arange(len(present))
    groups: dict[bytes, int] = {}
    # -0.0 and 0.0 are equal, but not in their bits.
    nothing = rows.dtype.type(0) if _has_negative_zeros(rows) else None
    keys = (rows[row] if nothing is None else rows[row] + nothing for row in present)
    inverse = [groups.setdefault(key.tobytes(), len(groups)) for key in keys]
    first = np.unique(inverse, return_index=True)[1]
    return present[first], np.array(inverse)


def group_near_rows(
    rows: np.ndarray, present: np.ndarray, largest_gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Group rows that are equal up to rounding, directly or through others.

    Every number of the two is within 16 units of the last digit of the largest of its
    column, and within ``largest_gap``.

    Parameters
    ----------
    rows : array of shape (n_rows, ...)
    present : int array
        The rows to look at.
    largest_gap : float

    Returns
    -------
    first, inverse
        As of `group_equal_rows`.
    """
    first, inverse = group_equal_rows(rows, present)
    if rows.dtype.kind != "f" or len(first) < 2:
        return first, inverse
    pairs = _near_pairs(rows.reshape(len(rows), -1), first, largest_gap)
    if not len(pairs):
        return first, inverse
    ones = np.ones(len(pairs))
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(first),) * 2)
    labels = connected_components(graph, directed=False)[1]
    # Numbered anew by the first row of each group.
    _, leaders, renumbered = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(leaders)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[leaders[order]], place[renumbered][inverse]


def _near_pairs(rows: np.ndarray, chosen: np.ndarray, largest_gap: float) -> np.ndarray:
    """Pairs of chosen rows that are equal up to rounding in every column.

    They lie together in every direction, in a random one with hardly anything else. So
    many rows in so little room that some are overlooked are chains, linked by others.
    """
    few = rows[:, :COLUMNS_LOOKED_AT]
    direction = np.random.default_rng(0).uniform(0.5, 1.0, (few.shape[1],))
    place = few[chosen].astype(np.float64) @ direction
    order = np.argsort(place, kind="stable")
    place = place[order]
    reach = 2 * float(direction @ _rounding(few, largest_gap))
    candidates = [np.empty((0, 2), dtype=int)]
    for steps in range(1, STEPS_LOOKED_FORWARD + 1):
        near = np.flatnonzero(place[steps:] - place[:-steps] <= reach)
        candidates.append(np.stack([order[near], order[near + steps]], axis=1))
    pairs = np.concatenate(candidates)
    if not len(pairs):
        return pairs
    gap = _rounding(rows, largest_gap)
    is_near = [
        (np.abs(rows[chosen[some[:, 0]]] - rows[chosen[some[:, 1]]]) <= gap).all(1)
        for some in _portions(pairs, rows)
    ]
    return pairs[np.concatenate(is_near)]


def _rounding(rows: np.ndarray, largest_gap: float) -> np.ndarray:
    """Give the largest gap that rounding leaves in each column."""
    last_digit = np.finfo(rows.dtype).eps * np.maximum(rows.max(0), -rows.min(0))
    return np.minimum(ROUNDING * last_digit, largest_gap)


def _differ_in_few_columns(rows: np.ndarray, present: np.ndarray) -> bool:
    """Tell whether the first columns, which cost little, tell all rows apart."""
    if rows.dtype.kind not in "iuf" or not rows.size:
        return False
    few = rows.reshape(len(rows), -1)[present, :COLUMNS_LOOKED_AT]
    return len(np.unique(few, axis=0)) == len(few)


def _has_negative_zeros(rows: np.ndarray) -> bool:
    return rows.dtype.kind == "f" and any(
        np.signbit(some[some == 0]).any() for some in _portions(rows, rows)
    )


def _portions(values: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Cut values, one for each of some rows, so that memory stays small."""
    size = max(1, NUMBERS_AT_A_TIME // max(1, rows[:1].size))
    for start in range(0, len(values), size):
        yield values[start : start + size]
