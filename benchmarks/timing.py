"""CPU time, contenders taking turns."""

import time

import torch

# Tasks of a millisecond are repeated for so long: one call alone cannot be timed.
SHORTEST_TURN = 0.02


def interleaved(tasks, repeats=3, clock=time.process_time):
    """Best CPU seconds of each task; a first round, untimed, pays for compilation."""
    for task in tasks.values():
        task()
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(repeats):
        for name, task in tasks.items():
            best[name] = min(best[name], _seconds_per_call(task, clock))
    return best


def _seconds_per_call(task, clock):
    n_calls, start = 0, clock()
    while n_calls == 0 or clock() - start < SHORTEST_TURN:
        task()
        n_calls += 1
    return (clock() - start) / n_calls


def wall_seconds(tasks, repeats=3):
    """Best seconds on the clock on the wall, for work of several threads."""
    return interleaved(tasks, repeats, clock=time.perf_counter)


class MatrixProduct:
    """The peak rate of float32 multiply-adds, timed as one task among others."""

    size = 1536
    multiply_adds = size**3

    def __init__(self):
        self.square = torch.rand(self.size, self.size)

    def __call__(self):
        return self.square @ self.square
