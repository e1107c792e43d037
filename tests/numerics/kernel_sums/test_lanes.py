"""The exponential of the compiled loops, alone."""

import numpy as np
import pytest

pytest.importorskip("numba")
import numba

from skib._numerics.kernel_sums.lanes import (
    FORMATS,
    N_LANES,
    add_exp2,
    load,
    store,
    times_own_log,
)


@numba.njit
def sum_of_exp2(coded, totals):
    for row in range(len(coded)):
        store(totals, row, add_exp2(load(totals, row), load(coded, row)))


@numba.njit
def apply_times_own_log(values):
    for row in range(len(values)):
        store(values, row, times_own_log(load(values, row)))


def exp2(exponents, dtype, start=0.0):
    """2^x plus a start, through lanes."""
    layout = FORMATS[dtype]
    coded = exponents * layout.code + layout.shift
    coded = coded.astype(dtype).reshape(-1, N_LANES)
    totals = np.full(coded.shape, start, dtype)
    sum_of_exp2(coded, totals)
    return totals.ravel()


@pytest.mark.parametrize(
    ("dtype", "lowest", "tolerance"),
    [("float32", -79.9, 1e-5), ("float64", -499.0, 3e-13)],
)
def test_exp2_rounds_as_written(dtype, lowest, tolerance):
    """Reordered additions (fast-math) would tear bits: errors of many per cent."""
    exponents = np.linspace(lowest, 60.0, 400 * N_LANES)
    np.testing.assert_allclose(
        exp2(exponents, dtype), np.exp2(exponents), rtol=tolerance
    )


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 2e-7), ("float64", 1e-14)]
)
def test_exp2_is_right_on_average(dtype, tolerance):
    """A one-sided error would go into every estimate."""
    exponents = np.linspace(-8.0, 0.0, 20_000 * N_LANES, endpoint=False)
    found = exp2(exponents, dtype).astype(float)
    assert abs(np.mean(found / np.exp2(exponents)) - 1) < tolerance


@pytest.mark.parametrize("dtype", FORMATS)
def test_exp2_has_a_floor(dtype):
    far = exp2(np.full(N_LANES, -1e6), dtype)
    np.testing.assert_allclose(far, 2.0 ** FORMATS[dtype].lowest, rtol=1e-5)


def test_exp2_is_added_to_a_total():
    np.testing.assert_allclose(exp2(np.zeros(N_LANES), "float32", start=2.0), 3.0)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 3e-7), ("float64", 1e-15)]
)
def test_logarithm_is_right_to_rounding(dtype, tolerance):
    x = np.append(np.logspace(-30, 30, 400 * N_LANES - 1), 0.0).astype(dtype)
    found = x.reshape(-1, N_LANES).copy()
    apply_times_own_log(found)
    log = np.log(np.where(x > 0, x, 1), dtype=float)
    error = np.abs(found.ravel().astype(float) - x * log)
    assert np.all(error <= tolerance * x * (1 + np.abs(log)))
