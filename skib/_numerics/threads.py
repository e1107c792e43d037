"""Threads: how many torch may use for a while, and runs of tiles shared out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import torch

# Runs of tiles per thread: leaves are spread unevenly over tiles.
RUNS_PER_THREAD = 8

# Multiplications between two synchronisations: below, threads only wait.
WORTH_TWO = 2**24


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let torch use this many CPU threads; restore the number after.

    Threads that wait for each other at every small operation, or that are more than
    the cores, make the work many times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_threads(run: Callable[[range], None], n_tiles: int) -> None:
    """Call `run` with ranges of tiles, in as many threads as torch may use.

    One thread works here and at once.

    Parameters
    ----------
    run : callable
        Works through a range of tiles.
    n_tiles : int
        Tiles in all.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1:
        run(range(n_tiles))
        return
    n_runs = min(n_tiles, n_threads * RUNS_PER_THREAD)
    edges = [n_tiles * edge // n_runs for edge in range(n_runs + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(run, map(range, edges[:-1], edges[1:])))


def threads_for(n_multiplications: int) -> AbstractContextManager[None]:
    """Use one torch thread while the work is small; restore the number after."""
    small = n_multiplications < WORTH_TWO
    return torch_threads(1 if small else torch.get_num_threads())
