"""The innermost loops, compiled by numba per number of features.

They are all that depends on it, and small: what surrounds them is compiled once and
calls them by their address. A tile of queries lies side by side in vector registers
(`lanes`) while the centres of a leaf pass by, one at a time. Up to
`UNROLLED_UP_TO_FEATURES` the loop over features is unrolled and coordinates of the
queries stay in registers as long as they fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from skib._numerics.kernel_sums.lanes import (
    FORMATS,
    N_LANES,
    add,
    add_exp2,
    assume_disjoint,
    load,
    multiply_add,
    spread,
    store,
    subtract,
)

# One function is compiled per number of features up to this, one for all above.
UNROLLED_UP_TO_FEATURES = 24

LOG2_E = math.log2(math.e)


def kept_on_disk(compiler: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Give a compiler, such as `numba.njit`, that keeps its code where it can."""

    def compiled(function: Callable[..., None]) -> Any:
        try:
            return compiler(*arguments, cache=True, **options)(function)
        except RuntimeError:
            # Neither the package's folder nor the user's cache can be written.
            return compiler(*arguments, **options)(function)

    return compiled


@numba.njit(inline="always")
def _sum_expanded(n_features, local, height, centers, squares, start, stop):  # type: ignore[no-untyped-def]
    """Sum the kernels of a run of centres at every query: -|c|^2 / 2 + tc + height."""
    total = spread(squares.dtype.type(0.0))
    for c in range(start, stop):
        exponent = spread(squares[c])
        for k in range(n_features):
            exponent = multiply_add(load(local, k), spread(centers[c, k]), exponent)
        total = add_exp2(total, add(exponent, height))
    return total


@numba.njit(inline="always")
def _sum_by_difference(n_features, fall, local, height, centers, start, stop):  # type: ignore[no-untyped-def]
    """Sum the kernels of a run of centres at every query: fall |t - c|^2 + height."""
    zero = spread(centers.dtype.type(0.0))
    total = zero
    for c in range(start, stop):
        squared = zero
        for k in range(n_features):
            step = subtract(load(local, k), spread(centers[c, k]))
            squared = multiply_add(step, step, squared)
        total = add_exp2(total, multiply_add(squared, spread(fall), height))
    return total


def leaf_sums(n_features: int, expanded: bool, dtype: str) -> int:
    """Return the address of a function that sums the kernels of a leaf by runs.

    `call_leaf_sums` calls it.
    """
    unrolled = n_features <= UNROLLED_UP_TO_FEATURES
    return _compiled(n_features if unrolled else 0, expanded, dtype).address


@cache
def _compiled(unrolled: int, expanded: bool, dtype: str) -> Any:
    number = getattr(types, dtype)
    numbers, fall = types.CPointer(number), -0.5 * LOG2_E * FORMATS[dtype].code
    signature = types.void(
        *[numbers] * 4, types.CPointer(types.int64), numbers, *[types.int64] * 3
    )

    @kept_on_disk(numba.cfunc, signature)
    def sum_leaf(  # type: ignore[no-untyped-def]
        local_at, height_at, centers_at, squares_at, edges, sums_at, first, n_runs, d
    ):
        assume_disjoint()
        n_features = unrolled if unrolled > 0 else d
        n_centers = first + edges[n_runs]
        local = numba.carray(local_at, (n_features, N_LANES))
        height = load(numba.carray(height_at, (1, N_LANES)), 0)
        centers = numba.carray(centers_at, (n_centers, n_features))
        squares = numba.carray(squares_at, (n_centers,))
        sums = numba.carray(sums_at, (n_runs, N_LANES))
        for run in range(n_runs):
            start, stop = first + edges[run], first + edges[run + 1]
            if expanded:
                of_run = _sum_expanded(
                    n_features, local, height, centers, squares, start, stop
                )
            else:
                of_run = _sum_by_difference(
                    n_features, number(fall), local, height, centers, start, stop
                )
            store(sums, run, of_run)

    return sum_leaf


# Any: numba fills in the first argument, which mypy cannot know.
_operation: Any = intrinsic


@_operation
def call_leaf_sums(  # type: ignore[no-untyped-def]
    context, address, local, height, centers, squares, edges, sums, first, n_runs
):
    """Sum the kernels of the runs of a leaf at a tile's queries.

    Parameters
    ----------
    address : int
        What `leaf_sums` returned.
    local : array of shape (n_features, N_LANES)
        Queries relative to the leaf's middle.
    height : array of shape (1, N_LANES)
        What exponents have in common, coded for `add_exp2`.
    centers : array of shape (n_centers, n_features)
        Of all leaves.
    squares : array of shape (n_centers,)
        Coded minus half squares of the centres.
    edges : int64 array
        Where runs begin, and the last one ends, from the leaf's first centre.
    sums : array of shape (n_runs, N_LANES)
        Overwritten.
    first : int
        The leaf's first centre.
    n_runs : int
    """
    arrays = local, height, centers, squares, edges, sums

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        views = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(arrays, arguments[1:7], strict=True)
        ]
        d = builder.extract_value(views[0].shape, 0)
        given = [*(view.data for view in views), *arguments[7:], d]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), given)
        return context.get_dummy_value()

    integers = types.int64, types.int64
    return types.void(types.int64, *arrays, *integers), generate
