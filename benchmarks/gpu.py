"""Dense sums on a CUDA device, billion pairs per second, as a markdown table.

python -m benchmarks.gpu        # a minute or two on a data-centre GPU

Engines are timed at their sums alone, centres and queries sorted beforehand; the last
column is a whole call, sorting on the CPU included. In brackets: the share of the
ceiling. Of a pair's work it counts one multiply-add per unit, at the rate of a large
matrix product in float32, or one exponential, whichever takes longer.
"""

import sys

import torch

from benchmarks.activations import random_clouds
from benchmarks.contenders import ALL_DRAWS, SLOW, Case
from benchmarks.tables import markdown_table
from skib._numerics.kernel_sums import Levels
from skib._numerics.kernel_sums.clouds import Clouds, Queries
from skib._numerics.kernel_sums.torch_engine import TorchEngine

CASES = [
    (n, d, noise)
    for n in (16384, 65536)
    for noise in (0.005, 0.1)
    for d in (3, 5, 10, 32)
]

# Those that store every pair are given fewer of them.
FEW_QUERIES = 4096

# An NVIDIA multiprocessor starts 128 multiply-adds or 16 exponentials per cycle.
EXPONENTIAL = 8

MATRIX_SIZE = 8192


class GpuCase(Case):
    """A case whose tensors live on the CUDA device."""

    def __post_init__(self):
        super().__post_init__()
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                setattr(self, name, value.cuda())


def engine_sums(case, engine_of):
    """Return the dense sums of an engine, everything else done beforehand."""
    clouds = Clouds.sorted_in_space(
        case.centers, case.weights, case.noise_std, torch.float32
    )
    tile = engine_of.queries_per_tile
    queries = Queries.around_own_centers(
        clouds, case.centers, case.groups, case.draws, case.noise, tile=tile
    )
    engine = engine_of(clouds, Levels.among(case.centers.shape[1], ALL_DRAWS))
    n_tiles = -(-case.n_queries // tile)
    kept = torch.ones(n_tiles, clouds.n_leaves, dtype=torch.bool, device="cuda")
    return lambda: engine.sums(queries, kept)


def best_seconds(task, repeats=5):
    """Best time between two events on the device; a first call pays for compilation."""
    task()
    best = float("inf")
    for _ in range(repeats):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        task()
        stop.record()
        torch.cuda.synchronize()
        best = min(best, start.elapsed_time(stop) / 1e3)
    return best


def multiply_adds_per_second():
    square = torch.rand(MATRIX_SIZE, MATRIX_SIZE, device="cuda")
    return MATRIX_SIZE**3 / best_seconds(lambda: square @ square)


def pairs_per_second(n_centers, n_features, noise_std):
    from skib._numerics.kernel_sums.triton_engine import TritonEngine

    clouds = random_clouds(n_centers, n_features)
    case = GpuCase(clouds, noise_std, n_centers)
    few = GpuCase(clouds, noise_std, FEW_QUERIES)
    tasks = {
        "skib triton": (case, engine_sums(case, TritonEngine)),
        "skib torch": (case, engine_sums(case, TorchEngine)),
    }
    for name in ("torch cdist + logsumexp", "KeOps logsumexp"):
        if name in SLOW:
            tasks[name] = (few, SLOW[name](few))
    tasks["skib triton, whole call"] = (
        case,
        lambda: case.sums(engine="triton", tolerance=0),
    )
    return {
        name: n_centers * of.n_queries / best_seconds(task)
        for name, (of, task) in tasks.items()
    }


def dense_table():
    rows, names = [], []
    for n_centers, n_features, noise_std in CASES:
        multiply_adds = multiply_adds_per_second()
        ceiling = multiply_adds / max(n_features, EXPONENTIAL)
        found = pairs_per_second(n_centers, n_features, noise_std)
        names = list(found)
        cells = [f"{rate / 1e9:.3g} ({rate / ceiling:.0%})" for rate in found.values()]
        rows.append([n_centers, n_features, noise_std, f"{ceiling / 1e9:.3g}", *cells])
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    return markdown_table(["centres", "units", "noise_std", "ceiling", *names], rows)


def main():
    if not torch.cuda.is_available():
        sys.exit("python -m benchmarks.gpu needs a CUDA device; torch sees none here.")
    # IEEE products, for the ceiling as for the contenders.
    torch.backends.cuda.matmul.allow_tf32 = False
    print(torch.cuda.get_device_name(), f"torch {torch.__version__}", sep=", ")
    print(dense_table())


if __name__ == "__main__":
    main()
