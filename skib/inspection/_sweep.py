"""The one way over epochs and layers: in parallel, resumable, interruptible.

A task is one layer at one epoch, or one epoch whose layers share passes. Its seed
follows from the epoch, not from a place in a list: a subset of epochs or layers has the
same numbers, and a subset of epochs finds what was kept of them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeGuard

import joblib
from sklearn.utils.validation import check_memory

from skib._validation import draw_seed, seed_at
from skib.exceptions import SweepInterruptedWarning
from skib.inspection._fingerprint import fingerprint
from skib.inspection._progress_bar import progress_bar

__all__ = ["Swept", "over_epochs"]

# Tasks per worker at a time, where a backend returns all results or none.
TASKS_PER_WORKER = 4


class Swept(NamedTuple):
    """What a sweep found.

    Attributes
    ----------
    epochs : list of int
        Those that were finished.
    results : list of lists
        By epoch, then layer.
    """

    epochs: list[int]
    results: list[list[Any]]


class _Task(NamedTuple):
    epoch: int
    layers: list[int]


def over_epochs(
    work: Callable[[Any, list[int], int], list[Any]],
    recording: Any,
    epochs: list[int],
    layers: list[int],
    *,
    whole_epochs: bool,
    label: str,
    n_jobs: int | None,
    memory: Any,
    random_state: Any,
    verbose: int,
) -> Swept:
    """Do some work for every layer of every epoch.

    Parameters
    ----------
    work : callable
        ``work(snapshot, layers, seed)`` returns a result for each layer. A dataclass of
        arrays, tensors and estimators, so that it can be sent to workers and known
        again in ``memory``.
    recording : object with ``at(epoch)``
    epochs, layers : lists of int
    whole_epochs : bool
        Whether the layers of an epoch are one task.
    label : str
        Of the progress bar, which counts layers.
    n_jobs, memory, random_state, verbose
        As in `information_flow`.

    Returns
    -------
    Swept

    Warns
    -----
    SweepInterruptedWarning
        If the user interrupts when some epochs are finished; these are returned.
    """
    seed = draw_seed(random_state)
    groups = [layers] if whole_epochs else [[layer] for layer in layers]
    tasks = [_Task(epoch, group) for epoch in epochs for group in groups]
    run = _work_through
    if memory is not None:
        # The key stands for what is left out: tensors are pickled anew each time.
        left_out = ["work", "snapshot", "home"]
        place = os.fspath(memory) if isinstance(memory, os.PathLike) else memory
        run = check_memory(place).cache(_work_through, ignore=left_out)
    key_of_work = fingerprint(work) if memory is not None else ""

    def jobs() -> Iterator[Any]:
        for epoch, group in tasks:
            snapshot = recording.at(epoch)
            key = memory is not None and (key_of_work, fingerprint(snapshot))
            yield joblib.delayed(run)(
                work, snapshot, group, seed_at(seed, epoch), key, os.getpid()
            )

    found: dict[int, dict[int, Any]] = {}
    outcomes = _outcomes(jobs(), n_jobs)
    try:
        with progress_bar(len(epochs) * len(layers), label, verbose=verbose) as bar:
            for task, (results, caught) in zip(tasks, outcomes, strict=True):
                for warning in caught:
                    warnings.warn(warning, stacklevel=3)
                at_epoch = found.setdefault(task.epoch, {})
                at_epoch.update(zip(task.layers, results, strict=True))
                bar.update(len(task.layers))
    except KeyboardInterrupt:
        outcomes.close()
        _tell_of_interruption(found, epochs, layers, memory)
    finished = [e for e in epochs if len(found.get(e, ())) == len(layers)]
    return Swept(finished, [[found[e][layer] for layer in layers] for e in finished])


def _work_through(
    work: Callable[[Any, list[int], int], list[Any]],
    snapshot: Any,
    layers: list[int],
    seed: int,
    key: Any,
    home: int,
) -> tuple[list[Any], list[Warning]]:
    """Do one task; in another process, catch the warnings, which would be lost."""
    if os.getpid() == home:
        return work(snapshot, layers, seed), []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = work(snapshot, layers, seed)
    return results, [each.message for each in caught if _is_warning(each.message)]


def _is_warning(message: Warning | str) -> TypeGuard[Warning]:
    return isinstance(message, Warning)


def _outcomes(jobs: Iterator[Any], n_jobs: int | None) -> Generator[Any, None, None]:
    """Yield results in order, as they come where the backend has them come."""
    try:
        workers = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:
        yield from _in_portions(jobs, joblib.Parallel(n_jobs=n_jobs))
    else:
        yield from workers(jobs)


def _in_portions(jobs: Iterator[Any], workers: joblib.Parallel) -> Iterator[Any]:
    size = TASKS_PER_WORKER * joblib.effective_n_jobs(workers.n_jobs)
    with workers:
        while portion := list(islice(jobs, size)):
            yield from workers(portion)


def _tell_of_interruption(
    found: dict[int, dict[int, Any]], epochs: list[int], layers: list[int], memory: Any
) -> None:
    n_finished = sum(len(of_epoch) == len(layers) for of_epoch in found.values())
    if n_finished == 0:
        raise KeyboardInterrupt
    kept = "" if memory is None else " All that was done is kept in memory."
    warnings.warn(
        f"Interrupted: {n_finished} of {len(epochs)} epochs are finished and returned."
        f"{kept}",
        SweepInterruptedWarning,
        stacklevel=4,
    )
