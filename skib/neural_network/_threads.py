"""One torch thread for small work, where a second costs more than it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["threads_for"]

# Multiplications between two synchronisations: below, threads only wait.
WORTH_TWO = 2**24


@contextmanager
def threads_for(n_multiplications: int) -> Iterator[None]:
    """Use one torch thread while the work is small; restore the number after."""
    before = torch.get_num_threads()
    if n_multiplications < WORTH_TWO:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
