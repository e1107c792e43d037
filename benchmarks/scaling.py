"""The picture: seconds of kernel sums as the work grows."""

import time

import matplotlib.pyplot as plt
import torch

from benchmarks.activations import random_clouds
from benchmarks.contenders import Case
from benchmarks.timing import interleaved

NOISE_STD = 0.1
CENTERS = [4096, 8192, 16384, 32768, 65536]
FEATURES = [1, 2, 3, 5, 8, 12, 16, 24, 32, 64]
DRAWS = [1, 4, 16, 64, 256, 1024]
QUERIES = 2048


def _seconds(clouds):
    case = Case(clouds, NOISE_STD, QUERIES)
    tasks = {
        engine: lambda engine=engine: case.sums(engine=engine, tolerance=0)
        for engine in ("numba", "torch")
    }
    return interleaved(tasks, repeats=2)


def _panel(axis, sizes, clouds_of, label):
    seconds = [_seconds(clouds_of(size)) for size in sizes]
    for engine in ("numba", "torch"):
        axis.loglog(sizes, [found[engine] for found in seconds], "o-", label=engine)
    axis.set_xscale("log", base=2)
    axis.set_xlabel(label)


def _threads_panel(axis):
    case = Case(random_clouds(32768, 5), NOISE_STD, 4 * QUERIES)
    threads = list(range(1, max(2, torch.get_num_threads()) + 1))
    for engine in ("numba", "torch"):
        seconds = interleaved(
            {
                n: lambda engine=engine, n=n: case.sums(
                    engine=engine, tolerance=0, n_threads=n
                )
                for n in threads
            },
            clock=time.process_time,
        )
        axis.plot(threads, [seconds[n] / seconds[1] for n in threads], "o-")
    axis.axhline(1, color="k", linestyle=":", linewidth=0.8)
    axis.set_xticks(threads)
    axis.set_ylim(0, 2)
    axis.set_xlabel("threads")
    axis.set_ylabel("CPU seconds of all, over those of one")


def draw(path):
    """Draw cost against centres, features, draws and threads."""
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    for axis in axes[1:3]:
        axis.sharey(axes[0])
    _threads_panel(axes[3])
    torch.set_num_threads(1)
    _panel(axes[0], CENTERS, lambda n: random_clouds(n, 5), "centres (5 units)")
    _panel(
        axes[1], FEATURES, lambda d: random_clouds(16384, d), "units (16384 centres)"
    )
    _panel(
        axes[2],
        DRAWS,
        lambda r: random_clouds(16384, 5, n_draws=r),
        "draws per input (16384 centres)",
    )
    axes[0].set_ylabel(f"CPU seconds, {QUERIES} queries, dense")
    axes[0].legend()
    figure.savefig(path, dpi=120)
