"""The exponential of the compiled loops, alone."""

import numpy as np
import pytest

pytest.importorskip("numba")
from skib._numerics import numba_tiles


@pytest.mark.parametrize(
    ("exp2", "dtype", "tolerance"),
    [
        (numba_tiles._exp2_single, np.float32, 3e-7),
        (numba_tiles._exp2_double, np.float64, 1e-15),
    ],
)
def test_exp2_rounds_as_written(exp2, dtype, tolerance):
    """Reordered additions (fastmath) would delete the rounding: errors up to 40 %."""
    arguments = np.linspace(-79.9, 60.0, 9973).astype(dtype)
    found = np.array([exp2(x) for x in arguments], dtype=np.float64)
    np.testing.assert_allclose(
        found, np.exp2(arguments.astype(np.float64)), rtol=tolerance
    )


def test_exp2_has_a_floor():
    assert float(numba_tiles._exp2_single(np.float32(-1e30))) == pytest.approx(2.0**-80)


def test_compiled_code_may_contract_and_nothing_else():
    for compiled in [
        numba_tiles._exp2_single,
        numba_tiles._exp2_double,
        numba_tiles._compiled(3, True),
    ]:
        assert compiled.targetoptions["fastmath"] == {"contract"}
