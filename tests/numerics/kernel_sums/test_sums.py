import subprocess
import sys

import pytest
import torch

from skib._numerics.kernel_sums import (
    Levels,
    engines,
    kernel_sums,
    torch_engine,
)
from skib._numerics.threads import torch_threads

ENGINES = ["torch", "numba"]
ALL_DRAWS = torch.ones(1, 1, 1)


def each_of(n_blocks):
    """Every block is a level."""
    return torch.eye(n_blocks)[:, None].expand(-1, n_blocks, -1)


def require(engine):
    if engine != "torch":
        pytest.importorskip(engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_features", [1, 10, 64])
def test_sums_agree_with_dense_float64(
    rng, log_own_share, draw_case, dense_sums, engine, data, n_features
):
    """In float32 (more than 4096 centres), whatever the data and the noise."""
    require(engine)
    for noise_std in [1e-3, 0.1, 10.0]:
        case = draw_case(rng, data, n_features=n_features, noise_std=noise_std)
        sums = kernel_sums(*case, noise_std, levels=each_of(4), engine=engine)
        own, others = dense_sums(*case, noise_std, edges=[0, 7, 15, 23, 31])
        _, weights, groups, *_ = case
        found = log_own_share(sums.own, sums.others, weights, groups)
        error = found - log_own_share(own, others, weights, groups)
        assert float(error.abs().max()) <= sums.error_bound <= 1e-3
        assert float(error.mean().abs()) <= 1e-4


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_features", [3, 40])
def test_small_problems_are_summed_in_float64(
    rng, draw_case, dense_sums, engine, n_features
):
    require(engine)
    noise_std = 0.1 * n_features
    case = draw_case(
        rng,
        "random",
        n_groups=50,
        n_draws=8,
        n_features=n_features,
        noise_std=noise_std,
    )
    sums = kernel_sums(*case, noise_std, levels=each_of(2), engine=engine, tolerance=0)
    own, others = dense_sums(*case, noise_std, edges=[0, 4, 8])
    torch.testing.assert_close(sums.own, own, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(sums.others, others, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_groups", [40, 1000])
def test_levels_hold_the_blocks_that_go_with_the_own_draw(
    rng, draw_case, dense_level_sums, engine, n_groups
):
    """In float64 and in float32: all blocks, and the others without the own one."""
    require(engine)
    levels = torch.stack([torch.ones(3, 3), 1 - torch.eye(3)])
    case = draw_case(
        rng, "clustered", n_features=2, noise_std=0.3, n_groups=n_groups, n_draws=7
    )
    sums = kernel_sums(*case, 0.3, levels=levels, engine=engine)
    own, others, logs = dense_level_sums(*case, 0.3, edges=[0, 2, 4, 7], levels=levels)
    tolerance = {"rtol": 1e-4, "atol": 1e-7} if n_groups > 40 else {}
    torch.testing.assert_close(sums.own, own, **tolerance)
    torch.testing.assert_close(sums.others, others, **tolerance)
    torch.testing.assert_close(sums.others_log, logs, **tolerance)


@pytest.mark.parametrize("n_features", [2, 200])
def test_torch_works_through_small_rectangles_too(
    rng, draw_case, dense_sums, monkeypatch, n_features
):
    """As few kernels at a time as in a large problem: leaves and visits are split."""
    monkeypatch.setitem(torch_engine.PAIRS_AT_A_TIME, "cpu", 1500)
    case = draw_case(
        rng, "clustered", n_features=n_features, noise_std=0.3, n_draws=12, n_groups=61
    )
    sums = kernel_sums(*case, 0.3, engine="torch", tolerance=0, levels=ALL_DRAWS)
    own, others = dense_sums(*case, 0.3, edges=[0, 12])
    torch.testing.assert_close(sums.own, own, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(sums.others, others, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_what_is_left_out_stays_within_the_tolerance(rng, draw_case, engine, tolerance):
    require(engine)
    case = draw_case(
        rng,
        "clustered",
        n_features=2,
        noise_std=0.02,
        n_groups=400,
        n_draws=10,
        n_queries=1000,
    )
    _, weights, groups, *_ = case
    near = kernel_sums(
        *case, 0.02, engine=engine, tolerance=tolerance, levels=ALL_DRAWS
    )
    full = kernel_sums(*case, 0.02, engine=engine, tolerance=0, levels=ALL_DRAWS)
    own_mass = weights.sum(1)[groups] * full.own.sum(1)
    missing = (full.others - near.others).sum((1, 2)) / own_mass
    assert near.kept_fraction < 0.5 < full.kept_fraction == 1.0
    assert float(missing.max()) <= near.error_bound <= tolerance + 1e-9


def test_nothing_is_left_out_where_all_kernels_overlap(rng, draw_case):
    case = draw_case(rng, "random", n_features=2, noise_std=2.0)
    assert kernel_sums(*case, 2.0, levels=ALL_DRAWS).kept_fraction == 1.0


@pytest.mark.parametrize("engine", ENGINES)
def test_separated_groups_see_only_themselves(rng, draw_case, engine):
    """Far apart, others are nothing: I is exactly the log of the inputs."""
    require(engine)
    case = draw_case(rng, "random", n_features=3, noise_std=1e-6, n_queries=150)
    sums = kernel_sums(*case, 1e-6, engine=engine, levels=ALL_DRAWS)
    assert float(sums.others.max()) < 1e-12
    torch.testing.assert_close(
        sums.own.sum(1), torch.ones(150, dtype=torch.float64), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_sums_do_not_depend_on_the_threads(rng, draw_case, engine):
    require(engine)
    case = draw_case(rng, "clustered", n_features=5, noise_std=0.1, n_queries=600)
    with torch_threads(1):
        one = kernel_sums(*case, 0.1, levels=each_of(4), engine=engine)
    with torch_threads(2):
        two = kernel_sums(*case, 0.1, levels=each_of(4), engine=engine)
    torch.testing.assert_close(one.own, two.own, rtol=1e-6, atol=0)
    torch.testing.assert_close(one.others, two.others, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_sums_turn_with_the_order_of_groups_and_queries(rng, draw_case, engine):
    require(engine)
    case = draw_case(rng, "clustered", n_features=3, noise_std=0.1)
    centers, weights, groups, draws, noise = case
    plain = kernel_sums(*case, 0.1, engine=engine, levels=ALL_DRAWS)
    mixed = torch.tensor(rng.permutation(len(centers)))
    back = torch.argsort(mixed)
    turned = kernel_sums(
        centers[mixed],
        weights[mixed],
        back[groups].flip(0),
        draws.flip(0),
        noise.flip(0),
        0.1,
        levels=ALL_DRAWS,
        engine=engine,
    )
    torch.testing.assert_close(turned.own.flip(0), plain.own, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        turned.others.flip(0), plain.others, rtol=1e-4, atol=1e-6
    )


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("engine", ["torch", "triton"])
@pytest.mark.parametrize("n_features", [1, 5, 64])
def test_cuda_agrees_with_cpu(rng, draw_case, engine, data, n_features):
    require(engine)
    case = draw_case(rng, data, n_features=n_features, noise_std=0.1)
    options = {"levels": torch.ones(1, 4, 4)}
    cpu = kernel_sums(*case, 0.1, **options)
    on_gpu = [part.cuda() for part in case]
    cuda = kernel_sums(*on_gpu, 0.1, **options, engine=engine).cpu()
    torch.testing.assert_close(cuda.own, cpu.own, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(cuda.others, cpu.others, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(cuda.others_log, cpu.others_log, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("engine", ["numba", "triton"])
def test_the_gpu_is_given_compiled_kernels_only_if_they_can_be(monkeypatch, engine):
    monkeypatch.setattr(engines, "find_spec", lambda name: name == engine or None)
    monkeypatch.setattr(engines.shutil, "which", lambda name: None)
    monkeypatch.setenv("CC", "cc")
    found = engines._compiler_for(torch.device("cuda"))
    assert found == ("triton" if engine == "triton" else "torch")
    monkeypatch.delenv("CC")
    assert engines._compiler_for(torch.device("cuda")) == "torch"


def test_triton_is_asked_for_by_name_where_it_is_missing(rng, draw_case, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    case = draw_case(rng, "random", n_features=2, noise_std=0.1)
    with pytest.raises(ImportError, match="comes with PyTorch for CUDA"):
        kernel_sums(*case, 0.1, engine="triton", levels=ALL_DRAWS)


PEAK_OF_A_LARGE_CALL = """
from pathlib import Path
import torch
from skib._numerics.kernel_sums import kernel_sums

def peak():
    # Of this program alone; getrusage starts from the peak of the one that began it.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

generator = torch.Generator().manual_seed(0)
centers = torch.rand(4096, 1000, 10, generator=generator)
groups = torch.arange(256)
weights = torch.full((4096, 1), 1 / 4096)
levels = torch.ones(1, 4, 4)
noise = 0.005 * torch.randn(256, 10, generator=generator)
small = centers[:600, :7].clone()
kernel_sums(small, weights[:600], groups, 0 * groups, noise, 0.005, levels=levels)
before = peak()
kernel_sums(centers, weights, groups, 0 * groups, noise, 0.005, levels=levels)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's record of it")
def test_memory_is_the_scaled_centers_and_little_more():
    process = subprocess.run(
        [sys.executable, "-c", PEAK_OF_A_LARGE_CALL],
        capture_output=True,
        text=True,
        check=True,
    )
    kilobytes = int(process.stdout)
    assert kilobytes < 250_000


def test_blocks_cut_the_draws_into_nearly_equal_runs():
    assert Levels.among(10, torch.ones(1, 4, 4)).edges == [0, 2, 5, 7, 10]
