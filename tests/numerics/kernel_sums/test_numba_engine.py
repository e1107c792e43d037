"""What is compiled, how often, and where it is kept."""

import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("numba")
import numba

from skib._numerics.kernel_sums import kernel_sums, numba_engine, numba_leaf_sums


def test_no_compiled_code_may_reorder(monkeypatch):
    """Fast-math would delete the rounding that `add_exp2` is made of."""
    # Numba does not show code that comes from a disk.
    monkeypatch.setattr(
        numba_leaf_sums, "kept_on_disk", lambda compiler, *a, **o: compiler(*a, **o)
    )
    code = numba_leaf_sums._compiled.__wrapped__(3, True, "float32").inspect_llvm()
    assert "llvm.fmuladd" in code
    assert not any(flag in code for flag in (" fast ", "reassoc", "contract"))
    assert not numba_engine._sum_tiles.targetoptions.get("fastmath", False)


def test_only_the_innermost_loops_are_compiled_per_number_of_features(rng, draw_case):
    """All around them is compiled once per precision: up to 4096 centres or more."""
    for n_features, n_groups in [(2, 20), (2, 200), (3, 20), (3, 200), (30, 200)]:
        case = draw_case(
            rng, "random", n_features=n_features, noise_std=0.1, n_groups=n_groups
        )
        kernel_sums(*case, 0.1, levels=torch.ones(1, 1, 1), engine="numba")
    assert len(numba_engine._sum_tiles.signatures) == 2


@pytest.mark.parametrize("compiler", [numba.njit, numba.cfunc])
def test_code_is_compiled_where_none_can_be_kept(compiler):
    """Numba refuses to cache where it can write neither beside the code nor at home."""

    def without_a_place(*arguments, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compiler(*arguments, **options)

    signature = numba.types.int64(numba.types.int64)
    kept = numba_leaf_sums.kept_on_disk(without_a_place, signature)
    compiled = kept(lambda x: x + 1)
    assert (compiled if compiler is numba.njit else compiled.ctypes)(1) == 2


COMPILE_OR_LOAD = """
import torch
from skib._numerics.kernel_sums import kernel_sums, numba_engine, numba_leaf_sums
zero = torch.zeros(1, dtype=torch.int64)
one = torch.ones(1, 1, 1)
kernel_sums(one, one[0], zero, zero, one[0], 1.0, levels=one, engine="numba")
print(
    sum(numba_engine._sum_tiles.stats.cache_hits.values()),
    numba_leaf_sums._compiled(1, True, "float64").cache_hits,
)
"""


def test_what_one_process_compiled_another_loads(tmp_path):
    def cache_hits():
        process = subprocess.run(
            [sys.executable, "-c", COMPILE_OR_LOAD],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        )
        return process.stdout.split()

    assert cache_hits() == ["0", "0"]
    assert cache_hits() == ["1", "1"]
