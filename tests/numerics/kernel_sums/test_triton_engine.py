"""The GPU's kernel, run on one where there is one and interpreted where there is none.

The interpreter needs milliseconds for what a GPU does in nanoseconds: cases are tiny,
and still have several tiles, leaves, blocks and columns, none of them full.
"""

import json
import os
import subprocess
import sys

import pytest
import torch

# Interpreters before that of 3.9 do not get along with numpy 2.4.
pytest.importorskip("triton", "3.3" if torch.cuda.is_available() else "3.9")

from skib._numerics.kernel_sums import Levels, engines, kernel_sums
from skib._numerics.kernel_sums.clouds import Clouds, Queries
from skib._numerics.kernel_sums.triton_engine import TritonEngine, _two_floats
from skib._numerics.network_terms import ALL_DRAWS, BLOCKS

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def each_of(n_blocks):
    """Every block is a level."""
    return torch.eye(n_blocks)[:, None].expand(-1, n_blocks, -1)


def sums_of(case, noise_std, *, levels=ALL_DRAWS, **options):
    case = [part.to(DEVICE) for part in case]
    return kernel_sums(
        *case, noise_std, levels=levels, engine="triton", **options
    ).cpu()


@pytest.fixture
def small_case(draw_case):
    """Draw few groups: some without weight in one of two columns, one without any."""

    def draw(*arguments, n_groups=10, n_draws=7, n_queries=130, **options):
        sizes = {"n_groups": n_groups, "n_draws": n_draws, "n_queries": n_queries}
        case = draw_case(*arguments, **sizes, **options)
        centers, weights, groups, draws, noise = case
        weights[n_groups // 2 :, 0] = 0.0
        weights[-1] = 0.0
        return centers, weights[:, :2], groups.clamp_max(n_groups - 2), draws, noise

    return draw


@pytest.fixture
def in_single_precision(monkeypatch):
    monkeypatch.setattr(engines, "DOUBLE_UP_TO_CENTERS", 0)


@pytest.mark.usefixtures("in_single_precision")
@pytest.mark.parametrize(
    ("n_features", "noise_std"),
    [(1, 1e-3), (3, 0.01), (5, 0.1), (3, 10.0)],
)
def test_sums_agree_with_dense_float64(
    rng, log_own_share, small_case, dense_sums, data, n_features, noise_std
):
    case = small_case(rng, data, n_features=n_features, noise_std=noise_std)
    sums = sums_of(case, noise_std, levels=each_of(2))
    own, others = dense_sums(*case, noise_std, edges=[0, 3, 7])
    _, weights, groups, *_ = case
    error = log_own_share(sums.own, sums.others, weights, groups)
    error -= log_own_share(own, others, weights, groups)
    assert float(error.abs().max()) <= min(sums.error_bound, 1e-4)


@pytest.mark.usefixtures("in_single_precision")
@pytest.mark.parametrize("noise_std", [0.1, 10.0])
def test_features_beyond_the_registers_take_turns(
    rng, small_case, dense_sums, noise_std
):
    case = small_case(
        rng, "clustered", n_features=40, noise_std=noise_std, n_groups=6, n_queries=20
    )
    sums = sums_of(case, noise_std)
    own, others = dense_sums(*case, noise_std, edges=[0, 7])
    torch.testing.assert_close(sums.own, own, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(sums.others, others, rtol=1e-3, atol=1e-6)


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
    sums = sums_of(case, noise_std, levels=each_of(n_blocks), tolerance=0)
    edges = Levels.among(7, each_of(n_blocks)).edges
    own, others = dense_sums(*case, noise_std, edges=edges)
    # Numbers far from 1 keep fewer digits: the queries are rounded before they differ.
    tolerances = {"rtol": max(1e-12, 1e-14 / noise_std**2), "atol": 1e-14}
    torch.testing.assert_close(sums.own, own, **tolerances)
    torch.testing.assert_close(sums.others, others, **tolerances)


ALL_BUT_OWN = torch.stack([torch.ones(3, 3), 1 - torch.eye(3)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("n_draws", "levels"), [(7, ALL_BUT_OWN), (9, BLOCKS), (7, ALL_DRAWS)]
)
def test_levels_hold_the_blocks_that_go_with_the_own_draw(
    rng, small_case, dense_level_sums, monkeypatch, dtype, n_draws, levels
):
    case = small_case(
        rng, "clustered", n_features=2, noise_std=0.3, n_draws=n_draws, n_groups=9
    )
    assert_levels_are_right(case, levels, dense_level_sums, monkeypatch, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_groups_of_one_draw_share_chunks(
    rng, small_case, dense_level_sums, monkeypatch, dtype
):
    """As many as 64 groups lie in a leaf, and a query leaves out one of them."""
    case = small_case(
        rng, "random", n_features=2, noise_std=0.3, n_draws=1, n_groups=90
    )
    assert_levels_are_right(case, ALL_DRAWS, dense_level_sums, monkeypatch, dtype)


@pytest.mark.parametrize(("n_draws", "levels"), [(1, ALL_DRAWS), (9, BLOCKS)])
def test_programs_share_out_many_columns(
    rng, small_case, dense_level_sums, monkeypatch, n_draws, levels
):
    """As many as a classifier has labels; an input mostly has one of them."""
    centers, _, *queries = small_case(
        rng,
        "random",
        n_features=2,
        noise_std=0.3,
        n_draws=n_draws,
        n_groups=11,
        n_queries=20,
    )
    weights = torch.eye(11, dtype=torch.float64)
    weights[1::2] = torch.tensor(rng.random((5, 11)))
    case = centers, weights, *queries
    assert_levels_are_right(case, levels, dense_level_sums, monkeypatch, torch.float32)


def assert_levels_are_right(case, levels, dense_level_sums, monkeypatch, dtype):
    double = dtype == torch.float64
    monkeypatch.setattr(engines, "DOUBLE_UP_TO_CENTERS", 4096 if double else 0)
    sums = sums_of(case, 0.3, levels=levels, tolerance=0)
    edges = Levels.among(case[0].shape[1], levels).edges
    own, others, logs = dense_level_sums(*case, 0.3, edges=edges, levels=levels)
    # Logarithms of both signs cancel.
    tolerance = {} if double else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(sums.own, own, **tolerance)
    torch.testing.assert_close(sums.others, others, **tolerance)
    torch.testing.assert_close(sums.others_log, logs, **tolerance)


@pytest.mark.usefixtures("in_single_precision")
def test_programs_share_out_many_leaves(rng, small_case, dense_sums):
    """More than one of them sums over."""
    case = small_case(
        rng, "random", n_features=1, noise_std=3.0, n_groups=40, n_draws=33, n_queries=9
    )
    sums = sums_of(case, 3.0)
    own, others = dense_sums(*case, 3.0, edges=[0, 33])
    torch.testing.assert_close(sums.own, own, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(sums.others, others, rtol=1e-5, atol=1e-6)


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
    sums = sums_of(case, 0.1)
    own, others = dense_sums(*case, 0.1, edges=[0, 33])
    torch.testing.assert_close(sums.own, own, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(sums.others, others, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("in_single_precision")
def test_what_is_left_out_stays_within_the_tolerance(rng, small_case):
    case = small_case(
        rng, "clustered", n_features=2, noise_std=0.01, n_groups=40, n_queries=300
    )
    # Whole clusters far from each other.
    case[0][::2] += 5
    _, weights, groups, *_ = case
    near = sums_of(case, 0.01, tolerance=1e-3)
    full = sums_of(case, 0.01, tolerance=0)
    own_mass = weights.sum(1)[groups] * full.own.sum(1)
    missing = (full.others - near.others).sum((1, 2)) / own_mass
    assert near.kept_fraction < 0.7
    assert float(missing.max()) <= near.error_bound
    torch.testing.assert_close(near.own, full.own)


@pytest.mark.usefixtures("in_single_precision")
def test_separated_groups_see_only_themselves(rng, small_case):
    case = small_case(rng, "random", n_features=3, noise_std=1e-6)
    sums = sums_of(case, 1e-6)
    assert float(sums.others.max()) < 1e-12
    torch.testing.assert_close(
        sums.own.sum(1), torch.ones(130, dtype=torch.float64), rtol=1e-5, atol=1e-5
    )


def test_no_kept_leaf_is_a_sum_of_zero(rng, small_case):
    centers, weights, groups, draws, noise = small_case(
        rng, "random", n_features=2, noise_std=0.1
    )
    clouds = Clouds.sorted_in_space(
        centers.to(DEVICE), weights.to(DEVICE), 0.1, torch.float32
    )
    queries = Queries.around_own_centers(
        clouds, *(part.to(DEVICE) for part in (centers, groups, draws, noise)), tile=128
    )
    engine = TritonEngine(clouds, Levels.among(7, ALL_DRAWS))
    kept = torch.zeros(2, clouds.n_leaves, dtype=torch.bool, device=DEVICE)
    kept[1] = True
    _, others, others_log = engine.sums(queries, kept)
    assert float(others[:128].abs().max()) == float(others_log[:128].abs().max()) == 0.0
    assert float(others[128:].min()) > 0.0


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
one = torch.ones(1, 1, 1)
kernel_sums(
    centers, one[0], zero, zero, centers[0], 1.0, levels=one, engine="triton"
)
"""

# For a GPU of compute capability 9.0, which need not be there.
COMPILE = """
import json
import sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from skib._numerics.kernel_sums.triton_engine import _sum_leaves

constants = json.loads(sys.argv[1])
types = dict(own="*i32", order="*i64", starts="*i64")
types |= dict.fromkeys(["items_per_leaf", "n_items", "n_blocks", "n_chunks"], "i32")
types |= dict.fromkeys(constants, "constexpr")
signature = {name: types.get(name, "*fp32") for name in _sum_leaves.arg_names}
aligned = {
    (place,): [["tt.divisibility", 16]]
    for place, kind in enumerate(signature.values()) if kind.startswith("*")
}
compiled = compile(
    ASTSource(_sum_leaves, signature, constants, aligned),
    target=GPUTarget("cuda", 90, 32),
    options=dict(num_warps=1, enable_fp_fusion=True),
)
print(compiled.asm["ptx"], compiled.asm["sass"])
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


@pytest.mark.parametrize(
    ("n_draws", "n_features", "expanded"),
    [(1, 10, True), (32, 10, True), (32, 3, False)],
)
def test_a_pair_costs_what_it_must(n_draws, n_features, expanded):
    """One exponential, and one multiply-add per feature, and no more.

    A thread sums eight centres at four queries at a time. Everything else belongs to
    queries, leaves or groups.
    """
    constants = {
        "EXPANDED": expanded,
        "FEATURES": n_features,
        "UNROLLED": n_features,
        "LEVELS": 1 if n_draws == 1 else 4,
        "COLUMNS": 2,
        "CENTERS": 8,
        "TOGETHER": 8 if n_draws == 1 else 1,
    }
    result = run_compiled(COMPILE, json.dumps(constants))
    assert result.returncode == 0, result.stderr
    loop = innermost_loop(result.stdout)
    assert loop.count("MUFU.EX2") == 32
    # Groups together take their weights and logarithms in the same loop.
    weighted = n_draws == 1
    assert 0 <= loop.count("FFMA") - 32 * n_features <= 64 * weighted
    # Centres come four coordinates at a time, and queries stay in registers.
    assert loop.count("LDG") <= 2 * (n_features + 1 + 2 * weighted)
    assert not any(word in loop for word in ("LDL", "STL", "SHFL", "BAR"))
    # Nothing is rounded as the matrix units round.
    assert not any(word in result.stdout for word in ("mma", "tf32", "HMMA"))


def innermost_loop(assembly):
    """Return what lies between a label and a jump back to it, around exponentials."""
    before, _, after = assembly.partition("MUFU.EX2")
    start, stop = before.rindex("LBB"), after.index("BRA")
    return before[start:] + "MUFU.EX2" + after[:stop]
