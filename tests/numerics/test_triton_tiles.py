"""The GPU's kernel, run on one where there is one and interpreted where there is none.

The interpreter needs milliseconds for what a GPU does in nanoseconds: cases are tiny,
and still have several tiles, leaves, blocks and columns, none of them full.
"""

import os
import subprocess
import sys

import pytest
import torch

# Interpreters before that of 3.9 do not get along with numpy 2.4.
pytest.importorskip("triton", "3.3" if torch.cuda.is_available() else "3.9")

from skib._numerics import kernel_sums as module
from skib._numerics import triton_tiles
from skib._numerics.clouds import Clouds
from skib._numerics.kernel_sums import block_bounds, kernel_sums
from skib._numerics.triton_tiles import Runs, TritonTiles, _two_floats

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def sums_of(case, noise_std, **options):
    case = [part.to(DEVICE) for part in case]
    sums = kernel_sums(*case, noise_std, engine="triton", **options)
    return sums, sums.own.cpu(), sums.others.cpu()


@pytest.fixture
def small_case(draw_case):
    """Draw few groups: some without weight in one of two columns, one without any."""

    def draw(*arguments, n_groups=14, n_draws=7, n_queries=130, **options):
        sizes = {"n_groups": n_groups, "n_draws": n_draws, "n_queries": n_queries}
        case = draw_case(*arguments, **sizes, **options)
        centers, weights, groups, draws, noise = case
        weights[n_groups // 2 :, 0] = 0.0
        weights[-1] = 0.0
        return centers, weights[:, :2], groups.clamp_max(n_groups - 2), draws, noise

    return draw


@pytest.fixture
def in_single_precision(monkeypatch):
    monkeypatch.setattr(module, "DOUBLE_UP_TO_CENTERS", 0)


@pytest.mark.usefixtures("in_single_precision")
@pytest.mark.parametrize(
    ("n_features", "noise_std"),
    [(1, 1e-3), (3, 1e-3), (1, 0.01), (3, 0.01), (3, 0.1), (10, 0.1), (3, 10.0)],
)
def test_sums_agree_with_dense_float64(
    rng, log_own_share, small_case, dense_sums, data, n_features, noise_std
):
    case = small_case(rng, data, n_features=n_features, noise_std=noise_std)
    sums, *found = sums_of(case, noise_std, n_blocks=2)
    expected = dense_sums(*case, noise_std, block_bounds(7, 2))
    _, weights, groups, *_ = case
    error = log_own_share(*found, weights, groups)
    error -= log_own_share(*expected, weights, groups)
    assert float(error.abs().max()) <= min(sums.error_bound, 1e-4)


@pytest.mark.usefixtures("in_single_precision")
@pytest.mark.parametrize("noise_std", [0.1, 10.0])
def test_features_beyond_the_registers_are_summed_in_slabs(
    rng, small_case, dense_sums, noise_std
):
    case = small_case(
        rng, "clustered", n_features=64, noise_std=noise_std, n_groups=6, n_queries=20
    )
    _, own, others = sums_of(case, noise_std)
    expected = dense_sums(*case, noise_std, [(0, 7)])
    torch.testing.assert_close(own, expected[0], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(others, expected[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("n_features", "n_blocks", "noise_std"), [(3, 3, 0.3), (33, 1, 4.0), (3, 9, 1e-4)]
)
def test_small_problems_are_summed_in_float64(
    rng, small_case, dense_sums, n_features, n_blocks, noise_std
):
    """With more blocks than draws some of them are empty."""
    case = small_case(
        rng, "random", n_features=n_features, noise_std=noise_std, n_queries=9
    )
    _, own, others = sums_of(case, noise_std, n_blocks=n_blocks, tolerance=0)
    expected = dense_sums(*case, noise_std, block_bounds(7, n_blocks))
    # Numbers far from 1 keep fewer digits: the queries are rounded before they differ.
    tolerances = {"rtol": max(1e-12, 1e-14 / noise_std**2), "atol": 1e-14}
    torch.testing.assert_close(own, expected[0], **tolerances)
    torch.testing.assert_close(others, expected[1], **tolerances)


@pytest.mark.usefixtures("in_single_precision")
def test_a_group_of_one_draw_shares_chunks_with_its_neighbours(
    rng, small_case, dense_sums
):
    """As many as 64 groups lie in a leaf, and a query leaves out one of them."""
    case = small_case(
        rng, "random", n_features=2, noise_std=0.3, n_draws=1, n_groups=90
    )
    _, own, others = sums_of(case, 0.3)
    expected = dense_sums(*case, 0.3, [(0, 1)])
    torch.testing.assert_close(own, expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(others, expected[1], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("in_single_precision")
def test_programs_sum_over_many_leaves(rng, small_case, dense_sums, monkeypatch):
    """More than are summed in single precision at a time."""
    monkeypatch.setattr(triton_tiles, "PROGRAMS", 1)
    case = small_case(
        rng, "random", n_features=1, noise_std=3.0, n_groups=40, n_draws=33, n_queries=9
    )
    _, own, others = sums_of(case, 3.0)
    expected = dense_sums(*case, 3.0, [(0, 33)])
    torch.testing.assert_close(own, expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(others, expected[1], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("in_single_precision")
def test_tight_clouds_far_from_each_other_keep_their_digits(
    rng, small_case, dense_sums
):
    """A float32 coordinate would be off by a thousandth of the noise."""
    case = small_case(
        rng, "collapsed", n_features=2, noise_std=0.1, n_groups=8, n_draws=33
    )
    centers = case[0]
    centers += 3000 * torch.tensor(rng.normal(size=(4, 1, 2))).tile(2, 1, 1)
    centers += 0.1 * torch.tensor(rng.normal(size=centers.shape))
    _, own, others = sums_of(case, 0.1)
    expected = dense_sums(*case, 0.1, [(0, 33)])
    torch.testing.assert_close(own, expected[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(others, expected[1], rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("in_single_precision")
def test_what_is_left_out_stays_within_the_tolerance(rng, small_case):
    case = small_case(
        rng, "clustered", n_features=2, noise_std=0.01, n_groups=60, n_queries=400
    )
    # Whole clusters far from each other.
    case[0][::2] += 5
    _, weights, groups, *_ = case
    near, own, others = sums_of(case, 0.01, tolerance=1e-3)
    _, full_own, full_others = sums_of(case, 0.01, tolerance=0)
    missing = (full_others - others).sum((1, 2)) / (weights.sum(1)[groups] * own.sum(1))
    assert near.kept_fraction < 0.7
    assert float(missing.max()) <= near.error_bound
    torch.testing.assert_close(own, full_own)


@pytest.mark.usefixtures("in_single_precision")
def test_separated_groups_see_only_themselves(rng, small_case):
    case = small_case(rng, "random", n_features=3, noise_std=1e-6)
    _, own, others = sums_of(case, 1e-6)
    assert float(others.max()) < 1e-12
    torch.testing.assert_close(
        own.sum(1), torch.ones(130, dtype=torch.float64), rtol=1e-5, atol=1e-5
    )


def test_no_kept_leaf_is_a_sum_of_zero(rng, small_case):
    centers, weights, groups, draws, noise = small_case(
        rng, "random", n_features=2, noise_std=0.1
    )
    clouds = Clouds.sorted_in_space(
        centers.to(DEVICE), weights.to(DEVICE), 0.1, torch.float32
    )
    queries = module.Queries.around_own_centers(
        clouds, *(part.to(DEVICE) for part in (centers, groups, draws, noise)), tile=128
    )
    tiles = TritonTiles(clouds, [(0, 7)], n_threads=1)
    kept = torch.zeros(2, clouds.n_leaves, dtype=torch.bool, device=DEVICE)
    kept[1] = True
    _, others = tiles.sums(queries, kept)
    assert float(others[:128].max()) == 0.0
    assert float(others[128:].min()) > 0.0


def test_every_list_holds_each_weighted_center_once(rng, small_case):
    case = small_case(rng, "random", n_features=2, noise_std=0.1)
    clouds = Clouds.sorted_in_space(*case[:2], 0.1, torch.float64)
    runs = Runs.of(clouds, block_bounds(7, 2), scale=1.0)
    for block, (start, stop) in enumerate(block_bounds(7, 2)):
        for run, (leaf, column) in enumerate(
            zip(runs.leaves, runs.columns, strict=True)
        ):
            chunks = slice(*runs.edges[block, run : run + 2])
            in_leaf = torch.arange(14) // clouds.groups_per_leaf == leaf
            expected = (stop - start) * clouds.weights[in_leaf, column].sum()
            torch.testing.assert_close(runs.weights[chunks].sum(), expected)
            places = runs.centers[chunks].mT[runs.weights[chunks] > 0].sum(0)
            listed = in_leaf & (clouds.weights[:, column] > 0)
            torch.testing.assert_close(
                places, clouds.offsets[listed, start:stop].sum((0, 1))
            )


def test_two_floats_hold_what_one_cannot():
    number = torch.tensor([1e4 / 3], dtype=torch.float64)
    high, low = _two_floats(number, torch.float32).double().unbind(-1)
    assert float((high - number).abs()) > 1e-5
    assert float((high + low - number).abs()) < 1e-10


ON_THE_CPU = """
import torch
from skib._numerics.kernel_sums import kernel_sums
zero = torch.zeros(1, dtype=torch.int64)
centers = torch.zeros(1, 1, 1)
kernel_sums(centers, torch.ones(1, 1), zero, zero, centers[0], 1.0, engine="triton")
"""

# For a GPU of compute capability 9.0, which need not be there.
COMPILE = """
import sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from skib._numerics.triton_tiles import _sum_runs

n_features, dtype, expanded = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "expanded"
constants = dict(
    EXPANDED=expanded, FEATURES=n_features, SLAB=n_features, CENTERS=8, QUERIES=128
)
types = dict(own="*i32", groups="*i32", n_runs="i32", n_columns="i32", sums="*fp64")
types |= dict.fromkeys(["edges", "leaves", "order", "starts"], "*i64")
types |= dict.fromkeys(constants, "constexpr")
signature = {name: types.get(name, "*" + dtype) for name in _sum_runs.arg_names}
aligned = {
    (place,): [["tt.divisibility", 16]]
    for place, kind in enumerate(signature.values()) if kind.startswith("*")
}
compiled = compile(
    ASTSource(_sum_runs, signature, constants, aligned),
    target=GPUTarget("cuda", 90, 32),
    options=dict(num_warps=1, enable_fp_fusion=True),
)
assert compiled.asm["cubin"]
print(compiled.asm["ptx"])
"""


def run_compiled(code, *arguments):
    """Run code that sees Triton as it is on a GPU."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TRITON_INTERPRET": "0"},
    )


def test_tensors_on_the_cpu_are_refused():
    result = run_compiled(ON_THE_CPU)
    assert "ValueError: engine='triton' computes on a CUDA device" in result.stderr


@pytest.mark.parametrize(("n_features", "form"), [(3, "difference"), (10, "expanded")])
def test_a_pair_costs_what_it_must(n_features, form):
    """One exponential, one multiply-add per feature and one for the weight.

    A thread sums eight centres at four queries at a time. The square of a query, in the
    expanded form, is counted here but does not belong to the loop.
    """
    result = run_compiled(COMPILE, str(n_features), "fp32", form)
    assert result.returncode == 0, result.stderr
    ptx = result.stdout
    squares = 4 * n_features if form == "expanded" else 0
    assert ptx.count("ex2.approx.ftz.f32") == 32
    assert ptx.count("fma.rn.f32") == 32 * (n_features + 1) + squares
    # Nothing in memory of the thread's own, nothing waits for another thread, and
    # nothing is rounded as the matrix units round.
    assert not any(word in ptx for word in (".local", "bar.", "mma", "tf32"))
