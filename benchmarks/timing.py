"""CPU time of one thread, contenders taking turns."""

import time

import torch


def interleaved(tasks, repeats=3):
    """Best CPU seconds of each task; a first round, untimed, pays for compilation."""
    for task in tasks.values():
        task()
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(repeats):
        for name, task in tasks.items():
            start = time.thread_time()
            task()
            best[name] = min(best[name], time.thread_time() - start)
    return best


def wall_seconds(task, repeats=3):
    task()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - start)
    return best


class MatrixProduct:
    """The peak rate of float32 multiply-adds, timed as one task among others."""

    size = 1536
    multiply_adds = size**3

    def __init__(self):
        self.square = torch.rand(self.size, self.size)

    def __call__(self):
        return self.square @ self.square
